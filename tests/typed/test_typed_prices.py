"""Prices at the doors: text, Decimal, int and float in, exact Decimals out, or PriceError."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore import Instrument, InvalidCommand, PriceError, PriceLevel
from matchcore.records.instruments import price_text

MOST, LEAST = 2**63 - 1, -(2**63)
TICKS = ["0.005", "0.25", "1e-9", "5", "0.05", "1e-18", "0.01", "1", "7", "1e18", "0.3",
         "0.000000000000000001", str(MOST), "12.5", "9.223372036854775807"]  # fmt: skip
ANA = Instrument("ANA", tick="0.05")


@pytest.mark.parametrize("tick", TICKS)
@given(ticks=st.one_of(st.integers(LEAST, MOST), st.sampled_from([LEAST, MOST, 0, 1, -1])))
def test_price_text_comes_back_exact(tick: str, ticks: int) -> None:
    instrument = Instrument("X", tick)
    price = instrument.price(ticks)
    assert Fraction(price) == ticks * Fraction(tick)
    assert instrument.ticks(price) == instrument.ticks(price_text(price)) == ticks


@given(ticks=st.integers(LEAST, MOST))
def test_prices_do_not_depend_on_the_decimal_context(ticks: int) -> None:
    expected = str(ANA.price(ticks))
    with localcontext() as context:
        context.prec = 2
        assert str(ANA.price(ticks)) == expected
        assert ANA.ticks(expected) == ticks


@pytest.mark.parametrize("price", ["95.70", "95.7", Decimal("95.7"), 95.7, "9570e-2", "0.957E+2",
                                   "+95.70", " 95.70\n", "000095.700000"])  # fmt: skip
def test_one_price_in_many_forms(price: Any) -> None:
    assert ANA.ticks(price) == 1914


@pytest.mark.parametrize(
    ("price", "ticks"),
    [(3, 60), (-3, -60), (0, 0), (-0.0, 0), ("-0", 0), (".05", 1), ("5.", 100), ("1e2", 2000),
     (1e3, 20000), (Decimal("1E+2"), 2000), ("461168601842738790.35", MOST),
     ("-461168601842738790.40", LEAST)],
)  # fmt: skip
def test_a_price_in_ticks(price: Any, ticks: int) -> None:
    assert ANA.ticks(price) == ticks


NOT_PRICES: list[Any] = [
    "", " ", "abc", "0x10", "1,5", "1.2.3", "--5", "95.70 x 3", "nan", "NaN", "sNaN", "inf", "-inf",
    "Infinity", float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("sNaN"),
    Decimal("-Infinity"), True, False, None, b"95.70", [95.7], (1,), 1j, object(),
    "95.71", 95.71, 0.1 + 0.2, "0.049999999999999999999999", Decimal("0.0500000000000000000001"),
    "461168601842738790.40", "-461168601842738790.45", 10**18, -(10**18), 1e300, -1e300, 5e-324,
    "1e60", "1e61", "1e999999999", "-1e999999999", "1e-999999999", "1e9999999999999999999999",
    "9" * 5000, "0." + "0" * 5000 + "5", 10**5000, -(10**5000), Decimal((0, (1,), 10**9)),
]  # fmt: skip


@pytest.mark.parametrize("price", NOT_PRICES, ids=lambda value: repr(type(value)))
def test_what_is_no_price_is_a_price_error_with_the_symbol(price: Any) -> None:
    with pytest.raises(PriceError, match=r"^ANA: price"):
        ANA.ticks(price)


def test_a_price_error_is_an_invalid_command_and_names_the_neighbours() -> None:
    with pytest.raises(InvalidCommand, match=r"95\.71.*0\.05.*95\.70 and 95\.75"):
        ANA.ticks("95.71")
    with pytest.raises(ValueError, match=r"-95\.75 and -95\.70"):
        ANA.ticks("-95.71")


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(TICKS))
def test_a_float_counts_as_what_it_prints(value: float, tick: str) -> None:
    instrument = Instrument("X", tick)
    assert outcome(instrument, value) == outcome(instrument, repr(value))


def outcome(instrument: Instrument, price: Any) -> int | str:
    try:
        return instrument.ticks(price)
    except PriceError:
        return "refused"


number_texts = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**19), max_value=10**19),
    st.builds("{}e{}".format, st.integers(-(10**6), 10**6), st.integers(-25, 25)),
    st.builds("{}.{}".format, st.integers(-(10**9), 10**9), st.integers(0, 10**6)),
).map(str)


@given(number_texts, st.sampled_from(TICKS))
def test_a_price_is_on_a_tick_or_refused_but_never_rounded(text: str, tick: str) -> None:
    quotient = Fraction(text) / Fraction(tick)
    fits = quotient.denominator == 1 and LEAST <= quotient <= MOST
    assert outcome(Instrument("X", tick), text) == (int(quotient) if fits else "refused")


@given(st.text())
def test_any_text_is_what_decimal_says_it_is_or_refused(text: str) -> None:
    """Digits of other scripts, underscores and spaces around count as Python's Decimal has it."""
    said = outcome(ANA, text)
    assert said == "refused" or Decimal(text) == ANA.price(int(said))


@pytest.mark.parametrize("text", ["٣", "\uff10.\uff10\uff15", "1_000", "\u2003" + "3"])
def test_digits_of_other_scripts_and_underscores_are_exact_or_refused(text: str) -> None:
    said = outcome(ANA, text)
    assert said == "refused" or Decimal(text) == ANA.price(int(said))


@pytest.mark.parametrize("price", [np.float64(95), np.int64(95), np.uint8(95)])
def test_numpy_numbers_are_numbers(price: Any) -> None:
    assert ANA.ticks(price) == 1900 and ANA.ticks(np.float64(95.7)) == 1914


def test_float32_is_not_what_it_prints_and_refused() -> None:
    with pytest.raises(PriceError, match=r"^ANA: price"):
        ANA.ticks(np.float32(95.7))  # type: ignore[arg-type]


@pytest.mark.parametrize("zero", ["0e100", "0e-100", "-0e999", "0." + 70 * "0", Decimal("0E+77")])
def test_zero_is_zero_however_it_is_written(zero: Any) -> None:
    assert ANA.ticks(zero) == 0


@pytest.mark.parametrize("ticks", [1.0, "1", None, Decimal(1)])
def test_the_price_of_what_is_no_number_of_ticks_is_a_type_error(ticks: Any) -> None:
    with pytest.raises(TypeError):
        ANA.price(ticks)


def test_prices_are_shown_without_exponents() -> None:
    fine = Instrument("X", "1e-9")
    texts = [price_text(fine.price(ticks)) for ticks in (0, 1, -1, 10**9)]
    assert texts == ["0.000000000", "0.000000001", "-0.000000001", "1.000000000"]
    assert str(PriceLevel(fine.price(7), 2, 1)) == "0.000000007 x 2"
    with pytest.raises(PriceError, match=r"a tick of 0\.00000001 \(nearest: 0\.00000000 and"):
        Instrument("X", "1e-8").ticks("0.000000001")


def test_a_price_has_as_many_decimals_as_its_tick() -> None:
    assert str(ANA.price(1914)) == "95.70" and str(ANA.price(0)) == "0.00"
    assert str(Instrument("X", "5").price(3)) == "15"
    assert str(Instrument("X", "0.500").price(3)) == "1.5"
    assert str(Instrument("X", "0.005").price(-1)) == "-0.005"
