"""One login: sends its orders when they are due, comes back after a cut, sends again what is open.

The load is open: an order has a time at which it is due, whether the exchange keeps up or not, and
the latency of its answer counts from then.  So an exchange that stops for a second is seen with all
orders of that second, not with the one that waited.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import MatchcoreError
from .ledger import Ledger

_log = logging.getLogger("matchcore.traffic")
SECOND = 10**9
TURN_SECONDS = 0.001  # the shortest pause of a session
IDLE_SECONDS = 0.1  # the longest
AT_ONCE = 4096  # orders in one write
BUFFER_BYTES_MAX = 1 << 20  # that wait for the other side to read
FIRST_TRIES = 5  # to log in where the server dies meanwhile
AGAIN_SECONDS = 0.05  # between two attempts to come back, growing to
AGAIN_SECONDS_MAX = 1.0
TURNED_AWAY_NS = 100_000_000  # until what was turned away is sent again


class LoadFailed(MatchcoreError):
    """A session did not come to its end; the message says why."""


class Cut(Exception):
    """The connection is gone, or says nothing any more."""


class Refused(Exception):
    """The login is refused, for now or for good."""


class Account(NamedTuple):
    """A user of the exchange, its password, and the protocol that it speaks; "": any."""

    user: str
    password: str
    protocol: str = ""


class Pace(Protocol):
    """When orders are due."""

    def due(self, now: int) -> int:
        """How many are due; ``now``: nanoseconds of the clock `time.perf_counter_ns`."""

    def moments(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """When they were due, in nanoseconds of that clock."""


class Steady:
    """So many a second, from ``start`` on (nanoseconds of the clock)."""

    def __init__(self, rate: float, start: int) -> None:
        self._rate, self._start = rate, start

    def due(self, now: int) -> int:
        return int((now - self._start) * self._rate / 1e9) + 1 if now >= self._start else 0

    def moments(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._start + (places * (1e9 / self._rate)).astype(np.int64)


@dataclass(slots=True)
class Target:
    """Where a session connects, and how it behaves.

    - ``also``: other ports, which are tried in turn once a connection is lost.
    - ``tls``: for encrypted connections.
    - ``window``: requests without an answer; more must wait, however late they are.
    - ``patience_seconds``: how long a session that was cut off tries to come back.
    - ``silence_seconds``: without a word from the other side, until the connection is given up;
      a login may take twice as long.
    - ``resume``: hear everything again from the first report of the day, as a client does that
      knows nothing any more.
    - ``tag``: begins the client order ids, where they are texts.
    - ``comp_id``: TargetCompID, of FIX.
    """

    host: str
    port: int
    also: tuple[int, ...] = ()
    tls: ssl.SSLContext | None = None
    window: int = 1000
    patience_seconds: float = 60.0
    silence_seconds: float = 15.0
    resume: bool = False
    tag: str = ""
    comp_id: str = "MATCHCORE"


class Wire(asyncio.Protocol):
    """A connection whose bytes a session takes."""

    transport: asyncio.Transport

    def __init__(self, session: StreamSession) -> None:
        self._session = session
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no such base

    def data_received(self, data: bytes) -> None:
        if not self.gone:
            self._session.heard_at = time.perf_counter_ns()
            self._session.heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._session.wake.set()


class Session(ABC):
    """What sessions of all protocols have in common.

    ``ready``: it has logged in once. ``why``: it gave up, and this is the reason.
    """

    protocol = ""

    def __init__(self, target: Target, account: Account, ledger: Ledger) -> None:
        self.target, self.account, self.ledger = target, account, ledger
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.finished, self.stop, self.wake = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.pace: Pace | None = None
        self.reconnects = self.again = self.turned_away = 0
        self.heard_at = self._said_at = 0
        self.ledger_moved_at = 0  # when the last report came
        self._resume = target.resume
        self._attempt = 0
        self._later: dict[tuple[int, bool], int] = {}  # what was turned away, and when to say it
        self.why = ""

    # ------------------------------------------------------------------ what protocols do

    @abstractmethod
    async def connect(self) -> None:
        """Connects and logs in; `Refused`, `Cut`, OSError."""

    @abstractmethod
    def orders(self, first: int, rows: NDArray[np.void], *, again: bool) -> None:
        """Sends orders of these places, from ``first`` on."""

    @abstractmethod
    def cancels(self, places: NDArray[np.int64], *, again: bool) -> None:
        """Sends cancels of the orders of these places."""

    @abstractmethod
    def alive(self) -> None:
        """Sends a sign of life that is answered by one."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Closes what is open."""

    @property
    @abstractmethod
    def gone(self) -> bool:
        """Whether the connection is closed."""

    @property
    @abstractmethod
    def full(self) -> bool:
        """Whether what was said has not been read yet."""

    @property
    def port(self) -> int:
        """Where it connects next."""
        ports = (self.target.port, *self.target.also)
        return ports[self._attempt % len(ports)]

    # ------------------------------------------------------------------ its life

    async def run(self) -> None:
        """Until `stop` is set, or it gives up."""
        try:
            await self._run()
        except Exception as error:
            self._failed(error)
            raise

    async def _run(self) -> None:
        lost = 0.0  # when the connection was lost
        pause = AGAIN_SECONDS
        while not self.stop.is_set():
            try:
                await asyncio.wait_for(self.connect(), 2 * self.target.silence_seconds)
                lost, pause = 0.0, AGAIN_SECONDS
                self.heard_at = time.perf_counter_ns()
                if self.ready.done():
                    self.reconnects += 1
                else:
                    self.ready.set_result(None)
                _log.info("%s: connected, reports %s", self.account.user, self.ledger.counts)
                self.send_again()
                await self._trade()
            except (Cut, Refused, OSError, asyncio.TimeoutError) as error:
                if self._gives_up(error):
                    self._failed(error)
                    return
                _log.info("%s: %s", self.account.user, str(error) or type(error).__name__)
                lost = lost or time.monotonic()
                self._attempt += 1
                if time.monotonic() - lost > self.target.patience_seconds:
                    self._failed(error)
                    return
            finally:
                with suppress(OSError):
                    await self.disconnect()
            if not self.stop.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.stop.wait(), pause)
                pause = min(2 * pause, AGAIN_SECONDS_MAX)

    def _gives_up(self, error: Exception) -> bool:
        """Whether the first login has failed: at once, but for a server that died meanwhile."""
        if self.ready.done() or self.target.resume:
            return False
        return not isinstance(error, Cut) or self._attempt >= FIRST_TRIES - 1

    def _failed(self, error: Exception) -> None:
        self.why = f"{self.account.user}: {str(error) or type(error).__name__}"
        self.finished.set()
        if not self.ready.done():
            error = error if isinstance(error, OSError) else LoadFailed(self.why)
            self.ready.set_exception(error)

    async def _trade(self) -> None:
        """Sends what is due, until the connection ends."""
        while not self.stop.is_set():
            now = time.perf_counter_ns()
            if self.gone:
                raise Cut("the connection was closed")
            silent = now - self.heard_at
            if silent > self.target.silence_seconds * SECOND:
                raise Cut(f"nothing heard for {silent // SECOND} s")
            if now - max(self._said_at, self.heard_at) > self.target.silence_seconds * SECOND // 3:
                self._said_at = now
                self.alive()
            next_due = self._send_due(now)
            if self.ledger.finished:
                self.finished.set()
            pause = (next_due - time.perf_counter_ns()) / 1e9
            if pause < IDLE_SECONDS:
                await asyncio.sleep(max(pause, TURN_SECONDS))
            else:
                self.wake.clear()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), IDLE_SECONDS)

    def _send_due(self, now: int) -> int:
        """Sends orders that are due, and cancels of old ones; when to look again."""
        ledger, far = self.ledger, now + SECOND
        if self.full:
            return now
        if self._later:
            self._send_later(now)
        if self.pace is None:
            return far
        first = ledger.sent
        due = min(self.pace.due(now), ledger.total) - first
        space = self.target.window - ledger.waiting
        if ledger.source.open:
            space //= 2  # each order brings a cancel of another one
        count = min(due, space, AT_ONCE)
        if count > 0:
            self.orders(first, ledger.take(count), again=False)
            self._said_at = now
            places = ledger.take_cancels()
            if len(places):
                self.cancels(places, again=False)
        if ledger.sent == ledger.total:
            return far
        return now if due > count else int(self.pace.moments(np.array([ledger.sent]))[0])

    # ------------------------------------------------------------------ again

    def send_again(self) -> None:
        """Sends everything again that has no answer."""
        places = self.ledger.unanswered()
        self.again += len(places)
        for part in np.split(places, np.flatnonzero(np.diff(places) != 1) + 1):
            if len(part):
                rows = self.ledger.orders[part[0] : part[-1] + 1]
                self.orders(int(part[0]), rows, again=True)
        cancels = self.ledger.unsettled()
        self.again += len(cancels)
        if len(cancels):
            self.cancels(cancels, again=True)
        self._later.clear()

    def turn_away(self, place: int, is_cancel: bool) -> None:
        """The other side takes the request at another time."""
        self.turned_away += 1
        self._later[place, is_cancel] = time.perf_counter_ns() + TURNED_AWAY_NS

    def _send_later(self, now: int) -> None:
        due = [what for what, when in self._later.items() if when <= now]
        for place, is_cancel in due:
            del self._later[place, is_cancel]
            if is_cancel:
                self.cancels(np.array([place]), again=True)
            else:
                self.orders(place, self.ledger.orders[place : place + 1], again=True)

    # ------------------------------------------------------------------ answers

    def hear(self, rows: NDArray[np.void], now: int) -> None:
        """Takes reports, which came at ``now``."""
        ages = now - self.pace.moments(rows["place"]) if self.pace is not None else None
        self.ledger.hear(rows, ages)
        self.ledger_moved_at = now
        if self.ledger.sent == self.ledger.total:
            self.wake.set()

    def age(self, place: int) -> int:
        """Nanoseconds since an order was due."""
        moments = self.pace.moments(np.array([place])) if self.pace is not None else [0]
        return time.perf_counter_ns() - int(moments[0])


