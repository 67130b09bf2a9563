"""How one enters a feed over SoupBinTCP: with a password, and from a number of the stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...serving.soup import NO_SESSION, NOT_AUTHORIZED, LoginRequest, Session, SoupServer
from .logins import Logins

FAILURES_MAX = 5  # wrong passwords from one address, before it has to wait
FAILURES_SECONDS = 60.0
HOSTS_MAX = 10_000  # addresses whose wrong passwords are counted


class Entry:
    """A server that checks logins, and hands accepted ones to ``serve(session, number)``.

    ``name``: the ten characters of the session.  ``opened(number)``: the number to begin with for
    the one that a login asks for (0: the newest), or None if there is no such number.
    """

    def __init__(
        self,
        host: str,
        port: int,
        logins: Logins,
        name: bytes,
        opened: Callable[[int], int | None],
        serve: Callable[[Session, int], Coroutine[Any, Any, None]],
    ) -> None:
        self._logins = logins
        self._name, self._opened, self._serve = name, opened, serve
        self._failures: dict[str, tuple[int, float]] = {}  # address -> how many, until when
        self._checker = ThreadPoolExecutor(1, "login")
        self.server = SoupServer(host, port, self._enter)

    async def _enter(self, session: Session, request: LoginRequest) -> None:
        """Checks a login in a thread, and answers it."""
        failures, until = self._failures.get(session.host, (0, 0.0))
        if failures >= FAILURES_MAX and time.monotonic() < until:
            session.refuse(NOT_AUTHORIZED, "too many wrong passwords: wait a minute")
            return
        fits = await asyncio.get_running_loop().run_in_executor(
            self._checker, self._logins.fits, request.user, request.password
        )
        if session.gone:
            return
        if not fits:
            self._count_failure(session.host)
            session.refuse(NOT_AUTHORIZED, "wrong user or password")
            return
        first = None if request.number is None else self._opened(request.number)
        if request.session not in (b"", self._name) or first is None:
            session.refuse(
                NO_SESSION, f"the session is {self._name.decode()}; no such number in it"
            )
        else:
            session.accept(self._name, first, self._serve(session, first))

    def _count_failure(self, host: str) -> None:
        now = time.monotonic()
        if len(self._failures) >= HOSTS_MAX:
            self._failures.clear()
        count, until = self._failures.get(host, (0, 0.0))
        self._failures[host] = (count + 1 if now < until else 1, now + FAILURES_SECONDS)

    async def close(self) -> None:
        """Ends every session."""
        await self.server.close()
        self._checker.shutdown(wait=False, cancel_futures=True)


class SoupFace:
    """What serves something over SoupBinTCP has such an entry once it has started."""

    _entry: Entry | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._entry is not None
        return self._entry.server.address

    def beat(self) -> None:
        """Once a second."""
        if self._entry is not None:
            self._entry.server.beat()

    async def close(self) -> None:
        """Ends every session."""
        if self._entry is not None:
            await self._entry.close()
