"""A session of FIX 4.4, or of FIX 5.0 SP2 over FIXT 1.1."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gateways.fix._frames import MESSAGE, PARTIAL, find
from ..gateways.fix.plain import build, time_text
from ..records.schema import ReportKind, Side
from .flow import UNITS
from .ledger import HEARD, MAKER, PERHAPS, Ledger
from .session import Account, Cut, Refused, StreamSession, Target

VERSIONS = {"fix44": b"FIX.4.4", "fix50": b"FIXT.1.1"}
_FIELD = re.compile(rb"(\d+)=([^\x01]*)\x01")
_EXPECTED = re.compile(rb"expect\w*\D*(\d+)", re.IGNORECASE)
_EXEC_ID = re.compile(rb"(\d+)-(\d+)(M?)")
_LATER = (b"4", b"8")  # BusinessRejectReason: application not available, throttle
_TOO_MANY = re.compile(rb"too many|throttle|later|again|behind|at once|a second|wait", re.I)
AHEAD_MAX = 10_000  # messages behind a gap that are kept
SENT_MAX = 200_000  # runs of numbers that are kept for a ResendRequest
#: ExecType -> what it says about an order.  All others say nothing that counts here.
_KINDS = {b"0": ReportKind.NEW, b"F": ReportKind.TRADE, b"1": ReportKind.TRADE,
          b"2": ReportKind.TRADE, b"4": ReportKind.CANCELLED, b"C": ReportKind.CANCELLED,
          b"5": ReportKind.REPLACED, b"8": ReportKind.REJECTED}  # fmt: skip
_SIDES = {Side.BUY: b"1", Side.SELL: b"2"}
ADMIN, ORDER, CANCEL = 0, 1, 2  # what a message number stands for
Fields = dict[bytes, bytes]


class FixSession(StreamSession):
    """Numbers of both sides are kept over cuts.

    At its first Logon it says 1, and learns from the refusal which number is expected.  A
    ResendRequest is answered with the orders and cancels that have no answer, with PossDupFlag;
    everything else is filled.  What has no answer once the other side is up to date is sent again
    under a new number, with PossResend.
    """

    def __init__(
        self, target: Target, account: Account, ledger: Ledger, version: str = "fix44"
    ) -> None:
        super().__init__(target, account, ledger)
        self.protocol = version
        self._begin = VERSIONS[version]
        self._next = 1  # number of the next message to go
        self._expected = 0  # of the next one to come; 0: not known yet
        self._asked_to = 0  # messages before this number were asked for again
        self._ahead: dict[int, Fields] = {}  # behind a gap
        self._sent: list[tuple[int, int, int]] = []  # (first number, count, place * 4 + what)
        self._resent: set[int] = set()  # places that were sent again since the Logon
        self._data = bytearray()
        self._logged_on, self._up_to_date = asyncio.Event(), asyncio.Event()
        self._why = ""
        self._head = b"\x0149=%b\x0156=%b\x0134=" % (
            account.user.encode(), target.comp_id.encode()
        )  # fmt: skip
        self._symbols = [name.encode() for name in ledger.source.symbols]
        self._places = {name: place for place, name in enumerate(self._symbols)}
        self._tag = target.tag.encode()

    # ------------------------------------------------------------------ the session

    async def connect(self) -> None:
        number = self._next
        try:
            await self._log_on()
        except Refused:
            if self._next == number + 1:  # of the Logon; else it was told which one is right
                raise
            await self.disconnect()
            await self._log_on()

    async def _log_on(self) -> None:
        self._logged_on.clear()
        self._up_to_date.clear()
        self._data.clear()
        self._resent.clear()
        self._ahead.clear()
        self._asked_to = 0
        self._why = ""
        await self.dial()
        beat = max(1, int(self.target.silence_seconds / 2.5))
        body = b"98=0\x01108=%d\x01553=%b\x01554=%b\x01" % (
            beat, self.account.user.encode(), self.account.password.encode()
        )  # fmt: skip
        if self._begin == VERSIONS["fix50"]:
            body += b"1137=9\x01"
        self._admin(b"A", body)
        await self._until(self._logged_on)
        self._test()
        await self._until(self._up_to_date)

    async def _until(self, event: asyncio.Event) -> None:
        try:
            await self.until(event)
        except Cut:
            if self._why:
                raise Refused(self._why) from None
            raise

    def _test(self) -> None:
        """Asks for a sign that comes when the other side has everything before it."""
        self._admin(b"1", b"112=UP-TO-DATE\x01")

    def alive(self) -> None:
        self._admin(b"1", b"112=ALIVE\x01")

    def log_out(self) -> None:
        self._admin(b"5", b"")

    def _admin(self, kind: bytes, body: bytes) -> None:
        self.write(self._message(kind, self._next, time_text(time.time_ns(), 3), body))
        self._next += 1

    def _message(
        self, kind: bytes, number: int, now: bytes, body: bytes, flags: bytes = b""
    ) -> bytes:
        return build(
            self._begin,
            b"35=%b%b%d\x01%b52=%b\x01%b" % (kind, self._head, number, flags, now, body),
        )

    # ------------------------------------------------------------------ requests

    def orders(self, first: int, rows: NDArray[np.void], *, again: bool) -> None:
        now, said, flags = time_text(time.time_ns(), 3), [], b"97=Y\x01" if again else b""
        places = range(first, first + len(rows))
        if len(self._sent) > SENT_MAX:
            del self._sent[: SENT_MAX // 2]
        if not again:
            self._sent.append((self._next, len(rows), first * 4 + ORDER))
        for place, row in zip(places, rows.tolist(), strict=True):
            if again:
                if place in self._resent:
                    continue
                self._sent.append((self._next, 1, place * 4 + ORDER))
            body = self._order(place, row, now)
            said.append(self._message(b"D", self._next, now, body, flags))
            self._next += 1
        self.write(b"".join(said))

    def _order(self, place: int, row: tuple[int, int, int, int], now: bytes) -> bytes:
        side, symbol, quantity, price = row
        return (
            b"11=%b%d\x0121=1\x0155=%b\x0154=%b\x0160=%b\x0138=%d\x0140=2\x0144=%b\x0159=0\x01"
            % (self._tag, place, self._symbols[symbol], _SIDES[Side(side)], now, quantity,
               price_text(price))
        )  # fmt: skip

    def cancels(self, places: NDArray[np.int64], *, again: bool) -> None:
        now, said, flags = time_text(time.time_ns(), 3), [], b"97=Y\x01" if again else b""
        for place in places.tolist():
            if again and ~place in self._resent:
                continue
            self._sent.append((self._next, 1, place * 4 + CANCEL))
            said.append(self._message(b"F", self._next, now, self._cancel(place, now), flags))
            self._next += 1
        self.write(b"".join(said))

    def _cancel(self, place: int, now: bytes) -> bytes:
        side, symbol, quantity, _ = self.ledger.orders[place].tolist()
        return b"11=%bx%d\x0141=%b%d\x0155=%b\x0154=%b\x0160=%b\x0138=%d\x01" % (
            self._tag, place, self._tag, place, self._symbols[symbol], _SIDES[Side(side)], now,
            quantity,
        )  # fmt: skip

    def _what(self, number: int) -> tuple[int, int]:
        """What a number was used for, and the place of its order."""
        low, high = 0, len(self._sent)
        while low < high:
            middle = (low + high) // 2
            if self._sent[middle][0] <= number:
                low = middle + 1
            else:
                high = middle
        if low:
            first, count, what = self._sent[low - 1]
            if number < first + count:
                return what % 4, what // 4 + number - first
        return ADMIN, -1

    def _resend(self, first: int, last: int) -> None:
        """Answers a ResendRequest."""
        now, said, fill = time_text(time.time_ns(), 3), [], 0
        flags = b"43=Y\x01122=%b\x01" % now
        states = self.ledger.states
        newest, cancels = self._next - 1, set(self.ledger.unsettled().tolist())
        for number in range(first, min(last or newest, newest) + 1):
            what, place = self._what(number)
            is_open = (
                what == ORDER and states["answers"][place] == 0
            ) or (what == CANCEL and place in cancels)  # fmt: skip
            if not is_open:
                fill = fill or number
                continue
            if fill:
                said.append(self._fill(fill, number, now, flags))
                fill = 0
            if what == ORDER:
                body = self._order(place, self.ledger.orders[place].tolist(), now)
                said.append(self._message(b"D", number, now, body, flags))
                self._resent.add(place)
            else:
                body = self._cancel(place, now)
                said.append(self._message(b"F", number, now, body, flags))
                self._resent.add(~place)
            self.again += 1
        if fill:
            said.append(self._fill(fill, min(last or newest, newest) + 1, now, flags))
        self.write(b"".join(said))
        if self._logged_on.is_set() and not self._up_to_date.is_set():
            self._test()  # the one before may be in what was filled

    def _fill(self, first: int, follows: int, now: bytes, flags: bytes) -> bytes:
        return self._message(b"4", first, now, b"123=Y\x0136=%d\x01" % follows, flags)

    # ------------------------------------------------------------------ what it is told

    def heard(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        self._data += data
        at, rows = 0, list[tuple[Any, ...]]()
        while at < len(self._data):
            kind, begin, end = find(self._data, at)
            if kind == PARTIAL:
                at = begin
                break
            if kind == MESSAGE and not self.gone:
                self._take(dict(_FIELD.findall(bytes(self._data[begin:end]))), rows)
            at = end
        del self._data[:at]
        if rows:
            self.hear(np.array(rows, HEARD), now)

    def _take(self, fields: Fields, rows: list[tuple[Any, ...]]) -> None:
        number, kind = int(fields.get(b"34", b"0")), fields.get(b"35", b"")
        if not self._logged_on.is_set() and kind == b"5":
            self._not_logged_on(fields.get(b"58", b""))
            return
        if kind == b"A" and not self._logged_on.is_set():
            self._on(number)
            return
        if kind == b"4" and fields.get(b"123") != b"Y":
            self._expected = max(self._expected, int(fields.get(b"36", b"0")))
            return
        if number > self._expected:
            if kind == b"2" and number not in self._ahead:  # both would wait for each other
                self._resend(int(fields[b"7"]), int(fields[b"16"]))
                fields = {b"34": fields[b"34"], b"35": b"0"}
            if len(self._ahead) < AHEAD_MAX:
                self._ahead.setdefault(number, fields)
            if self._asked_to < self._expected:
                self._ask(number)
        elif number == self._expected:
            self._in_turn(kind, fields, rows)
            while self._expected in self._ahead:
                fields = self._ahead.pop(self._expected)
                self._in_turn(fields[b"35"], fields, rows)
        elif fields.get(b"43") != b"Y":
            self._close(f"message {number} came, and {self._expected} was expected")

    def _in_turn(self, kind: bytes, fields: Fields, rows: list[tuple[Any, ...]]) -> None:
        self._expected += 1
        if kind == b"8":
            self._report(fields, rows)
        elif kind == b"1":
            self._admin(b"0", b"112=%b\x01" % fields.get(b"112", b""))
        elif kind == b"0":
            if fields.get(b"112") == b"UP-TO-DATE":
                self._set(self._up_to_date)
        elif kind == b"2":
            self._resend(int(fields[b"7"]), int(fields[b"16"]))
        elif kind == b"4":
            self._expected = max(self._expected, int(fields[b"36"]))
            self._ahead = {at: one for at, one in self._ahead.items() if at >= self._expected}
        elif kind == b"9":
            self._cancel_rejected(fields)
        elif kind in (b"3", b"j"):
            self._rejected(kind, fields)
        elif kind == b"5":
            self._close(f"logged out: {fields.get(b'58', b'').decode('latin-1')}")

    def _set(self, event: asyncio.Event) -> None:
        event.set()
        self.wake.set()

    def _not_logged_on(self, text: bytes) -> None:
        """The refusal of a Logon may say which number is expected."""
        found = _EXPECTED.search(text)
        if found is not None and int(found[1]) >= self._next:
            self._next = int(found[1])
        self._close(f"the Logon was refused: {text.decode('latin-1')}")

    def _on(self, number: int) -> None:
        """The Logon is answered; what was missed before it is asked for."""
        if self._expected == 0:
            self._expected = 1 if self._resume else number + 1
            self._resume = False
        if number > self._expected:
            self._ask(number)
        elif number == self._expected:
            self._expected = number + 1
        self._set(self._logged_on)

    def _ask(self, number: int) -> None:
        self._asked_to = number
        self._admin(b"2", b"7=%d\x0116=0\x01" % self._expected)

    def _close(self, why: str) -> None:
        self._why = why
        if self.wire is not None:
            self.wire.transport.close()
        self.wake.set()

    def _place(self, id: bytes) -> tuple[int, bool]:
        """The order that a ClOrdID names, -1 for none of this session; whether it is a cancel's."""
        rest = id[len(self._tag) :] if id.startswith(self._tag) else b""
        is_cancel = rest.startswith(b"x")
        rest = rest[is_cancel:]
        return (int(rest) if rest.isdigit() else -1), is_cancel

    def _report(self, fields: Fields, rows: list[tuple[Any, ...]]) -> None:
        kind = _KINDS.get(fields.get(b"150", b""))
        place, is_cancel = self._place(fields.get(b"11", b""))
        if is_cancel and b"41" in fields:
            place = self._place(fields[b"41"])[0]
        if kind is None:
            if fields.get(b"150") == b"I" and fields.get(b"39") != b"8":
                self.ledger.find(place)
            return
        if kind == ReportKind.REJECTED and fields.get(b"103") == b"6":
            self.ledger.find(place)  # a duplicate of one that is known
            return
        if kind == ReportKind.REJECTED and not _EXEC_ID.fullmatch(fields.get(b"17", b"")):
            self.ledger.refuse(place, self.age(place))  # by the door
            return
        trades = kind == ReportKind.TRADE
        if place >= self.ledger.sent and self.target.resume:
            self.ledger.heard_of(place + 1)
        found = _EXEC_ID.fullmatch(fields.get(b"17", b""))
        sequence, part, maker = (
            (int(found[1]), int(found[2]), MAKER if found[3] else 0) if found else (0, 0, 0)
        )
        perhaps = PERHAPS if fields.get(b"97") == b"Y" else 0
        rows.append((
            0, kind, maker | perhaps, int(fields.get(b"54", b"0")), part,
            self._places.get(fields.get(b"55", b""), -1), place,
            _whole(fields.get(b"32" if trades else b"38")),
            _units(fields.get(b"31" if trades else b"44")),
            _whole(fields.get(b"14"), -1), sequence, _whole(fields.get(b"527")),
        ))  # fmt: skip

    def _cancel_rejected(self, fields: Fields) -> None:
        place, _ = self._place(fields.get(b"41", b""))
        if place < 0:
            place, _ = self._place(fields.get(b"11", b""))
        self.ledger.settle(place)

    def _rejected(self, kind: bytes, fields: Fields) -> None:
        """A message that was not taken, for now or for good."""
        text = fields.get(b"58", b"")
        what, place = self._what(int(fields.get(b"45", b"0")))
        later = kind == b"j" and (
            fields.get(b"380") in _LATER or _TOO_MANY.search(text) is not None
        )
        if what == ADMIN:
            return
        if later:
            self.turn_away(place, what == CANCEL)
        elif what == ORDER:
            self.ledger.refuse(place, self.age(place))
        else:
            self.ledger.settle(place)


def price_text(price: int) -> bytes:
    """A price of units of 1/10,000, in digits."""
    whole, rest = divmod(price, UNITS)
    return (b"%d.%04d" % (whole, rest)).rstrip(b"0").rstrip(b".") if rest else b"%d" % whole


def _units(text: bytes | None) -> int:
    return round(float(text) * UNITS) if text else 0


def _whole(text: bytes | None, usual: int = 0) -> int:
    """A quantity: QuickFIX and others write whole ones with decimals, too."""
    if not text:
        return usual
    return int(text) if text.isdigit() else round(float(text))
