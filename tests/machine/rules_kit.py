"""A little language for the rules: what is sent, what is said, and the book after it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore import COMMAND, EventKind, Field, Flag, Kind, OrderType, Reason, Side, TimeInForce
from matchcore.records.commands import LIMITS
from matchcore.records.markets import PARAMETER, PARAMETERS, PHASE, PROTECTION
from matchcore.records.schema import ORDER_EVENTS, Parameter, Phase, Place, SelfTrade

on_both_machines = pytest.mark.parametrize("machine", ["cython", "reference"])
PLAIN = mc.Instrument("PLAIN", tick=1)
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TIFS = {tif.name.lower(): tif for tif in TimeInForce}
KINDS = {"cancel": Kind.CANCEL, "amend": Kind.AMEND, "reduce": Kind.REDUCE,
         "mass": Kind.MASS_CANCEL, "endday": Kind.END_DAY, "quote": Kind.QUOTE,
         "clock": Kind.CLOCK, "bust": Kind.BUST}  # fmt: skip
TYPES = {kind.name.lower(): kind for kind in OrderType}
FLAGS = {"post": Flag.POST_ONLY} | {flag.name.lower(): flag for flag in Flag if flag.name}
MODES = {mode.name.lower(): mode for mode in SelfTrade}
WORDS = TIFS | TYPES | FLAGS
#: Short names of fields.
NAMES = {"acc": "account", "on": "instrument", "stop": "stop_price", "offset": "stop_price",
         "least": "stop_price", "away": "stop_price", "to": "stop_price",
         "show": "display_quantity", "link": "display_quantity"}  # fmt: skip
#: Fields that set a flag, too.
IMPLIED = {"least": Flag.MINIMUM, "link": Flag.LINKED}
AMENDED = {"stop": Flag.NEW_STOP, "show": Flag.NEW_DISPLAY}
QUOTED_FIELDS = (("quantity", "price"), ("display_quantity", "stop_price"))
#: Verbs of commands in a layout of their own, and the field that a word after them is of.
OPERATIONS = {"set": (Kind.SET_MARKET, PARAMETER), "phase": (Kind.SET_PHASE, PHASE),
              "protect": (Kind.SET_PROTECTION, PROTECTION),
              "limit": (Kind.SET_LIMITS, LIMITS)}  # fmt: skip


class Exchange:
    """An engine in memory that is checked after each command, with short words for tests.

    ``buy 1 10@100 ioc acc=7``: id 1, quantity 10, price 100 ticks (``@market``: none);
    ``amend 1 5`` keeps the price, ``amend 1 @101`` the quantity; ``on=2``: instrument 2.
    Of a market: ``sell 2 5 stop stop=98``, ``buy 3 5 peg_primary offset=-1 hidden``,
    ``buy 4 9@100 least=5``, ``sell 5 9@102 link=2``, ``buy 6 9@100 show=3``;
    ``amend 2 stop=97``, ``amend 6 8 show=2``; ``quote 10@99 10@101 acc=7`` (``-``: no such side);
    ``set day reference=100``, ``set ticks 1 from_price=50 step=5``; ``phase opening_call``;
    ``protect acc=7 max_fills=2 window_ns=5``; ``limit acc=7 collar=3``; ``clock``; ``bust 3``.
    """

    def __init__(self, machine: str, *instruments: mc.Instrument) -> None:
        self.engine = mc.Engine.memory(instruments=instruments or (PLAIN,), machine=machine)
        self.trades = 0

    def send(self, **fields: int) -> NDArray:
        """One order command; its events, after what must hold of every command's events."""
        return self.submit(record_of({"instrument": 1, **fields}))

    def submit(self, record: NDArray) -> NDArray:
        sequence = self.engine.sequence + 1
        events = self.engine.submit_batch(record)
        new = mc.fresh(events)
        assert len(new) and (new["sequence"] == sequence).all()
        assert self.engine.sequence == sequence
        ids = new["trade_id"][new["kind"] == EventKind.TRADED].tolist()
        assert ids == list(range(self.trades + 1, self.trades + 1 + len(ids)))
        self.trades += len(ids)
        of_orders = np.isin(events["kind"], [EventKind.ACCEPTED, EventKind.TRADED])
        assert (events["quantity"][of_orders] > 0).all()
        self.engine._check()
        return events

    def say(self, line: str) -> list[str]:
        """Sends a line of the little language; one text for each event."""
        layout = OPERATIONS[line.split()[0]][1] if line.split()[0] in OPERATIONS else COMMAND
        record = record_of({"instrument": 1, **parsed(line)}, layout)
        return [shown(event) for event in self.submit(record)]

    def book(self, number: int = 1) -> str:
        """``100: 1x10 2x5; 99: 3x1 / 101: 4x7``: buys, then sells, best first, in queue order.

        Of a market: what is in the book; ``1x10(4)`` shows 4 of 10.
        """
        levels: dict[int, dict[int, list[str]]] = {1: {}, 2: {}}
        for order, more in self._orders(number):
            if more is not None and more["place"] != Place.BOOK:
                continue
            queue = levels[int(order["side"])].setdefault(int(order["price"]), [])
            part = more is not None and more["shown"] != order["quantity"]
            queue.append(f"{order['order_id']}x{order['quantity']}")
            queue[-1] += f"({more['shown']})" if part else ""
        sides = [[f"{p}: {' '.join(q)}" for p, q in levels[side].items()] for side in (1, 2)]
        return " / ".join("; ".join(side) or "-" for side in sides)

    def waiting(self, number: int = 1) -> str:
        """``stops 3x10@105 4x5@98 / caged 5x1@120``: the orders of a market that wait elsewhere.

        At their stop prices, where they have any.
        """
        places: dict[int, list[str]] = {}
        for order, more in self._orders(number):
            if more["place"] != Place.BOOK:
                stopped = more["place"] in (Place.STOPS, Place.TRAILING)
                at = more["stop_price"] if stopped else order["price"]
                one = f"{order['order_id']}x{order['quantity']}@{at}"
                places.setdefault(int(more["place"]), []).append(one)
        said = [" ".join([Place(place).name.lower(), *mine]) for place, mine in places.items()]
        return " / ".join(said) or "-"

    def _orders(self, number: int) -> list[tuple[Any, Any]]:
        """The orders of an instrument, with what they have as those of a market."""
        state = self.engine.state()
        orders = state.orders[number - 1]
        more = state.market_orders[state.market_orders["instrument"] == number]
        return list(zip(orders, more if len(more) else [None] * len(orders), strict=True))

    def run(self, script: str) -> None:
        """Lines ``command => events``, ``book => book``, ``waiting => what waits``, or a command
        that is not refused.

        A line that ends in a comma goes on in the next.
        """
        for line in re.sub(r",\n\s+", ", ", script.strip()).splitlines():
            said, arrow, expected = (part.strip() for part in line.partition("=>"))
            if said in ("book", "waiting"):
                found = self.book() if said == "book" else self.waiting()
                assert found == expected, (line, found)
                continue
            events = self.say(said)
            if arrow:
                assert events == [part.strip() for part in expected.split(",")], (line, events)
            else:
                assert not events[0].startswith("rejected"), (line, events)


