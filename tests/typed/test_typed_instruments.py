"""Instruments and the directory: what can be one, and what two cannot share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore import (
    INSTRUMENT,
    Cancel,
    Directory,
    EndDay,
    Engine,
    Instrument,
    InstrumentConflict,
    InvalidCommand,
    MassCancel,
    NewOrder,
    PriceError,
    Reduce,
    Side,
    UnknownInstrument,
)
from matchcore.records.instruments import read_instrument, write_instrument

MOST = 2**63 - 1
symbols = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=24)


@pytest.mark.parametrize("symbol", ["A", "A" * 24, "~!", "BRK.B", "a", "0", '"', "\\", "A/B"])
def test_a_symbol_is_1_to_24_printable_characters(symbol: str) -> None:
    assert Instrument(symbol, tick=1).symbol == symbol


@pytest.mark.parametrize(
    "symbol",
    ["", "A" * 25, "A B", " A", "A\n", "A\0", "\0", "é", "\uff21", "\x7f", "\x1f", 5, None, b"A"],
)
def test_what_is_no_symbol_is_refused(symbol: Any) -> None:
    with pytest.raises(InvalidCommand, match="symbol"):
        Instrument(symbol, tick=1)


@pytest.mark.parametrize(
    ("tick", "parts"),
    [("0.05", (5, -2)), ("0.0500", (5, -2)), (Decimal("0.50"), (5, -1)), (5, (5, 0)),
     ("100", (100, 0)), ("1e2", (100, 0)), ("1e-18", (1, -18)), (0.25, (25, -2)),
     ("1e18", (10**18, 0)), (str(MOST), (MOST, 0)), ("10.0", (10, 0)), ("1.50", (15, -1)),
     ("0.5000000000000000000000", (5, -1))],
)  # fmt: skip
def test_a_tick_has_the_form_with_the_fewest_decimals(tick: Any, parts: tuple[int, int]) -> None:
    assert Instrument("X", tick).tick_parts == parts


@pytest.mark.parametrize(
    "tick",
    ["0", "0.000", "-0", "-1", -0.05, "1e-19", "0.0000000000000000005", str(MOST + 1), "1e19",
     "1e61", "1e-999999999", "nan", "inf", "", "abc", True, None, b"1", 10**5000,
     "9.3e18"],
    ids=lambda tick: repr(type(tick)),
)  # fmt: skip
def test_what_is_no_tick_is_refused(tick: Any) -> None:
    with pytest.raises(PriceError, match=r"^X: tick"):
        Instrument("X", tick)


@pytest.mark.parametrize("name", ["lot", "max_quantity", "max_orders"])
@pytest.mark.parametrize("value", [0, -1, True, False, 1.0, "1", None, 2**63, Decimal(1)])
def test_what_is_no_limit_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidCommand, match=f"X: {name}"):
        Instrument("X", 1, **{name: value})


def test_limits_are_held_against_each_other_and_against_32_bits() -> None:
    with pytest.raises(InvalidCommand, match="max_quantity 9"):
        Instrument("X", 1, lot=10, max_quantity=9)
    with pytest.raises(InvalidCommand, match="max_orders"):
        Instrument("X", 1, max_orders=2**32)
    edge = Instrument("X", 1, lot=10, max_quantity=10, max_orders=2**32 - 1)
    assert (edge.lot, edge.max_quantity, edge.max_orders) == (10, 10, 2**32 - 1)


def test_numpy_limits_are_kept_as_integers() -> None:
    made = Instrument("X", 1, np.int64(3), np.uint64(9), np.uint32(5))  # type: ignore[arg-type]
    assert made == Instrument("X", 1, 3, 9, 5)
    assert all(type(limit) is int for limit in (made.lot, made.max_quantity, made.max_orders))


def test_an_instrument_does_not_change() -> None:
    instrument = Instrument("X", 1)
    with pytest.raises(AttributeError):
        instrument.lot = 5  # type: ignore[misc]


def test_equal_ticks_make_equal_instruments() -> None:
    one, other = Instrument("X", "0.050"), Instrument("X", Decimal("5E-2"))
    assert one == other and hash(one) == hash(other)
    assert one != Instrument("X", "0.5") and one != Instrument("Y", "0.05")


@given(
    symbols,
    st.integers(1, MOST),
    st.integers(-18, 0),
    st.integers(1, MOST),
    st.integers(1, 2**32 - 1),
    st.data(),
)
def test_an_instrument_comes_back_from_its_record(
    symbol: str, mantissa: int, exponent: int, lot: int, orders: int, data: st.DataObject
) -> None:
    most = data.draw(st.integers(lot, MOST))
    instrument = Instrument(symbol, f"{mantissa}e{exponent}", lot, most, orders)
    row = np.zeros(1, INSTRUMENT)[0]
    write_instrument(row, instrument)
    assert read_instrument(row) == instrument
    assert (row["tick_mantissa"], row["tick_exponent"]) == instrument.tick_parts


ONE, TWO = Instrument("ONE", 1), Instrument("TWO", "0.5")


def test_a_directory_numbers_from_one_in_order_of_entry() -> None:
    directory = Directory([ONE])
    assert directory.add(TWO) == 2
    assert (directory.number("ONE"), directory.number("TWO")) == (1, 2)
    assert (directory[1], directory[2], directory.get("TWO")) == (ONE, TWO, TWO)
    assert list(directory) == [ONE, TWO] and len(directory) == 2
    assert "ONE" in directory and "one" not in directory and 1 not in directory


def test_a_symbol_is_taken_once() -> None:
    directory = Directory([ONE, TWO])
    with pytest.raises(InstrumentConflict, match="ONE"):
        directory.add(Instrument("ONE", "0.5"))
    with pytest.raises(InstrumentConflict):
        Directory([ONE, ONE])
    assert list(directory) == [ONE, TWO]


def test_replacing_keeps_the_symbol_and_the_number() -> None:
    directory = Directory([ONE, TWO])
    finer = Instrument("TWO", "0.25")
    directory.replace(2, finer)
    assert list(directory) == [ONE, finer] and directory.number("TWO") == 2
    with pytest.raises(InstrumentConflict, match="TWO"):
        directory.replace(2, ONE)
    assert directory[2] == finer


@pytest.mark.parametrize("number", [0, -1, 3, 2**32])
def test_an_unknown_number_is_an_unknown_instrument(number: int) -> None:
    directory = Directory([ONE, TWO])
    with pytest.raises(UnknownInstrument, match=f"unknown instrument number {number}"):
        directory[number]
    with pytest.raises(UnknownInstrument):
        directory.replace(number, ONE)


def test_an_unknown_symbol_is_an_unknown_instrument() -> None:
    with pytest.raises(UnknownInstrument, match=r"^unknown instrument 'NO'$"):
        Directory([ONE]).number("NO")
    assert Directory([ONE]).get("NO") is None


def test_an_unknown_symbol_of_any_length_is_named_shortly() -> None:
    with pytest.raises(UnknownInstrument) as caught:
        Directory().number("A" * 10_000)
    assert str(caught.value).startswith("unknown instrument 'AAAA") and len(str(caught.value)) < 80


def test_only_what_may_be_for_all_has_no_symbol() -> None:
    engine = Engine.memory(instruments=[Instrument("A", "1")])
    assert not engine.submit(MassCancel()).rejected and not engine.submit(EndDay()).rejected
    nobody: Any = None
    for command in (NewOrder(nobody, Side.BUY, 1, "1"), Cancel(nobody, 1), Reduce(nobody, 1, 1)):
        with pytest.raises(UnknownInstrument, match=r"^unknown instrument None$"):
            engine.submit(command)
    assert engine.sequence == 3
