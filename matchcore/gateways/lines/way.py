"""The gateway's end: a way to the engine over several lines, which come and go."""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...errors import (
    LogError,
    MatchcoreError,
    NotInTheLog,
    QueueFull,
    ReportsError,
    SnapshotDamaged,
    UnknownRules,
)
from ...machine import machine_class
from ...machine.state import State
from ...records.commands import checked, joined, stamped
from ...records.instruments import Directory
from ..ways import Past, Reached, Take
from .address import Address
from .link import DEAD_SECONDS, Link, all_gone
from .wire import (
    ANY,
    COMMANDS_MAX,
    LASTING,
    Frame,
    LineError,
    Refusal,
    Type,
    batch,
    join,
    read_welcome,
    rules_of,
)

WINDOW_BYTES = 8 << 20  # of batches that are not settled
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.05, 1.0  # between two attempts
STANDBY_SECONDS = 0.1  # until a standby is asked again whether it has taken over
CONNECT_SECONDS = 1.0
CLOSE_SECONDS = 2.0


class Lines:
    """A `Way` to the engine that listens at ``addresses``: the same engine, by several networks.

    Some may be of its standby, which refuses until it has taken over.
    Commands go over one line; when it is lost, what is not settled goes over the next.  With
    ``both`` everything goes over all lines, and the first to come counts.  ``token``: what the
    engine wants to hear; ``tls``: a client's context.  ``machine`` as for `Engine.open`.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        both: bool = False,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        machine: str = "cython",
        dead_seconds: float = DEAD_SECONDS,
    ) -> None:
        self.both = both
        self.token, self.tls, self.dead_seconds = token.encode(), tls, dead_seconds
        self.number = secrets.randbits(63) | 1  # what tells its batches from those of others
        self._made = machine_class(machine)
        self.machine = self._made()
        self.lines = [Line(self, address) for address in addresses]
        self.open: set[Link] = set()  # connections that have a socket
        self.active: GatewayLink | None = None
        self.incarnation = 0  # as the first engine has said
        self._identity, self._epoch = ANY, 0
        self._unsettled: deque[tuple[int, NDArray[np.void]]] = deque()
        self._bytes = self._batch = 0
        self._settled = 0  # sequence of the last command that is
        self._recent: deque[tuple[int, NDArray[np.void]]] = deque()  # of the log, beyond that
        self._compares_to = 0  # sequence to come to before anything is sent again
        self.durable = 0  # as the engine has said
        self._failure = ""
        self._at_end = asyncio.Event()
        self._begun = False  # the log is asked for
        self._reached = asyncio.Event()  # the engine is known, or refuses
        self._past: Past | None = None  # which the log has not shown yet to have
        self._resumed = False  # the machine is that of an image, and took nothing since
        self._begins_later = False  # the log, than the machine
        self._reach = -1  # sequence to come to before `start` returns; not known yet
        self._wrong: MatchcoreError | None = None  # why it cannot go on behind that
        self._tasks: list[asyncio.Future[None]] = []
        self._down: Callable[[str], None] = lambda why: None

    @property
    def instruments(self) -> Directory:
        """The instruments, as of the last commands that were taken."""
        return self.machine.instruments

    @property
    def counts(self) -> dict[str, int]:
        """Numbers for an operator."""
        return {
            "lines": len(self.lines),
            "lines_up": sum(line.link is not None for line in self.lines),
            "lines_lost": sum(line.lost for line in self.lines),
            "unsettled_bytes": self._bytes,
            "sequence": self.machine.sequence,
        }

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        """As `Way.start`; waits for a line.  LogError if the engine refuses this gateway."""
        self._take, self._down = take, down
        self._begun = True
        for line in self.lines:
            if line.link is not None and (self.both or line.link is self.active):
                self._activate(line.link)
        self._open()
        self._look_at_end()
        await self._at_end.wait()
        if self._wrong is not None:
            self._at_end.clear()
            raise self._wrong
        self._raise_failure()

    def _open(self) -> None:
        self._tasks = self._tasks or [asyncio.ensure_future(line.run()) for line in self.lines]

    def _raise_failure(self) -> None:
        if self._failure:
            raise (NotInTheLog if self._begins_later else LogError)(self._failure)

    async def reach(self) -> Reached:
        """As `Resumable.reach`; waits for a line."""
        self._open()
        await self._reached.wait()
        self._raise_failure()
        return Reached(self._identity, self._epoch, self.durable)

    async def resume(self, past: Past | None) -> None:
        """As `Resumable.resume`."""
        self._past, self._wrong, self._resumed = past, None, past is not None
        self.machine = self._made()
        if past is None:
            return
        if not past.image:
            raise ReportsError("it is of a server with doors, and has no machine for a gateway")
        try:
            self.machine = self._made.from_state(State.from_bytes(past.image))
        except (SnapshotDamaged, UnknownRules) as error:
            raise ReportsError(str(error)) from error
        if self.machine.sequence != past.sequence:
            raise ReportsError(f"its machine is at sequence {self.machine.sequence}")

    @property
    def epoch(self) -> int:
        """The newest of the log that is known here."""
        return self._epoch

    def image(self) -> bytes:
        """The machine."""
        return self.machine.state().to_bytes()

    def send(self, commands: NDArray[np.void]) -> None:
        """As `Way.send`.  While no line is up they wait here, up to 8 MiB."""
        if self._failure:
            raise LogError(self._failure)
        if self._bytes > WINDOW_BYTES:
            raise QueueFull("the engine is behind, or away: send again later")
        commands = joined([stamped(checked(commands), time.time_ns())])
        for at in range(0, len(commands), COMMANDS_MAX):
            part = commands[at : at + COMMANDS_MAX]
            self._batch += 1
            self._bytes += part.nbytes
            self._unsettled.append((self._batch, part))
            if not self._compares_to:
                self._transmit(batch(self._batch, part))

    async def close(self) -> None:
        """Waits a little for what is not settled, and closes the lines."""
        until = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self._unsettled and self.active and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.005)
        self._failure = self._failure or "this gateway is closed"
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self.lines:
            if line.link is not None:
                line.link.end("closed", politely=True)
        await all_gone(self.open)

    def _transmit(self, data: bytes) -> None:
        if self.both:
            for line in self.lines:
                if line.link is not None:
                    line.link.send(data)
        elif self.active is not None:
            self.active.send(data)

    # ------------------------------------------------------------------ what lines call

    def joined(self, link: GatewayLink, identity: bytes, welcome: Frame) -> None:
        """A line is up.  `LineError` if what it leads to is not what the others lead to."""
        epoch, durable = welcome.at, welcome.number
        if self._identity not in (ANY, identity):
            raise LineError(f"exchange {identity.hex()}, not {self._identity.hex()}")
        if epoch < self._epoch:
            raise LineError(f"an engine of epoch {epoch}, and epoch {self._epoch} was there")
        restarted = epoch > self._epoch > 0
        if restarted and durable < self.machine.sequence:  # else another line was quicker
            self.fail(f"the engine's log ends with {durable}: {self.machine.sequence} was told")
            return
        self._identity, self._epoch = identity, epoch
        self.incarnation = self.incarnation or welcome.rows
        link.line.link = link
        if restarted:
            for line in self.lines:
                if line.link is not None and line.link is not link:
                    line.link.end("the engine was started again")
        if restarted and self._unsettled:
            self._compares_to = durable
        self._reach = self.durable = durable
        if self.both or self.active is None:
            self._activate(link)
        self._reached.set()
        self._look_at_end()

    def _activate(self, link: GatewayLink) -> None:
        """Its log is taken, and it gets what is not settled."""
        self.active = link
        if not self._begun:
            return
        after = self.machine.sequence if self._past is None else self._past.first - 1
        link.send(Frame(Type.FOLLOW, after).to_bytes())
        if self._compares_to and self.machine.sequence >= self._compares_to:
            self._compare()
        elif not self._compares_to:
            for number, commands in self._unsettled:
                link.send(batch(number, commands))

    def left(self, link: GatewayLink) -> None:
        """A line is lost."""
        if link.line.link is link:
            link.line.link = None
            link.line.lost += 1
        if self.active is link:
            self.active = None
            up = [line.link for line in self.lines if line.link is not None]
            if up and self.both:
                self.active = up[0]
            elif up:
                self._activate(up[0])

    def settled(self, number: int, sequence: int) -> None:
        """The batches up to ``number`` are durable, as commands up to ``sequence``."""
        while self._unsettled and self._unsettled[0][0] <= number:
            self._bytes -= self._unsettled.popleft()[1].nbytes
            self._settled = max(self._settled, sequence)
        while self._recent and self._recent[0][0] <= self._settled:
            self._recent.popleft()

    def logged(self, frame: Frame) -> None:
        """Durable commands; `LineError` if they do not follow."""
        machine, commands = self.machine, frame.commands()
        if self._past is not None and not self._compared(self._past, frame.number, commands):
            return
        known = machine.sequence + 1 - frame.number
        if known >= len(commands):
            return  # over another line
        if known < 0:
            raise LineError(f"sequence {frame.number} follows {machine.sequence}")
        commands, (under, rules) = commands[known:], rules_of(frame)
        try:
            if not machine.sequence:
                machine.begin_under(under)
            events = machine.upgrade(rules) if rules else machine.apply(commands)
        except UnknownRules as error:
            self.fail(str(error))
            return
        if self._unsettled:
            self._recent.append((machine.sequence, commands))
        else:
            self._recent.clear()
        self._resumed = False
        self._take(commands, events)
        if self._compares_to and machine.sequence >= self._compares_to:
            self._compare()
        self._look_at_end()

    def _compare(self) -> None:
        """Sends what was not settled to an engine that was started again, but what its log has."""
        self._compares_to = 0
        seen = {row.tobytes() for _, rows in self._recent for row in rows}
        missing: deque[tuple[int, NDArray[np.void]]] = deque()
        for number, rows in self._unsettled:
            wanted = np.array([row.tobytes() not in seen for row in rows])
            if wanted.any():
                missing.append((number, joined([rows[wanted]])))
        self._unsettled = missing
        self._bytes = sum(rows.nbytes for _, rows in missing)
        for number, rows in missing:
            self._transmit(batch(number, rows))

    def _compared(self, past: Past, first: int, commands: NDArray[np.void]) -> bool:
        """Whether the log has what was taken before, as far as it was told."""
        try:
            past.check(first, commands)
        except ReportsError as error:
            self._begin_again(error)
            return False
        if first + len(commands) > past.sequence:
            self._past = None
            self._look_at_end()
        return True

    def _begin_again(self, why: MatchcoreError) -> None:
        """`start` ends with ``why``, and the next one follows on new lines."""
        self._wrong, self._begun = why, False
        for line in self.lines:
            if line.link is not None:
                line.link.end("the log is followed from another place")
        self._at_end.set()

    def begins_later(self, why: str) -> bool:
        """The log begins behind what was asked for; whether another place is tried."""
        if self._past is not None:
            self._past = None  # what lies before it is archived; it may go on all the same
        elif self._resumed:
            self._begin_again(NotInTheLog(why))
        else:
            self._begins_later = True
            return False
        return True

    def _look_at_end(self) -> None:
        known = self._past is None and self._begun and self._reach >= 0
        if known and self.machine.sequence >= self._reach:
            self._at_end.set()

    def fail(self, why: str) -> None:
        """For good: the engine is another one, or refuses this gateway."""
        if not self._failure:
            self._failure = why
            self._reached.set()
            self._at_end.set()
            self._down(why)
            for line in self.lines:
                if line.link is not None:
                    line.link.end(why)

    @property
    def failed(self) -> bool:
        """True once no line is tried any more."""
        return bool(self._failure)


class Line:
    """One address of the engine, which is tried again and again."""

    def __init__(self, way: Lines, address: Address) -> None:
        self._way, self.address = way, address
        self.link: GatewayLink | None = None  # while it is up
        self.lost = 0  # times
        self.why = "not tried yet"  # it is not up

    async def run(self) -> None:
        """Until the way has failed."""
        pause = PAUSE_SECONDS
        while not self._way.failed:
            link = GatewayLink(self._way, self)
            try:
                opening = self.address.connect(partial(_same, link), self._way.tls)
                await asyncio.wait_for(opening, CONNECT_SECONDS)
                try:
                    await link.ended.wait()
                finally:
                    link.end("given up")
                self.why = link.why
            except (OSError, asyncio.TimeoutError) as error:
                self.why = str(error) or f"no connection within {CONNECT_SECONDS} s"
            if link.stands_by:
                pause = STANDBY_SECONDS
            else:
                pause = PAUSE_SECONDS if link.welcomed else min(2 * pause, PAUSE_SECONDS_MAX)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))


class GatewayLink(Link):
    """One connection to the engine."""

    def __init__(self, way: Lines, line: Line) -> None:
        super().__init__(way.open, way.dead_seconds)
        self._way, self.line = way, line
        self.welcomed = self.stands_by = False
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        way = self._way
        self.send(join(way.number, way._identity, way.token, way.incarnation))

    def alive(self, frame: Frame) -> None:
        self._way.durable = max(self._way.durable, frame.number)

    def lost(self) -> None:
        self.ended.set()
        if self.welcomed:
            self._way.left(self)

    def beat(self) -> Frame:
        return Frame(Type.ALIVE, self._way.machine.sequence)

    def took(self, frame: Frame) -> None:
        if frame.type == Type.REFUSED:
            tries = frame.code == Refusal.PLACE and self._way.begins_later(frame.said())
            if frame.code in LASTING and not tries:
                self._way.fail(f"{self.line.address}: {frame.said()}")
            self.stands_by = frame.code == Refusal.STANDBY
            self.end(frame.said())
        elif not self.welcomed:
            identity = read_welcome(frame)
            self.joined()
            self.welcomed = True
            self._way.joined(self, identity, frame)
        elif frame.type == Type.LOG:
            self._way.logged(frame)
        elif frame.type == Type.SETTLED:
            self._way.settled(frame.number, frame.at)
        elif frame.type == Type.END:
            self.end(frame.said())
        else:
            raise LineError(f"a frame of type {frame.type}, which is not expected here")
        if self._way.failed:
            self.end("given up")


def _same(link: GatewayLink) -> GatewayLink:
    """A connection's protocol that is made already."""
    return link
