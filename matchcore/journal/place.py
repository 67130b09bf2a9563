"""Where a log is: in a directory, or at an address of servers that keep it.

Everything that reads a log takes either, through `place_of` and `open_reader`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeGuard, Union

from ..errors import InvalidArgument, LogError
from ..records.arguments import UINT64_MAX
from .crypto.keys import Keys
from .disk import DISK, Disk
from .growth import LOOK_SECONDS
from .position import NO_HINT, Hint, published
from .reader import LogReader, segments_of
from .reader import despite_archiving as _despite_archiving
from .reader import durable_end as _durable_end
from .reader import first_sequence as _first_sequence
from .reader import has_log as _has_log
from .reader import identity_of as _identity_of
from .segments import T

if TYPE_CHECKING:
    from .stream.address import Address
    from .stream.reader import StreamReader

SCHEMES = ("nats://", "tls://")
Place: TypeAlias = Union[Path, "Address"]
Reader: TypeAlias = Union[LogReader, "StreamReader"]
Where: TypeAlias = Union[str, "os.PathLike[str]", "Address"]


class Growing(Protocol):
    """Tells when there may be more of a log; see `Growth`."""

    def wait(self, seconds: float = LOOK_SECONDS) -> None: ...

    async def grown(self, seconds: float = LOOK_SECONDS) -> None: ...

    def close(self) -> None: ...


def is_address(where: object) -> TypeGuard[str | Address]:
    """Whether this is the address of a replicated log, and not a directory."""
    if isinstance(where, str):
        return where.startswith(SCHEMES)
    return not isinstance(where, (bytes, os.PathLike)) and hasattr(where, "servers")


def place_of(where: Where) -> Place:
    """A directory, or the address of a replicated log; `InvalidArgument` for a bad address."""
    if not is_address(where):
        return Path(where)  # type: ignore[arg-type]  # no address, then
    from .stream.address import Address  # with asyncio, which readers of files do without

    return Address.of(where)


def stated(where: Where, state: str | os.PathLike[str] | None) -> Place:
    """A place, with its directory for snapshots if one is given."""
    place = place_of(where)
    if state is None:
        return place
    if isinstance(place, Path):
        raise InvalidArgument(f"state: {place} is a directory, which has its snapshots itself")
    return replace(place, state=Path(state))


def directory_of(where: Where, what: str) -> Path:
    """A directory; `InvalidArgument` for an address, which ``what`` cannot be done with."""
    if is_address(where):
        raise InvalidArgument(
            f"{what} works on a log in files: copy the replicated log into a directory first, and"
            " give that"
        )
    return Path(where)  # type: ignore[arg-type]  # no address, then


def snapshots_of(place: Place) -> Path | None:
    """The directory of a log's snapshots; None if it has none."""
    return place if isinstance(place, Path) else place.state


def open_reader(
    where: Where,
    *,
    after: int = 0,
    chain: bytes | None = None,
    keys: Keys | None = None,
    structure: bool = False,
    disk: Disk = DISK,
) -> Reader:
    """A `LogReader`, or its like for a replicated log, with the arguments of `LogReader`."""
    place = place_of(where)
    if isinstance(place, Path):
        return LogReader(place, after=after, chain=chain, keys=keys, structure=structure, disk=disk)
    if keys is not None:
        raise unencrypted(place)
    from .stream.reader import StreamReader

    return StreamReader(place, after=after, chain=chain)


def unencrypted(place: Address) -> LogError:
    """The error for keys of a replicated log."""
    return LogError(
        f"{place}: keys encrypt a log in files; a replicated log is encrypted by its servers"
        " (jetstream { cipher, key } in their configuration)"
    )


def check_past(
    where: Where,
    sequence: int,
    chain: bytes,
    *,
    keys: Keys | None = None,
    structure: bool = False,
    disk: Disk = DISK,
) -> None:
    """`LogDamaged` unless a log goes as far as a sequence, and has that chain there."""
    with open_reader(
        where, after=sequence, chain=chain, keys=keys, structure=structure, disk=disk
    ) as reader:
        # A frame that the sequence cuts through is given out before it is known to be one.
        for _ in islice(reader.read(), 2):
            pass


def despite_archiving(where: Where, read: Callable[[], T], disk: Disk = DISK) -> T:
    """What ``read`` gives, which begins anew if segments are archived under its hands; LogError
    without a log."""
    place = place_of(where)
    return _despite_archiving(place, read, disk) if isinstance(place, Path) else read()


def first_sequence(where: Where, disk: Disk = DISK) -> int:
    """The first sequence that a log still holds; LogError without a log."""
    place = place_of(where)
    if isinstance(place, Path):
        return _first_sequence(place, disk)
    return 1  # nothing ever leaves a replicated log


def last_sequence(where: Where) -> int:
    """Of the last durable command, found without a replay and without keys; LogError without a
    log."""
    place = place_of(where)
    end = segments_of(place)[-1] - 1 if isinstance(place, Path) else UINT64_MAX
    with open_reader(place, after=end, structure=True) as reader:
        for _ in reader.read():
            pass
        return reader.sequence


def identity_of(where: Where, disk: Disk = DISK) -> bytes:
    """16 bytes that name the exchange whose log is there; LogError without a log."""
    place = place_of(where)
    if isinstance(place, Path):
        return _identity_of(place, disk)
    with open_reader(place) as reader:
        return reader.identity


def has_log(where: Where, disk: Disk = DISK) -> bool:
    """True if a directory is there and holds a journal."""
    place = place_of(where)
    return isinstance(place, Path) and _has_log(place, disk)


def durable_end(where: Where, disk: Disk = DISK) -> int | None:
    """How far a living writer says its log is safe; None: all that can be read is."""
    place = place_of(where)
    return _durable_end(place, disk) if isinstance(place, Path) else None


def hint_of(where: Where, disk: Disk = DISK) -> Hint:
    """What the writer of a log in files published; nothing of a replicated one."""
    place = place_of(where)
    return published(place, disk) if isinstance(place, Path) else NO_HINT
