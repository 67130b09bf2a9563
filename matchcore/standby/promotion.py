"""Makes the copy in another region the exchange, and closes the log that it was a copy of."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import InvalidArgument, LogClosed, LogError, LogFailed, LogLocked
from ..journal import DEFAULT_SEGMENT_BYTES
from ..journal.copies import PROMOTED_NAME, REGION_EPOCHS, CopyLog, Mark, check_open, mark_of
from ..journal.format import CLOSED_EPOCH
from ..journal.stream import Address, StreamLog, StreamReader
from ..journal.stream.link import Link
from ..journal.stream.reader import NoLog, state_of
from ..journal.stream.register import Entry, Register
from ..journal.stream.restoring import Restoring
from ..journal.stream.settings import wanted
from ..records.arguments import UINT64_MAX
from .copying import Copier
from .lease import LEASE_KEY, LEASE_SECONDS, Lease

CATCH_UP_SECONDS = 30.0
LOOK_SECONDS = 0.05
LEASES_WAITED = 5  # for an engine that has just ended


def refuse_superseded(city: Address, region: Address, patience: float) -> bool:
    """Closes a log, and raises `LogClosed`, if the other region has been promoted.

    False if that region cannot be reached within ``patience`` seconds: then nobody knows.
    """
    try:
        far = _end_of(region, patience)
    except LogFailed:
        return False
    except NoLog:  # `matchcore promote --to` will make it
        return True
    near = _end_of(city, CATCH_UP_SECONDS)
    if far.identity != near.identity:
        raise LogError(f"{region}: exchange {far.identity.hex()}, not {near.identity.hex()}")
    if far.epoch - near.epoch >= REGION_EPOCHS // 2:
        close_log(city)
        check_open(CLOSED_EPOCH, str(city))
    return True


class _End(NamedTuple):
    identity: bytes
    epoch: int


def _end_of(address: Address, patience: float) -> _End:
    with StreamReader(address, after=UINT64_MAX, patience=patience) as reader:
        for _ in reader.read():
            pass
        return _End(reader.identity, reader.epoch)


@dataclass(frozen=True, slots=True)
class Promoted:
    """A region that is the exchange now.

    - ``sequence``, ``chain``: where it left the history of the other region; ``epoch``: that of its
      first writer is above it.
    - ``source_end``: the last sequence that the other region is known to have answered.
    - ``heard_seconds``: how long ago that was, by this machine's clock; None: it was never heard.
    - ``closed``: the other region's log was closed for ever, after all of it was copied.
    """

    sequence: int
    chain: str
    epoch: int
    source_end: int
    heard_seconds: float | None
    closed: bool

    @property
    def missing(self) -> tuple[int, int] | None:
        """First and last sequence known to have been answered and not here; None: none is."""
        return None if self.source_end <= self.sequence else (self.sequence + 1, self.source_end)


def close_log(address: Address, patience: float = CATCH_UP_SECONDS) -> int:
    """Closes a replicated log for ever; returns its last sequence.

    Its writer is refused from then on, as is everybody who opens it.  Nothing is removed.  It may
    be closed already.  `LogFailed` if its servers cannot be reached within ``patience`` seconds.
    """
    with suppress(LogClosed):
        log = StreamLog.open(address, patience=patience, next_epoch=lambda before: CLOSED_EPOCH)
        log.close()
        return log.sequence
    with StreamReader(address) as reader:
        for _ in reader.read():
            pass
        return reader.sequence


def promote_copy(path: Path, close: Address | None, patience: float) -> Promoted:
    """Promotes a `matchcore copy`.  ``close``: the log that it copies, to be closed before.

    If that one can be reached, all of it is copied first, and nothing is lost.  A copy that was
    promoted before stays as it is; the other log is only closed.  LogError for a log that is none.
    """
    mark, before = mark_of(path), mark_of(path, PROMOTED_NAME)
    if mark is None and before is None:
        raise LogError(f"{path}: no copy of a log is here")
    closed = _close(close, patience)
    if mark is None:
        assert before is not None
        return _promoted(before, closed, whole=False)
    if close is not None and closed:
        _catch_up(path, close)
    with _opened(path, mark) as log:
        return _promoted(log.promote(time.time_ns()), closed, whole=closed)


def promote_copy_to(path: Path, to: Address, close: Address | None, patience: float) -> Promoted:
    """As `promote_copy`, but the exchange goes on in a new replicated log at ``to``.

    All frames of the copy are written there.  The directory stays a copy, of the new log from then
    on.  What was interrupted can be repeated.  LogError if there is another stream at ``to``.
    """
    mark = mark_of(path)
    if mark is None:
        raise LogError(f"{path}: no copy of a log is here")
    before = mark_of(path, PROMOTED_NAME)
    if mark.source == str(to) and before is not None:
        return _promoted(before, _close(close, patience), whole=False)
    names = {Address.of(mark.source).name, close.name if close is not None else ""}
    if to.name in names:
        raise InvalidArgument(
            f"{to}: the log of the other region has this name: where the regions connect it would"
            " take what is written in the other one. Choose another name"
        )
    with Restoring(to, bytes.fromhex(mark.identity)) as restoring:
        if restoring.is_open:  # this was interrupted at its very end, or it is another log
            with _opened(path, mark) as log:
                _, now = log.begin_anew(log.time)
                restoring.check_finished(now.sequence, bytes.fromhex(now.chain), now.epoch)
                log.follow(now, str(to))
            return _promoted(now, _close(close, patience), whole=False)
        closed = _close(close, patience)
        if close is not None and closed:
            _catch_up(path, close)
        with _opened(path, mark) as log:
            frame, now = log.begin_anew(log.time)  # the same bytes if this is repeated
            last = (frame, log.at.rules)
            restoring.write(log.first, itertools.chain(log.frames(), [last]))
            log.follow(now, str(to))
    return _promoted(now, closed, whole=closed)


def _catch_up(path: Path, source: Address) -> None:
    """Copies the rest of a log that is closed."""
    with Copier(source, path, DEFAULT_SEGMENT_BYTES) as copier:
        while not copier.closed:
            if not copier.step():
                copier.wait(LOOK_SECONDS)
        copier.measure()


def _opened(path: Path, mark: Mark) -> CopyLog:
    log = CopyLog(path, mark.source, DEFAULT_SEGMENT_BYTES)
    if log.is_empty:
        log.close()
        raise LogError(f"{path}: this copy has nothing yet")
    return log


def _promoted(now: Mark, closed: bool, *, whole: bool) -> Promoted:
    """``whole``: all of the other log was copied before."""
    end = now.sequence if whole else max(now.end, now.sequence)
    return Promoted(now.sequence, now.chain, now.epoch, end, _age(now.heard), closed)


def _age(heard: int) -> float | None:
    return max(0.0, (time.time_ns() - heard) / 1e9) if heard else None


def _close(address: Address | None, patience: float) -> bool:
    if address is None:
        return False
    try:
        close_log(address, patience)
    except LogFailed:
        return False
    return True


def promote_mirror(address: Address, close: Address | None, patience: float) -> Promoted:
    """Promotes a mirror stream of the other region's servers.

    It becomes a stream of its own, as a log needs it.  ``close``: the log that it mirrors.  If that
    can be reached no engine may be primary there any more (`LogLocked`): its lease is taken, what
    the mirror lacks is waited for, so that nothing is lost, and then it is closed.
    """
    link = Link(address)
    try:
        with ExitStack() as kept:
            reached = close is not None and _reached(close, patience, kept)
            if reached and close is not None:
                _await_mirror(link, close)
            known = link.call(_unmirror(link))
            log = StreamLog.open(address, next_epoch=lambda before: before + REGION_EPOCHS)
            log.close()
            end = log.sequence
            if reached and close is not None:
                end = max(end, close_log(close, patience))
    finally:
        link.close()
    return Promoted(log.sequence, log.chain.hex(), log.epoch, end, known, reached)


def _reached(city: Address, patience: float, kept: ExitStack) -> bool:
    """Keeps the lease of the other region, if its servers can be reached."""
    try:
        register = kept.enter_context(Register(city, patience))
    except LogFailed:
        return False
    lease = kept.enter_context(Lease(Entry(register, LEASE_KEY), "promotion")).start()
    until = time.monotonic() + LEASES_WAITED * LEASE_SECONDS
    while not (lease.is_free() and lease.take()):
        if time.monotonic() > until:
            raise LogLocked(f"{city}: {lease.holder} is primary there: stop its engines first")
        time.sleep(LOOK_SECONDS)
    return True


def _await_mirror(link: Link, city: Address) -> None:
    with StreamReader(city) as reader:
        for _ in reader.read():
            pass
        end = reader.walk.at
    until = time.monotonic() + CATCH_UP_SECONDS
    while (at := link.call(state_of(link))[1]) < end:
        if time.monotonic() > until:
            raise LogFailed(f"{link.address}: has {at} of the {end} messages of {city}")
        time.sleep(LOOK_SECONDS)


async def _unmirror(link: Link) -> float | None:
    """Ends the mirroring; how long ago the other region was heard."""
    from nats.js.api import StreamConfig

    await state_of(link)
    info = await link.streams.stream_info(link.address.name)
    if info.config.mirror is None:
        raise LogError(f"{link.address}: this stream is no mirror")
    if info.config.mirror.name == link.address.name:
        raise LogError(
            f"{link.address}: a mirror of a stream of the same name: where the regions connect"
            " it would take what is written in the other one. Make one of another name"
        )
    await link.streams.update_stream(StreamConfig(**wanted(link.address)))
    active = info.mirror.active if info.mirror is not None else None
    return active / 1e9 if active and active > 0 else None
