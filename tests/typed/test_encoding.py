"""The short way into a record, for what is plainly right, gives what the long way gives."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore import (
    Amend,
    Cancel,
    Directory,
    Instrument,
    MatchcoreError,
    NewOrder,
    OrderType,
    PriceError,
    Side,
    TimeInForce,
)
from matchcore.records import codec as encoding
from matchcore.records import instruments
from matchcore.records._quick import MARKET_NAMES, NAMES, quick
from matchcore.records.schema import SelfTrade

DIRECTORY = Directory([Instrument("ANA", "0.05"), Instrument("BOB", "1")])
NOW = 1_700_000_000_000_000_000

integers = st.one_of(
    st.integers(-1, 3),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64]),
    st.sampled_from([True, False, None, 1.0, "1", np.int64(1), np.uint8(7)]),
)
prices = st.one_of(
    st.none(), st.integers(-3, 3), st.booleans(),
    st.sampled_from(["95.70", "95.71", "1e2", " 3", "x", "", 95.7, float("nan"), np.float64(3),
                     np.int64(2), 10**30, "9" * 70, "0" * 70 + "1", b"1"]),
    st.sampled_from(["95.70", "0.1", "sNaN", "Infinity", "1E+2", "1E+99"]).map(Decimal),
)  # fmt: skip
symbols = st.sampled_from(["ANA", "BOB", "EVE", None, 7])
sides = st.one_of(st.sampled_from([*Side]), integers)
tifs = st.one_of(st.none(), st.sampled_from([*TimeInForce]), integers)
#: Fields that only orders of markets have; most draws have few of them.
special = st.fixed_dictionaries(
    {},
    optional={
        "order_type": st.one_of(st.none(), st.sampled_from([*OrderType]), integers),
        "stop_price": prices, "offset": prices, "trailing_percent": prices,
        "display_quantity": integers, "minimum_quantity": integers, "expiry": integers,
        "self_trade": st.one_of(st.sampled_from([*SelfTrade]), integers), "hidden": st.booleans(),
        "slide": st.booleans(), "linked_order_id": integers,
    },
)  # fmt: skip


@st.composite
def new_orders(draw: st.DrawFn) -> NewOrder:
    plain = draw(st.tuples(symbols, sides, integers, prices, tifs, integers, integers, integers,
                           st.booleans(), integers, integers, integers))  # fmt: skip
    return NewOrder(*plain, **(draw(special) if draw(st.booleans()) else {}))


orders = new_orders()
cancels = st.builds(Cancel, symbols, *[integers] * 6)


@given(st.one_of(orders, cancels))
def test_both_ways_give_the_same_record_or_refuse(command: Any) -> None:
    try:
        expected = encoding._pack(command, DIRECTORY, NOW)
    except MatchcoreError:
        with pytest.raises(MatchcoreError):
            encoding.pack(command, DIRECTORY, NOW)
    else:
        assert encoding.pack(command, DIRECTORY, NOW) == expected


def test_the_short_way_is_taken() -> None:
    order = NewOrder("ANA", Side.BUY, 1, "95.70", session=3, client_order_tail=4)
    assert quick(order, DIRECTORY, NOW) == encoding._pack(order, DIRECTORY, NOW)
    cancel = Cancel("ANA", 1, client_order_id=6, session=3, client_order_tail=4)
    assert quick(cancel, DIRECTORY, NOW) == encoding._pack(cancel, DIRECTORY, NOW)


@pytest.mark.parametrize("name", MARKET_NAMES)
def test_the_short_way_is_not_for_what_only_markets_take(name: str) -> None:
    order = NewOrder("ANA", Side.BUY, 1, "95.70")
    setattr(order, name, 7)
    assert quick(order, DIRECTORY, NOW) is None
    delattr(order, name)
    assert quick(order, DIRECTORY, NOW) is None


def test_the_short_way_is_not_for_other_classes() -> None:
    class Mine(Cancel):
        pass

    for command in (Mine("ANA", 1), Amend("ANA", 1, 2), Instrument("EVE", 1), None):
        assert quick(command, DIRECTORY, NOW) is None  # type: ignore[arg-type]  # what is not one


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_was_deleted_is_named(name: str) -> None:
    order = NewOrder("ANA", Side.BUY, 1, "95.70")
    delattr(order, name)
    with pytest.raises(AttributeError, match=name):
        encoding.pack(order, DIRECTORY)


ALIKE: list[tuple[Any, Any]] = [
    (1, True), (0, False), (0, -0.0), (1, 1.0), (1, Decimal(1)), (1.0, True), (Decimal("1.0"), "1"),
    (0.1, Decimal.from_float(0.1)), (np.float64(0.1), 0.1), ("1", "\uff11"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [*ALIKE, *[(b, a) for a, b in ALIKE]])
def test_prices_that_a_dict_takes_for_one_are_kept_apart(one: Any, other: Any) -> None:
    instrument = Instrument("ANA", "0.05")
    directory = Directory([instrument])
    for price in (one, other, one, other):
        try:
            expected = instrument.ticks(price)
        except PriceError as error:
            with pytest.raises(PriceError) as caught:
                directory.ticks(1, price)
            assert str(caught.value) == str(error)
        else:
            assert directory.ticks(1, price) == expected


def test_another_tick_forgets_what_prices_were() -> None:
    directory = Directory([Instrument("ANA", "0.05")])
    assert directory.ticks(1, "1") == 20
    directory.replace(1, Instrument("ANA", "0.5"))
    assert directory.ticks(1, "1") == 2


def test_no_more_prices_are_remembered_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "TICKS_KNOWN_MAX", 10)
    directory = Directory([Instrument("ANA", "1")])
    for price in range(100):
        assert directory.ticks(1, price) == directory.ticks(1, str(price)) == price
        assert len(directory._ticks[0]) <= 10
    assert directory.ticks(1, "0" * 1000 + "7") == 7
    assert 0 < max(len(str(known)) for known in directory._ticks[0]) <= instruments.DIGITS_MAX
