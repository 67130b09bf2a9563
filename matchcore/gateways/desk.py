"""What the doors of a gateway share: the way to the engine, and what the log tells sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import LogError, QueueFull
from ..records.commands import COMMAND
from ..records.instruments import Directory
from ..records.schema import Kind
from .logins import Action, AlreadyThere, Forbidden, Login, Throttled, Unavailable, Users
from .reports import Reports
from .ways import Way

BEAT_SECONDS = 1.0
PENDING_MAX = 65_536  # commands that wait for a way that is full
AGAIN_SECONDS = 0.001  # until a full way is tried again
AGAIN_NS = 100_000_000  # what a client is told to wait when they are too many
GATEWAY_IDS = 1 << 62  # order ids that gateways give begin here
INCARNATION_SHIFT = 36


class DoorSession(Protocol):
    """A connected client, as the desk knows it."""

    login: Login

    def take(self, reports: NDArray[np.void]) -> None:
        """Its next `REPORT` rows, in the order of their numbers; must not wait."""

    def day_ended(self) -> None:
        """The trading day is over: numbers begin again at 1."""

    def drop(self, why: str) -> None:
        """The session must end."""


class Door(Protocol):
    """One protocol that clients speak.  Everything runs in the event loop of the desk."""

    async def start(self, desk: Desk) -> None:
        """Begins to listen."""

    def beat(self) -> None:
        """Called every second."""

    async def drain(self) -> None:
        """Takes no more connections, and lets the sessions end in good order."""

    async def close(self) -> None:
        """Closes what is left."""


class Desk:
    """Takes commands from doors, and hands each session its reports.

    - ``way``: to the engine.
    - ``users``: who may log in.
    - ``incarnation``: tells the order ids of this gateway from those of all others.
    """

    def __init__(self, way: Way, users: Users, *, incarnation: int = 1) -> None:
        self._way, self._users = way, users
        self.reports = Reports()
        self._sessions: dict[int, DoorSession] = {}
        self._pending: list[NDArray[np.void]] = []
        self._waiting = 0  # commands of them
        self._flushing = False
        self._order_id = GATEWAY_IDS | incarnation << INCARNATION_SHIFT
        self._down = ""

    @property
    def instruments(self) -> Directory:
        """The instruments."""
        return self._way.instruments

    @property
    def day(self) -> int:
        """Number of the trading day: how many have ended."""
        return self.reports.day

    @property
    def why_down(self) -> str:
        """Why no command is taken; empty while the engine takes them."""
        return self._down

    async def run(self, doors: Sequence[Door], stop: asyncio.Event) -> None:
        """Comes to the log's end, opens the doors, and serves until ``stop`` is set."""
        self._loop = asyncio.get_running_loop()
        started: list[Door] = []
        await self._way.start(self._take, self._is_down)
        try:
            for door in doors:
                await door.start(self)
                started.append(door)
            while not stop.is_set():
                for door in doors:
                    door.beat()
                try:
                    await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
                except asyncio.TimeoutError:
                    continue
            for door in started:
                await door.drain()
        finally:
            for door in started:
                await door.close()
            await self._way.close()

    # ------------------------------------------------------------------ sessions

    async def login(self, user: str, secret: str, host: str) -> Login:
        """The login of a user; `LoginRefused` if the secret is not his."""
        return await self._users.login(user, secret, host)

    def attach(self, session: DoorSession) -> None:
        """Hands a session its reports from now on; `AlreadyThere` if its login has another."""
        if session.login.session in self._sessions:
            raise AlreadyThere(f"{session.login.user} is connected")
        self._sessions[session.login.session] = session

    def detach(self, session: DoorSession) -> None:
        """The client is gone."""
        if self._sessions.get(session.login.session) is session:
            del self._sessions[session.login.session]

    # ------------------------------------------------------------------ commands

    def send(self, session: DoorSession, commands: NDArray[np.void]) -> None:
        """Sends a `COMMAND` array of one session, all of it or nothing.

        Session, order ids of NEW and times that are 0 are filled in.  `Forbidden`, `Throttled`,
        `Unavailable`.
        """
        if self._down:
            raise Unavailable(f"the engine takes no commands: {self._down}")
        self._permit(session.login, commands)
        if self._waiting + len(commands) > PENDING_MAX:
            raise Throttled("the exchange is behind", AGAIN_NS)
        commands["session"] = session.login.session
        commands["time"][commands["time"] == 0] = time.time_ns()
        nameless = (commands["kind"] == Kind.NEW) & (commands["order_id"] == 0)
        count = int(np.count_nonzero(nameless))
        if count:
            commands["order_id"][nameless] = self.order_ids(count)
        self.reports.pend(commands)
        self._pending.append(commands)
        self._waiting += len(commands)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def order_ids(self, count: int) -> NDArray[np.uint64]:
        """The next order ids of this gateway."""
        first = self._order_id
        self._order_id += count
        return np.arange(first, first + count, dtype=np.uint64)

    def _permit(self, login: Login, commands: NDArray[np.void]) -> None:
        kinds = commands["kind"]
        trades = np.isin(kinds, (Kind.NEW, Kind.AMEND))
        if not (login.may & Action.TRADE) and trades.any():
            raise Forbidden("this login may not enter or change orders")
        if not (login.may & (Action.CANCEL | Action.TRADE)):
            raise Forbidden("this login may not cancel orders")
        _within(commands["account"], login.accounts, "account")
        _within(commands["instrument"], login.instruments, "instrument")

    def _flush(self) -> None:
        """All that sessions sent in one turn of the loop goes as one."""
        self._flushing = False
        if not self._pending:
            return
        together = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
        try:
            self._way.send(together)
        except QueueFull:
            self._pending = [together]
            self._flushing = True
            self._loop.call_later(AGAIN_SECONDS, self._flush)
            return
        except LogError as error:
            self._is_down(str(error))
        self._pending, self._waiting = [], 0

    # ------------------------------------------------------------------ what the log says

    def _take(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        day = self.reports.day
        told = self.reports.apply(commands, events)
        for session, rows in _by_session(told):
            connected = self._sessions.get(session)
            if connected is not None:
                connected.take(rows)
        if self.reports.day != day:
            for connected in list(self._sessions.values()):
                connected.day_ended()

    def _is_down(self, why: str) -> None:
        if not self._down:
            self._down = why


def _within(found: NDArray[np.void], allowed: frozenset[int] | None, what: str) -> None:
    if allowed is None:
        return
    for number in np.unique(found).tolist():
        if number not in allowed:
            raise Forbidden(f"this login has no right to {what} {number}")


def _by_session(told: NDArray[np.void]) -> Iterable[tuple[int, NDArray[np.void]]]:
    """Reports by session, each in their order."""
    if not len(told):
        return
    sessions = told["session"]
    order = np.argsort(sessions, kind="stable")
    sorted_sessions = sessions[order]
    cuts = np.flatnonzero(np.diff(sorted_sessions)) + 1
    for rows in np.split(order, cuts):
        yield int(sessions[rows[0]]), told[rows]


def room(count: int) -> NDArray[np.void]:
    """``count`` commands to fill in, all zero."""
    return np.zeros(count, COMMAND)
