"""Quotes of market makers: Quote (S), MassQuote (i) and QuoteCancel (Z) become QUOTE commands."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...records.ids import text_of
from ...records.schema import Kind, ReportKind
from ..desk import Desk, room
from .answers import Answers
from .groups import Entry, cancelled_symbols, quote_entries
from .layout import OTHER, QUOTE_REJECT_REASON, QUOTE_UNSUPPORTED, reason_text
from .plain import Message
from .reading import account_of, checked_id
from .refusals import OTHER as NO_REASON
from .refusals import UNKNOWN_SYMBOL, UNSUPPORTED, Refused
from .session import Fields
from .tables import Tables
from .terms import SELF_TRADES, ticks_of, units_of

ENTRIES_MAX = 100  # of one message
KEPT_BYTES_MAX = 4000  # of an acknowledgement that can be sent again
NEVER, NEGATIVE = b"0", b"1"  # QuoteResponseLevel (301); without it, and others: always
ACCEPTED, REJECTED, NOT_FOUND = b"0", b"5", b"9"  # QuoteStatus (297)
SYMBOLS, EVERYTHING = b"1", b"4"  # QuoteCancelType (298)
#: Reasons of a refusal at the door -> QuoteRejectReason.
AT_THE_DOOR = {UNKNOWN_SYMBOL: b"1"}
DUPLICATE_QUOTE = b"6"


@dataclass(slots=True)
class Mass:
    """A MassQuote whose acknowledgement waits for the log."""

    id: bytes
    level: bytes
    count: int
    names: dict[int, tuple[bytes, bytes, bytes]]  # set, entry, symbol; by client order id
    waits: set[int] = field(default_factory=set)  # client order ids that have no answer
    refused: list[tuple[bytes, bytes, bytes, bytes]] = field(default_factory=list)  # with 368
    text: bytes = b""  # of the first refusal


class Quotes:
    """The quotes of one session.  `read` makes commands, `told` acknowledges mass quotes."""

    def __init__(self, desk: Desk, tables: Tables, answers: Answers) -> None:
        self._desk, self._tables, self._answers = desk, tables, answers
        self._masses: dict[int, Mass] = {}  # by client order ids that wait

    # ------------------------------------------------------------------ in

    def read(self, message: Message, account: int) -> NDArray[np.void]:
        """The QUOTE commands of a message, none if it is answered already.

        ``account``: of a message that names none.  `SessionFault`, `Refused`.
        """
        owner = account_of(message, account)
        if message.kind == "Z":
            commands = self._cancels(message, owner)
        elif message.kind == "i":
            commands = self._mass(message)
        else:
            _check_type(message)
            commands = room(1)
            self._quote(message, commands[0], message.need(117))
        commands["kind"], commands["account"] = Kind.QUOTE, owner
        return commands

    def _instrument(self, symbol: bytes) -> tuple[int, int, int]:
        found = self._tables.by_symbol.get(symbol)
        if found is None:
            raise Refused(UNKNOWN_SYMBOL, "Symbol is not known")
        return found

    def _quote(self, message: Message, command: np.void, id: bytes) -> None:
        """One quote: its two sides, in place of the former ones."""
        command["client_order_id"], command["client_order_tail"] = checked_id(id, "QuoteID")
        number, mantissa, decimals = self._instrument(message.need(55))
        command["instrument"] = number
        for tag, name in QUOTE_UNSUPPORTED.items():
            if tag in message.fields:
                raise Refused(UNSUPPORTED, f"{name} ({tag}) is not supported")
        sides = (
            (132, "BidPx", 134, "BidSize", "price", "quantity"),
            (133, "OfferPx", 135, "OfferSize", "stop_price", "display_quantity"),
        )
        for price, price_name, size, size_name, price_field, size_field in sides:
            units = units_of(message, size, size_name, least=0) if size in message.fields else None
            if price in message.fields and units is None:
                raise Refused(UNSUPPORTED, f"{size_name} ({size}): a side with a price has one")
            if units:
                message.need(price)
                command[price_field] = ticks_of(message, price, price_name, mantissa, decimals)
                command[size_field] = units
        if 2964 in message.fields:
            mode = SELF_TRADES.get(message.fields[2964])
            if mode is None:
                raise Refused(UNSUPPORTED, "SelfMatchPreventionInstruction (2964): 1, 2 or 3")
            command["self_trade"] = mode

    def _mass(self, message: Message) -> NDArray[np.void]:
        """The entries that can be commands; the others are refused in the acknowledgement."""
        id = message.need(117)
        _check_type(message)
        entries = quote_entries(message)
        names = [entry[299] for _, entry in entries]
        if not entries or len(entries) > ENTRIES_MAX:
            raise Refused(NO_REASON, f"a MassQuote has 1 to {ENTRIES_MAX} entries")
        if len(set(names)) < len(names):
            raise Refused(NO_REASON, "QuoteEntryID (299) comes more than once in this message")
        mass = Mass(id, message.fields.get(301, b"2"), len(entries), {})
        commands, count = room(len(entries)), 0
        for place, entry in entries:
            row = commands[count]
            try:
                usual = _with_usual(message, entry)
                self._quote(usual, row, id + b"/" + entry[299])
            except Refused as error:
                commands[count] = room(1)[0]  # nothing of it stays
                why = AT_THE_DOOR.get(error.reason, OTHER)
                _refuse(mass, (place, entry[299], entry.get(55, b"[N/A]")), why, error.text)
                continue
            mass.names[row["client_order_id"].item()] = place, entry[299], entry[55]
            count += 1
        mass.waits = set(mass.names)
        self._masses.update(dict.fromkeys(mass.waits, mass))
        if not count:
            self._acknowledge(mass)
        return commands[:count]

    def _cancels(self, message: Message, owner: int) -> NDArray[np.void]:
        """A quote without sides for each instrument."""
        id, what = message.need(117), message.need(298)
        if what == SYMBOLS:
            symbols = cancelled_symbols(message)
            numbers = list(dict.fromkeys(self._instrument(one)[0] for one in symbols))
        elif what == EVERYTHING:
            numbers = sorted(self._in_use(owner))
        else:
            raise Refused(UNSUPPORTED, "QuoteCancelType (298): 1 (symbols) or 4 (all quotes)")
        if len(numbers) > ENTRIES_MAX:
            raise Refused(NO_REASON, f"quotes in more than {ENTRIES_MAX} instruments: name them")
        checked_id(id, "QuoteID")
        if not numbers:
            stamp, text = self._answers.stamp(), b"this account has no quotes"
            fields = [(117, id), (55, b"[N/A]"), (297, NOT_FOUND), (60, stamp), (58, text)]
            self._answers.send(b"AI", fields, keep=True)
        commands = room(len(numbers))
        for place, number in enumerate(numbers):
            name = id if len(numbers) == 1 else b"%b/%d" % (id, place + 1)
            row = commands[place]
            row["client_order_id"], row["client_order_tail"] = checked_id(name, "QuoteID")
            row["instrument"] = number
        return commands

    def _in_use(self, owner: int) -> set[int]:
        """Markets in which an account has open orders."""
        rows = self._desk.reports.open_orders(owner)
        return set(rows["instrument"].tolist()) & self._desk.reports.markets

    # ------------------------------------------------------------------ out

    def told(self, reports: NDArray[np.void]) -> None:
        """The log has these reports: mass quotes whose last answer it is are acknowledged."""
        if not self._masses:
            return
        kinds = reports["kind"]
        ours = (kinds == ReportKind.QUOTE_SET) | (kinds == ReportKind.QUOTE_REJECTED)
        for row in reports[ours]:
            refused = row["kind"] == ReportKind.QUOTE_REJECTED
            reason, about = row["reason"].item(), row["field"].item()
            why = QUOTE_REJECT_REASON.get(reason, OTHER) if refused else b""
            self.over(int(row["client_order_id"]), why, reason_text(reason, about).decode())

    def over(self, id: int, why: bytes = b"", text: str = "") -> bool:
        """A quote has its answer, ``why`` a refusal; False if it is of no mass quote."""
        mass = self._masses.pop(id, None)
        if mass is None:
            return False
        mass.waits.discard(id)
        if why:
            _refuse(mass, mass.names[id], why, text)
        if not mass.waits:
            self._acknowledge(mass)
        return True

    def forget(self, commands: NDArray[np.void]) -> None:
        """These commands are not sent, and the message is refused as a whole."""
        for id in commands["client_order_id"].tolist():
            self._masses.pop(id, None)

    def _acknowledge(self, mass: Mass) -> None:
        """MassQuoteAcknowledgement: with the entries that were refused."""
        refused = mass.refused
        if mass.level == NEVER or (mass.level == NEGATIVE and not refused):
            return
        fields: Fields = [(117, mass.id)]
        if len(refused) < mass.count:
            fields.append((297, ACCEPTED))
        else:
            fields += [(297, REJECTED), (300, refused[0][3])]
        fields.append((301, mass.level))
        if mass.text:
            fields.append((58, mass.text))
        sets = list(dict.fromkeys(place for place, *_ in refused))
        if sets:
            fields.append((296, b"%d" % len(sets)))
        for place in sets:
            mine = [one for one in refused if one[0] == place]
            fields += [(302, place), (304, b"%d" % len(mine)), (295, b"%d" % len(mine))]
            for _, entry, symbol, why in mine:
                fields += [(299, entry), (55, symbol), (368, why)]
        size = sum(len(value) + 5 for _, value in fields)
        self._answers.send(b"b", fields, keep=size <= KEPT_BYTES_MAX)

    def refuse(self, message: Message, error: Refused) -> None:
        """The message as a whole never becomes a command."""
        why = AT_THE_DOOR.get(error.reason, OTHER)
        self._refused(message.kind, message.fields, why, error.text)

    def repeated(self, kind: str, report: np.void, resent: bool, again: bool) -> None:
        """The log says that a quote had been done before.

        ``resent``: it came with PossDupFlag or PossResend. ``again``: with PossResend.
        """
        text = f"QuoteID was used before, in sequence {report['trade_id'].item()}"
        id = int(report["client_order_id"])
        if self.over(id, b"" if resent else DUPLICATE_QUOTE, text) or (resent and not again):
            return
        number, symbols = int(report["instrument"]), self._tables.by_number
        symbol = symbols[number - 1][0] if 1 <= number <= len(symbols) else b"[N/A]"
        values = {117: text_of(id, int(report["client_order_tail"])).encode(), 55: symbol}
        self._refused(kind, values, b"" if again else DUPLICATE_QUOTE, text)

    def _refused(self, kind: str, values: Entry, why: bytes, text: str) -> None:
        """As QuoteStatusReport, or for a mass quote as its acknowledgement; without ``why`` it was
        accepted."""
        said, modern = text.encode("ascii", "replace"), self._answers.modern
        fields: Fields = [(117, values.get(117, b"NONE"))]
        if kind == "i":
            fields += [(297, REJECTED), (300, why), (58, said)]
            self._answers.send(b"b", fields, keep=True)
            return
        fields += [(55, values.get(55, b"[N/A]")), (297, REJECTED if why else ACCEPTED)]
        fields += [(300, why)] * (modern and bool(why))
        fields += [(60, self._answers.stamp()), (58, said)]
        self._answers.send(b"AI", fields, keep=True)


def _check_type(message: Message) -> None:
    if message.fields.get(537, b"1") != b"1":
        raise Refused(UNSUPPORTED, "QuoteType (537): 1 (tradeable) only")


def _with_usual(message: Message, entry: Entry) -> Message:
    """An entry as a message, with the sizes that its MassQuote has for those with a price alone."""
    values = dict(entry)
    for price, size, usual in ((132, 134, 293), (133, 135, 294)):
        if price in entry and size not in entry and usual in message.fields:
            values[size] = message.fields[usual]
    if 2964 in message.fields:
        values.setdefault(2964, message.fields[2964])
    return Message(message.begin, message.kind, values)


def _refuse(mass: Mass, name: tuple[bytes, bytes, bytes], why: bytes, text: str) -> None:
    if not mass.refused:
        mass.text = b"QuoteEntryID %b: %b" % (name[1], text.encode("ascii", "replace"))
    mass.refused.append((*name, why))
