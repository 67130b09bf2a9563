"""A little language for the rules: what is sent, what is said, and the book after it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore import COMMAND, EventKind, Field, Flag, Kind, OrderType, Reason, Side, TimeInForce

on_both_machines = pytest.mark.parametrize("machine", ["cython", "reference"])
PLAIN = mc.Instrument("PLAIN", tick=1)
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TIFS = {tif.name.lower(): tif for tif in TimeInForce}
KINDS = {"cancel": Kind.CANCEL, "amend": Kind.AMEND, "reduce": Kind.REDUCE,
         "mass": Kind.MASS_CANCEL, "endday": Kind.END_DAY}  # fmt: skip


class Exchange:
    """An engine in memory that is checked after each command, with short words for tests.

    ``buy 1 10@100 ioc acc=7``: id 1, quantity 10, price 100 ticks (``@market``: none);
    ``amend 1 5`` keeps the price, ``amend 1 @101`` the quantity; ``on=2``: instrument 2.
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
        return [shown(event) for event in self.send(**parsed(line))]

    def book(self, number: int = 1) -> str:
        """``100: 1x10 2x5; 99: 3x1 / 101: 4x7``: buys, then sells, best first, in queue order."""
        levels: dict[int, dict[int, list[str]]] = {1: {}, 2: {}}
        for order in self.engine.state().orders[number - 1]:
            queue = levels[int(order["side"])].setdefault(int(order["price"]), [])
            queue.append(f"{order['order_id']}x{order['quantity']}")
        sides = [[f"{p}: {' '.join(q)}" for p, q in levels[side].items()] for side in (1, 2)]
        return " / ".join("; ".join(side) or "-" for side in sides)

    def run(self, script: str) -> None:
        """Lines ``command => events``, ``book => book``, or a command that is not refused.

        A line that ends in a comma goes on in the next.
        """
        for line in re.sub(r",\n\s+", ", ", script.strip()).splitlines():
            said, arrow, expected = (part.strip() for part in line.partition("=>"))
            if said == "book":
                assert self.book() == expected, line
                continue
            events = self.say(said)
            if arrow:
                assert events == [part.strip() for part in expected.split(",")], line
            else:
                assert not events[0].startswith("rejected"), (line, events)


def record_of(fields: dict[str, Any], layout: np.dtype = COMMAND) -> NDArray:
    """One record, of orders or of an `INSTRUMENT`, as a COMMAND array."""
    row = np.zeros(1, layout)
    for name, value in fields.items():
        row[name] = value
    return row.view(COMMAND)


def parsed(line: str) -> dict[str, int]:
    """The fields of a COMMAND from a line of the little language."""
    verb, *words = line.split()
    fields: dict[str, int] = {}
    numbers = [word for word in words if "=" not in word and word not in ("post", *TIFS)]
    if verb in SIDES:
        fields |= {"kind": Kind.NEW, "side": SIDES[verb], "order_type": OrderType.LIMIT}
        fields["time_in_force"] = next((TIFS[w] for w in words if w in TIFS), TimeInForce.GTC)
        fields["flags"] = Flag.POST_ONLY if "post" in words else 0
    else:
        fields["kind"] = KINDS[verb]
    if numbers:
        fields["order_id"] = int(numbers[0])
    if len(numbers) > 1:
        quantity, at, price = numbers[1].partition("@")
        fields["quantity"] = int(quantity or 0)
        fields["price"] = int(price) if at and price != "market" else 0
        if price == "market":
            fields["order_type"] = OrderType.MARKET
        if verb == "amend" and not (quantity and at):
            fields["flags"] = Flag.KEEP_QUANTITY if at else Flag.KEEP_PRICE
    for name, value in (word.split("=") for word in words if "=" in word):
        key = {"acc": "account", "on": "instrument"}.get(name, name)
        fields[key] = SIDES[value] if value in SIDES else int(value)
    return fields


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
    assert event["left"] == event["quantity"]
    return f"{kind.name.lower()} {what}"
