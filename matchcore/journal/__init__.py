"""The log: every command, in order, as frames of appended batches.

`FileLog` writes a directory of segments, `LogReader` and `verify` read it without a lock,
`MemoryLog` is for tests and simulation.  This floor knows bytes and files, not what a command
means.  The format is drawn in docs/journal.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .batches import Batch, batches
from .crypto.keys import Keys
from .disk import DISK, Disk, take_lock
from .growth import Growth
from .memory import MemoryLog
from .packing import Packed
from .place import (
    Growing,
    Place,
    Reader,
    Where,
    check_past,
    despite_archiving,
    directory_of,
    durable_end,
    first_sequence,
    has_log,
    hint_of,
    identity_of,
    is_address,
    last_sequence,
    open_reader,
    place_of,
    snapshots_of,
    stated,
    unencrypted,
)
from .position import missed, published
from .reader import LogReader, segments_of, writer_alive
from .segments import Frame, Position
from .verifying import Finding, Report, bytes_there, late_beginning, verify
from .writer import (
    DEFAULT_SEGMENT_BYTES,
    INTERVAL_MS_DEFAULT,
    POLICIES,
    FileLog,
    Recovered,
)


class Log(Protocol):
    """What an engine writes to.  No two calls at once, but for the numbers, and `sync`
    beside `append`.

    ``sequence``: of the last command appended; ``durable``: of the last one as safe as the log's
    policy says; ``on_disk``: of the last one synced to a disk; ``appended_bytes``: since opening;
    ``sync_due``: seconds until `sync` must be called again, None: not before the next append;
    ``rules``: the version of the rules at its end, the newest when the log is made;
    ``chain``: digest of everything appended; ``identity``: 16 bytes that name the exchange;
    ``epoch``: goes up with every writer; ``hash``: number of the chain's hash; ``keys``: what its
    files are encrypted with, None if they are not.
    """

    identity: bytes
    epoch: int
    sequence: int
    rules: int
    appended_bytes: int
    chain: bytes
    hash: int

    @property
    def durable(self) -> int: ...

    @property
    def on_disk(self) -> int: ...

    @property
    def keys(self) -> Keys | None: ...

    @property
    def sync_due(self) -> float | None: ...

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """Takes a `COMMAND` array, packed or not; it is safe only after `sync`.

        ``now``: nanoseconds; also the time of the commands that have none.  ``rules``: the version
        that the one command, UPGRADE_RULES, changes to.
        """

    def sync(self, *, to_disk: bool = False) -> None:
        """Returns when everything appended is as safe as the log's policy says, or on disk."""

    def frames(self, after: int = 0) -> Iterator[Frame]:
        """The frames that hold sequences beyond `after`."""
        ...

    def close(self) -> None: ...


__all__ = [
    "DEFAULT_SEGMENT_BYTES",
    "DISK",
    "INTERVAL_MS_DEFAULT",
    "POLICIES",
    "Batch",
    "Disk",
    "FileLog",
    "Finding",
    "Frame",
    "Growing",
    "Growth",
    "Keys",
    "Log",
    "LogReader",
    "MemoryLog",
    "Packed",
    "Place",
    "Position",
    "Reader",
    "Recovered",
    "Report",
    "Where",
    "batches",
    "bytes_there",
    "check_past",
    "despite_archiving",
    "directory_of",
    "durable_end",
    "first_sequence",
    "has_log",
    "hint_of",
    "identity_of",
    "is_address",
    "last_sequence",
    "late_beginning",
    "missed",
    "open_reader",
    "place_of",
    "published",
    "segments_of",
    "snapshots_of",
    "stated",
    "take_lock",
    "unencrypted",
    "verify",
    "writer_alive",
]
