"""The fields of answers, in plain Python: what the messages say of one report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...records.reports import ReportFlag, ReportKind
from ...records.schema import OrderType, Reason, TimeInForce
from . import layout, names

if TYPE_CHECKING:
    from .reference import Codec


_RESTATED = {
    ReportKind.REPRICED: layout.REPRICED, ReportKind.TRIGGERED: layout.TRIGGERED,
    ReportKind.BUSTED: layout.BUSTED, ReportKind.DECREMENTED: layout.DECREMENTED,
}  # fmt: skip
_EVENTS = {
    ReportKind.MASS_CANCELLED: layout.MASS_CANCELLED, ReportKind.QUOTE_SET: layout.QUOTE_SET,
    ReportKind.QUOTE_REJECTED: layout.QUOTE_REFUSED,
}  # fmt: skip


class Said:
    """The fields of the messages, of one report."""

    def __init__(self, codec: Codec, report: np.void) -> None:
        self.report = report
        self._listing, self._scope = codec.listing, codec.scope
        self._name = int(report["client_order_id"])
        self.is_mine = codec.mine(report)
        self.operation, self._ref = codec.named(report) if self.is_mine else (names.FOREIGN, 0)
        self._swept = codec.swept(report)
        if self._swept:
            self.operation, self._ref = names.NAMED, self._name & names.REF_MASK
        self.unsolicited = bool(report["flags"] & ReportFlag.UNSOLICITED)
        self.quantity = int(report["quantity"])
        if report["kind"] in (ReportKind.TRADE, ReportKind.DECREMENTED):
            self.quantity = int(report["last_quantity"])

    def message(self, letter: bytes) -> bytes:
        known = layout.ANSWERS[letter]
        values = [getattr(self, f"_{name}")() for name in known.names]
        fields = known.packer.pack(letter, *values)
        appended = self._appended(known)
        if known.appendage or (known.appendage is None and appended):
            fields += layout.APPENDAGE_LENGTH.pack(len(appended)) + appended
        return fields

    def _appended(self, known: layout.Message) -> bytes:
        items = []
        if "quantity" in known.names and self.quantity > layout.UINT32_MAX:
            items.append((layout.QUANTITY, self.quantity.to_bytes(8, "big")))
        if known.letter == b"R" or ("price" in known.names and self._wire_price() is None):
            ticks = self._ticks().to_bytes(8, "big", signed=True)
            items.append((layout.PRICE, ticks))
        number = int(self.report["instrument"])
        named = self._listing.numbers.get(self._symbol()) == number
        if "symbol" in known.names and not named and (number or not self._swept):
            items.append((layout.INSTRUMENT, number.to_bytes(4, "big")))
        if known.letter == b"X" and self.report["side"]:
            items.append((layout.SIDE, self._side()))
        if known.letter == b"X":
            count = min(int(self.report["last_quantity"]), layout.UINT32_MAX)
            items.append((layout.COUNT, count.to_bytes(4, "big")))
        if "time_in_force" in known.names and self.report["time_in_force"] == TimeInForce.FOK:
            smallest = min(self.quantity, layout.UINT32_MAX)
            items.append((layout.MIN_QUANTITY, smallest.to_bytes(4, "big")))
        if "time_in_force" in known.names and self.report["flags"] & ReportFlag.POST_ONLY:
            items.append((layout.POST_ONLY, b"P"))
        if self.operation == names.FOREIGN and known.appendage is not False:
            words = self._name, int(self.report["client_order_tail"])
            items.append((layout.CLIENT_ID, b"".join(word.to_bytes(8, "big") for word in words)))
        return b"".join(bytes([1 + len(value), tag]) + value for tag, value in items)

    def _ticks(self) -> int:
        field = "last_price" if self.report["kind"] == ReportKind.TRADE else "price"
        return int(self.report[field])

    def _wire_price(self) -> int | None:
        if self.report["kind"] != ReportKind.TRADE and (
            self.report["order_type"] == OrderType.MARKET
        ):
            return layout.MARKET_PRICE
        return self._listing.price(int(self.report["instrument"]), self._ticks())

    def _time(self) -> int:
        return int(self.report["time"]) % layout.DAY_NS

    def _user_ref(self) -> int:
        return self._ref

    def _original_ref(self) -> int:
        """The UserRefNum before; of a change by somebody else the same."""
        if self.operation == names.FOREIGN or self.unsolicited:
            return self._ref
        before, ref = names.read_id(int(self.report["original_id"]), self._scope)
        return int(self.report["order_id"]) & names.REF_MASK if before == names.FOREIGN else ref

    def _quantity(self) -> int:
        return max(0, min(self.quantity, layout.UINT32_MAX))

    def _price(self) -> int:
        return self._wire_price() or 0

    def _symbol(self) -> bytes:
        return self._listing.symbol(int(self.report["instrument"]))

    def _firm(self) -> bytes:
        return b" " * 4

    def _side(self) -> bytes:
        return layout.SIDE_LETTERS[int(self.report["side"])]

    def _time_in_force(self) -> bytes:
        return layout.TIME_LETTERS[int(self.report["time_in_force"])]

    def _order_reference(self) -> int:
        return int(self.report["order_id"])

    def _match(self) -> int:
        return int(self.report["trade_id"])

    def _liquidity(self) -> bytes:
        if self.report["flags"] & ReportFlag.AUCTION:
            return layout.CROSSED_LETTER
        return layout.ADDED if self.report["flags"] & ReportFlag.MAKER else layout.REMOVED

    def _prevented(self) -> int:
        return self._quantity()

    def _strategy(self) -> bytes:
        return layout.DECREMENTED

    def _reason(self) -> int | bytes:
        reason, kind = Reason(self.report["reason"]), self.report["kind"]
        if kind in _RESTATED:
            return _RESTATED[kind]
        if kind in (ReportKind.CANCELLED, ReportKind.REPLACED):
            letter = layout.CANCELS.get(reason, b"Z" if kind == ReportKind.CANCELLED else b"U")
            return b"S" if letter == b"U" and self.unsolicited else letter
        if kind == ReportKind.REPLACE_REJECTED:
            return layout.REPLACE_REJECTS.get(reason, layout.NO_REPLACE)
        if self._swept and self.report["side"] >= layout.REFUSED_TYPE:
            return int(self.report["side"]) - layout.REFUSED_TYPE
        if self.report["order_type"] >= layout.REFUSED_TYPE:
            return int(self.report["order_type"]) - layout.REFUSED_TYPE
        return layout.REJECTS.get(reason, layout.OTHER)

    def _cl_ord_id(self) -> bytes:
        has_code = self.operation == names.NAMED and not self._swept
        return names.text_of(int(self.report["client_order_tail"]) if has_code else 0)

    def _event(self) -> bytes:
        return _EVENTS.get(self.report["kind"], layout.MASS_CANCEL_REFUSED)

    def _display(self) -> bytes:
        return b"Y"

    def _capacity(self) -> bytes:
        return b"O"

    def _sweep(self) -> bytes:
        return b"N"

    def _cross(self) -> bytes:
        return layout.CROSS

    def _state(self) -> bytes:
        return b"L"
