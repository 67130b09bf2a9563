"""Random flows for markets: every kind, type, flag, phase and parameter, in small worlds.

Prices lie near 100, ids and accounts are few, so that orders meet.  Most commands are legal in some
phase; phases, parameters and time move all the while.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flows import definitions
from numpy.typing import NDArray

from matchcore import COMMAND, LIMITS, Instrument, Kind, OrderType, TimeInForce
from matchcore.records.markets import PARAMETER, PHASE, PROTECTION
from matchcore.records.parameters import PARAMETERS, Value
from matchcore.records.schema import (
    AUCTION_TIFS,
    NEXT_PHASES,
    PEG_TYPES,
    STOP_TYPES,
    TIMED_PHASES,
    UNPRICED_TYPES,
    Flag,
    Parameter,
    Phase,
    SelfTrade,
)

SECOND = 1_000_000_000
WORLD = (
    Instrument("ONE", "0.01", max_orders=40),
    Instrument("TWO", "0.5", lot=2, max_quantity=999),
    Instrument("PLAIN", "1"),
)


def parameter(number: int, code: Parameter, index: int = 0, /, **values: int) -> NDArray:
    """A SET_MARKET of some values; the others are as at first."""
    record = np.zeros(1, PARAMETER)
    row = record[0]
    row["kind"], row["instrument"] = Kind.SET_MARKET, number
    row["parameter"], row["index"] = code, index
    for at, one in enumerate(PARAMETERS[code], 1):
        row[f"value{at}"] = values.pop(one.name, one.default)
    assert not values, values
    return record.view(COMMAND)


def phase(number: int, code: int, until: int = 0, flags: int = 0, group: int = 0) -> NDArray:
    """A SET_PHASE."""
    record = np.zeros(1, PHASE)
    row = record[0]
    row["kind"], row["instrument"], row["phase"], row["until"] = Kind.SET_PHASE, number, code, until
    row["flags"], row["group"] = flags, group
    return record.view(COMMAND)


def protection(account: int, number: int = 0, **values: int) -> NDArray:
    """A SET_PROTECTION."""
    record = np.zeros(1, PROTECTION)
    record["kind"], record["account"], record["instrument"] = Kind.SET_PROTECTION, account, number
    for name, value in values.items():
        record[name] = value
    return record.view(COMMAND)


def world() -> NDArray:
    """Three instruments, two of them with a market that allows everything."""
    return np.concatenate(
        [definitions(*WORLD), parameter(1, Parameter.TRADING), parameter(2, Parameter.TRADING)]
    )


class Flow:
    """What a flow remembers of its own commands: phases, orders and what it may send again."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.time = SECOND
        self.phases = dict.fromkeys((1, 2), int(Phase.CONTINUOUS))
        self.orders: list[tuple[int, int, int]] = []  # instrument, id, account
        self.sent: list[NDArray] = []
        self.steady = rng.random() < 0.5  # a flow that stays in continuous trading for long
        self.lively = rng.choice([0.0, 0.3, 1.0])  # how often parameters are set
        self.limited = rng.random() < 0.3  # whether accounts get limits
        # a flow of its own kind: what one order in three is of
        self.types = [int(kind) for kind in rng.choice([int(one) for one in OrderType], 2)]
        self.owner = int(rng.integers(0, 5)) if rng.random() < 0.3 else None

    def odd(self, number: int) -> bool:
        return self.phases.get(number, Phase.CONTINUOUS) != Phase.CONTINUOUS

    def recent(self) -> tuple[int, int, int]:
        """An order that may still be there."""
        return self.orders[-1 - int(self.rng.integers(0, min(len(self.orders), 40)))]


