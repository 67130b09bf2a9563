"""The OUCH door: logins over SoupBinTCP, and what its sessions share."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...records.instruments import Directory
from ...serving.certificates import shown
from ...serving.soup import (
    CONNECTIONS_MAX,
    NO_SESSION,
    NOT_AUTHORIZED,
    LoginRequest,
    Session,
    SoupServer,
)
from ..desk import Desk
from ..logins import AlreadyThere, Login, LoginRefused
from . import names
from ._listing import Listing
from ._ouch import Codec
from .session import OuchSession, tell_a_past_day


class OuchDoor:
    """Serves OUCH 5.0 on ``host`` and ``port``; a `Door`.  ``tls``: a server's context.
    ``started`` is called with the address at which it listens.

    ``counts``: what has happened since the start, by name.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        started: Callable[[str, int], object] = lambda host, port: None,
    ) -> None:
        self._host, self._port, self._tls, self._started = host, port, tls, started
        self._server: SoupServer | None = None
        self._sessions: set[OuchSession] = set()
        names = ("requests", "passed_over", "faults", "throttled", "sessions")
        self.counts = dict.fromkeys(names, 0)

    async def start(self, desk: Desk) -> None:
        """`FeedError` if the system refuses the port."""
        self.desk = desk
        self._listing = Listing(desk.instruments.in_order())
        self._server = SoupServer(self._host, self._port, self._enter, tls=self._tls)
        await self._server.start()
        self._started(*self.address)

    @property
    def files_max(self) -> int:
        """How many files its clients may need."""
        return CONNECTIONS_MAX

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._server is not None
        return self._server.address

    @property
    def closed(self) -> bool:
        """Whether it does not listen, or not yet."""
        return self._server is None or not self._server.listening

    @property
    def connected(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    def beat(self) -> None:
        if self._server is not None:
            self._server.beat()

    async def drain(self) -> None:
        if self._server is not None:
            self._server.stop_listening()

    async def close(self) -> None:
        """Closes the connections; the sessions go on at another gateway, or later."""
        if self._server is not None:
            await self._server.close(ended=False)

    def forget(self, session: OuchSession) -> None:
        self._sessions.discard(session)
        self.counts["sessions"] = len(self._sessions)

    # ------------------------------------------------------------------ logins

    async def _enter(self, soup: Session, request: LoginRequest) -> None:
        """Checks a login, and answers it."""
        try:
            certificate = shown(soup.transport)
            login = await self.desk.login(request.user, request.password, soup.host, certificate)
        except LoginRefused as refused:
            soup.refuse(NOT_AUTHORIZED, str(refused))
            return
        if soup.gone:
            return
        if login.session > names.SESSION_MAX:
            soup.refuse(NOT_AUTHORIZED, f"session {login.session}: {names.SESSION_MAX} at most")
            return
        today, yesterday = self.desk.day, session_name(self.desk.day - 1)
        if request.session == yesterday:
            self._tell_yesterday(soup, login, request.number)
            return
        next_number = self.desk.reports.last(login.session) + 1
        first = next_number if request.number == 0 else request.number
        name = session_name(today)
        if request.session not in (b"", name) or first is None or first > next_number:
            said = f"the session is {name.decode()}; its next number is {next_number}"
            soup.refuse(NO_SESSION, said)
        else:
            self._attach(OuchSession(self, soup, login, first), soup, first)

    def _tell_yesterday(self, soup: Session, login: Login, number: int | None) -> None:
        day, first = self.desk.day - 1, max(1, number or 1)
        if not len(self.desk.reports.read(login.session, max(1, first - 1), 1, day=day)):
            soup.refuse(NO_SESSION, "no such number is kept of the day before")
        else:
            telling = tell_a_past_day(self, soup, login, day, first)
            soup.accept(session_name(day), first, telling)

    def _attach(self, session: OuchSession, soup: Session, first: int) -> None:
        try:
            self.desk.attach(session)
        except AlreadyThere as there:
            soup.refuse(NOT_AUTHORIZED, str(there))
            return
        self._sessions.add(session)
        self.counts["sessions"] = len(self._sessions)
        soup.accept(session_name(self.desk.day), first)
        session.begin()

    # ------------------------------------------------------------------ instruments

    def listing(self) -> Listing:
        """The instruments of now."""
        return self._listed(self.desk.instruments)

    def _listed(self, instruments: Directory) -> Listing:
        known, found = self._listing, instruments.in_order()
        if found is not known.instruments or len(found) != len(known):
            self._listing = Listing(found)
        return self._listing

    def packets(self, codec: Codec, reports: NDArray[np.void]) -> bytes:
        """`REPORT` rows as packets, with prices in the ticks that they had."""
        instruments = self.desk.instruments
        changes = [change.sequence for change in instruments.then.former]
        if not changes or changes[-1] <= reports["sequence"][0]:
            codec.listing = self._listed(instruments)
            return codec.packets(reports)
        said = []
        cuts = np.searchsorted(reports["sequence"], np.array(changes, np.uint64))
        for rows in np.split(reports, np.unique(cuts)):
            if len(rows):
                codec.listing = Listing(instruments.in_order(int(rows["sequence"][0])))
                said.append(codec.packets(rows))
        codec.listing = self._listed(instruments)
        return b"".join(said)


def session_name(day: int) -> bytes:
    """What SoupBinTCP calls a trading day: its number in ten characters."""
    return b"%010d" % day
