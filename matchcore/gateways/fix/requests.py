"""Messages become commands: D, F, G, q, E, S, i, Z.  Questions are answered: H, AF, e, g."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...records.ids import id_of, text_of
from ...records.schema import Flag, Kind, OrderStatus, OrderType
from ..desk import Desk, DoorSession, room
from ..logins import Action, Forbidden, GatewayError, Unavailable
from .answers import Answers
from .layout import FIX_STATUS, ORIGINAL
from .lists import orders_of, read_pair
from .plain import BAD_VALUE, Message, SessionFault
from .quoting import Quotes
from .reading import KINDS, account_of, read
from .refusals import DUPLICATE, NO_SUCH_ORDER, OTHER, TOO_LATE, Refused
from .statuses import Statuses
from .tables import Tables

OPEN = (OrderStatus.NEW, OrderStatus.PARTLY_FILLED)
LETTERS = {int(kind): letter for letter, kind in KINDS.items()} | {int(Kind.REDUCE): "G"}
_ONLY_OF_MARKETS = int(Flag.NEW_STOP | Flag.NEW_DISPLAY)
_SWEEPING = int(Flag.RANGE | Flag.OF_SESSION)
_WITH_PRICE = (OrderType.LIMIT, OrderType.STOP_LIMIT)
#: Types of questions -> the tag of what the client calls the question.
QUESTIONS = {"H": 11, "AF": 584, "e": 324, "g": 335}
QUOTES = frozenset("SiZ")
QUESTIONS_MAX = 1000  # of one session
STATUS_MAX = 10_000  # orders that one mass status request is answered with


@dataclass(slots=True)
class Asked:
    """A request that the log has not answered yet."""

    number: int  # MsgSeqNum
    kind: str = "D"
    original: tuple[int, int] = (0, 0)
    place: tuple[int, int] = (0, 0)  # instrument and order id
    resent: bool = False  # with PossDupFlag or PossResend
    again: bool = False  # with PossResend


@dataclass(slots=True)
class Intended:
    """What an order is to be after the changes under way."""

    price: int
    total: int
    changes: int


class Requests:
    """The requests of one session.  ``waiting``: those that the log has not answered."""

    def __init__(self, desk: Desk, session: DoorSession, tables: Tables, answers: Answers) -> None:
        self._desk, self._session, self._tables, self._answers = desk, session, tables, answers
        self.waiting: dict[int, int | Asked] = {}  # by client order id; a number: a plain NEW
        self._intended: dict[tuple[int, int], Intended] = {}
        self.statuses = Statuses(desk, tables, answers)
        self.quotes = Quotes(desk, tables, answers)
        self._questions: deque[Message] = deque()  # that wait for the answers before them

    # ------------------------------------------------------------------ plain orders

    def plain(self, commands: NDArray[np.void], originals: NDArray[np.void], first: int) -> None:
        """Takes what `_orders.Orders.read` has read, numbered from ``first`` on."""
        ids = commands["client_order_id"].tolist()
        numbers = range(first, first + len(ids))
        self.waiting.update(zip(ids, numbers, strict=True))
        if (commands["kind"] == Kind.NEW).all():
            self._send(commands, numbers)
            return
        news = commands["kind"] == Kind.NEW
        commands["order_id"][news] = self._desk.order_ids(int(np.count_nonzero(news)))
        here = {
            (row["account"].item(), row["client_order_id"].item(), row["client_order_tail"].item()):
            (row["instrument"].item(), row["order_id"].item())
            for row in commands[news]
        }  # fmt: skip
        good = np.ones(len(commands), bool)
        for place in np.flatnonzero(~news).tolist():
            row = commands[place]
            original = originals[place]["id"].item(), originals[place]["tail"].item()
            kind = LETTERS[row["kind"].item()]
            asked = Asked(first + place, kind, original)
            self.waiting[ids[place]] = asked
            try:
                at = self._order(row["account"].item(), original, here)
                asked.place = at
                row["instrument"], row["order_id"] = at
                if kind == "G":
                    self._change(row, original, at)
            except Refused as error:
                good[place] = False
                del self.waiting[ids[place]]
                self._refuse_row(kind, row, original, error)
        self._send(commands[good], np.asarray(numbers)[good].tolist())

    def _order(
        self,
        account: int,
        original: tuple[int, int],
        here: dict[tuple[int, int, int], tuple[int, int]],
    ) -> tuple[int, int]:
        """Instrument and order id of an order, also of one under way."""
        found = self._desk.reports.find(account, *original) or here.get((account, *original))
        if found is None:
            asked = self.waiting.get(original[0])
            if isinstance(asked, Asked) and asked.place[1]:
                return asked.place  # a change under way gives the order this name
            raise Refused(NO_SUCH_ORDER, "OrigClOrdID: no such order of this account")
        return found

    def _change(self, row: np.void, original: tuple[int, int], at: tuple[int, int]) -> None:
        """An amend in its final form: FIX says the total, the exchange what stays open."""
        if at[0] in self._desk.reports.markets:
            self._change_total(row, original)
            return
        if row["stop_price"] or row["display_quantity"] or row["flags"] & _ONLY_OF_MARKETS:
            raise Refused(OTHER, "StopPx, MaxFloor and DisplayQty: this instrument has no market")
        row["flags"] = 0
        total, price = int(row["quantity"]), int(row["price"])
        status = self._desk.reports.status(int(row["account"]), *original)
        intended = self._intended.get(at)
        filled, is_now = 0, b"8"
        if status is not None:
            order = status[0]
            is_now = FIX_STATUS[int(order["status"])]
            if int(order["status"]) not in OPEN:
                raise Refused(TOO_LATE, "the order is not open any more", is_now)
            if int(order["side"]) != int(row["side"]):
                raise Refused(OTHER, "Side cannot be changed", is_now)
            filled = int(order["filled"])
            intended = intended or Intended(int(order["price"]), int(order["quantity"]), 0)
        if total < filled:
            what = f"OrderQty {total} is below the {filled} that have traded"
            raise Refused(TOO_LATE, what, is_now)
        if intended is None:  # an order under way: nothing of it can have traded, as far as known
            intended = Intended(price, total, 0)
        elif price == intended.price and (total < intended.total or total == filled):
            row["kind"], row["price"] = Kind.REDUCE, 0
            row["quantity"] = intended.total - total
        elif total == intended.total:
            row["flags"], row["quantity"] = Flag.KEEP_QUANTITY, 0
        else:
            row["quantity"] = total - filled
        if row["kind"] == Kind.AMEND and not row["flags"] and int(row["quantity"]) < 1:
            raise Refused(TOO_LATE, f"all {filled} of OrderQty {total} have traded", is_now)
        row["side"] = row["order_type"] = row["time_in_force"] = 0
        intended.price, intended.total = price, total
        intended.changes += 1
        self._intended[at] = intended

    def _change_total(self, row: np.void, original: tuple[int, int]) -> None:
        """Where there is a market the exchange counts what is filled: no fill is missed."""
        status = self._desk.reports.status(int(row["account"]), *original)
        if status is not None:
            order = status[0]
            is_now = FIX_STATUS[int(order["status"])]
            if int(order["status"]) not in OPEN:
                raise Refused(TOO_LATE, "the order is not open any more", is_now)
            if int(order["side"]) != int(row["side"]):
                raise Refused(OTHER, "Side cannot be changed", is_now)
        kept = 0 if row["order_type"] in _WITH_PRICE else Flag.KEEP_PRICE
        row["flags"] = int(row["flags"]) & _ONLY_OF_MARKETS | Flag.TOTAL | kept
        row["side"] = row["order_type"] = row["time_in_force"] = 0

    def _send(self, commands: NDArray[np.void], numbers: range | list[int]) -> None:
        """Sends all, or those that the desk takes."""
        if not len(commands):
            return
        try:
            self._desk.send(self._session, commands)
        except GatewayError as error:
            if len(commands) > 1:
                for place, number in enumerate(numbers):
                    self._send(commands[place : place + 1].copy(), [number])
            else:
                self._not_sent(commands[0], numbers[0], error)

    def _not_sent(self, row: np.void, number: int, error: GatewayError) -> None:
        asked = self.answered(row["client_order_id"].item())
        kind = LETTERS[row["kind"].item()]
        original = asked.original if isinstance(asked, Asked) else (0, 0)
        if isinstance(error, Forbidden):
            self._refuse_row(kind, row, original, Refused(OTHER, str(error)))
            return
        reason = b"4" if isinstance(error, Unavailable) else b"0"
        id = _text(row["client_order_id"].item(), row["client_order_tail"].item())
        self._not_possible(number, kind, id, reason, str(error))

    def _not_possible(self, number: int, kind: str, id: bytes, reason: bytes, text: str) -> None:
        """BusinessMessageReject."""
        fields = [(45, b"%d" % number), (372, kind.encode()), (379, id)]
        fields += [(380, reason), (58, text.encode("ascii", "replace"))]
        self._answers.send(b"j", fields, keep=True)

    def answered(self, id: int) -> int | Asked | None:
        """The request of this id is over."""
        asked = self.waiting.pop(id, None)
        if isinstance(asked, Asked) and asked.kind == "G":
            intended = self._intended.get(asked.place)
            if intended is not None:
                intended.changes -= 1
                if not intended.changes:
                    del self._intended[asked.place]
        return asked

    # ------------------------------------------------------------------ every other message

    def request(self, message: Message) -> None:
        """Takes one message; `SessionFault` for what Reject answers."""
        command, original = room(1), np.zeros(1, ORIGINAL)
        if message.kind in QUOTES:
            self._quote(message)
            return
        if message.kind == "E":
            self._pair(message)
            return
        try:
            if message.kind in QUESTIONS:
                self._question(message)
                return
            read(message, self._tables, self._session.login.account, command[0], original[0])
        except Refused as error:
            if message.kind in KINDS:
                self._refuse(message, error)
            else:
                id = message.fields.get(QUESTIONS.get(message.kind, 11), b"NONE")
                self._not_possible(message.number, message.kind, id, b"0", error.text)
            return
        try:
            self._forward_one(message, command, original[0])
        except Refused as error:
            self._refuse(message, error)

    def _forward_one(self, message: Message, command: NDArray[np.void], original: np.void) -> None:
        """Sends what one message asks for; what may have been done before is looked for first."""
        row, kind, number = command[0], message.kind, message.number
        named = row["client_order_id"].item(), row["client_order_tail"].item()
        account, again = row["account"].item(), message.fields.get(97) == b"Y"
        resent = again or message.possibly_resent
        asked = Asked(number, kind, resent=resent, again=again)
        if resent and kind == "D":
            status = self._desk.reports.status(account, *named)
            if status is not None:
                if again:
                    self._answers.status(status, b"")
                return
        if row["flags"] & _SWEEPING and row["kind"] == Kind.MASS_CANCEL:
            self._check_sweep(row)
        if kind in "FG":
            asked.original = original["id"].item(), original["tail"].item()
            asked.place = self._order(account, asked.original, {})
            row["instrument"], row["order_id"] = asked.place
            if kind == "G":
                self._change(row, asked.original, asked.place)
        self.waiting[named[0]] = asked
        self._send(command, [number])

    def _quote(self, message: Message) -> None:
        """Quotes are sent whole, or the message is refused."""
        try:
            commands = self.quotes.read(message, self._session.login.account)
            if len(commands):
                self._send_whole(message, commands, message.need(117))
        except Refused as error:
            self.quotes.refuse(message, error)

    def _pair(self, message: Message) -> None:
        """Two orders: both are sent, or both refused."""
        orders = orders_of(message)
        try:
            markets, account = self._desk.reports.markets, self._session.login.account
            commands = read_pair(message, orders, self._tables, account, markets)
            if self._is_known(message, commands):
                return
            commands["order_id"] = self._desk.order_ids(2)
            commands[1]["display_quantity"] = commands[0]["order_id"]
            self._send_whole(message, commands, message.need(66))
        except Refused as error:
            for order in orders:
                self._refuse(order, error)

    def _is_known(self, message: Message, commands: NDArray[np.void]) -> bool:
        """Whether the orders of a message that comes again are there; with PossResend they are
        shown."""
        again = message.fields.get(97) == b"Y"
        if not (again or message.possibly_resent):
            return False
        found = [
            self._desk.reports.status(
                row["account"].item(), row["client_order_id"].item(),
                row["client_order_tail"].item(),
            )
            for row in commands
        ]  # fmt: skip
        for status in found:
            if again and status is not None:
                self._answers.status(status, b"")
        return any(status is not None for status in found)

    def _send_whole(self, message: Message, commands: NDArray[np.void], id: bytes) -> None:
        """Sends all commands of a message or none; `Refused` for want of a right."""
        again = message.fields.get(97) == b"Y"
        kind = "D" if message.kind == "E" else message.kind
        resent = again or message.possibly_resent
        ids = commands["client_order_id"].tolist()
        asked = Asked(message.number, kind, resent=resent, again=again)
        self.waiting.update(dict.fromkeys(ids, asked))
        try:
            self._desk.send(self._session, commands)
        except GatewayError as error:
            for one in ids:
                self.waiting.pop(one, None)
            self.quotes.forget(commands)
            if isinstance(error, Forbidden):
                raise Refused(OTHER, str(error)) from None
            reason = b"4" if isinstance(error, Unavailable) else b"0"
            self._not_possible(message.number, message.kind, id, reason, str(error))

    def _check_sweep(self, row: np.void) -> None:
        """Rules that know no markets would cancel all, whatever the price or the session."""
        markets = self._desk.reports.markets
        if row["instrument"] and int(row["instrument"]) not in markets:
            raise Refused(OTHER, "a price range, or TargetParties: this instrument has no market")
        if not markets:
            raise Refused(OTHER, "TargetParties (1461): no instrument has a market")

    def oldest(self) -> int:
        """The number of the oldest request that the log has not answered; 0: none."""
        for asked in self.waiting.values():
            return asked.number if isinstance(asked, Asked) else asked
        return 0

    def _question(self, message: Message) -> None:
        """Answers a question once every request before it has its answer."""
        self._ask(message, check=True)
        if len(self._questions) >= QUESTIONS_MAX:
            raise Refused(OTHER, f"{QUESTIONS_MAX} questions wait already")
        self._questions.append(message)
        self.answer_questions()

    def answer_questions(self) -> None:
        """Answers those whose time has come, unless nobody may be told anything now."""
        while (
            self._questions
            and not 0 < self.oldest() < self._questions[0].number
            and not self._desk.muted()
        ):
            self._ask(self._questions.popleft())

    def _ask(self, message: Message, *, check: bool = False) -> None:
        """Answers one question; with ``check`` only `SessionFault` and `Refused`."""
        if message.kind == "H":
            self._status(message, check=check)
        elif message.kind == "AF":
            self._mass_status(message, check=check)
        elif check:
            self.statuses.check(message)
        else:
            self.statuses.answer(message)

    def _status(self, message: Message, *, check: bool = False) -> None:
        id, account = message.need(11), account_of(message, self._session.login.account)
        if check:
            return
        extra = b"\x01790=" + message.fields[790] if 790 in message.fields else b""
        try:
            known = id_of(id.decode("latin-1"))
        except ValueError:
            known = (0, 0)
        row = self._desk.reports.status(account, *known)
        if row is not None and self._may_read(account, int(row[0]["instrument"])):
            self._answers.status(row, extra)
            return
        symbol, side = message.fields.get(55, b"[N/A]"), message.fields.get(54, b"7")
        fields = [(37, b"NONE"), (11, id), (17, b"0"), (150, b"I"), (39, b"8"), (103, b"5")]
        fields += [(55, symbol), (54, side), (151, b"0"), (14, b"0"), (6, b"0")]
        fields += [(60, self._answers.stamp()), (58, b"no such order of this account")]
        if 790 in message.fields:
            fields.append((790, message.fields[790]))
        self._answers.send(b"8", fields)

    def _may_read(self, account: int, instrument: int) -> bool:
        return self._session.login.allows(Action.READ, account, instrument)

    def _mass_status(self, message: Message, *, check: bool = False) -> None:
        id, account = message.need(584), account_of(message, self._session.login.account)
        what = message.need(585)
        if what not in (b"1", b"7"):
            raise SessionFault(BAD_VALUE, 585, "MassStatusReqType: 1 (symbol) or 7 (all orders)")
        if what == b"1":
            message.need(55)
        if check:
            return
        rows = self._desk.reports.open_orders(account)
        numbers = np.unique(rows["instrument"]).tolist()
        seen = [number for number in numbers if self._may_read(account, number)]
        rows = rows[np.isin(rows["instrument"], seen)]
        if what == b"1":
            number = self._tables.by_symbol.get(message.need(55), (0, 0, 0))[0]
            rows = rows[rows["instrument"] == number]
        total = len(rows)
        rows = rows[:STATUS_MAX]
        about = b"\x01584=%b\x01911=%d\x01912=" % (id, total)
        if len(rows):
            self._answers.status(rows[:-1], about + b"N")
            self._answers.status(rows[-1:], about + b"Y")
            return
        fields = [(37, b"NONE"), (17, b"0"), (150, b"I"), (39, b"8"), (103, b"5")]
        fields += [(55, message.fields.get(55, b"[N/A]")), (54, b"7"), (151, b"0"), (14, b"0")]
        fields += [(6, b"0"), (60, self._answers.stamp()), (58, b"no open orders")]
        fields += [(584, id), (911, b"0"), (912, b"Y")]
        self._answers.send(b"8", fields)

    # ------------------------------------------------------------------ refusals at the door

    def _refuse_row(
        self, kind: str, row: np.void, original: tuple[int, int], error: Refused
    ) -> None:
        symbol = self._tables.by_number[row["instrument"].item() - 1][0]
        id = _text(row["client_order_id"].item(), row["client_order_tail"].item())
        side, quantity = b"%d" % max(row["side"].item(), 1), b"%d" % row["quantity"].item()
        values = {11: id, 55: symbol, 54: side, 38: quantity, 41: _text(*original)}
        self._refuse(Message(b"", kind, values), error)

    def _refuse(self, message: Message, error: Refused) -> None:
        """The refusal that the type of message has for itself."""
        stamp, text = self._answers.stamp(), error.text.encode("ascii", "replace")
        unique = self._answers.unique()
        values, id = message.fields, message.fields.get(11, b"NONE")
        if message.kind == "D":
            fields = [(37, b"NONE"), (11, id), (17, unique), (150, b"8"), (39, b"8")]
            fields += [(103, b"%d" % error.reason), (55, values.get(55, b"[N/A]"))]
            fields += [(54, values.get(54, b"7")), (38, values.get(38, b"0"))]
            fields += [(151, b"0"), (14, b"0"), (6, b"0"), (60, stamp), (58, text)]
            self._answers.send(b"8", fields, keep=True)
        elif message.kind == "q":
            fields = [(11, id), (37, unique), (1369, unique)]
            fields += [(530, values.get(530, b"7")), (531, b"0")]
            fields += [(532, b"99"), (60, stamp), (58, text)]
            self._answers.send(b"r", fields, keep=True)
        else:
            reason = error.reason if error.reason in (NO_SUCH_ORDER, TOO_LATE, DUPLICATE) else OTHER
            fields = [(37, b"NONE"), (11, id), (41, values.get(41, b"NONE"))]
            fields += [(39, error.status)]
            fields += [(434, b"1" if message.kind == "F" else b"2"), (102, b"%d" % reason)]
            fields += [(60, stamp), (58, text)]
            self._answers.send(b"9", fields, keep=True)

    def repeated(self, report: np.void) -> None:
        """The log says that a request had been done before."""
        asked = self.answered(report["client_order_id"].item())
        if isinstance(asked, Asked) and asked.kind in QUOTES:
            self.quotes.repeated(asked.kind, report, asked.resent, asked.again)
            return
        id = report["client_order_id"].item(), report["client_order_tail"].item()
        if isinstance(asked, Asked) and asked.resent:
            status = self._desk.reports.status(report["account"].item(), *id)
            if asked.again and status is not None:
                self._answers.status(status, b"")
            return
        kind = asked.kind if isinstance(asked, Asked) else "D"
        original = asked.original if isinstance(asked, Asked) else (0, 0)
        first = report["trade_id"].item()
        error = Refused(DUPLICATE, f"ClOrdID was used before, in sequence {first}")
        symbol, number = b"[N/A]", report["instrument"].item()
        if 1 <= number <= len(self._tables.by_number):
            symbol = self._tables.by_number[number - 1][0]
        values = {11: _text(*id), 55: symbol, 41: _text(*original)}
        values[54] = b"%d" % max(report["side"].item(), 1)
        self._refuse(Message(b"", kind, values), error)


def _text(id: int, tail: int) -> bytes:
    return text_of(id, tail).encode() if id else b"NONE"