def record_of(fields: dict[str, Any], layout: np.dtype = COMMAND) -> NDArray:
    """One record, of orders or of an `INSTRUMENT`, as a COMMAND array."""
    row = np.zeros(1, layout)
    for name, value in fields.items():
        row[name] = value
    return row.view(COMMAND)


def parsed(line: str) -> dict[str, int]:
    """The fields of a command from a line of the little language."""
    verb, *words = line.split()
    if verb in OPERATIONS:
        return _operation(verb, words)
    fields: dict[str, int] = {}
    numbers = [word for word in words if "=" not in word and word not in WORDS]
    if verb in SIDES:
        fields |= {"kind": Kind.NEW, "side": SIDES[verb]}
        fields["order_type"] = next((TYPES[w] for w in words if w in TYPES), OrderType.LIMIT)
        fields["time_in_force"] = next((TIFS[w] for w in words if w in TIFS), TimeInForce.GTC)
    else:
        fields["kind"] = KINDS[verb]
    fields["flags"] = sum(FLAGS[word] for word in words if word in FLAGS)
    if verb == "quote":
        for (quantity, price), word in zip(QUOTED_FIELDS, numbers, strict=True):
            fields[quantity], fields[price] = (0, 0) if word == "-" else map(int, word.split("@"))
    elif numbers:
        fields["order_id"] = int(numbers[0])
    if len(numbers) > 1 and verb != "quote":
        quantity, at, price = numbers[1].partition("@")
        fields["quantity"] = int(quantity or 0)
        fields["price"] = int(price) if at and price != "market" else 0
        if price == "market":
            fields["order_type"] = OrderType.MARKET
        if verb == "amend" and not (quantity and at):
            fields["flags"] |= Flag.KEEP_QUANTITY if at else Flag.KEEP_PRICE
    elif verb == "amend":
        fields["flags"] |= Flag.KEEP_PRICE | Flag.KEEP_QUANTITY
    for name, value in (word.split("=") for word in words if "=" in word):
        changes = AMENDED.get(name, 0) if verb == "amend" else IMPLIED.get(name, 0)
        fields["flags"] |= changes
        fields[NAMES.get(name, name)] = _number(value)
    return fields


