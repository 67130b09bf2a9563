"""What is due when: real days, holidays, drawn moments, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_kit import FRIDAY, MONDAY, SECOND, at

import matchcore as mc
from matchcore import markets
from matchcore.operations.scheduling import Action, EveryDay, ExchangeCalendar, Schedule
from matchcore.records.times import text_of
from matchcore.venues import PhaseAt

SSE = Schedule.named("sse")
GENERIC = Schedule(markets.generic, seed=7)


def test_a_real_day_in_shanghai() -> None:
    table = SSE.timetable(date.fromisoformat(FRIDAY))
    assert [(text_of(due.time)[11:16], due.action, due.phase) for due in table] == [
        ("01:00", Action.DAY, None),
        ("01:15", Action.PHASE, mc.Phase.OPENING_CALL),
        ("01:20", Action.PHASE, mc.Phase.OPENING_CALL_LOCKED),
        ("01:25", Action.PHASE, mc.Phase.QUIET),
        ("01:30", Action.PHASE, mc.Phase.CONTINUOUS),
        ("03:30", Action.PHASE, mc.Phase.BREAK),
        ("05:00", Action.PHASE, mc.Phase.CONTINUOUS),
        ("06:57", Action.PHASE, mc.Phase.CLOSING_CALL),
        ("07:00", Action.PHASE, mc.Phase.CLOSED),
        ("07:05", Action.PHASE, mc.Phase.AT_CLOSING_PRICE),
        ("07:30", Action.PHASE, mc.Phase.CLOSED),
        ("07:30", Action.END_DAY, None),
    ]


@pytest.mark.parametrize(
    ("day", "is_open"),
    [
        ("2026-11-27", True), ("2026-11-28", False), ("2026-11-29", False),
        ("2026-10-01", False), ("2026-10-07", False), ("2026-10-08", True),
        ("2026-01-01", False), ("2026-01-05", True), ("2026-12-31", True),
        ("2026-02-23", False), ("2026-02-24", True), ("2020-01-31", False),
        ("2020-02-03", True), ("2018-12-31", False), ("2018-08-20", True),
    ],
)  # fmt: skip
def test_days_of_shanghai(day: str, is_open: bool) -> None:
    assert SSE.is_open(date.fromisoformat(day)) is is_open
    assert bool(SSE.timetable(date.fromisoformat(day))) is is_open


def test_a_day_that_the_library_does_not_know_is_refused() -> None:
    late = date(2100, 1, 4)
    with pytest.raises(mc.UnknownDay, match=r"XSHG in 2100: exchange-calendars .* to \d{4}-12-31"):
        SSE.timetable(late)
    with pytest.raises(mc.UnknownDay):
        SSE.between(at("10:00", "2099-12-30"), at("10:00", "2100-01-04"))
    calendar = ExchangeCalendar("XSHG")
    assert not calendar.is_open(date(1990, 12, 2)) and calendar.is_open(date(1990, 12, 19))
    with pytest.raises(mc.UnknownDay, match="from 1990-12-03"):
        calendar.is_open(date(1989, 6, 1))
    with pytest.raises(mc.UnknownDay, match="sse main on 2014-11-14"):
        SSE.timetable(date(2014, 11, 14))


def test_the_moment_of_an_unknown_day_is_due() -> None:
    """So a scheduler refuses it when it comes, and not days before."""
    last = next(year for year in range(2026, 2100) if not knows(year + 1))
    evening = at("20:00", f"{last}-12-31")
    assert SSE.next_after(evening) == at("00:00", f"{last + 1}-01-01")
    with pytest.raises(mc.UnknownDay):
        SSE.between(evening, SSE.next_after(evening))


def knows(year: int) -> bool:
    try:
        SSE.is_open(date(year, 1, 1))
    except mc.UnknownDay:
        return False
    return True


def test_unknown_calendars_are_named() -> None:
    with pytest.raises(mc.InvalidArgument, match="'XNONE'"):
        ExchangeCalendar("XNONE")


def test_a_missing_library_names_its_extra() -> None:
    code = """
import sys
sys.modules["exchange_calendars"] = None
import matchcore as mc
from matchcore.operations.scheduling import Schedule
from datetime import date
day = mc.markets.sse(on="2026-11-27")
try:
    Schedule.named("sse").timetable(day.on)
except mc.MissingExtra as error:
    print(error.extra, mc.markets.generic().timetable[0].phase.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "calendars PRE_OPEN\n"), done.stderr


