"""One connection: its bytes become messages, and its reports and answers become bytes."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...records.schema import ReportKind
from ..desk import room
from ..logins import Login
from ._frames import GARBLED, PARTIAL, find
from ._orders import Orders
from ._reports import Reports
from .layout import ORIGINAL
from .logon import Logon, LogonFault, read_logon
from .plain import Message, build, split, time_text
from .requests import Asked, Requests
from .session import Fields, Session
from .store import PERHAPS, TEXT, InUse, Store

if TYPE_CHECKING:
    from .door import FixDoor

_log = logging.getLogger("matchcore.gateways.fix")

WAITING_MAX = 1000  # requests of one session that the log has not answered: its window is 1,024
ROWS_MAX = 512  # orders that are read at once
ORDER_BYTES_MIN = 80  # of a plain order
CHUNK = 512  # reports that are written at once
BUFFER_BYTES_MAX = 1 << 18  # that wait for a client to read; then it gets nothing more
INPUT_BYTES_MAX = 1 << 18  # that wait to be understood
GARBLED_MAX = 100  # messages between two beats, until the connection is closed
RESENDS_MAX = 8  # requests for messages that wait
STUCK_BEATS = 30  # without its reading anything


class Connection(asyncio.Protocol):
    """A client: first a stranger, and a session once its Logon is accepted."""

    transport: asyncio.Transport

    def __init__(self, door: FixDoor) -> None:
        self._door, self._desk = door, door.desk
        self._data = bytearray()
        self._session: Session | None = None
        self._requests: Requests
        self._store: Store
        self._orders: Orders
        self._writer: Reports
        self.login: Login
        self._head = b""
        self._logging_in: asyncio.Task[None] | None = None
        self._began = door.clock()
        self._paused = False  # the client does not read
        self._full = False  # it waits for the log, and is not read
        self._stuck = self._garbled = 0
        self._known = self._perhaps = 0
        self._resends: deque[tuple[int, int]] = deque()
        self._pumping = False
        self.host = ""
        self.closing = ""

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.host = str((transport.get_extra_info("peername") or ("",))[0])
        told = transport.get_extra_info("socket")
        if told is not None and told.family in (socket.AF_INET, socket.AF_INET6):
            told.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        if not self._door.welcome(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._logging_in is not None:
            self._logging_in.cancel()
        self._door.forget(self)
        if self._session is not None:
            self._session.ended = self._session.ended or 1
            self._desk.detach(self)
            self._store.close(self._safe())
            _log.info("FIX session of %s ended: %s", self.login.user, self.closing or "cut off")
            self._session = None

    def pause_writing(self) -> None:
        self._paused, self._stuck = True, 0
        self._read_on()

    def resume_writing(self) -> None:
        self._paused = False
        self._read_on()
        self._pump_soon()

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
        if self.closing:
            at = len(data)
        del data[:at]
        if self._session is not None and not self.closing:
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
        self._door.counts["messages"] += 1
        try:
            self._session.receive(split(bytes(self._data[begin:end])), now)
        except Exception:
            _log.exception("FIX session of %s: a message could not be handled", self.login.user)
            self.drop("internal error")
        return end

    def _is_garbled(self) -> None:
        """Counts it: the number of a garbled message is missing, which will be seen."""
        self._door.counts["garbled"] += 1
        self._garbled += 1
        if self._garbled == 1:
            _log.warning("FIX session of %s: bytes that are no message", self.login.user)
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
        _log.warning("FIX logon from %s refused: %s", self.host, why)
        self.closing = why
        self.transport.close()

    async def _log_in(self, logon: Logon) -> None:
        """Checks the password, and begins the session."""
        from ..logins import LoginRefused

        try:
            self.login = await self._desk.login(logon.user, logon.password, self.host)
            self._desk.attach(self)
        except LoginRefused as error:
            self._turn_away(f"{logon.user}: {error}")
            return
        try:
            self._store = Store(self._door.directory, self.login.session, self._desk.day)
        except Exception as error:
            self._desk.detach(self)
            self._turn_away(f"{logon.user}: {error}")
            if not isinstance(error, InUse):
                raise
            return
        self._begin(logon)
        self._logging_in = None
        self._turn()

    def _begin(self, logon: Logon) -> None:
        settings, now = self._door.settings, self._door.clock()
        self._known = self._desk.reports.last(self.login.session)
        ours, theirs = settings.comp_id.encode(), logon.client
        self._head = b"\x0149=%b\x0156=%b\x0134=" % (ours, theirs)
        self._version, self._digits = logon.begin, 9 if logon.modern else 3
        self._requests = Requests(self._desk, self.login, self._door.tables, self)
        logon.restore(self._store, self._known)
        if self._store.told == 0 and logon.lost:
            self._perhaps = self._known
        self._session = session = Session(
            settings, self._store, self, self._requests, begin=logon.begin, client=theirs,
            heartbeat_s=logon.heartbeat_s or settings.heartbeat_max_s, now=now,
        )  # fmt: skip
        tables = self._door.tables
        tables.refresh()
        self._orders = Orders(logon.begin, theirs, ours, tables.by_symbol, self.login.account)
        self._writer = Reports(
            logon.begin, ours, theirs, self._digits, logon.modern, tables.by_number
        )
        why = logon.refusal(self._store, settings)
        if why:
            session.log_out(why)
            return
        again = logon.missing(self._store)
        self.send(b"A", logon.answer(self._store))
        if again:
            self.resend(again, self._store.next - 1)
        session.logged_on(logon.number, ask=not logon.next_expected)
        self._door.counts["logons"] += 1
        _log.info("FIX session of %s from %s", self.login.user, self.host)
        self._pump_soon()

    # ------------------------------------------------------------------ `session.Wire`

    def send(self, kind: bytes, fields: Fields, *, keep: bool = False) -> None:
        """Sends a message under the next number; with ``keep`` its text can be sent again."""
        if self.transport.is_closing():
            return
        body = b"".join(b"\x01%d=%b" % field for field in fields)
        store, now = self._store, self._door.clock()
        number = store.number_text(kind + body) if keep else store.number()
        store.save(self._safe())
        self._put(self._framed(kind, number, body, now), now)

    def _framed(self, kind: bytes, number: int, body: bytes, now: int, flags: bytes = b"") -> bytes:
        head = b"35=%b%b%d%b\x0152=%b" % (
            kind, self._head, number, flags, time_text(now, self._digits)
        )  # fmt: skip
        return build(self._version, head + body + b"\x01")

    def _put(self, data: bytes, now: int) -> None:
        self.transport.write(data)
        if self._session is not None:
            self._session.sent = now

    def resend(self, first: int, last: int) -> None:
        """Sends messages of these numbers again, when their turn comes."""
        if len(self._resends) >= RESENDS_MAX:
            self.drop("too many ResendRequests at once")
            return
        self._resends.append((first, last))
        self._pump_soon()

    def close(self, why: str) -> None:
        """Closes once everything has gone."""
        if not self.closing:
            self.closing = why
            self.transport.close()

    # ------------------------------------------------------------------ `requests.Answers`

    def forward(self, commands: NDArray[np.void]) -> None:
        """Sends commands to the engine."""
        self._desk.send(self, commands)

    def tell_status(self, rows: NDArray[np.void], extra: bytes) -> None:
        """Reports of the present state, which are not sent again."""
        if not len(rows) or self.transport.is_closing():
            return
        store, now = self._store, self._door.clock()
        first = store.next
        store.next += len(rows)
        store.save(self._safe())
        text = self._door.tables.write(self._writer, rows, first, now, status=True, extra=extra)
        self._put(text, now)

    def refuse(self, message: Message, reason: int, text: str) -> None:
        """BusinessMessageReject."""
        assert self._session is not None
        self._session.refuse(message, reason, text)

    def stamp(self) -> bytes:
        """The time, as fields have it; no two are the same."""
        return time_text(self._door.unique_time(), 9)

    def _safe(self) -> int:
        """The number from which messages would have to come again if the process ended now."""
        assert self._session is not None
        for asked in self._requests.waiting.values():
            return asked.number if isinstance(asked, Asked) else asked
        return self._session.expected

    # ------------------------------------------------------------------ `desk.DoorSession`

    def take(self, reports: NDArray[np.void]) -> None:
        """Its next reports: written at once, or when everything before them is."""
        session = self._session
        if session is None:
            return
        self._answered(reports)
        numbered = reports[reports["number"] > 0]
        if len(numbered) and not session.ended:
            self._known = int(numbered["number"][-1])
            ready = int(numbered["number"][0]) == self._store.told + 1
            if ready and not self._resends and not self._paused:
                self._tell(numbered)
            else:
                self._pump_soon()
        if self._full and len(self._requests.waiting) < WAITING_MAX:
            self._full = False
            asyncio.get_running_loop().call_soon(self._turn)

    def _answered(self, reports: NDArray[np.void]) -> None:
        kinds = reports["kind"]
        if (kinds == ReportKind.REPEATED).any():
            for row in reports[kinds == ReportKind.REPEATED]:
                if self._session is not None and not self._session.ended:
                    self._requests.repeated(row)
        waiting = self._requests.waiting
        for id in reports["client_order_id"][kinds != ReportKind.TRADE].tolist():
            if id in waiting:
                self._requests.answered(id)

    def _tell(self, rows: NDArray[np.void]) -> None:
        """Writes reports under the next numbers."""
        if self.transport.is_closing():
            return
        now, first = self._door.clock(), int(rows["number"][0])
        perhaps = first <= self._perhaps
        if perhaps:
            rows = rows[: self._perhaps - first + 1]
        number = self._store.number_reports(first, len(rows), perhaps)
        text = self._door.tables.write(self._writer, rows, number, now, perhaps=perhaps)
        self._store.save(self._safe())
        self._door.counts["reports"] += len(rows)
        self._put(text, now)

    def day_ended(self) -> None:
        """Both numbers begin at 1 with the next Logon."""
        if self._session is not None:
            self._session.ask_to_log_out("the trading day has ended: log on with MsgSeqNum 1")

    def drop(self, why: str) -> None:
        """The session must end."""
        if self._session is not None:
            self._session.log_out(why)

    def drain(self) -> None:
        """Asks the client to log out."""
        if self._session is None:
            self.transport.abort()
        else:
            self._session.ask_to_log_out("the gateway stops")

    # ------------------------------------------------------------------ what waits to be sent

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Sends a part of what is asked for again, then of what has not been sent."""
        self._pumping = False
        session = self._session
        if session is None or self._paused or self.transport.is_closing() or session.ended:
            return
        if self._resends:
            self._send_again()
        elif self._store.told < self._known:
            rows = self._desk.reports.read(self.login.session, self._store.told + 1, CHUNK)
            if not len(rows):
                return
            self._tell(rows)
        else:
            return
        self._pump_soon()

    def _send_again(self) -> None:
        """One part of the oldest resend: a gap without reports, or some reports."""
        first, last = self._resends.popleft()
        entry, now = self._store.entry_from(first), self._door.clock()
        if entry is None or entry.first > first:
            follows = last + 1 if entry is None else min(entry.first, last + 1)
            self._fill(first, follows, now)
        elif entry.kind == TEXT:
            kind, _, body = entry.text.partition(b"\x01")
            flags = b"\x0143=Y"
            body = b"\x01122=%b\x01%b" % (time_text(now, self._digits), body)
            self._put(self._framed(kind, first, body, now, flags), now)
            follows = first + 1
        else:
            count = min(CHUNK, entry.last - first + 1, last - first + 1)
            number = entry.report + first - entry.first
            rows = self._desk.reports.read(self.login.session, number, count)
            follows = first + (len(rows) or count)
            if len(rows):
                text = self._door.tables.write(
                    self._writer, rows, first, now, again=True, perhaps=entry.kind == PERHAPS
                )
                self._put(text, now)
            else:
                self._fill(first, follows, now)
        if follows <= last:
            self._resends.appendleft((follows, last))

    def _fill(self, first: int, follows: int, now: int) -> None:
        """SequenceReset-GapFill: it has the first of the numbers that it stands for."""
        body = b"\x01122=%b\x01123=Y\x0136=%d" % (time_text(now, self._digits), follows)
        self._put(self._framed(b"4", first, body, now, b"\x0143=Y"), now)

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

    # ------------------------------------------------------------------ time

    def beat(self, now: int) -> None:
        """Called every second."""
        self._garbled = 0
        self._stuck += self._paused or bool(self.closing)
        if self._stuck > STUCK_BEATS:
            self.abort()
        elif self._session is not None:
            if not self._paused:
                self._session.beat(now)
        elif now - self._began > self._door.logon_ns:
            self.abort()

    def abort(self) -> None:
        """Closes at once: the system too forgets what was not read."""
        told = self.transport.get_extra_info("socket")
        if told is not None:
            told.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
