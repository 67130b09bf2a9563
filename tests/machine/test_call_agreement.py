"""The price of a call: both machines, and the rule said once more, over books of every shape.

The compiled machine keeps sums of what is open at each price; the reference looks at all orders
again; `prices_by_rule` tries every price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from flows import definitions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_flows import parameter, phase
from numpy.typing import NDArray
from test_market_agreement import agree, same_state

from matchcore import COMMAND, Instrument, Kind, Machine, OrderType, TimeInForce
from matchcore.machine.reference import Machine as Reference
from matchcore.records.parameters import PRICE_MAX
from matchcore.records.schema import AuctionRule, EventKind, Flag, Parameter, Phase, Place, Side

MINUTE = 60_000_000_000
#: Tables of ticks (from_price, step): the last prices of a row are often those of the next.
TABLES: tuple[tuple[tuple[int, int], ...], ...] = (
    (), (), ((0, 2),), ((0, 5),), ((0, 1), (100, 2)), ((0, 2), (100, 5)), ((0, 5), (95, 1)),
    ((0, 1), (96, 3), (102, 6)), ((0, 7),), ((0, PRICE_MAX),),
)  # fmt: skip
CALLS = (Phase.OPENING_CALL, Phase.OPENING_CALL_LOCKED, Phase.CLOSING_CALL, Phase.VOLATILITY_CALL)


class World(NamedTuple):
    """Where the prices of a flow lie, and how many of its orders are for any price."""

    base: int
    width: int
    any_price: float
    leaps: bool  # now and then an order that outweighs all others


def worlds() -> st.SearchStrategy[World]:
    return st.builds(
        World,
        st.sampled_from((100, 100, 0, -3, PRICE_MAX - 60, 50 - PRICE_MAX)),
        st.sampled_from((1, 3, 10, 40, 3000, 2**38)),
        st.sampled_from((0.0, 0.05, 0.3, 0.8)),
        st.booleans(),
    )


def one(**values: int) -> NDArray:
    row = np.zeros(1, COMMAND)
    for name, value in {"instrument": 1, "time": MINUTE, **values}.items():
        row[name] = value
    return row


def new(rng: np.random.Generator, order_id: int, world: World) -> NDArray:
    """An order for a call, most often a plain one."""
    kind, tif, flags, display = OrderType.LIMIT, TimeInForce.GTC, 0, 0
    quantity = 2 * int(rng.choice((1, 1, 2, 5, rng.integers(1, 50))))
    if world.leaps and rng.random() < 0.1:
        quantity = 2 * int(rng.integers(500, 5000))
    low, high = max(-PRICE_MAX, world.base - world.width), min(PRICE_MAX, world.base + world.width)
    price = int(rng.integers(low, high + 1))
    if rng.random() < world.any_price:
        kind, price = OrderType.MARKET, price if rng.random() < 0.2 else 0
        flags = Flag.PROTECTED if price else 0
        tif = TimeInForce(int(rng.choice((1, 2, 6, 7, 8))))
    elif rng.random() < 0.3:
        draw = rng.random()
        if draw < 0.4:
            display = 2 * int(rng.integers(1, quantity // 2 + 1))
        elif draw < 0.7:
            flags = Flag.HIDDEN
        else:
            tif = TimeInForce(int(rng.choice((6, 7, 8))))
    return one(
        kind=Kind.NEW, order_id=order_id, side=int(rng.integers(1, 3)), order_type=kind,
        time_in_force=tif, price=price, quantity=quantity, display_quantity=display, flags=flags,
        account=int(rng.integers(1, 4)),
    )  # fmt: skip


def change(rng: np.random.Generator, order_id: int, world: World) -> NDArray:
    """A cancel, a smaller quantity, or an amend."""
    kind = Kind(int(rng.choice((Kind.CANCEL, Kind.REDUCE, Kind.AMEND))))
    row = one(kind=kind, order_id=order_id)
    if kind == Kind.REDUCE:
        row["quantity"] = 2 * int(rng.integers(1, 8))
    if kind == Kind.AMEND:
        row["price"] = world.base + int(
            rng.integers(-min(world.width, 40), min(world.width, 40) + 1)
        )
        row["quantity"] = 2 * int(rng.integers(1, 30))
        row["flags"] = int(rng.choice((0, Flag.KEEP_PRICE, Flag.KEEP_QUANTITY)))
    return row


def setting(rng: np.random.Generator, world: World) -> list[NDArray]:
    """Another rule, reference price or table of ticks: orders may be off the ticks then."""
    draw = rng.random()
    if draw < 0.3:
        return [parameter(1, Parameter.AUCTION, rule=int(rng.choice(list(AuctionRule))),
                          interval_ns=int(rng.choice((0, 0, 0, -1, MINUTE))))]  # fmt: skip
    if draw < 0.6:
        near = world.base + int(rng.integers(-min(world.width, 60), min(world.width, 60) + 1))
        return [parameter(1, Parameter.DAY, previous_close=near if rng.random() < 0.7 else 0)]
    table = TABLES[int(rng.integers(0, len(TABLES)))]
    return [parameter(1, Parameter.TICKS, index, from_price=start, step=step)
            for index, (start, step) in enumerate(table)]  # fmt: skip


def call_flow(seed: int, count: int, world: World) -> NDArray:
    """Orders for one market in its calls, which end now and then."""
    rng = np.random.default_rng(seed)
    rows = [phase(1, Phase.CLOSED), phase(1, Phase.OPENING_CALL)]
    busy = rng.choice((0.02, 0.1))
    for step in range(count):
        draw = rng.random()
        if draw < 0.02:
            rows.append(phase(1, int(rng.choice((*CALLS, Phase.CONTINUOUS, Phase.HALTED)))))
            rows.append(phase(1, int(rng.choice(CALLS))))
        elif draw < 0.02 + busy:
            rows.extend(setting(rng, world))
        elif draw < 0.3 and step:
            rows.append(change(rng, int(rng.integers(1, step + 1)), world))
        else:
            rows.append(new(rng, step + 1, world))
    rows.append(phase(1, Phase.CANCEL_ONLY))
    rows.append(phase(1, Phase.CONTINUOUS))
    flow = np.concatenate(rows)
    flow["time"] = MINUTE + np.arange(len(flow)) * (MINUTE // 8)
    return flow


def both() -> tuple[Machine, Reference]:
    pair = Machine(), Reference()
    for machine in pair:
        machine.apply(np.concatenate([definitions(Instrument("ONE", "0.01")), setting_up()]))
    return pair


def setting_up() -> NDArray:
    return parameter(1, Parameter.TRADING)


# ---------------------------------------------------------------------- the rule once more


class Call(NamedTuple):
    """Orders of a call as (side, price, open quantity); price None: any."""

    orders: list[tuple[int, int | None, int]]
    table: tuple[tuple[int, int], ...]
    reference: int | None
    rule: AuctionRule


def on_tick(price: int, table: tuple[tuple[int, int], ...]) -> bool:
    steps = [step for start, step in table if abs(price) >= start] or [1]
    return price % steps[-1] == 0


def prices_by_rule(call: Call) -> tuple[int, int, int] | None:
    """Price, volume and imbalance: every price that an order has or may have is tried."""
    own = {price for _, price, _ in call.orders if price is not None}
    limits = own | ({call.reference} if call.reference is not None else set())
    found = []
    for price in range(min(limits, default=0), max(limits, default=-1) + 1):
        if on_tick(price, call.table) or price in own:
            buys, sells = (
                sum(
                    quantity
                    for side, limit, quantity in call.orders
                    if side == mine and (limit is None or (limit - price) * sign >= 0)
                )
                for mine, sign in ((Side.BUY, 1), (Side.SELL, -1))
            )
            found.append((price, min(buys, sells), buys - sells))
    volume = max((volume for _, volume, _ in found), default=0)
    if not volume:
        return None
    found = [one for one in found if one[1] == volume]
    least = min(abs(one[2]) for one in found)
    found = [one for one in found if abs(one[2]) == least]
    if found[0][2] or found[-1][2]:  # the highest with more bid, the lowest with more offered
        found = [one for one in found if one[2] > 0][-1:] + [one for one in found if one[2] < 0][:1]
    aim = (found[0][0] + found[-1][0]) / 2
    if call.rule != AuctionRule.SSE and call.reference is not None:
        aim = call.reference
    return min(found, key=lambda one: (abs(one[0] - aim), -one[0]))


def call_of(machine: Machine) -> Call | None:
    """The call that the market is in; None: in none."""
    state = machine.state()
    market = state.markets[0]
    if market["phase"] not in CALLS:
        return None
    values = {(int(row["parameter"]), int(row["index"])): row for row in state.market_values}
    auction, day = values.get((Parameter.AUCTION, 0)), values.get((Parameter.DAY, 0))
    close = (int(day["value1"]) if day is not None else 0) or None
    last = int(state.last[0]["price"]) if state.last[0]["traded"] else None
    opening = not market["known"] & 1
    ticks = [row for place, row in sorted(values.items()) if place[0] == Parameter.TICKS]
    return Call(
        [
            (int(order["side"]), None if abs(int(order["price"])) > PRICE_MAX else
             int(order["price"]), int(order["quantity"]))
            for order, more in zip(state.orders[0], state.market_orders, strict=True)
            if more["place"] == Place.BOOK
        ],
        tuple((int(row["value1"]), int(row["value2"])) for row in ticks),
        (last if close is None else close) if opening else last,
        AuctionRule(int(auction["value1"]) if auction is not None else 0),
    )  # fmt: skip


# ---------------------------------------------------------------------- the tests


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 100), worlds())
def test_calls_agree(seed: int, count: int, world: World) -> None:
    fast, slow = both()
    flow = call_flow(seed, count, world)
    for at in range(0, len(flow), 5):
        agree(fast, slow, flow[at : at + 5], 4)
        if at % 40 == 15:
            fast, slow = Machine.from_state(slow.state()), Reference.from_state(fast.state())
    same_state(fast, slow)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 60), worlds())
def test_a_call_has_the_price_of_the_rule(seed: int, count: int, world: World) -> None:
    fast, _ = both()
    told = None
    for row in call_flow(seed, count, world._replace(width=min(world.width, 300))):
        events = fast.apply(row.reshape(1))
        for event in events[events["kind"] == EventKind.INDICATIVE]:
            told = int(event["price"]), int(event["quantity"]), int(event["left"])
        rejected = (events["kind"] == EventKind.REJECTED).any()
        if rejected or row["kind"] in (Kind.SET_MARKET, Kind.SET_PHASE):
            continue  # a parameter is heeded from the next order on
        call = call_of(fast)
        told_now = (events["kind"] == EventKind.INDICATIVE).any()
        if call is not None and told_now:
            assert told == (prices_by_rule(call) or (0, 0, 0))


def test_a_leap_moves_the_price_and_back() -> None:
    """Levels by the thousand between two prices, and an order that comes and goes."""
    fast, slow = both()
    rows = [phase(1, Phase.CLOSED), phase(1, Phase.OPENING_CALL)]
    rows.append(parameter(1, Parameter.AUCTION, interval_ns=-1))  # nothing is told at first
    plain = {"kind": Kind.NEW, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
    for at in range(500):
        side = Side.BUY if at % 2 else Side.SELL
        rows.append(one(order_id=at + 1, side=side, price=70 * at, quantity=at % 5 + 1, **plain))
    rows.append(parameter(1, Parameter.AUCTION))
    for machine in (fast, slow):
        machine.apply(np.concatenate(rows))
    for at in range(6):
        number, side, price = 9000 + at, at % 2 + 1, 40_000 * (1 - at % 2)
        agree(fast, slow, one(order_id=number, side=side, price=price, quantity=10**6, **plain))
        agree(fast, slow, one(kind=Kind.CANCEL, order_id=number))
    agree(fast, slow, phase(1, Phase.CONTINUOUS))
