"""The stream over SoupBinTCP: every message from any number on, and then as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import closing

from ...errors import MatchcoreError
from ...serving.soup import Session
from ._frames import packets
from .entering import Entry, SoupFace
from .logins import Logins
from .tape import Tape

REPLAY_BYTES = 1 << 17  # sent at once
REPLAYS_MAX = 16  # from the log at a time; the others wait
THREADS_MAX = 2  # that read it

Parts = Generator[tuple[int, bytes, int], None, None]  # first number, blocks, how many


class SoupFeed(SoupFace):
    """Serves the stream to everybody who logs in."""

    def __init__(self, host: str, port: int, logins: Callable[[], Logins]) -> None:
        self._host, self._port, self._logins = host, port, logins
        self._live: set[Session] = set()
        self._replays = asyncio.Semaphore(REPLAYS_MAX)
        self._threads = asyncio.Semaphore(THREADS_MAX)

    async def start(
        self, session: bytes, tape: Tape, older: Callable[[int, int], Parts] | None
    ) -> None:
        """``older(number, bytes_max)``: messages from the log; None: there is none.

        `FeedError` if the system refuses the port, or for a wrong file of logins.
        """
        self._tape, self._older = tape, older
        self._entry = Entry(
            self._host, self._port, self._logins(), session, self._opened, self._serve
        )
        await self._entry.server.start()

    def publish(self, first: int, blocks: bytes) -> None:
        """One who has not read what he got before gets the rest from the tape, at his own pace."""
        if not self._live:
            return
        told = packets(blocks)
        for session in list(self._live):
            if session.takes(len(told)) and not session.gone:
                session.write(told)
                continue
            self._live.discard(session)
            if not session.gone:
                session.run(self._serve(session, first))

    def _opened(self, number: int) -> int | None:
        number = number or self._tape.next
        first = 1 if self._older else self._tape.first
        return number if first <= number <= self._tape.next else None

    async def _serve(self, session: Session, number: int) -> None:
        """Sends what there is, from the log and then from memory; then the session is live.

        Drops one who reads so slowly that memory has gone on without him; he may come back.
        """
        if number < self._tape.first:
            number = await self._from_the_log(session, number)
        while not session.gone:
            blocks, count = self._tape.blocks(number, REPLAY_BYTES, REPLAY_BYTES)
            if not count:
                if number == self._tape.next:
                    self._live.add(session)
                else:
                    session.drop()
                return
            number += count
            await session.write_when_read(packets(blocks))

    async def _from_the_log(self, session: Session, number: int) -> int:
        """Sends those before the memory; returns the number to go on with."""
        if self._older is None:  # memory has gone on since the login
            session.drop()
            return number
        try:
            async with self._replays:
                with closing(self._older(number, REPLAY_BYTES)) as parts:
                    while number < self._tape.first and not session.gone:
                        async with self._threads:
                            part = await asyncio.to_thread(next, parts, None)
                        if part is None:
                            break
                        first, blocks, count = part
                        number = first + count
                        await session.write_when_read(packets(blocks))
        except MatchcoreError:  # the log's beginning is archived, or the system refuses a file
            session.end()
        return number
