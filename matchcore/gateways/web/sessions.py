"""A login at the web door: its streams share it, and so do its requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...records.reports import ReportFlag, ReportKind
from ..desk import Desk
from ..logins import Login
from .asked import Id

#: Kinds of reports that answer a request; a trade only follows an answer.
_ANSWERING = np.zeros(256, np.bool_)
_ANSWERING[[int(kind) for kind in ReportKind]] = True
_ANSWERING[[ReportKind.TRADE, ReportKind.TRIGGERED, ReportKind.REPRICED, ReportKind.DECREMENTED,
            ReportKind.BUSTED]] = False  # fmt: skip

REVOKED = "the user or its secret was revoked"

Key = tuple[int, Id]  # account and client order id
Answer = NDArray[np.void]


class Listener(Protocol):
    """What hears all reports of a session: a stream.  Each has logged in, perhaps with secrets of
    its own."""

    login: Login

    def take(self, reports: NDArray[np.void]) -> None: ...
    def day_ended(self) -> None: ...
    def drop(self, why: str) -> None: ...


class WebSession:
    """The one session of a login that the desk knows, while the login does something here."""

    def __init__(self, desk: Desk, login: Login) -> None:
        self._login, self._desk = login, desk
        self._waiting: dict[Key, deque[asyncio.Future[Answer]]] = {}
        self.listeners: set[Listener] = set()
        self.requests = 0  # that wait for an answer

    # -- of the desk

    @property
    def login(self) -> Login:
        """By which commands are sent: while there are streams, one that still holds."""
        return self._login

    @login.setter
    def login(self, login: Login) -> None:
        """Rights have changed, or a secret is gone: streams that came with it end."""
        self._login = login
        for listener in list(self.listeners):
            found = self._desk.renew(listener.login)
            if found is None:
                listener.drop(REVOKED)
            else:
                listener.login = self._login = found

    def take(self, reports: NDArray[np.void]) -> None:
        if self._waiting:
            self._answer(reports)
        for listener in self.listeners:
            listener.take(reports)

    def day_ended(self) -> None:
        for listener in self.listeners:
            listener.day_ended()

    def drop(self, why: str) -> None:
        """Nothing more to do: `login` was set before, and has ended the streams that must end.
        Requests under way get their answers."""

    # -- of requests

    @contextmanager
    def waiting(self, account: int, name: Id) -> Iterator[asyncio.Future[Answer]]:
        """The answer to a request that is about to be sent under this name: all reports of its
        command that are this session's."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        key = account, name
        queue = self._waiting.setdefault(key, deque())
        queue.append(future)
        self.requests += 1
        try:
            yield future
        finally:
            self.requests -= 1
            if future in queue:
                queue.remove(future)
            if not queue and self._waiting.get(key) is queue:
                del self._waiting[key]

    def _answer(self, reports: NDArray[np.void]) -> None:
        asked = (reports["flags"] & int(ReportFlag.UNSOLICITED)) == 0
        places = np.flatnonzero(_ANSWERING[reports["kind"]] & asked)
        names = ("account", "client_order_id", "client_order_tail", "sequence")
        for account, number, tail, sequence in reports[places][list(names)].tolist():
            queue = self._waiting.get((account, (number, tail)))
            while queue:
                future = queue.popleft()
                if not future.done():
                    future.set_result(reports[reports["sequence"] == sequence].copy())
                    break


class Sessions:
    """The sessions of the web door, by login."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[int, WebSession] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[WebSession]:
        return iter(list(self._known.values()))

    def of(self, login: Login) -> WebSession | None:
        """The session of a login, if there is one."""
        return self._known.get(login.session)

    @contextmanager
    def using(self, login: Login, listener: Listener | None = None) -> Iterator[WebSession]:
        """The session of a login, as long as somebody uses it; `AlreadyThere` if the login is
        connected at another door."""
        session = self._known.get(login.session)
        if session is None:
            session = WebSession(self._desk, login)
            self._desk.attach(session, brief=listener is None)
            self._known[login.session] = session
        if listener is not None:
            self._desk.stays(session)
            session.listeners.add(listener)
        try:
            yield session
        finally:
            if listener is not None:
                session.listeners.discard(listener)
            if not session.listeners and not session.requests:
                self._known.pop(login.session, None)
                self._desk.detach(session)