def test_next_after_passes_a_weekend() -> None:
    assert SSE.next_after(at("15:30")) == at("09:00", MONDAY)
    assert SSE.next_after(at("09:00")) == at("09:15")
    assert SSE.next_after(at("09:00") - 1) == at("09:00")


def test_commands_between() -> None:
    commands = SSE.commands_between(at("14:56"), at("15:30"), clocks=False)
    phases = [(one.phase, one.group, one.cancel_orders, one.time) for one in commands[:-1]
              if isinstance(one, mc.SetPhase)]  # fmt: skip
    assert phases == [
        (mc.Phase.CLOSING_CALL, 1, False, at("14:57")),
        (mc.Phase.CLOSED, 1, False, at("15:00")),
        (mc.Phase.AT_CLOSING_PRICE, 1, True, at("15:05")),
        (mc.Phase.CLOSED, 1, False, at("15:30")),
    ]
    assert commands[-1] == mc.EndDay(time=at("15:30"))
    ticking = SSE.commands_between(at("14:56:57"), at("14:57:02"))
    assert [type(one).__name__ for one in ticking] == ["Clock"] * 2 + ["SetPhase"] + ["Clock"] * 3
    assert ticking[2].time == ticking[3].time == at("14:57")
    quiet = Schedule.named("sse", clock_ns=0)
    assert len(quiet.commands_between(at("14:56:57"), at("14:57:02"))) == 1
    assert SSE.commands_between(at("10:00"), at("10:00")) == []
    assert SSE.commands_between(at("00:00", "2026-11-28"), at("23:00", "2026-11-29")) == []


_MOMENTS = st.integers(at("00:00", "2026-09-20"), at("00:00", "2026-10-12"))


@given(st.lists(_MOMENTS, min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)  # the first one makes calendars
def test_parts_of_a_time_are_the_whole(moments: list[int]) -> None:
    for schedule in (SSE, GENERIC):
        one, two, three = sorted(moments)
        whole = schedule.between(one, three, clocks=False)
        parts = [schedule.between(*part, clocks=False) for part in ((one, two), (two, three))]
        assert whole == parts[0] + parts[1]
        assert [due.time for due in whole] == sorted(due.time for due in whole)


def drawn(seed: int | str, day: int) -> list[int]:
    table = Schedule(markets.generic, seed=seed).timetable(date(2026, 11, day))
    return [due.time % (60 * SECOND) for due in table if due.window_ns]


def test_moments_are_drawn_within_their_windows() -> None:
    every = [drawn(seed, day) for seed in (1, 2, "secret") for day in range(1, 29)]
    assert all(0 <= moment < 30 * SECOND for moments in every for moment in moments)
    assert all(len(moments) == 2 for moments in every)
    flat = [moment for moments in every for moment in moments]
    assert len(set(flat)) == len(flat)  # by day, place and seed
    assert max(flat) > 29 * SECOND and min(flat) < SECOND
    assert drawn(1, 5) == drawn(1, 5) != drawn(2, 5)


def test_a_timetable_stays_in_order_when_windows_overlap() -> None:
    table = (
        PhaseAt(time(8), mc.Phase.OPENING_CALL, 3600 * SECOND),
        PhaseAt(time(8, 1), mc.Phase.CONTINUOUS, 3600 * SECOND),
        PhaseAt(time(8, 2), mc.Phase.CLOSED),
    )
    schedule = Schedule(partial(markets.generic, timetable=table))
    due = schedule.timetable(date(2026, 11, 27))
    assert [one.phase for one in due if one.phase] == [one.phase for one in table]
    assert [one.time for one in due] == sorted(one.time for one in due)


def test_clocks_of_other_zones() -> None:
    london = Schedule(
        partial(markets.generic, timezone="Europe/London"), ExchangeCalendar("XLON"), clock_ns=0
    )
    for day, hour in ((date(2026, 10, 23), "07:50"), (date(2026, 10, 26), "07:50")):
        opening = next(due for due in london.timetable(day) if due.phase == mc.Phase.OPENING_CALL)
        utc = "06:50" if day.day == 23 else hour  # clocks go back in between
        assert text_of(opening.time)[11:16] == utc
    skipped = partial(
        markets.generic, timezone="Europe/London",
        timetable=(PhaseAt(time(1, 30), mc.Phase.CLOSED),),
    )  # fmt: skip
    with pytest.raises(mc.InvalidArgument, match=r"2026-03-29.*does not exist"):
        Schedule(skipped, EveryDay()).timetable(date(2026, 3, 29))
