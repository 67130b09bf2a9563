"""A market as a value: what it says, what it sends, and what it reads from a state."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal
from math import lcm
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import matchcore as mc
from matchcore import Market, OrderType, Parameter, Phase, TimeInForce
from matchcore.machine.reference import Machine
from matchcore.records.market import FIELDS, NAMES
from matchcore.records.market_texts import market_changes
from matchcore.records.parameters import PARAMETERS
from matchcore.records.schema import NEW_FLAGS, Flag

ANA = mc.Instrument("ANA", "0.05")
flags = st.sets(st.sampled_from([*NEW_FLAGS])).map(lambda some: Flag(sum(some)))
prices = st.none() | st.integers(-(2**40), 2**40).map(ANA.price)
NAMED = sorted({*FIELDS} - {"first_halt", "second_halt"})


def of_field(name: str) -> st.SearchStrategy[Any]:
    source = FIELDS[name]
    at = [one.name for one in PARAMETERS[source.parameter]].index(source.value)
    bounds = PARAMETERS[source.parameter][at]
    if source.form == "set":
        members = [one for one in source.codes if bounds.most >> one & 1]
        return st.frozensets(st.sampled_from(members))
    if source.form == "flags":
        return flags
    if source.form == "price":
        return prices
    numbers = st.integers(bounds.least, bounds.most)
    if source.form == "percent":
        return numbers.map(lambda count: Decimal(count).scaleb(-2))
    return st.booleans() if source.form == "bool" else numbers


@st.composite
def markets(draw: st.DrawFn) -> Market:
    names = draw(st.sets(st.sampled_from(NAMED), max_size=8))
    given = {name: draw(of_field(name)) for name in sorted(names)}
    start, step, table = 0, draw(st.integers(1, 9)), []
    for _ in range(draw(st.integers(0, 5))):
        table.append((ANA.price(start), ANA.price(step)))
        before, step = step, draw(st.integers(1, 9))
        start = (start // lcm(before, step) + draw(st.integers(1, 5))) * lcm(before, step)
    given["tick_table"] = table
    if draw(st.booleans()):
        given["first_halt"], given["second_halt"] = "1.5", draw(st.sampled_from([0, "1.51", 20]))
    return Market(**given)


def machine_of(market: Market | None, *more: Market) -> Machine:
    machine = Machine()
    machine.apply(mc.encode(mc.AddInstrument(ANA), machine.instruments))
    before = None
    for one in [market, *more] if market else []:
        assert one is not None
        commands = mc.encode_all(one.commands(ANA, before), machine.instruments)
        assert not (machine.apply(commands)["kind"] == mc.EventKind.REJECTED).any()
        before = one
    return machine


def read(machine: Machine) -> Market:
    found = machine.market(1)
    assert found is not None
    return Market.of_rows(found[0], ANA)


def said(market: Market) -> dict[str, Any]:
    """Without a table that says nothing."""
    plain = market.as_plain()
    if [[Decimal(one) for one in row] for row in plain["tick_table"]] == [[0, ANA.tick]]:
        plain["tick_table"] = []
    table = [[Decimal(one) for one in row] for row in plain["tick_table"]]
    closes = {name: plain[name] and Decimal(plain[name])
              for name in ("previous_close", "reference_price")}  # fmt: skip
    return {**plain, "tick_table": table, **closes}


def test_every_value_of_every_parameter_is_a_field() -> None:
    found = sorted((source.parameter, source.value) for source in FIELDS.values())
    declared = sorted(
        (parameter, one.name) for parameter, values in PARAMETERS.items() for one in values
        if parameter != Parameter.TICKS
    )  # fmt: skip
    assert found == declared and {one.name for one in fields(Market)} == {*NAMES}


@given(markets(), markets())
def test_a_market_is_what_its_commands_make(one: Market, other: Market) -> None:
    assert said(read(machine_of(one))) == said(one)
    changed = machine_of(one, other)
    assert said(read(changed)) == said(other)
    assert other.commands(ANA, other) == []
    mine, theirs = changed.market(1), machine_of(other).market(1)
    assert mine is not None and theirs is not None and mine[1] == theirs[1]
    named = [rows[rows["parameter"] != Parameter.TICKS].tolist() for rows, _ in (mine, theirs)]
    assert named[0] == named[1]


def text_of(value: Any) -> str:
    """As somebody would write it at a command line."""
    if isinstance(value, list):
        return ",".join(":".join(one) if isinstance(one, list) else one for one in value)
    known = {True: "yes", False: "no", None: "none"}
    return known[value] if value is None or isinstance(value, bool) else str(value)


@given(markets())
def test_a_market_is_shown_as_json_and_read_again(market: Market) -> None:
    plain = market.as_plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    again = Market(**market_changes(plain))
    assert again == market and hash(again) == hash(market)
    texts = {name: text_of(value) for name, value in plain.items()}
    assert Market(**market_changes(texts)) == market


@given(markets(), markets())
def test_what_differs_is_named(one: Market, other: Market) -> None:
    daily = {Parameter.DAY, Parameter.CLOSING}
    sent = {command.parameter for command in one.commands(ANA, other)} - daily
    assert {*one.differs(other, ANA)} == sent
    assert one.differs(one, ANA) == []


def test_the_usual_market_needs_one_command() -> None:
    (command,) = Market().commands(ANA)
    assert command == mc.SetMarket("ANA", Parameter.TRADING, command.values)
    assert command.values == {one.name: one.default for one in PARAMETERS[Parameter.TRADING]}
    assert read(machine_of(Market())) == Market()
    assert machine_of(None).market(1) is None


def test_a_shorter_table_takes_away_what_is_behind_it() -> None:
    long = Market(tick_table=[(0, "0.05"), (1, "0.1"), (2, "0.2")])
    for rows in ([], [(0, "0.05")], [(0, "0.05"), (1, "0.1")], [(0, "0.05"), (1, "0.2")],
                 [(0, "0.1")]):  # fmt: skip
        short = Market(tick_table=rows)
        assert len(short.commands(ANA, long)) == 1
        assert said(read(machine_of(long, short))) == said(short)
    assert len(long.commands(ANA, Market())) == 3
    assert len(long.commands(ANA, Market(tick_table=[(0, "0.05"), (1, "0.1")]))) == 1


def test_a_market_is_shown_by_what_is_set() -> None:
    assert repr(Market()) == "Market()"
    market = Market(
        order_types=[OrderType.LIMIT, 2], order_flags=Flag.POST_ONLY, amends=False,
        limit_up="10.00", closing_rule=2, previous_close="95.70", tick_table=[(0, "0.05")],
    )  # fmt: skip
    assert repr(market) == (
        "Market(order_types={LIMIT, MARKET}, order_flags={POST_ONLY}, amends=False, limit_up=10,"
        " previous_close=95.70, closing_rule=LAST, tick_table=[(0, 0.05)])"
    )
    assert replace(market, amends=True).amends is True
    assert market.order_types == {OrderType.LIMIT, OrderType.MARKET}
    assert Market(previous_close=0) == Market() and Market(limit_up=0.5) == Market(limit_up="0.50")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"order_types": [99]}, "order_types"), ({"order_types": 5}, "order_types"),
    ({"order_types": [1.5]}, "order_types"), ({"entry_phases": ["CLOSED"]}, "entry_phases"),
    ({"order_flags": Flag.KEEP_PRICE}, "order_flags"), ({"amends": 2}, "amends"),
    ({"group": -1}, "group"), ({"group": 1.0}, "group"), ({"group": True}, "group"),
    ({"top_share": 101}, "top_share"), ({"auction_rule": 3}, "auction_rule"),
    ({"limit_up": "10.001"}, "limit_up"), ({"limit_down": 101}, "limit_down"),
    ({"limit_down": -1}, "limit_down"), ({"limit_up": "much"}, "limit_up"),
    ({"cage": None}, "cage"), ({"previous_close": "x"}, "previous_close"),
    ({"second_halt": 5}, "second_halt"), ({"first_halt": 5, "second_halt": 5}, "second_halt"),
    ({"tick_table": [(1, 1)]}, "tick_table"), ({"tick_table": [(0, 0)]}, "tick_table"),
    ({"tick_table": [(0, 1), (2, 1), (1, 1)]}, "tick_table"), ({"tick_table": 5}, "tick_table"),
    ({"tick_table": [(0, 1), (0, 1)]}, "tick_table"), ({"tick_table": ["ab c"]}, "tick_table"),
    ({"tick_table": [(at, 1) for at in range(17)]}, "tick_table"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "name"), WRONG)
def test_what_no_market_has_is_refused_by_name(given: dict[str, Any], name: str) -> None:
    with pytest.raises(mc.InvalidCommand, match=f"^{name}"):
        Market(**given)


def test_prices_are_on_a_tick_of_the_instrument() -> None:
    for wrong in ({"reference_price": "95.71"}, {"tick_table": [(0, "0.01")]}):
        with pytest.raises(mc.PriceError, match="ANA"):
            Market(**wrong).commands(ANA)  # type: ignore[arg-type]  # of several types


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"previous_close": 2**40}, "previous_close"), ({"reference_price": -(2**40)}, "reference"),
     ({"tick_table": [(0, "0.1"), ("0.15", "0.15")]}, "tick_table"),
     ({"tick_table": [(0, "0.05"), ("0.15", "0.1")]}, "tick_table"),
     ({"tick_table": [(0, "0.05"), (2**40, 1)]}, "tick_table")],
)  # fmt: skip
def test_what_the_exchange_would_refuse_is_not_sent(wrong: dict[str, Any], name: str) -> None:
    with pytest.raises(mc.InvalidCommand, match=f"^{name}"):
        Market(**wrong).commands(ANA)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"order_types": "LIMIT, stop-limit"}, {"order_types": [1, 5]}),
        ({"order_flags": "hidden,POST_ONLY"}, {"order_flags": 17}), ({"order_types": ""}, None),
        ({"cage": "park"}, {"cage": 2}), ({"pro_rata": "yes"}, {"pro_rata": True}),
        ({"previous_close": "none"}, {"previous_close": None}), ({"group": "7"}, {"group": 7}),
        ({"tick_table": "0:0.05,10:0.10"}, {"tick_table": [["0", "0.05"], ["10", "0.10"]]}),
    ],
)  # fmt: skip
def test_parameters_as_texts(text: dict[str, str], expected: dict[str, Any] | None) -> None:
    assert market_changes(text) == (expected or {"order_types": []})


@pytest.mark.parametrize(
    "text",
    [{"colour": "red"}, {"order_types": "LIMIT,ODD"}, {"cage": "OFF,PARK"}, {"cage": ""},
     {"pro_rata": "maybe"}, {"group": "one"}, {"order_types": [1]}],
)  # fmt: skip
def test_texts_that_are_no_parameters(text: dict[str, Any]) -> None:
    with pytest.raises(mc.InvalidCommand, match=next(iter(text))):
        market_changes(text)


def test_the_sets_of_a_market_are_enumerations() -> None:
    market = Market()
    assert market.order_types == {*OrderType} and market.times_in_force == {*TimeInForce}
    assert Phase.CLOSED not in market.entry_phases and np.dtype(mc.PARAMETER).itemsize == 96