def market_flow(seed: int, count: int) -> NDArray:
    """`count` commands for the instruments of `world`, as a `COMMAND` array."""
    flow = Flow(seed)
    rng = flow.rng
    for step in range(count):
        flow.time += int(rng.integers(0, SECOND // 5))
        moving = 0.12 if flow.odd(1) or flow.odd(2) else 0.004 if flow.steady else 0.03
        draw = rng.random()
        if draw < moving:
            row = _phase(flow)
        elif draw < moving + 0.03:
            row = _operation(flow)
        elif draw < moving + 0.05 and flow.sent:
            row = flow.sent[-1 - int(rng.integers(0, min(len(flow.sent), 30)))].copy()
        else:
            row = _order(flow)
            row["client_order_id"] = (seed % 2**32 << 20) + step + 1 if rng.random() < 0.5 else 0
        row["time"] = flow.time if rng.random() < 0.98 else flow.time - SECOND
        flow.sent.append(row)
    return np.concatenate(flow.sent) if flow.sent else np.empty(0, COMMAND)


def _pick(rng: np.random.Generator, values: Any, *weights: float) -> int:
    """One of some values; weights are of the first ones, the others share what is left."""
    values = [int(value) for value in values]
    rest = len(values) - len(weights)
    shares = [*weights, *[(1 - sum(weights)) / rest] * rest] if rest else list(weights)
    return int(rng.choice(values, p=np.array(shares) / sum(shares)))


def _number(rng: np.random.Generator) -> int:
    return _pick(rng, (1, 2, 3), 0.72, 0.25)


def _phase(flow: Flow) -> NDArray:
    rng, number = flow.rng, _pick(flow.rng, (0, 1, 2, 3), 0.5, 0.3)
    before = Phase(flow.phases[number if number in flow.phases else 1])
    following = sorted(NEXT_PHASES[before])
    if Phase.CONTINUOUS in following and rng.random() < 0.4:
        code = Phase.CONTINUOUS
    else:
        code = Phase(_pick(rng, following if rng.random() < 0.9 else list(Phase)))
    until = flow.time + SECOND if code in TIMED_PHASES and rng.random() < 0.5 else 0
    until += int(rng.random() < 0.02)
    for one in flow.phases if number == 0 else (number,):
        if one in flow.phases:
            flow.phases[one] = int(code)
    return phase(number, code, until, int(rng.random() < 0.03), int(rng.random() < 0.05))


def _value(rng: np.random.Generator, code: Parameter, one: Value) -> int:
    """A value that is likely to be met."""
    usual = {
        "step": (1, 2, 5), "from_price": (0, 98, 100), "rule": (0, 1, 2), "mode": (0, 1, 2),
        "part": (100, 300), "ticks": (0, 2), "static": (0, 600), "dynamic": (0, 400),
        "duration_ns": (0, SECOND), "first": (300, 400), "second": (0, 700),
        "previous_close": (0, 100), "reference": (0, 100), "up": (0, 500), "down": (0, 500),
        "interval_ns": (0, -1, SECOND), "top_share": (0, 20), "least": (0, 2),
        "buy_step": (0, 2), "limit_most": (0, 40), "buy_least": (0, 4), "sell_least": (0, 4),
        "market_most": (0, 20), "value_most": (0, 2500), "display_least": (0, 2),
        "group": (0, 1), "listed_days": (0, 2), "free_days": (0, 5), "from_ns": (0, 5 * SECOND),
        "window_ns": (0, SECOND, SECOND // 3),
        "call_types": (one.default, 6, 2),
    }.get(one.name, (one.default,))  # fmt: skip
    if code == Parameter.CLOSING and one.name == "rule":
        usual = (0, 1, 2)
    wrong = (one.least - 1, one.most + 1, -5)
    value = int(rng.choice(wrong if rng.random() < 0.02 else usual))
    return max(-(2**63), min(value, 2**63 - 1))


def _operation(flow: Flow) -> NDArray:
    rng = flow.rng
    draw, number = rng.random(), _number(rng)
    if draw < 0.4 * flow.lively:
        code = Parameter(_pick(rng, Parameter))
        index = int(rng.integers(0, 3)) if code == Parameter.TICKS else int(rng.random() < 0.02)
        return parameter(
            number, code, index, **{one.name: _value(rng, code, one) for one in PARAMETERS[code]}
        )
    row = np.zeros(1, COMMAND)
    row["instrument"] = number
    if draw < 0.75:
        row["kind"] = Kind.CLOCK
        row["instrument"] = _pick(rng, (0, 1, 2, 3), 0.6)
    elif draw < 0.83:
        account = int(rng.integers(0, 5))
        if rng.random() < 0.5:
            return protection(account, 0, group=int(rng.integers(0, 2)))
        return protection(account, number, max_fills=2, window_ns=SECOND * int(rng.integers(0, 3)))
    elif draw < 0.87:
        row["kind"], row["order_id"] = Kind.BUST, int(rng.integers(0, 30))
    elif draw < 0.91 and flow.limited:
        return _limits(rng, number)
    elif draw < 0.96:
        row["kind"], row["account"] = Kind.MASS_CANCEL, int(rng.integers(0, 5))
        row["instrument"] = _pick(rng, (0, 1, 2, 3), 0.3)
        row["flags"] = _pick(rng, (0, Flag.RANGE, Flag.OF_SESSION, 3), 0.5, 0.25)
        row["price"], row["stop_price"] = 99, int(rng.integers(98, 103))
        row["session"] = int(rng.integers(0, 3))
    else:
        row["kind"], row["instrument"] = Kind.END_DAY, _pick(rng, (0, 1, 2, 3), 0.3)
    return row


def _limits(rng: np.random.Generator, number: int) -> NDArray:
    """A SET_LIMITS, now and then one that cancels."""
    record = np.zeros(1, LIMITS)
    record["kind"], record["account"] = Kind.SET_LIMITS, int(rng.integers(1, 5))
    record["instrument"] = number if rng.random() < 0.5 else 0
    draw = rng.random()
    if draw < 0.3:
        record["flags"] = _pick(rng, (1, 3))
    elif draw < 0.7:
        record["max_open_orders"], record["max_quantity"] = int(rng.integers(1, 6)), 20
    elif draw < 0.8:
        record["collar"], record["max_value"] = 4, 2000
    elif draw < 0.9:
        record["max_messages"], record["window_ns"] = 3, SECOND
    return record.view(COMMAND)


def _order(flow: Flow) -> NDArray:
    rng, time = flow.rng, flow.time
    row = np.zeros(1, COMMAND)
    row["kind"] = _pick(
        rng, (Kind.NEW, Kind.CANCEL, Kind.AMEND, Kind.REDUCE, Kind.QUOTE), 0.66, 0.07, 0.16, 0.05
    )
    row["instrument"] = _number(rng)
    row["order_id"] = int(rng.integers(1, 400)) if rng.random() < 0.9 else 0
    row["account"] = int(rng.integers(0, 5)) if flow.owner is None else flow.owner
    if row["kind"][0] in (Kind.CANCEL, Kind.AMEND, Kind.REDUCE) and flow.orders:
        row["instrument"], row["order_id"], account = flow.recent()
        row["account"] = account if rng.random() < 0.9 else 0
    row["side"] = int(rng.integers(1, 3))
    row["price"] = int(rng.integers(94, 107))
    row["quantity"] = 2 * int(rng.integers(1, 15)) if rng.random() < 0.8 else rng.integers(1, 30)
    row["session"] = int(rng.integers(0, 3))
    fill = {Kind.NEW: _new, Kind.AMEND: _amend, Kind.QUOTE: _quote}.get(Kind(int(row["kind"][0])))
    if fill is not None:
        fill(rng, row[0], time)
    if row["kind"][0] == Kind.NEW:
        _adapt(flow, row[0])
        flow.orders.append(tuple(int(row[0][one]) for one in ("instrument", "order_id", "account")))
    for name, values in {
        "flags": (1, 2, 2**14, 2**15), "reserved": (1,), "self_trade": (5, 255), "expiry": (1, -1),
        "stop_price": (1, -(2**63), 2**40 + 1), "display_quantity": (1, -1), "side": (0, 3),
        "price": (0, 2**40 + 1, -(2**63), 2**63 - 1), "quantity": (0, -1, 2**62, 2**63 - 1),
        "order_type": (0, 14), "time_in_force": (0, 9), "instrument": (0, 4), "account": (0,),
    }.items():  # fmt: skip
        if rng.random() < 0.004:
            row[name] = rng.choice(np.array(values, object))
    return row


def _adapt(flow: Flow, row: Any) -> None:
    """An order that the phase, as the flow knows it, is likely to take; one of the flow's kind."""
    rng = flow.rng
    if flow.odd(int(row["instrument"])) and rng.random() < 0.9:
        row["order_type"] = _pick(rng, (OrderType.LIMIT, OrderType.MARKET), 0.8)
        row["flags"] &= int(Flag.HIDDEN) if row["order_type"] == OrderType.LIMIT else 0
        row["stop_price"] = row["expiry"] = row["display_quantity"] = 0
        tif = _pick(rng, (TimeInForce.GTC, TimeInForce.DAY, *sorted(AUCTION_TIFS)), 0.6, 0.2)
        row["time_in_force"] = TimeInForce.DAY if row["flags"] else tif
        if row["order_type"] == OrderType.MARKET:
            row["price"] = 0
    if rng.random() < 0.1 and flow.orders:  # a pair with one that may be there
        number, order_id, account = flow.recent()
        row["instrument"], row["account"], row["display_quantity"] = number, account, order_id
        row["order_type"], row["flags"] = OrderType.LIMIT, Flag.LINKED
        row["time_in_force"], row["stop_price"] = TimeInForce.GTC, 0
        row["expiry"], row["price"] = 0, int(rng.integers(94, 107))


def _new(rng: np.random.Generator, row: Any, time: int) -> None:
    kind = _pick(rng, OrderType, 0.55, 0.07)
    tif = _pick(rng, TimeInForce, 0.5, 0.15, 0.06, 0.05, 0.1)
    flags = 0
    if kind not in (OrderType.LIMIT, OrderType.MARKET) and rng.random() < 0.9:
        tif = _pick(rng, (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD))
    if kind in UNPRICED_TYPES:
        if rng.random() < 0.3:
            flags |= Flag.PROTECTED
        else:
            row["price"] = 0
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        row["stop_price"] = int(rng.integers(94, 107))
    elif kind in STOP_TYPES:
        percent = rng.random() < 0.4
        flags |= Flag.PERCENT if percent else 0
        row["stop_price"] = rng.integers(100, 400) if percent else rng.integers(1, 5)
    elif kind in PEG_TYPES:
        row["stop_price"] = int(rng.integers(-3, 3))
        flags |= Flag.HIDDEN if rng.random() < 0.2 else 0
    elif rng.random() < 0.1 and tif not in AUCTION_TIFS:
        flags |= Flag.MINIMUM
        row["stop_price"] = int(rng.integers(1, max(2, int(row["quantity"]) + 1)))
    if kind == OrderType.LIMIT and rng.random() < 0.4:
        draw = rng.random()
        if draw < 0.45:
            row["display_quantity"] = 2 * int(rng.integers(1, 4))
        else:
            flags |= _pick(rng, (Flag.POST_ONLY, Flag.SLIDE, Flag.HIDDEN))
    if kind in (OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT) and rng.random() < 0.12:
        flags |= Flag.LINKED
        row["display_quantity"] = int(rng.integers(1, 70))
    if tif == TimeInForce.GTD:
        row["expiry"] = time + int(rng.integers(0, 8)) * SECOND
    row["order_type"], row["time_in_force"], row["flags"] = kind, tif, flags
    row["self_trade"] = _pick(rng, SelfTrade, 0.5)


def _amend(rng: np.random.Generator, row: Any, time: int) -> None:
    flags = _pick(
        rng, (0, Flag.KEEP_PRICE, Flag.KEEP_QUANTITY, 6, Flag.TOTAL), 0.2, 0.35, 0.25, 0.1
    )
    if rng.random() < 0.15:
        flags |= Flag.NEW_STOP
        row["stop_price"] = int(rng.integers(94, 107))
    if rng.random() < 0.1:
        flags |= Flag.NEW_DISPLAY
        row["display_quantity"] = 2 * int(rng.integers(0, 5))
    row["flags"] = flags


def _quote(rng: np.random.Generator, row: Any, time: int) -> None:
    row["order_id"], row["account"] = 0, int(rng.integers(0, 3))
    row["stop_price"] = int(row["price"]) + int(rng.integers(0, 6))
    row["display_quantity"] = 2 * int(rng.integers(0, 8))
    row["self_trade"] = _pick(rng, SelfTrade, 0.6)
    if rng.random() < 0.15:
        row["quantity"] = row["price"] = 0
