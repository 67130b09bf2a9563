"""What a gateway says of its sessions in the log, and does about those of gateways that have gone.

A session is at one gateway: the log decides which.  The orders of a session with cancel on
disconnect are cancelled by its gateway when its grace is over; if the gateway has gone, by every
other one, in turn.  The client order id of a cancel follows from the order, so it is done once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..serving.logs import event
from .absences import Absences
from .logins import AlreadyThere, Login
from .presence import (
    Presences,
    State,
    commands_of,
    gateway_entry,
    no_session,
    session_entry,
)
from .protection import Guards
from .reports import Reports
from .users.entries import Entry

LOG = logging.getLogger("matchcore.gateways")
TURN_NS = 1_000_000_000  # between two gateways that look after the same sessions
ELSEWHERE = "the login is connected at another gateway"


class Here(Protocol):
    """A session that is connected here."""

    login: Login

    def drop(self, why: str) -> None:
        """It must end."""


class Attendance:
    """Of one gateway.  ``send``: takes `COMMAND` arrays, and says whether they are on their way."""

    def __init__(
        self, reports: Reports, guards: Guards, send: Callable[[NDArray[np.void]], bool]
    ) -> None:
        self._send = send
        self.absences = Absences(reports, send, guards.under_way, self._settled)
        self.presences = Presences()
        self.gateway: int | None = None  # this one, once it serves
        self._here: dict[int, Here] = {}  # but those that come for one request
        self._settling: set[int] = set()  # of which the log will say that nothing is left
        self._unsaid = False  # there was no room for something

    # ------------------------------------------------------------------ this gateway

    def begin(self, gateway: int) -> None:
        """It serves from now on, under this number."""
        self.gateway = gateway
        self._say([gateway_entry(gateway, State.THERE, time.time_ns())])

    def end(self) -> None:
        """It serves no more."""
        gateway, self.gateway = self.gateway, None  # it does not object when the log says so
        if gateway is not None:
            self._say([gateway_entry(gateway, State.AWAY, time.time_ns())])

    def beat(self) -> None:
        """Cancels what is due, here and in the place of gateways that have gone."""
        if self.gateway is None:
            return
        if self._unsaid:
            self._unsaid = False
            for session in self._here.values():
                self._compare(session)
        now = time.time_ns() - self.presences.rank(self.gateway) * TURN_NS
        settled = []
        for orphan in self.presences.orphans():
            if orphan.due > now:
                continue
            if orphan.cancels and not self.presences.looked_after(orphan.session):
                self.absences.overdue(orphan.session)
            else:
                settled.append(no_session(orphan.session, orphan.gateway))
        self._say(settled)
        self.absences.look()

    # ------------------------------------------------------------------ its sessions

    def comes(self, session: Here) -> None:
        """A session is here; `AlreadyThere` if it is at another gateway."""
        login = session.login
        if self._is_elsewhere(login.session):
            raise AlreadyThere(f"{login.user} is connected at another gateway")
        self._here[login.session] = session
        self.absences.returns(login.session)
        self.says(login)

    def says(self, login: Login) -> None:
        """Says that a session is here, and what is to be done when it is not."""
        if self.gateway is not None:
            self._say([session_entry(login, self.gateway, State.THERE, time.time_ns())])

    def leaves(self, login: Login) -> float | None:
        """A session has gone: seconds until `Absences.look` is due, None if nothing is."""
        del self._here[login.session]
        if self.gateway is None:
            return None
        grace = None if self._is_elsewhere(login.session) else self.absences.leaves(login)
        if grace is None:
            self._say([no_session(login.session, self.gateway)])
        else:
            self._say([session_entry(login, self.gateway, State.AWAY, time.time_ns())])
        return grace

    def _is_elsewhere(self, session: int) -> bool:
        return self.presences.holder(session) not in (None, self.gateway)

    def _settled(self, session: int) -> None:
        """Nothing of an absent session is open: whoever had to see to that has done so."""
        places = [one for one in self.presences.where(session)
                  if one == self.gateway or not self.presences.is_up(one)]  # fmt: skip
        if places:
            self._settling.add(session)
        self._say(no_session(session, one) for one in places)

    def _say(self, entries: Iterable[Entry]) -> None:
        found = list(entries)
        if found and not self._send(commands_of(found)):
            self._unsaid = True

    # ------------------------------------------------------------------ what the log says

    def follow(self, commands: NDArray[np.void], events: NDArray[np.void]) -> None:
        """Notes what a part of the log says, and does what follows from it."""
        touched = self.presences.follow(commands, events)
        if self.gateway is None:
            return
        again = self.gateway in touched.gateways
        if again and not self.presences.is_up(self.gateway):
            event(LOG, "cut_off", gateway=self.gateway)  # the engine takes it to have gone
            self._say([gateway_entry(self.gateway, State.THERE, time.time_ns())])
        for number in set(self._here) if again else touched.sessions & self._here.keys():
            self._compare(self._here[number])
        for number in touched.sessions - self._here.keys():
            self._absent(number)

    def _compare(self, session: Here) -> None:
        """A session that is here may be elsewhere first, or not be in the log."""
        login = session.login
        if self._is_elsewhere(login.session):
            event(LOG, "elsewhere", user=login.user, session=login.session)
            session.drop(ELSEWHERE)
        elif self.gateway not in self.presences.where(login.session):
            self.says(login)

    def _absent(self, number: int) -> None:
        """The log says something of a session that is not here."""
        places = self.presences.where(number)
        if self._is_elsewhere(number):
            self.absences.returns(number)
            if self.gateway in places:
                self._settled(number)
        elif not places and number in self._settling:
            self.absences.overdue(number)  # of a gateway that has gone the log may have had more
        if not places:
            self._settling.discard(number)
