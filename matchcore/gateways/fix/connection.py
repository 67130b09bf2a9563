"""One connection: first a stranger, and a session once its Logon is accepted."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ...errors import MatchcoreError
from ...records.schema import ReportKind
from ...serving.certificates import shown
from ...serving.logs import event
from ..desk import room
from ..logins import Login, LoginRefused
from ._frames import GARBLED, PARTIAL, find
from ._orders import Orders
from .layout import ORIGINAL
from .logon import Logon, LogonFault, read_logon
from .plain import split
from .requests import Requests
from .session import Session
from .sources import source_of
from .store import InUse, Store
from .telling import Telling

if TYPE_CHECKING:
    from .door import FixDoor

_log = logging.getLogger("matchcore.gateways.fix")

WAITING_MAX = 1000  # requests of one session that the log has not answered: its window is 1,024
ROWS_MAX = 512  # orders that are read at once
ORDER_BYTES_MIN = 80  # of a plain order
BUFFER_BYTES_MAX = 1 << 18  # that wait for a client to read; then it gets nothing more
INPUT_BYTES_MAX = 1 << 18  # that wait to be understood
GARBLED_MAX = 100  # messages between two beats, until the connection is closed
STUCK_BEATS = 30  # without its reading anything


class Connection(asyncio.Protocol):
    """A client, as asyncio, the desk and the door know it."""

    transport: asyncio.Transport

    def __init__(self, door: FixDoor) -> None:
        self._door, self._desk = door, door.desk
        self._data = bytearray()
        self._session: Session | None = None
        self._requests: Requests
        self._telling: Telling
        self._store: Store
        self._orders: Orders
        self.login: Login
        self._logging_in: asyncio.Task[None] | None = None
        self._began = door.clock()
        self._paused = False  # the client does not read
        self._full = False  # it waits for the log, and is not read
        self._stuck = self._garbled = 0
        self.host = self.closing = ""

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's have no base in common
        self.host = str((transport.get_extra_info("peername") or ("",))[0])
        told = transport.get_extra_info("socket")
        if told is not None and told.family in (socket.AF_INET, socket.AF_INET6):
            told.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        if not self._door.welcome(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._logging_in is not None:
            self._logging_in.cancel()
        self._door.forget(self)
        if self._session is not None:
            self._telling.over = True
            self._desk.detach(self)
            self._store.close(self._safe())
            self._session = None
            event(_log, "fix_logout", user=self.login.user, why=self.closing or "cut off")

    def pause_writing(self) -> None:
        self._pause(True)

    def resume_writing(self) -> None:
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        """A client that does not read is not read, and gets nothing more."""
        self._paused, self._stuck = paused, 0
        self._read_on()
        if self._session is not None:
            self._telling.paused = paused
            if not paused:
                self._telling.pump_soon()
                self._news()

    def data_received(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > INPUT_BYTES_MAX and self._session is None:
            self.transport.abort()
        self._turn()

    def eof_received(self) -> None:
        self.closing = self.closing or "the client closed"

    # ------------------------------------------------------------------ what the client says

    def _turn(self) -> None:
        """Takes what has come, as far as there is room for it."""
        at, now, data = 0, self._door.clock(), self._data
        while at < len(data) and not self.closing and not self._full and not self._paused:
            if self._session is None:
                if self._logging_in is None:
                    at = self._stranger(now)
                break
            after = self._plain(at, now)
            if after == at:
                after = self._message(at, now)
                if after == at:
                    break
            at = after
        del data[: len(data) if self.closing else at]
        if self._session is not None:
            self._store.save(self._safe())
        self._read_on()

    def _plain(self, at: int, now: int) -> int:
        """Takes orders without a surprise; where the next byte is."""
        session = self._session
        assert session is not None
        space = WAITING_MAX - len(self._requests.waiting)
        if space <= 0:
            self._full = True
            return at
        if not session.is_plain:
            return at
        self._door.tables.refresh()
        rows = min(ROWS_MAX, space, (len(self._data) - at) // ORDER_BYTES_MIN + 1)
        commands, originals = room(rows), np.zeros(rows, ORIGINAL)
        count, after = self._orders.read(
            self._data, at, session.expected, now, self._door.settings.tolerance_ns,
            commands, originals,
        )  # fmt: skip
        if count:
            first, session.expected = session.expected, session.expected + count
            session.heard_at(now)
            self._door.counts["orders"] += count
            self._requests.plain(commands[:count], originals[:count], first)
        return after

    def _message(self, at: int, now: int) -> int:
        """Takes one message of any kind; where the next byte is."""
        if self._full:
            return at
        kind, begin, end = find(self._data, at)
        if begin > at or kind == GARBLED:
            self._is_garbled()
        if kind == PARTIAL:
            return begin
        if kind == GARBLED:
            return end
        assert self._session is not None
        message = split(bytes(self._data[begin:end]))
        self._door.counts["messages"] += 1
        self._door.counts["rejected_by_clients"] += message.kind in ("3", "j")
        try:
            self._session.receive(message, now)
        except Exception:
            _log.exception("fix_fault", extra={"fields": {"user": self.login.user}})
            self.drop("internal error")
        return end

    def _is_garbled(self) -> None:
        """Counts it: the number of a garbled message is missing, which will be seen."""
        self._door.counts["garbled"] += 1
        self._garbled += 1
        if self._garbled == 1:
            event(_log, "fix_garbled", user=self.login.user, host=self.host)
        if self._garbled > GARBLED_MAX:
            self.drop("too many bytes that are no message")

    # ------------------------------------------------------------------ logging on

    def _stranger(self, now: int) -> int:
        """The first message must be a Logon; nothing else has an answer."""
        kind, begin, end = find(self._data, 0)
        if begin == 0 and kind == PARTIAL:
            return 0
        try:
            if kind or begin:
                raise LogonFault("the first bytes are no FIX message")
            logon = read_logon(split(bytes(self._data[:end])), self._door.settings, now)
        except LogonFault as error:
            self._turn_away(str(error))
            return len(self._data)
        self._logging_in = asyncio.get_running_loop().create_task(self._log_in(logon))
        return end

    def _turn_away(self, why: str) -> None:
        """Closes without a word."""
        self._door.counts["logons_refused"] += 1
        event(_log, "fix_logon_refused", host=self.host, why=why)
        self.close(why)

    async def _log_in(self, logon: Logon) -> None:
        """Checks the password, and begins the session."""
        try:
            certificate = shown(self.transport)
            self.login = await self._desk.login(logon.user, logon.password, self.host, certificate)
            self._desk.attach(self)
            self._door.known(self)
        except LoginRefused as error:
            self._turn_away(f"{logon.user}: {error}")
            return
        try:
            self._store = Store(self._door.directory, self.login.session, self._desk.day)
        except (InUse, MatchcoreError) as error:
            self._desk.detach(self)
            self._turn_away(f"{logon.user}: {error}")
            return
        try:
            self._begin(logon)
        except Exception:
            if self._session is None:
                self._desk.detach(self)
                self._store.close(self._store.expected)
            self._turn_away(f"{logon.user}: internal error")
            raise
        self._logging_in = None
        self._turn()

    def _begin(self, logon: Logon) -> None:
        door, settings = self._door, self._door.settings
        source = source_of(self._desk, self)
        logon.restore(self._store, source.last())
        door.tables.refresh()
        self._telling = telling = Telling(
            door, self.transport, self._store, logon, source, self._safe, self.close
        )
        self._requests = Requests(self._desk, self, door.tables, telling)
        self._session = session = Session(
            settings, self._store, telling, self._requests, begin=logon.begin, client=logon.client,
            heartbeat_s=logon.heartbeat_s or settings.heartbeat_max_s, now=door.clock(),
        )  # fmt: skip
        self._orders = Orders(
            logon.begin, logon.client, settings.comp_id.encode(), door.tables.by_symbol,
            self.login.account,
        )  # fmt: skip
        why = logon.refusal(self._store, settings)
        session.expected = self._store.expected
        if why:
            session.log_out(why)
            return
        again = logon.missing(self._store)
        telling.send(b"A", logon.answer(self._store))
        if again:
            telling.resend(again, self._store.next - 1)
        session.logged_on(logon.number, ask=not logon.next_expected)
        telling.pump_soon()
        door.counts["logons"] += 1
        event(_log, "fix_logon", user=self.login.user, host=self.host)

    def close(self, why: str) -> None:
        """Closes once everything has gone."""
        if not self.closing:
            self.closing = why
            if self._session is not None:
                self._telling.over = True
            self.transport.close()

    def _safe(self) -> int:
        """The number from which messages would have to come again if the process ended now."""
        expected = self._store.expected if self._session is None else self._session.expected
        return self._requests.oldest() or expected

    # ------------------------------------------------------------------ `desk.DoorSession`

    def take(self, reports: NDArray[np.void]) -> None:
        """Its next reports; requests that they answer wait no longer."""
        session = self._session
        if session is None:
            return
        self._answered(reports, session)
        numbered = reports[(reports["number"] > 0) & (reports["day"] == self._store.day)]
        if len(numbered):
            self._telling.take(numbered)
        if not session.ended:
            self._requests.quotes.told(reports)
        self._requests.answer_questions()
        if self._full and len(self._requests.waiting) < WAITING_MAX:
            self._full = False
            asyncio.get_running_loop().call_soon(self._turn)

    def _answered(self, reports: NDArray[np.void], session: Session) -> None:
        kinds = reports["kind"]
        if (kinds == ReportKind.REPEATED).any() and not session.ended:
            for row in reports[kinds == ReportKind.REPEATED]:
                self._requests.repeated(row)
        waiting = self._requests.waiting
        for id in reports["client_order_id"][kinds != ReportKind.TRADE].tolist():
            if id in waiting:
                self._requests.answered(id)

    def moved(self, numbers: list[int]) -> None:
        """The phases of these markets were set."""
        if self._session is not None:
            self._requests.statuses.moved(numbers)
            self._news()

    def _news(self) -> None:
        """Tells what was subscribed to, unless the client does not read."""
        assert self._session is not None
        if not (self._paused or self._session.ended or self._telling.over):
            self._requests.statuses.tell()

    def day_ended(self) -> None:
        """The client has the rest of the day, and then both numbers begin at 1."""
        session = self._session
        if session is not None:
            why = "the trading day has ended: log on with MsgSeqNum 1"
            self._telling.at_end = lambda: session.ask_to_log_out(why)
            self._telling.pump_soon()

    def drop(self, why: str) -> None:
        """The session must end."""
        if self._session is not None:
            self._session.log_out(why)

    # ------------------------------------------------------------------ time

    def _read_on(self) -> None:
        """Reads from the client, unless it must wait."""
        if self.transport.is_closing():
            return
        waits = self._full or self._paused or self._logging_in is not None
        if waits and self.transport.is_reading():
            self.transport.pause_reading()
        elif not waits and not self.transport.is_reading():
            self.transport.resume_reading()
            if self._data:
                asyncio.get_running_loop().call_soon(self._turn)

    def beat(self, now: int) -> None:
        """Called every second."""
        self._garbled = 0
        self._stuck += self._paused or bool(self.closing)
        if self._stuck > STUCK_BEATS:
            self.abort()
        elif self._session is not None:
            if not self._paused and not self.closing:
                self._session.beat(now)
        elif now - self._began > self._door.logon_ns:
            self.abort()

    def drain(self) -> None:
        """Asks the client to log out."""
        if self._session is None:
            self.transport.abort()
        else:
            self._session.ask_to_log_out("the gateway stops")

    def abort(self) -> None:
        """Closes at once: the system too forgets what was not read."""
        told = self.transport.get_extra_info("socket")
        if told is not None:
            told.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
