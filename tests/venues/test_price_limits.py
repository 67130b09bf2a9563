"""Price limits in whole ticks against decimal arithmetic, and against the reference machine."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore import markets
from matchcore.machine.reference.market.book import MarketBook
from matchcore.records.parameters import PARAMETERS
from matchcore.records.schema import Parameter
from matchcore.venues import VenueDay, price_limits

RATES = (5, 10, 20, 30, 36, 44)


def by_decimals(close: int, percent: int) -> int:
    """``close`` and the result in ticks; a negative ``percent`` is a limit downwards."""
    exact = Decimal(close) * (100 + percent) / 100
    rounded = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    return max(rounded, close + 1) if percent > 0 else min(rounded, close - 1)


@pytest.mark.parametrize(
    ("close", "rate", "lowest", "highest"),
    [  # worked by hand
        ("1808.00", 10, "1627.20", "1988.80"),
        ("10.05", 10, "9.05", "11.06"),  # 9.045 and 11.055 are rounded up
        ("3.33", 5, "3.16", "3.50"),  # 3.1635, 3.4965
        ("2.90", 5, "2.76", "3.05"),  # 2.755, 3.045
        ("12.34", 20, "9.87", "14.81"),  # 9.872, 14.808
        ("10.01", 30, "7.01", "13.01"),  # 7.007, 13.013
        ("0.04", 10, "0.03", "0.05"),  # 0.036 and 0.044 would be the close
        ("0.05", 10, "0.04", "0.06"),  # 0.045 would be the close, 0.055 is rounded up
        ("0.01", 5, "0.00", "0.02"),
    ],
)
def test_worked_by_hand(close: str, rate: int, lowest: str, highest: str) -> None:
    ticks = int(Decimal(close) * 100)
    found = price_limits(ticks, rate * 100, rate * 100)
    assert [Decimal(one or 0) / 100 for one in found] == [Decimal(lowest), Decimal(highest)]


@pytest.mark.parametrize("rate", RATES)
def test_every_close_up_to_300(rate: int) -> None:
    for close in range(1, 30_001):
        wanted = by_decimals(close, -rate), by_decimals(close, rate)
        assert price_limits(close, rate * 100, rate * 100) == wanted, close
        assert wanted[1] == max((2 * close * (100 + rate) + 100) // 200, close + 1)


@given(st.integers(1, 2**40), st.integers(1, 9_999), st.integers(1, 1_000_000))
def test_any_close_and_rate(close: int, down: int, up: int) -> None:
    lowest, highest = price_limits(close, down, up)
    exact = Decimal(close) * (10_000 - down) / 10_000, Decimal(close) * (10_000 + up) / 10_000
    low, high = (int(one.quantize(Decimal(1), ROUND_HALF_UP)) for one in exact)
    assert (lowest, highest) == (min(low, close - 1), max(high, close + 1))


def test_no_rate_is_no_limit() -> None:
    assert price_limits(1000, 0, 0) == (None, None)
    assert price_limits(1000, 500, 0) == (950, None)


def machine_limits(day: VenueDay) -> tuple[Decimal | None, ...]:
    """What the reference machine makes of the parameters of a day."""
    book = MarketBook()
    for parameter in (Parameter.LIMITS, Parameter.DAY):
        values = day.parameters[parameter]
        book.values[parameter] = tuple(values[one.name] for one in PARAMETERS[parameter])
    return tuple(None if one is None else one * day.tick for one in book.price_limits())


@given(
    st.sampled_from([markets.sse, markets.star, markets.szse, markets.chinext, markets.bse]),
    st.integers(1, 10_000_000),
    st.integers(0, 8),
    st.booleans(),
    st.sampled_from(["2022-01-04", "2023-04-10", "2026-07-03", "2026-07-06"]),
)
@settings(deadline=None)  # the first one reads the tables
def test_a_day_says_what_the_machine_does(
    venue: object, close: int, listed: int, special: bool, on: str
) -> None:
    day = venue(  # type: ignore[operator]  # one of the functions above
        on=on, previous_close=Decimal(close) / 100, listed_days=listed, special=special
    )
    assert machine_limits(day) == day.limits


def test_the_reference_counts_not_the_close() -> None:
    day = markets.sse(on="2026-11-27", previous_close="20.00", reference="10.00")
    assert day.limits == (Decimal("9.00"), Decimal("11.00"))
    assert markets.sse(on="2026-11-27").limits == (None, None)  # no close is told
