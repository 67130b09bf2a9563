"""The rule tables: whole, sourced, and what they say on the days when rules changed."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import matchcore as mc
from matchcore import markets
from matchcore.records.markets import PARAMETER, parameter_refusal
from matchcore.records.parameters import PARAMETERS
from matchcore.records.schema import (
    AuctionRule,
    CageMode,
    ClosingRule,
    OrderType,
    Parameter,
    Phase,
)
from matchcore.venues import TABLES, VENUES, Row, VenueDay, rules_of, venue_day

BOARDS = [(venue, board) for venue in VENUES for board in rules_of(venue).boards]
ROWS = [(venue, row) for venue in VENUES for rows in rules_of(venue).rows.values() for row in rows]


def name(one: Any) -> str:
    return f"{one.board}-{one.table}-{one.since}" if isinstance(one, Row) else str(one)


@pytest.mark.parametrize(("venue", "row"), ROWS, ids=name)
def test_every_number_has_a_source(venue: str, row: Row) -> None:
    sources = rules_of(venue).sources
    assert row.source and set(row.source) <= set(sources)
    for unknown in row.unknown:
        value, _, what = unknown.partition(": ")
        assert value == "since" or value in row.values, unknown
        assert all(one.split(",")[0] for one in what.split(", ")) or not what


@pytest.mark.parametrize("venue", VENUES)
def test_every_source_is_used(venue: str) -> None:
    used = {name for rows in rules_of(venue).rows.values() for row in rows for name in row.source}
    assert used == set(rules_of(venue).sources)


@pytest.mark.parametrize(("venue", "board"), BOARDS)
def test_tables_begin_together_and_go_on(venue: str, board: str) -> None:
    rules = rules_of(venue)
    firsts = {rules.rows[table, board][0].since for table in TABLES}
    assert len(firsts) == 1, "a day is known by all tables or by none"
    for table in TABLES:
        since = [row.since for row in rules.rows[table, board]]
        assert since == sorted(set(since))
        rules.rows[table, board][0].values.keys()
    groups = [group for venue in VENUES for group in rules_of(venue).groups.values()]
    assert len(groups) == len(set(groups))


@pytest.mark.parametrize(("venue", "board"), BOARDS)
def test_no_day_before_the_first_row_is_guessed(venue: str, board: str) -> None:
    first = rules_of(venue).rows["timetable", board][0].since
    assert venue_day(venue, board, first).on == first
    before = first - timedelta(days=1)
    with pytest.raises(mc.UnknownDay, match=f"{venue} {board} on {before}.*begins on {first}"):
        venue_day(venue, board, before)


def days() -> list[tuple[str, str, date]]:
    """The first day of every row, and the day before it if there are rules for it."""
    found = set()
    for venue, row in ROWS:
        first = rules_of(venue).rows["timetable", row.board][0].since
        found |= {(venue, row.board, day) for day in (row.since, row.since - timedelta(days=1))
                  if day >= first}  # fmt: skip
    return sorted(found)


@pytest.mark.parametrize(("venue", "board", "on"), days())
@pytest.mark.parametrize("listed", [0, 1, 5, 6])
def test_every_row_makes_parameters_that_a_machine_takes(
    venue: str, board: str, on: date, listed: int
) -> None:
    day = venue_day(venue, board, on, previous_close="10.00", listed_days=listed)
    assert set(day.parameters) == set(Parameter) - {Parameter.TICKS}
    for parameter, values in day.parameters.items():
        record = np.zeros(1, PARAMETER)
        record["parameter"] = parameter
        for at, one in enumerate(PARAMETERS[parameter], 1):
            record[f"value{at}"] = values[one.name]
        assert parameter_refusal(record[0]) is None, parameter
    phases = [one.phase for one in day.timetable]
    assert phases[-1] == Phase.CLOSED and day.end_day >= day.timetable[-1].at
    assert day.day_data < day.timetable[0].at
    assert [row.table for row in day.rows] == list(TABLES)


# ------------------------------------------------------------------ days when rules changed


def limits(day: VenueDay) -> tuple[int, int, int]:
    rule = day.parameters[Parameter.LIMITS]
    return rule["up"], rule["special_up"], rule["free_days"]


def phases(day: VenueDay) -> list[tuple[str, Phase]]:
    return [(f"{one.at:%H:%M}", one.phase) for one in day.timetable]


@pytest.mark.parametrize("board", [markets.sse, markets.szse])
def test_main_boards(board: Any) -> None:
    assert limits(board(on="2023-04-09")) == (1000, 500, 0)
    assert limits(board(on="2023-04-10")) == (1000, 500, 5)
    assert limits(board(on="2026-07-05")) == (1000, 500, 5)
    assert limits(board(on="2026-07-06")) == (1000, 1000, 5)
    before, after = board(on="2023-04-09"), board(on="2023-04-10")
    assert before.parameters[Parameter.CAGE]["mode"] == CageMode.OFF
    assert after.parameters[Parameter.CAGE] == {"mode": CageMode.REFUSE, "part": 200, "ticks": 10}
    special = board(on="2026-07-05", previous_close="3.33", special=True)
    assert special.limits == (Decimal("3.16"), Decimal("3.50"))
    special = board(on="2026-07-06", previous_close="3.33", special=True)
    assert special.limits == (Decimal("3.00"), Decimal("3.66"))
    # a first day before registration: 144 % and 64 % of the issue price
    first = board(on="2023-04-09", previous_close="10.00", listed_days=1)
    assert first.limits == (Decimal("6.40"), Decimal("14.40"))
    assert board(on="2023-04-09", previous_close="10.00", listed_days=2).limits[1] == 11
    free = board(on="2023-04-10", previous_close="10.00", listed_days=5)
    assert free.limits == (None, None)
    assert board(on="2023-04-10", previous_close="10.00", listed_days=6).limits[1] == 11


def test_chinext() -> None:
    before, after = markets.chinext(on="2020-08-23"), markets.chinext(on="2020-08-24")
    assert (limits(before), limits(after)) == ((1000, 500, 0), (2000, 2000, 5))
    assert before.parameters[Parameter.CAGE]["mode"] == CageMode.OFF
    assert after.parameters[Parameter.CAGE] == {"mode": CageMode.PARK, "part": 200, "ticks": 0}
    cage = markets.chinext(on="2023-04-10").parameters[Parameter.CAGE]
    assert cage == {"mode": CageMode.REFUSE, "part": 200, "ticks": 10}
    most = [day.parameters[Parameter.QUANTITIES]["limit_most"] for day in (before, after)]
    assert most == [1_000_000, 300_000]
    assert Phase.AT_CLOSING_PRICE not in dict(phases(before)).values()
    assert ("15:05", Phase.AT_CLOSING_PRICE) in phases(after)


def test_star() -> None:
    day = markets.star(on="2019-07-22")
    assert limits(day) == (2000, 2000, 5)
    quantities = day.parameters[Parameter.QUANTITIES]
    assert [quantities[name] for name in ("buy_least", "buy_step", "sell_least")] == [200, 0, 0]
    assert (quantities["limit_most"], quantities["market_most"]) == (100_000, 50_000)
    assert day.parameters[Parameter.CAGE] == {"mode": CageMode.REFUSE, "part": 200, "ticks": 0}
    assert ("15:05", Phase.AT_CLOSING_PRICE) in phases(day)


def test_the_closing_call_of_shanghai() -> None:
    before, after = markets.sse(on="2018-08-19"), markets.sse(on="2018-08-20")
    assert ("14:57", Phase.CLOSING_CALL) not in phases(before)
    assert ("14:57", Phase.CLOSING_CALL) in phases(after)
    minute = {"from_ns": 0, "window_ns": 60 * 10**9}
    assert before.parameters[Parameter.CLOSING] == {"rule": ClosingRule.AVERAGE, **minute}
    assert after.parameters[Parameter.CLOSING] == {"rule": ClosingRule.AUCTION, **minute}


def test_funds_of_shanghai() -> None:
    before, after = markets.sse("fund", on="2026-07-05"), markets.sse("fund", on="2026-07-06")
    assert before.tick == after.tick == Decimal("0.001")
    assert before.parameters[Parameter.CLOSING]["rule"] == ClosingRule.AVERAGE
    assert after.parameters[Parameter.CLOSING]["rule"] == ClosingRule.AUCTION
    assert ("15:00", Phase.CLOSED) in phases(before) and len(phases(before)) == 7
    assert ("14:57", Phase.CLOSING_CALL) in phases(after)
    assert ("15:05", Phase.AT_CLOSING_PRICE) in phases(after)


def test_after_hours_of_all_stocks() -> None:
    for board in (markets.sse, markets.szse, markets.bse):
        before, after = board(on="2026-07-05"), board(on="2026-07-06")
        assert Phase.AT_CLOSING_PRICE not in [one.phase for one in before.timetable]
        assert ("15:05", Phase.AT_CLOSING_PRICE) in phases(after)
        assert after.parameters[Parameter.TRADING]["entry_phases"] >> Phase.AT_CLOSING_PRICE & 1


def test_beijing() -> None:
    day = markets.bse(on="2021-11-15")
    assert limits(day) == (3000, 3000, 1)
    assert day.parameters[Parameter.CAGE] == {"mode": CageMode.REFUSE, "part": 500, "ticks": 10}
    quantities = day.parameters[Parameter.QUANTITIES]
    assert (quantities["buy_least"], quantities["buy_step"]) == (100, 0)


def test_halts_are_of_days_without_a_limit() -> None:
    for board in (markets.sse, markets.star, markets.szse, markets.chinext, markets.bse):
        free = board(on="2026-11-27", listed_days=1).parameters[Parameter.HALTS]
        assert free == {"first": 3000, "second": 6000, "duration_ns": 600 * 10**9}
        for listed in (0, 6):
            day = board(on="2026-11-27", listed_days=listed)
            assert not any(day.parameters[Parameter.HALTS].values())


def test_auction_rules_and_kinds() -> None:
    rules = {markets.sse: AuctionRule.SSE, markets.star: AuctionRule.SSE,
             markets.szse: AuctionRule.SZSE, markets.chinext: AuctionRule.SZSE}  # fmt: skip
    for board, rule in rules.items():
        day = board(on="2026-11-27")
        assert day.parameters[Parameter.AUCTION]["rule"] == rule
        trading = day.parameters[Parameter.TRADING]
        assert trading["call_types"] == 1 << OrderType.LIMIT
        assert trading["amends"] == 0
        takes_market = bool(trading["order_types"] >> OrderType.MARKET & 1)
        assert takes_market == (rule == AuctionRule.SZSE)
        rest = bool(trading["order_types"] >> OrderType.BEST_FIVE_LIMIT & 1)
        assert rest == (rule == AuctionRule.SSE)


# ------------------------------------------------------------------ wrong arguments


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(mc.InvalidArgument, match="board 'B': sse has main, star, fund"):
        markets.sse("B", on="2026-11-27")
    with pytest.raises(mc.InvalidArgument, match="venue 'nyse': one of sse"):
        venue_day("nyse", "main", "2026-11-27")
    for wrong in ("2026-13-01", 20261127, None, "today"):
        with pytest.raises(mc.InvalidArgument, match=r"on .*: a date"):
            markets.sse(on=wrong)  # type: ignore[arg-type]  # which is the point
    with pytest.raises(mc.PriceError, match=r"10\.001.*not on a tick"):
        markets.sse(on="2026-11-27", previous_close="10.001")
    with pytest.raises(mc.InvalidArgument, match="listed_days"):
        markets.sse(on="2026-11-27", listed_days=-1)
    with pytest.raises(mc.InvalidArgument, match="nothing: a Market has no such field"):
        markets.generic(nothing=1)
    with pytest.raises(mc.InvalidCommand, match="top_share"):
        markets.generic(top_share=101)


def test_the_generic_venue_takes_everything_and_any_value() -> None:
    day = markets.generic(tick="0.5", lot=10, pro_rata=True, limit_up="12.5")
    assert (day.tick, day.lot) == (Decimal("0.5"), 10)
    assert day.parameters[Parameter.ALLOCATION]["pro_rata"] == 1
    assert day.parameters[Parameter.LIMITS]["up"] == 1250
    for one in PARAMETERS[Parameter.TRADING][:6]:
        assert day.parameters[Parameter.TRADING][one.name] == one.default
    assert mc.markets is markets
