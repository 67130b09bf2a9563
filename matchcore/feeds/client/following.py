"""`AsyncClient`: the changes of two lines or more as one stream, in an event loop."""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from ...errors import FeedError
from ...records.instruments import Directory
from ...serving.tasks import end
from ..books import Books
from ..lines.address import Address
from ..states import States
from ..stream import SESSION_CHARACTERS, Changes
from .arbiter import Arbiter, LineHealth
from .itch import SOUP, Access, SoupLine, Translation
from .line import Line
from .mold import MOLD, MoldAddress, MoldLine
from .tcp import DEAD_SECONDS, TcpLine
from .view import Item, Snapshot, View

if TYPE_CHECKING:
    from typing_extensions import Self

LOOK_SECONDS = 0.25  # between two looks at lines that say nothing
READY_MAX = 262_144  # changes that wait for the program; then the lines wait
LINES_MAX = 16
ORDER_SECONDS = 0.005  # for which a datagram may be late behind another
PATIENCE_SECONDS = 0.05  # with lines of datagrams: for the line that is behind the others


class Merged:
    """Lines that are read as fast as the program takes what they bring: the core of the clients.

    Arguments as `AsyncClient`; ``statistics``: wants those of a snapshot, too.  It lives in one
    event loop.
    """

    def __init__(
        self,
        *lines: str,
        first: int = 0,
        identity: bytes | None = None,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        statistics: bool = False,
        login: tuple[str, str] = ("", ""),
        glimpse: str = "",
    ) -> None:
        names = dict(_named(line) for line in lines)
        self._translation = _translation(names, first)
        if first < 0:
            raise FeedError(f"first {first}: a number from 1 on, or 0 for a snapshot")
        self._lossy = lossy = any(isinstance(one, MoldAddress) for one in names.values())
        self.arbiter = Arbiter(
            names, first=first, identity=identity,
            patience=PATIENCE_SECONDS if lossy else math.inf,
            order_seconds=ORDER_SECONDS if lossy else 0,
        )  # fmt: skip
        self._look_again: asyncio.TimerHandle | None = None
        self.turn = asyncio.Lock()
        self.snapshots = not first
        self._give_up = False
        self.stopped = False
        self._lines: dict[str, Line] = {}
        access = Access(*login, Address.of(glimpse) if glimpse else None)
        for name, address in names.items():
            if isinstance(address, MoldAddress):
                self._lines[name] = MoldLine(name, address, self, access)
            elif self._translation:
                self._lines[name] = SoupLine(name, address, self, access)
            else:
                self._lines[name] = TcpLine(
                    address, self, token=token, tls=tls, statistics=statistics
                )
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: deque[Item] = deque()
        self._count = 0
        self._something, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begins to connect."""
        work = [line.run() for line in self._lines.values()]
        self._tasks = [asyncio.ensure_future(self._guarded(one)) for one in (*work, self._looks())]

    def stop(self) -> None:
        """Begins to end every connection."""
        self.stopped = True
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Ends every connection."""
        self.stop()
        await end(self._tasks)

    def ready(self) -> Iterator[Item]:
        """What is there now; raises what ended it once that was given."""
        while self._ready:
            item = self._ready.popleft()
            self._count -= len(item.rows)
            if self._count <= READY_MAX:
                self._room.set()
            yield item
        self._something.clear()
        if self.failure is not None:
            self._something.set()
            raise self.failure

    async def next(self) -> Item:
        """The next one, when it is there."""
        while True:
            for item in self.ready():
                return item
            await self.more()

    async def more(self) -> None:
        """Waits until `ready` has something."""
        await self._something.wait()

    def health(self) -> list[LineHealth]:
        """How each line does."""
        return self.arbiter.health(self.now())

    # ------------------------------------------------------------------ what lines call

    @property
    def wants_snapshot(self) -> bool:
        """Whether the next line to join is to begin with one."""
        return not self.arbiter.next or self._give_up

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def came(self, name: str, changes: Changes) -> None:
        """A line brought changes."""
        for one in self.arbiter.take(name, changes, self.now()):
            self._put_translated(one)

    def translated(self, number: int, blocks: bytes) -> Snapshot:
        """What GLIMPSE said; what comes behind it is understood from there on."""
        assert self._translation is not None
        return self._translation.snapshot(number, blocks)

    @property
    def by_order(self) -> bool:
        """Whether the changes only name orders, as those of ITCH."""
        return self._translation is not None

    @property
    def session(self) -> str:
        """Ten characters that name the stream; empty before a line is connected."""
        known = self.arbiter.identity or b""
        return (
            known.decode("latin-1") if self.by_order else known.hex()[:SESSION_CHARACTERS].upper()
        )

    def restarted(self, snapshot: Snapshot) -> None:
        """A line brought a snapshot."""
        self.arbiter.restart(snapshot.number, snapshot.epoch)
        self._give_up = False
        self._put(snapshot)

    def looked(self) -> None:
        """Something happened: perhaps a number is to be asked for."""
        ask = self.arbiter.due(self.now())
        if ask is None:
            self._check_left()
            self._look_soon()
        elif ask.line:
            self._lines[ask.line].ask(ask.first, ask.last)
        elif self.snapshots:
            self._give_up = True
            best = max(self.health(), key=lambda one: (one.state == "connected", one.number))
            self._lines[best.name].drop()
        else:
            self._fail(
                FeedError(
                    f"numbers {ask.first} to {ask.last} are on no line any more ({self._said()}):"
                    " begin with a snapshot"
                )
            )

    async def room(self) -> None:
        """Waits while the program has much to take."""
        await self._room.wait()

    # ------------------------------------------------------------------ inside

    def _put_translated(self, changes: Changes) -> None:
        if self._translation is None:
            self._put(changes)
            return
        try:
            for item in self._translation.changes(changes):
                self._put(item)
        except FeedError as error:  # the arbiter has passed them: no other line brings them
            self._fail(error)

    def _put(self, item: Item) -> None:
        self._ready.append(item)
        self._count += len(item.rows)
        if self._count > READY_MAX:
            self._room.clear()
        self._something.set()

    def _look_soon(self) -> None:
        """What is only late by now, is missing in a moment."""
        if self._lossy and self.arbiter.waits and self._look_again is None and not self.stopped:
            loop = asyncio.get_running_loop()
            self._look_again = loop.call_later(2 * ORDER_SECONDS, self._look)

    def _look(self) -> None:
        self._look_again = None
        if not self.stopped:
            self.looked()

    def _check_left(self) -> None:
        if all(self.arbiter.refused(name) for name in self._lines):
            self._fail(FeedError(f"no line is left: {self._said()}"))

    def _fail(self, error: Exception) -> None:
        """Nothing more comes; the program is told behind what is there."""
        self.failure = self.failure or error
        self._something.set()
        self.stop()

    def _said(self) -> str:
        return "; ".join(f"{one.name} {one.error or one.state}" for one in self.health())

    async def _looks(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._room.is_set():
                self.arbiter.paused(self.now())
            for one in self.health():
                silent = self.arbiter.silent(one.name, self.now())
                if one.state == "connected" and silent > DEAD_SECONDS:
                    self._lines[one.name].drop()
            self.looked()

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """What ends one line for good, ends all."""
        try:
            await work
        except Exception as error:
            self._fail(error)


def _named(line: str) -> tuple[str, Address | MoldAddress]:
    """A line's name, which is the same for the same line, and where it is."""
    if line.startswith(MOLD):
        mold = MoldAddress.of(line.removeprefix(MOLD))
        return f"{MOLD}{mold.at}" + (f"%{mold.interface}" if mold.interface else ""), mold
    prefix = SOUP if line.startswith(SOUP) else ""
    address = Address.of(line.removeprefix(SOUP))
    return f"{prefix}{address}", address


def _translation(names: Iterable[str], first: int) -> Translation | None:
    """For lines of ITCH; None for others."""
    of_itch = [name.startswith((SOUP, MOLD)) for name in names]
    if not 1 <= len(of_itch) <= LINES_MAX:
        raise FeedError(f"{len(of_itch)} lines: 1 to {LINES_MAX}, each HOST:PORT")
    if not any(of_itch):
        return None
    if not all(of_itch):
        raise FeedError("lines of ITCH and others: their changes say different things")
    if first > 1:
        raise FeedError(f"first {first}: lines of ITCH begin with a snapshot (0) or with number 1")
    return Translation()


class AsyncClient:
    """Follows an exchange's market data over ``lines``, each ``HOST:PORT``, and misses nothing.

    ``first``: the number that comes first; an earlier client's `number` + 1.  0: begins with a
    `Snapshot`, and may give another one later if changes are lost on all lines.  ``identity``: what
    the exchange must be (16 bytes).  ``token``, ``tls`` (an `ssl.SSLContext`): as the feeds want.
    Lines may be of ITCH if all are: ``soup://HOST:PORT``, or MoldUDP64 as
    ``mold://ADDRESS:PORT?requests=HOST:PORT&interface=CARD``, where ADDRESS is a group or one of
    this machine.  ``login``: user and password, ``glimpse``: ``HOST:PORT`` of the snapshots.

    Iterating gives `Changes`: each number once, in order, from whichever line has it first.
    `FeedError` if a number is on no line any more (not with ``first=0``), or if every line is
    refused; `HistoryChanged` if what was given is not in the exchange's log.
    """

    def __init__(
        self,
        *lines: str,
        first: int = 0,
        identity: bytes | None = None,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] = ("", ""),
        glimpse: str = "",
    ) -> None:
        self._merged = Merged(*lines, first=first, identity=identity, token=token, tls=tls,
                              login=login, glimpse=glimpse)  # fmt: skip
        self._view = View(first, by_order=self._merged.by_order)

    async def __aenter__(self) -> Self:
        self._merged.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self._merged.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        item = await self._merged.next()
        return self._view.apply(item)

    @property
    def number(self) -> int:
        """Of the last change that was given out."""
        return self._view.number

    @property
    def books(self) -> Books:
        """The books behind the last item that was given out; another object after a snapshot.

        `FeedError` for a client that began in the middle without a snapshot.
        """
        return self._view.books

    @property
    def instruments(self) -> Directory:
        """The instruments behind the last item that was given out."""
        return self._view.instruments

    @property
    def states(self) -> States:
        """Phase, halt, reference and indicative price of instruments: ``states[number]``."""
        return self._view.states

    @property
    def identity(self) -> bytes | None:
        """The exchange's, 16 bytes; None before a line is connected."""
        return self._merged.arbiter.identity

    @property
    def session(self) -> str:
        """Ten characters that name the stream; empty before a line is connected."""
        return self._merged.session

    def health(self) -> list[LineHealth]:
        """How each line does: loss, lead, silence, and why it is away or refused."""
        return self._merged.health()
