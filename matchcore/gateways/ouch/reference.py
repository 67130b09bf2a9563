"""The codec in plain Python, from the tables of `layout`: the oracle of the compiled one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...records.commands import COMMAND
from ...records.instruments import Instrument
from ...records.reports import ReportFlag, ReportKind
from ...records.schema import COMMAND_RECORD, Flag, Kind, OrderType, TimeInForce
from . import layout, names
from .asked import Fault, fields_of, items_of, number_of, text_of
from .said import Said
from .terms import terms_of, time_of

BATCH_MAX = 4096
REPLACE_FLAGS = Flag.KEEP_PRICE | Flag.KEEP_QUANTITY  # both: the exchange refuses it
PRICED_MAX = 2**64 - 1
INT64_MAX = 2**63 - 1

SWEPT = (ReportKind.MASS_CANCELLED, ReportKind.MASS_CANCEL_REJECTED)

_pack = COMMAND_RECORD.packer()


class Taken(NamedTuple):
    """What was taken from a client's bytes.

    ``size``: how many bytes. ``commands``: a `COMMAND` array. ``queries``: how often the next
    UserRefNum was asked for. ``passed``: requests that change nothing. ``fault``: why the next
    packet is none; empty if there is no fault.
    """

    size: int
    commands: NDArray[np.void]
    queries: int
    passed: int
    fault: str


@dataclass(slots=True)
class Slot:
    """An order by one of its UserRefNums; all but the first lead to that one's slot."""

    ref: int
    order_id: int
    instrument: int = 0
    side: int = 0
    time_in_force: int = 0
    total: int = 0  # what is to be traded in all, after the requests under way
    filled: int = 0
    current: int = 0  # the UserRefNum that is valid
    change: int = 0  # of a replace under way: of the total

    @property
    def is_first(self) -> bool:
        return self.order_id & names.REF_MASK == self.ref


