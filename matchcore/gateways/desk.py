"""What the doors of a gateway share: the way to the engine, and what the log tells sessions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument, LogError, QueueFull
from ..records.commands import COMMAND
from ..records.instruments import Directory
from ..records.schema import Kind
from ..serving.logs import event
from .attendance import Attendance
from .logins import (
    Action,
    AlreadyThere,
    Busy,
    Forbidden,
    GatewayError,
    Login,
    LoginRefused,
    Throttled,
    Unavailable,
    Users,
    needed,
)
from .protection import Guards, relieving
from .reports import Reports
from .resuming import Resuming
from .standing import Standing
from .watch import Watch
from .ways import Resumable, Way

LOG = logging.getLogger("matchcore.gateways")
BEAT_SECONDS = 1.0
END_SECONDS = 1.0  # for the log to say that this gateway has gone
PENDING_MAX = 65_536  # orders that wait for a way that is full; cancels, beside them
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
    - ``incarnation``: tells the order ids of this gateway from those of all others; None: the
      way's, which an engine gives to each gateway.
    - ``state``: a directory for what it has made of the log, from which its next start goes on; the
      way must be `Resumable`.  None: each start reads the log from its first command on.
    """

    def __init__(
        self, way: Way, users: Users, *, incarnation: int | None = None, state: Path | None = None
    ) -> None:
        self._way, self._users = way, users
        self.reports = Reports()
        self.watch = Watch()
        #: Where each market stands.
        self.standing = Standing()
        self._onlookers: list[Callable[[list[int]], None]] = []
        self._guards = Guards()
        self._attendance = Attendance(self.reports, self._guards, self._relieve)
        self._resuming = None if state is None else self._resuming_in(state)
        self._sessions: dict[int, DoorSession] = {}
        self._brief: set[int] = set()  # those that are there for one request
        self._copies: dict[str, DoorSession] = {}
        self._pending: list[NDArray[np.void]] = []
        self._waiting = 0  # commands of them
        self._doors: list[Door] = []  # that have opened
        self._live = False  # it has come to the log's end
        self.sequence = 0  # of the last command that was taken from the log
        self._heard = self._asked = 0.0  # when the log said something, when a command found it idle
        self._mark = 0, 0.0  # a durable sequence, and when it was durable
        self._flushing = False
        self._incarnation = incarnation
        self._down = ""
        #: says why nobody may be told anything now, or "": of an engine that may not be the primary
        self.muted: Callable[[], str] = str

    @property
    def instruments(self) -> Directory:
        """The instruments."""
        return self._way.instruments

    @property
    def live(self) -> bool:
        """True once it has come to the log's end."""
        return self._live

    @property
    def day(self) -> int:
        """Number of the trading day: how many have ended."""
        return self.reports.day

    @property
    def why_down(self) -> str:
        """Why no command is taken; empty while the engine takes them."""
        return self._down or self.muted()

    async def run(self, doors: Sequence[Door], stop: asyncio.Event) -> None:
        """Comes to the log's end, opens the doors, and serves until ``stop`` is set."""
        self._loop = asyncio.get_running_loop()
        started = self._doors
        await self._start()
        given = self._incarnation
        incarnation = self._way.incarnation if given is None else given
        self._order_id = GATEWAY_IDS | incarnation << INCARNATION_SHIFT
        self._live = True
        self._attendance.begin(incarnation)
        try:
            for door in doors:
                await door.start(self)
                started.append(door)
            while not stop.is_set():
                self._beat(doors)
                try:
                    await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
                except asyncio.TimeoutError:
                    continue
            for door in started:
                await door.drain()
        finally:
            for door in started:
                await door.close()
            self._attendance.end()
            self._flush()
            if self._resuming is not None:
                await self._come_to_end(incarnation)
            await self._way.close()
            if self._resuming is not None:
                await self._resuming.end()

    def _resuming_in(self, state: Path) -> Resuming:
        if not isinstance(self._way, Resumable):
            raise InvalidArgument(f"state: {type(self._way).__name__} always begins anew")
        absences = self._attendance.absences
        return Resuming(state, self._way, self.reports, absences, self.standing, self._heed)

    async def _start(self) -> None:
        if self._resuming is None:
            await self._way.start(self._take, self._is_down)
            return
        try:
            await self._resuming.start(self._take, self._is_down)
        except BaseException:
            self.reports.close()
            raise
        self.sequence = self.reports.sequence

    def _heed(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        """What a former desk had of users and presences."""
        self._users.follow(commands, events)
        self._attendance.follow(commands, events)

    async def _come_to_end(self, gateway: int) -> None:
        """Waits a little until the log has what was sent last."""
        until, presences = time.monotonic() + END_SECONDS, self._attendance.presences
        while not self.why_down and time.monotonic() < until:
            if not presences.is_up(gateway):
                return
            await asyncio.sleep(0.005)

    def _beat(self, doors: Sequence[Door]) -> None:
        self.watch.turned = time.monotonic()
        if self.sequence >= self._mark[0]:
            self._mark = self._way.durable, self.watch.turned
        self._attendance.beat()
        if self._resuming is not None:
            self._resuming.beat()
        for door in doors:
            door.beat()

    def look_on(self, told: Callable[[list[int]], None]) -> None:
        """Has ``told`` called with the numbers of markets whose phase was set, once sessions have
        their reports of the same commands."""
        self._onlookers.append(told)

    # ------------------------------------------------------------------ sessions

    async def login(self, user: str, secret: str, host: str, certificate: bytes = b"") -> Login:
        """The login of a user; `LoginRefused` if the secret, or the certificate, is not his."""
        try:
            login = await self._users.login(user, secret, host, certificate)
        except LoginRefused as refused:
            self.watch.logins["busy" if isinstance(refused, Busy) else "refused"] += 1
            raise
        self.watch.logins["accepted"] += 1
        return login

    def renew(self, login: Login) -> Login | None:
        """A login as the log has it now; None: the user or the secret is gone."""
        return self._users.renew(login)

    @property
    def connected(self) -> int:
        """How many sessions are connected."""
        return len(self._sessions)

    @property
    def orphans(self) -> int:
        """How many sessions of gateways that have gone are not seen to yet."""
        return sum(1 for _ in self._attendance.presences.orphans())

    def counts(self) -> dict[str, dict[str, float]]:
        """Figures of the doors, and of the way to the engine, that have some; by their names."""
        parts = {type(door).__name__.removesuffix("Door").lower(): door for door in self._doors}
        found = {"way": self._way, **parts}
        return {name: part.counts for name, part in found.items() if hasattr(part, "counts")}

    @property
    def waiting(self) -> int:
        """How many commands wait for the way to the engine."""
        return self._waiting

    def silent_seconds(self) -> float:
        """How long commands have waited while the engine answered none at all."""
        if not self.under_way:
            return 0.0
        return time.monotonic() - max(self._heard, self._asked)

    def behind_seconds(self) -> float:
        """How long ago the log had something that has not come here; 0: it has come."""
        return time.monotonic() - self._mark[1] if self.sequence < self._mark[0] else 0.0

    @property
    def under_way(self) -> int:
        """How many commands of sessions have no answer yet."""
        return self._guards.waiting

    def attach(self, session: DoorSession, *, brief: bool = False) -> None:
        """Hands a session its reports from now on; `AlreadyThere` if its login has another, here or
        at another gateway.

        ``brief``: for one request, which is no event, and may be made at any gateway.
        """
        if session.login.session in self._sessions:
            raise AlreadyThere(f"{session.login.user} is connected")
        if brief:
            self._brief.add(session.login.session)
        else:
            self._comes(session)
        self._sessions[session.login.session] = session

    def stays(self, session: DoorSession) -> None:
        """A session that was attached for one request goes on; `AlreadyThere` as `attach`."""
        if session.login.session in self._brief:
            self._comes(session)
            self._brief.discard(session.login.session)

    def _comes(self, session: DoorSession) -> None:
        self._attendance.comes(session)
        event(LOG, "connected", user=session.login.user, session=session.login.session)

    def copy(self, session: DoorSession, accounts: frozenset[int] | None) -> str:
        """Hands an attached session the reports of accounts, whoever's they are; None: of all.

        The name of the copy, for `Reports.read_copy`.  Its numbers are its own.
        """
        name = f"session {session.login.session}"
        self.reports.copy(name, accounts)
        self._copies[name] = session
        return name

    def detach(self, session: DoorSession) -> None:
        """The client is gone; if its login says so, its orders are cancelled after the grace."""
        if self._sessions.get(session.login.session) is session:
            del self._sessions[session.login.session]
            self._copies.pop(f"session {session.login.session}", None)
            if session.login.session in self._brief:
                self._brief.discard(session.login.session)
                return
            event(LOG, "disconnected", user=session.login.user, session=session.login.session)
            grace = self._attendance.leaves(session.login)
            if grace is not None:
                self._loop.call_later(grace, self._attendance.absences.look)

    # ------------------------------------------------------------------ commands

    def send(self, session: DoorSession, commands: NDArray[np.void]) -> None:
        """Sends a `COMMAND` array of one session, all of it or nothing.

        Session, order ids of NEW and times that are 0 are filled in.  `Forbidden`, `Throttled`,
        `Unavailable`.
        """
        try:
            self._admit(session.login, commands)
        except GatewayError as refused:
            self.watch.turned_away[type(refused).__name__.lower()] += 1
            raise
        commands["session"] = session.login.session
        nameless = (commands["kind"] == Kind.NEW) & (commands["order_id"] == 0)
        count = int(np.count_nonzero(nameless))
        if count:
            commands["order_id"][nameless] = self.order_ids(count)
        self.reports.pend(commands)
        self._forward(commands)

    def _relieve(self, commands: NDArray[np.void]) -> bool:
        """Sends cancels of the desk's own; False if it must be tried again."""
        return self._waiting <= PENDING_MAX and self._forward(commands)

    def _forward(self, commands: NDArray[np.void]) -> bool:
        """Puts commands on their way; False, and they are not, if the engine takes none."""
        if self._down:
            return False
        commands["time"][commands["time"] == 0] = time.time_ns()
        self._pending.append(commands)
        self._waiting += len(commands)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    def order_ids(self, count: int) -> NDArray[np.uint64]:
        """The next order ids of this gateway."""
        first = self._order_id
        self._order_id += count
        return np.arange(first, first + count, dtype=np.uint64)

    def _admit(self, login: Login, commands: NDArray[np.void]) -> None:
        if self._down:
            raise Unavailable(f"the engine takes no commands: {self._down}")
        at = login.forbidden(commands)
        if at >= 0:
            raise Forbidden(_no_right(login, commands[at]))
        kinds = commands["kind"]
        room = PENDING_MAX if not relieving(kinds).all() else 2 * PENDING_MAX
        if self._waiting + len(commands) > room:
            raise Throttled("the exchange is behind", AGAIN_NS)
        now = time.monotonic()
        if not self.under_way:
            self._asked = now
        self._guards.admit(login, kinds, now)

    def _flush(self) -> None:
        """All that sessions sent in one turn of the loop goes as one."""
        self._flushing = False
        if not self._pending:
            return
        together = self._pending[0]
        if len(self._pending) > 1:  # joined as bytes: NumPy compares the types field by field
            joined = b"".join([part.tobytes() for part in self._pending])
            together = np.frombuffer(bytearray(joined), COMMAND)
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
        for session in self._users.follow(commands, events):
            self._changed(session)
        told = self.reports.apply(commands, events)
        moved = self.standing.follow(commands, events)
        self._guards.answered(commands)
        self._heard = time.monotonic()
        if len(events):
            # The first event is of the first command; those of a repeat may be older.
            self.sequence = int(events["sequence"][0]) + len(commands) - 1
        self._attendance.absences.told(told)
        self._attendance.follow(commands, events)
        if self._resuming is not None:
            self._resuming.took(commands, events)
        if self._live:
            self.watch.took(commands, told)
        for session, rows in _by_session(told):
            connected = self._sessions.get(session)
            if connected is not None:
                connected.take(rows)
        for name, rows in self.reports.copied.items():
            if name in self._copies:
                self._copies[name].take(rows)
        if moved:
            for onlooker in self._onlookers:
                onlooker(moved)
        if self.reports.day != day:
            for connected in list(self._sessions.values()):
                connected.day_ended()

    def _changed(self, number: int) -> None:
        """A user has other rights, or none."""
        session = self._sessions.get(number)
        if session is not None:
            login = self._users.renew(session.login)
            if login is None:
                session.login = replace(session.login, may=Action(0))
                event(LOG, "revoked", user=session.login.user, session=session.login.session)
                session.drop("the user or its secret was revoked")
            else:
                before, session.login = session.login, login
                if _absence(before) != _absence(login) and number not in self._brief:
                    self._attendance.says(login)

    def _is_down(self, why: str) -> None:
        if not self._down:
            self._down = why
            LOG.error("engine_down", extra={"fields": {"why": why}})


def _absence(login: Login) -> tuple[bool, int]:
    """What happens when it is away."""
    return login.cancel_on_disconnect, login.grace_ns


def _no_right(login: Login, command: np.void) -> str:
    if not login.may & needed(int(command["kind"])):
        return f"{login.user} may not send {Kind(command['kind']).name} commands"
    account, instrument = int(command["account"]), int(command["instrument"])
    return f"{login.user} has no right to account {account} in instrument {instrument}"


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
