"""What a session sends: messages under the next numbers, and old ones again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._reports import Reports
from .logon import Logon
from .plain import build, time_text
from .session import Fields
from .sources import Copied, Source
from .store import PERHAPS, TEXT, Store

if TYPE_CHECKING:
    from .door import FixDoor

CHUNK = 512  # reports that are written at once
RESENDS_MAX = 8  # requests of the client that wait
COPY = b"\x01797=Y"  # CopyMsgIndicator, of what a drop copy gets


class Telling:
    """Numbers, writes and keeps what goes out; ``safe`` is what the store keeps as expected.

    It is the session's `Wire` and what requests are answered with.
    """

    def __init__(
        self,
        door: FixDoor,
        transport: asyncio.Transport,
        store: Store,
        logon: Logon,
        source: Source,
        safe: Callable[[], int],
        close: Callable[[str], None],
    ) -> None:
        ours, theirs = door.settings.comp_id.encode(), logon.client
        self._door, self._transport, self._store = door, transport, store
        self._source, self._safe = source, safe
        self._version, self.modern = logon.begin, logon.modern
        self.time_digits = 9 if logon.modern else 3
        self._head = b"\x0149=%b\x0156=%b\x0134=" % (ours, theirs)
        self._extra = COPY if isinstance(source, Copied) else b""
        self.close = close
        self._writer = Reports(
            logon.begin, ours, theirs, self.time_digits, logon.modern, door.tables.by_number
        )
        self._resends: deque[tuple[int, int]] = deque()
        self._pumping = False
        self.known = source.last()
        #: Reports up to this number are told as possibly resent: the client may have had them.
        self.perhaps = self.known if logon.lost else 0
        self.sent = door.clock()  # when something was
        self.paused = self.over = False
        self.at_end: Callable[[], None] | None = None  # called once everything is told

    # ------------------------------------------------------------------ one message

    def send(self, kind: bytes, fields: Fields, *, keep: bool = False) -> None:
        """Sends a message under the next number; with ``keep`` its text can be sent again."""
        if self._transport.is_closing():
            return
        body = b"".join(b"\x01%d=%b" % field for field in fields)
        store, now = self._store, self._door.clock()
        number = store.number_text(kind + body) if keep else store.number()
        store.save(self._safe())
        self._put(self._framed(kind, number, body, now), now)

    def _framed(self, kind: bytes, number: int, body: bytes, now: int, flags: bytes = b"") -> bytes:
        head = b"35=%b%b%d%b\x0152=%b" % (
            kind, self._head, number, flags, time_text(now, self.time_digits)
        )  # fmt: skip
        return build(self._version, head + body + b"\x01")

    def _put(self, data: bytes, now: int) -> None:
        self._transport.write(data)
        self.sent = now

    def stamp(self) -> bytes:
        """The time, as fields have it."""
        return time_text(self._door.clock(), self.time_digits)

    def unique(self) -> bytes:
        """An ExecID of what is in no log."""
        return b"R%d" % self._door.unique_time()

    # ------------------------------------------------------------------ reports

    def status(self, rows: NDArray[np.void], extra: bytes) -> None:
        """Reports of the present state, which are not sent again."""
        if not len(rows) or self._transport.is_closing():
            return
        store, now = self._store, self._door.clock()
        first = store.next
        store.next += len(rows)
        store.save(self._safe())
        tables = self._door.tables
        self._put(tables.write(self._writer, rows, first, now, status=True, extra=extra), now)

    def take(self, rows: NDArray[np.void]) -> None:
        """The next reports: written at once, or when everything before them is."""
        self.known = int(rows["number"][-1])
        ready = int(rows["number"][0]) == self._store.told + 1
        if ready and not self._resends and not self.paused and not self.over:
            self._tell(rows)
        else:
            self.pump_soon()

    def _tell(self, rows: NDArray[np.void]) -> None:
        if self._transport.is_closing():
            return
        now, first = self._door.clock(), int(rows["number"][0])
        perhaps = first <= self.perhaps
        if perhaps:
            rows = rows[: self.perhaps - first + 1]
        number = self._store.number_reports(first, len(rows), perhaps)
        text = self._door.tables.write(
            self._writer, rows, number, now, perhaps=perhaps, extra=self._extra
        )
        self._store.save(self._safe())
        self._door.counts["reports"] += len(rows)
        self._put(text, now)

    # ------------------------------------------------------------------ what waits

    def resend(self, first: int, last: int) -> bool:
        """Sends messages of these numbers again, when their turn comes; False: too many wait."""
        if len(self._resends) >= RESENDS_MAX:
            return False
        self._resends.append((first, last))
        self.pump_soon()
        return True

    def pump_soon(self) -> None:
        """Goes on with what waits."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Sends a part of what is asked for again, then of what has not been sent."""
        self._pumping = False
        if self.over or self.paused or self._transport.is_closing():
            return
        if self._resends:
            self._send_again()
        elif self._store.told < self.known:
            rows = self._source.read(self._store.told + 1, CHUNK, self._store.day)
            if not len(rows):
                self.known = self._store.told  # they are not kept any more
            else:
                self._tell(rows)
        elif self.at_end is not None:
            self.at_end()
            return
        else:
            return
        self.pump_soon()

    def _send_again(self) -> None:
        """One part of the oldest resend: a gap without reports, or some reports."""
        first, last = self._resends.popleft()
        entry, now = self._store.entry_from(first), self._door.clock()
        if entry is None or entry.first > first:
            follows = last + 1 if entry is None else min(entry.first, last + 1)
            self._fill(first, follows, now)
        elif entry.kind == TEXT:
            kind, _, body = entry.text.partition(b"\x01")
            body = b"\x01122=%b\x01%b" % (time_text(now, self.time_digits), body)
            self._put(self._framed(kind, first, body, now, b"\x0143=Y"), now)
            follows = first + 1
        else:
            count = min(CHUNK, entry.last - first + 1, last - first + 1)
            number = entry.report + first - entry.first
            rows = self._source.read(number, count, self._store.day)
            follows = first + (len(rows) or count)
            if len(rows):
                tables, perhaps = self._door.tables, entry.kind == PERHAPS
                text = tables.write(
                    self._writer, rows, first, now, again=True, perhaps=perhaps, extra=self._extra
                )
                self._put(text, now)
            else:
                self._fill(first, follows, now)
        if follows <= last:
            self._resends.appendleft((follows, last))

    def _fill(self, first: int, follows: int, now: int) -> None:
        """SequenceReset-GapFill: it has the first of the numbers that it stands for."""
        body = b"\x01122=%b\x01123=Y\x0136=%d" % (time_text(now, self.time_digits), follows)
        self._put(self._framed(b"4", first, body, now, b"\x0143=Y"), now)