def _operation(verb: str, words: list[str]) -> dict[str, int]:
    """The fields of a command in a layout of its own."""
    fields: dict[str, int] = {"kind": OPERATIONS[verb][0]}
    given = {NAMES.get(name, name): _number(value)
             for name, value in (word.split("=") for word in words if "=" in word)}  # fmt: skip
    plain = [word for word in words if "=" not in word]
    if verb == "phase":
        fields["phase"] = Phase[plain[0].upper()]
    if verb == "set":
        code = Parameter[plain[0].upper()]
        fields |= {"parameter": code, "index": int(plain[1]) if len(plain) > 1 else 0}
        for at, one in enumerate(PARAMETERS[code], 1):
            fields[f"value{at}"] = given.pop(one.name, one.default)
    return fields | given


def _number(value: str) -> int:
    return int((SIDES | MODES)[value]) if value in SIDES | MODES else int(value)


def shown(event: Any) -> str:
    kind = EventKind(int(event["kind"]))
    what = f"{event['order_id']} {event['quantity']}@{event['price']}"
    reason = Reason(int(event["reason"])).name
    if kind == EventKind.TRADED:
        left = f"{event['left']}/{event['taker_left']}"
        return f"trade {what} by {event['taker_order_id']} left {left}"
    if kind == EventKind.REJECTED:
        return f"rejected {reason} {Field(int(event['field'])).name}"
    if kind in (EventKind.MASS_CANCELLED, EventKind.DAY_ENDED):
        return f"{kind.name.lower()} {event['quantity']}"
    if kind == EventKind.CANCELLED:
        assert event["left"] == 0
        return f"cancelled {what} {reason}"
    if kind == EventKind.DECREMENTED:
        return f"decremented {what} left {event['left']}"
    if kind not in ORDER_EVENTS:
        return _of_market(kind, event, reason)
    assert event["left"] == event["quantity"]
    return f"{kind.name.lower()} {what}"


def _of_market(kind: EventKind, event: Any, reason: str) -> str:
    """The text of an event about no order."""
    at = f"{event['quantity']}@{event['price']}"
    match kind:
        case EventKind.PHASE_CHANGED:
            why = "" if reason == "NONE" else f" {reason}"
            return f"phase {Phase(int(event['left'])).name.lower()} {at}{why}"
        case EventKind.INDICATIVE:
            return f"indicative {at} over {event['left']}"
        case EventKind.MARKET_SET:
            return f"market_set {Parameter(int(event['order_id'])).name.lower()}"
        case EventKind.QUOTE_SET:
            return f"quote_set -{event['quantity']} +{event['left']}"
        case EventKind.BUSTED:
            return f"busted {event['trade_id']} {at}"
        case EventKind.PROTECTION_SET:
            limits = f"{event['quantity']}/{event['left']}"
            return f"protection_set {event['account']} {limits} group {event['trade_id']}"
    return f"{kind.name.lower()} {event['quantity']} {event['left']}"