class Listing:
    """The instruments as OUCH names and prices them."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.instruments = instruments
        self.parts = [layout.price_parts(one.tick_parts) for one in instruments]
        self.numbers = {
            one.symbol.encode().ljust(8): number
            for number, one in enumerate(instruments, 1)
            if len(one.symbol) <= 8
        }

    def __len__(self) -> int:
        return len(self.parts)

    def ticks(self, instrument: int, price: int) -> int | None:
        """A price of the wire in ticks; None if no tick is there."""
        multiplier, divisor = self.parts[instrument - 1]
        if not multiplier:
            return None if price else 0
        ticks, rest = divmod(price * multiplier, divisor)
        return None if rest or ticks > INT64_MAX else ticks

    def price(self, instrument: int, ticks: int) -> int | None:
        """Ticks as a price of the wire; None if it has no room for it."""
        if not 1 <= instrument <= len(self.parts):
            return None
        multiplier, divisor = self.parts[instrument - 1]
        price, rest = divmod(ticks * divisor, multiplier or 1)
        fits = multiplier and not rest and 0 <= price <= PRICED_MAX and price != layout.MARKET_PRICE
        return price if fits else None

    def symbol(self, instrument: int) -> bytes:
        """Its first 8 characters; blank for an instrument that there is not."""
        if not 1 <= instrument <= len(self.parts):
            return b" " * 8
        return self.instruments[instrument - 1].symbol.encode().ljust(8)[:8]


class Codec:
    """One session of one day: requests to commands, reports to packets.

    - ``session``: up to `names.SESSION_MAX`. ``day``: of trading. ``account``: of the commands.
    - ``listing``: the instruments.
    """

    def __init__(self, session: int, day: int, account: int, listing: Listing) -> None:
        self.scope = names.scope_of(session, day)
        self.account = account
        self.listing = listing
        self.last_ref = 0  # the highest UserRefNum that was used
        self._slots: dict[int, Slot] = {}
        self._made: list[bytes] = []

    def __len__(self) -> int:
        return len(self._slots)

    # ------------------------------------------------------------------ requests

    def take(self, data: bytes | bytearray) -> Taken:
        """Requests from the beginning of ``data``, as far as they are whole.

        Stops in front of a packet that is neither data nor a heartbeat, and after `BATCH_MAX`.
        """
        at, queries, passed, fault = 0, 0, 0, ""
        self._made = []
        while len(data) - at >= 2 and len(self._made) < BATCH_MAX:
            size = 2 + int.from_bytes(data[at : at + 2], "big")
            kind = bytes(data[at + 2 : at + 3])
            if size < 3:
                fault = "a packet without a type"
                break
            if kind not in (b"U", b"R") or len(data) - at < size:
                break
            if kind == b"U":
                before = len(self._made)
                try:
                    queries += self._request(bytes(data[at + 3 : at + size]))
                except Fault as error:
                    fault = str(error)
                    break
                passed += len(self._made) == before
            at += size
        commands = np.frombuffer(bytearray(b"".join(self._made)), COMMAND)
        return Taken(at, commands, queries, passed - queries, fault)

    def _request(self, message: bytes) -> int:
        known = layout.REQUESTS.get(message[:1])
        if known is None:
            raise Fault(f"no request has the type {message[:1]!r}")
        fields, appended = fields_of(known, message)
        if message[:1] == b"Q":
            return 1
        handler = {b"O": self._enter, b"U": self._replace, b"X": self._cancel, b"M": self._modify,
                   b"C": self._sweep}  # fmt: skip
        handler[message[:1]](fields, appended)
        return 0

    def _enter(self, asked: dict[str, int | bytes], appended: bytes) -> None:
        ref = number_of(asked["user_ref"])
        if ref <= self.last_ref:
            return
        self.last_ref = ref
        items = items_of(appended)
        extra = items or {}
        symbol = text_of(asked["symbol"]).rstrip(b" \0").ljust(8)
        number = self._number(symbol, extra)
        quantity = min(extra.get(layout.QUANTITY, number_of(asked["quantity"])), INT64_MAX)
        price, order_type = self._price(number, number_of(asked["price"]), extra, market=True)
        time = time_of(text_of(asked["time_in_force"]), layout.EXPIRY in extra)
        smallest = extra.get(layout.MIN_QUANTITY, 0)
        if time == TimeInForce.IOC and smallest and smallest == quantity:
            time, smallest = TimeInForce.FOK, 0
        code = names.code_of(text_of(asked["cl_ord_id"]))
        faults = (
            (number == 0, layout.BAD_SYMBOL),
            (text_of(asked["side"]) not in layout.SIDES, layout.BAD_SIDE),
            (text_of(asked["display"]) not in layout.DISPLAYS, layout.BAD_DISPLAY),
            (time == 0, layout.OTHER),
            (text_of(asked["cross"]) != layout.CROSS, layout.BAD_CROSS),
            (price is None, layout.BAD_PRICE),
            (smallest > 1, layout.BAD_MIN_QUANTITY),
            (code is None or items is None or layout.SIDE in extra, layout.OTHER),
        )
        refused = next((reason for wrong, reason in faults if wrong), 0)
        made = {
            "order_id": names.order_id(self.scope, ref),
            "client_order_id": names.request_id(names.NAMED, self.scope, ref),
            "client_order_tail": code or 0,
            "price": price or 0,
            "quantity": quantity,
            "instrument": number,
            "kind": Kind.NEW,
            "side": layout.SIDES.get(text_of(asked["side"]), 0),
            "order_type": layout.REFUSED_TYPE + refused if refused else order_type,
            "time_in_force": time,
            "flags": Flag.POST_ONLY if extra.get(layout.POST_ONLY) == ord("P") else 0,
        }
        if not refused:
            made |= terms_of(extra, order_type, int(made["flags"]))
        self._make(made)
        self._slots[ref] = Slot(
            ref, made["order_id"], number, made["side"], time, quantity, current=ref
        )

    def _number(self, symbol: bytes, extra: dict[int, int]) -> int:
        """Of the instrument that a request names; 0: there is none."""
        number = extra.get(layout.INSTRUMENT, self.listing.numbers.get(symbol, 0))
        return number if number <= len(self.listing) else 0

    def _price(
        self, number: int, said: int, extra: dict[int, int], market: bool
    ) -> tuple[int | None, int]:
        """The price in ticks and the type of the order; None: no tick is there."""
        if layout.PRICE in extra:
            ticks = extra[layout.PRICE]
            return (ticks if ticks <= INT64_MAX else ticks - 2**64), OrderType.LIMIT
        if said == layout.MARKET_PRICE:
            return (0 if market else None), OrderType.MARKET
        return (self.listing.ticks(number, said) if number else 0), OrderType.LIMIT

    def _replace(self, asked: dict[str, int | bytes], appended: bytes) -> None:
        ref, original = number_of(asked["user_ref"]), number_of(asked["original_ref"])
        if ref <= self.last_ref:
            return
        self.last_ref = ref
        items = items_of(appended)
        extra = items or {}
        order = self._order(original)
        total = min(extra.get(layout.QUANTITY, number_of(asked["quantity"])), INT64_MAX)
        code = names.code_of(text_of(asked["cl_ord_id"]))
        made = {
            "order_id": names.order_id(self.scope, original),
            "client_order_id": names.request_id(names.NAMED, self.scope, ref),
            "client_order_tail": code or 0,
            "kind": Kind.AMEND,
        }
        if order is not None:
            price, _ = self._price(order.instrument, number_of(asked["price"]), extra, market=False)
            time = time_of(text_of(asked["time_in_force"]), order.time_in_force == TimeInForce.GTD)
            same_time = time == order.time_in_force and time != 0  # 0: it is none
            fine = (
                price is not None
                and same_time
                and text_of(asked["display"]) in layout.DISPLAYS
                and code is not None
                and items is not None
                and set(extra) <= {layout.QUANTITY, layout.PRICE}
            )
            made |= {"order_id": order.order_id, "instrument": order.instrument,
                     "price": price or 0, "quantity": total - order.filled,
                     "flags": 0 if fine else REPLACE_FLAGS}  # fmt: skip
            self._slots[ref] = Slot(ref, order.order_id, change=total - order.total)
            order.total = total
        self._make(made)

    def _cancel(self, asked: dict[str, int | bytes], appended: bytes) -> None:
        ref, total = number_of(asked["user_ref"]), number_of(asked["quantity"])
        order = self._order(ref)
        made = {
            "order_id": order.order_id if order else names.order_id(self.scope, ref),
            "instrument": order.instrument if order else 0,
            "kind": Kind.CANCEL,
            "client_order_id": names.request_id(
                names.CANCEL if order else names.PART, self.scope, ref
            ),
        }
        if order is not None and total:
            less = order.total - total
            if less <= 0:
                return
            order.total = total
            name = names.request_id(names.PART, self.scope, ref, total)
            made |= {"kind": Kind.REDUCE, "quantity": less, "client_order_tail": less,
                     "client_order_id": name}  # fmt: skip
        self._make(made)

    def _modify(self, asked: dict[str, int | bytes], appended: bytes) -> None:
        ref, total = number_of(asked["user_ref"]), number_of(asked["quantity"])
        order = self._order(ref)
        less = 0
        if order is not None and layout.SIDES.get(text_of(asked["side"])) == order.side:
            less = max(order.total - total, 0)
            order.total -= less
        operation, named = (names.MODIFY, total) if less else (names.PART, 0)
        self._make(
            {
                "order_id": order.order_id if order else names.order_id(self.scope, ref),
                "instrument": order.instrument if order else 0,
                "kind": Kind.REDUCE,
                "client_order_id": names.request_id(operation, self.scope, ref, named),
                "client_order_tail": less,
                "quantity": less,
            }
        )

    def _sweep(self, asked: dict[str, int | bytes], appended: bytes) -> None:
        ref = number_of(asked["user_ref"])
        if ref <= self.last_ref:
            return
        self.last_ref = ref
        items = items_of(appended)
        extra = items or {}
        symbol = text_of(asked["symbol"]).rstrip(b" \0").ljust(8)
        there = symbol != b" " * 8 or layout.INSTRUMENT in extra
        number = self._number(symbol, extra)
        side = layout.SIDES.get(bytes([extra.get(layout.SIDE, 0)]), 0)
        faults = (
            (layout.SIDE in extra and not side, layout.BAD_SIDE),
            (items is None or not set(extra) <= {layout.SIDE, layout.INSTRUMENT}, layout.OTHER),
        )
        refused = next((reason for wrong, reason in faults if wrong), 0)
        name = names.request_id(names.NAMED, self.scope, ref)
        self._make(
            {
                "client_order_id": name,
                "client_order_tail": names.ORDER_BIT | name,
                "instrument": layout.NO_INSTRUMENT if there and not number else number,
                "kind": Kind.MASS_CANCEL,
                "side": layout.REFUSED_TYPE + refused if refused else side,
            }
        )

    def _order(self, ref: int) -> Slot | None:
        """The order that a UserRefNum means now; None: none."""
        slot = self._slots.get(ref)
        if slot is None:
            return None
        if not slot.is_first:
            return self._slots.get(slot.order_id & names.REF_MASK)
        return slot if slot.current == ref else None

    def _make(self, made: dict[str, int]) -> None:
        made["account"] = self.account
        self._made.append(_pack.pack(*(made.get(name, 0) for name in COMMAND_RECORD.names)))

    # ------------------------------------------------------------------ reports

    def packets(self, reports: NDArray[np.void]) -> bytes:
        """The packets of `REPORT` rows of this session; those that have no number tell nothing."""
        told = []
        for report in reports:
            if report["number"]:
                message = self._message(report)
                told.append((1 + len(message)).to_bytes(2, "big") + b"S" + message)
        return b"".join(told)

    def note(self, reports: NDArray[np.void]) -> None:
        """Follows the orders of `REPORT` rows, each once, in their order."""
        for report in reports:
            if report["number"] and self.swept(report):
                self.used(int(report["client_order_id"]) & names.REF_MASK)
            elif report["number"] and self.mine(report):
                self._note(report)

    def open(self, reports: NDArray[np.void]) -> None:
        """Knows the open orders that `REPORT` rows tell of, which were entered elsewhere."""
        for report in reports:
            if self.mine(report):
                self._known(report)

    def used(self, ref: int) -> None:
        """This UserRefNum was used elsewhere."""
        self.last_ref = max(self.last_ref, ref)

    def mine(self, report: np.void) -> bool:
        """Whether the order was entered by this session today."""
        return int(report["order_id"]) >> 32 == (names.ORDER_BIT | self.scope << 32) >> 32

    def swept(self, report: np.void) -> bool:
        """Whether it answers a request C of this session today."""
        words = int(report["client_order_id"]), int(report["client_order_tail"])
        return report["kind"] in SWEPT and names.is_sweep(*words, self.scope)

    def named(self, report: np.void) -> tuple[int, int]:
        """Operation and UserRefNum; of a name of another door, the number before or the first."""
        operation, ref = names.read_id(int(report["client_order_id"]), self.scope)
        if operation == names.FOREIGN:
            before, ref = names.read_id(int(report["original_id"]), self.scope)
            if before == names.FOREIGN:
                ref = int(report["order_id"]) & names.REF_MASK
        return operation, ref

    def _note(self, report: np.void) -> None:
        kind = report["kind"]
        operation, ref = self.named(report)
        if operation == names.NAMED:
            self.last_ref = max(self.last_ref, ref)
        first = int(report["order_id"]) & names.REF_MASK
        if kind == ReportKind.REJECTED:
            self._slots.pop(ref, None)
        elif kind == ReportKind.REPLACE_REJECTED:
            self._take_back(first, ref, operation, int(report["client_order_tail"]))
        elif kind == ReportKind.CANCELLED or (kind == ReportKind.TRADE and report["left"] == 0):
            order = self._slots.pop(first, None)
            if order is not None and order.current != first:
                self._slots.pop(order.current, None)
        elif kind == ReportKind.DECREMENTED:
            order = self._slots.get(first)
            if order is not None:
                order.total -= int(report["last_quantity"])
        elif kind in (ReportKind.NEW, ReportKind.TRADE, ReportKind.REPLACED):
            order = self._slots.get(first)
            if order is None:
                self._known(report)
                return
            order.filled = int(report["filled"])
            if kind != ReportKind.REPLACED:
                return
            if report["flags"] & ReportFlag.UNSOLICITED or operation == names.FOREIGN:
                order.total = int(report["quantity"])
            elif operation == names.NAMED:
                self._is_now(order, ref)

    def _known(self, report: np.void) -> None:
        order_id, ref = int(report["order_id"]), self.named(report)[1]
        first = order_id & names.REF_MASK
        self.last_ref = max(self.last_ref, ref)
        order = Slot(first, order_id, int(report["instrument"]), int(report["side"]),
                     int(report["time_in_force"]), int(report["quantity"]),
                     int(report["filled"]), first)  # fmt: skip
        self._slots[first] = order
        self._is_now(order, ref)

    def _is_now(self, order: Slot, ref: int) -> None:
        """The order has another UserRefNum."""
        if order.current not in (order.ref, ref):
            self._slots.pop(order.current, None)
        order.current = ref
        if ref != order.ref:
            self._slots[ref] = Slot(ref, order.order_id)

    def _take_back(self, first: int, ref: int, operation: int, tail: int) -> None:
        """A request to change the order's total was refused."""
        order = self._slots.get(first)
        if operation == names.FOREIGN:
            return
        if operation == names.NAMED:
            replaced = self._slots.get(ref)
            if replaced is None or replaced.is_first or (order and order.current == ref):
                return
            del self._slots[ref]
            tail = -replaced.change
        if order is not None:
            order.total += tail

    # ------------------------------------------------------------------ messages

    def _message(self, report: np.void) -> bytes:
        said = Said(self, report)
        kind, operation = report["kind"], said.operation
        if kind == ReportKind.NEW:
            return said.message(b"A")
        if kind == ReportKind.TRADE:
            return said.message(b"E")
        if kind == ReportKind.CANCELLED:
            said.quantity = int(report["quantity"]) - int(report["filled"])
            return said.message(b"C")
        if kind == ReportKind.REPLACED:
            if operation == names.PART and not said.unsolicited:
                said.quantity = int(report["client_order_tail"])
                return said.message(b"C")
            modified = operation == names.MODIFY and not said.unsolicited
            return said.message(b"M" if modified else b"U")
        if kind == ReportKind.REJECTED:
            return said.message(b"J")
        if self.swept(report):
            return said.message(b"X" if kind == ReportKind.MASS_CANCELLED else b"J")
        if kind == ReportKind.REPLACE_REJECTED:
            return said.message(b"J" if operation in (names.NAMED, names.FOREIGN) else b"I")
        if kind == ReportKind.CANCEL_REJECTED:
            return said.message(b"I")
        if kind == ReportKind.BUSTED:
            return said.message(b"B")
        if kind in (ReportKind.REPRICED, ReportKind.TRIGGERED):
            return said.message(b"R")
        if kind == ReportKind.DECREMENTED:
            return said.message(b"D")
        return said.message(b"S")