class StreamSession(Session):
    """A session over one stream of bytes."""

    wire: Wire | None = None

    @abstractmethod
    def heard(self, data: bytes) -> None:
        """Takes bytes of the other side."""

    async def dial(self) -> None:
        """Connects."""
        target, loop = self.target, asyncio.get_running_loop()
        _, self.wire = await loop.create_connection(
            lambda: Wire(self), target.host, self.port, ssl=target.tls
        )

    async def until(self, event: asyncio.Event) -> None:
        """Waits for an event; `Cut` if the connection ends before."""
        while not event.is_set():
            if self.gone:
                raise Cut("the connection was closed during the login")
            self.wake.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.wake.wait(), IDLE_SECONDS)

    def write(self, data: bytes) -> None:
        if self.wire is not None and not self.wire.gone:
            self.wire.transport.write(data)

    def log_out(self) -> None:
        """Says that it goes, at the end."""

    async def disconnect(self) -> None:
        if self.wire is None:
            return
        if self.stop.is_set() and not self.gone:
            self.log_out()
            self.wire.transport.close()
        else:
            self.wire.transport.abort()
        self.wire.gone = True

    @property
    def gone(self) -> bool:
        return self.wire is None or self.wire.gone or self.wire.transport.is_closing()

    @property
    def full(self) -> bool:
        assert self.wire is not None
        return self.wire.transport.get_write_buffer_size() > BUFFER_BYTES_MAX
