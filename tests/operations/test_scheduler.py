"""The scheduler drives an exchange, goes on after a restart, and leaves alone what is not its."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_kit import (
    FRIDAY,
    MACHINES,
    MONDAY,
    OTHER,
    SECOND,
    STOCK,
    at,
    commands_of,
    drive,
    exchange,
    now,
    phases_set,
)

import matchcore as mc
from matchcore import markets
from matchcore.operations.scheduling import Action, DayData, Done, Schedule, Scheduler
from matchcore.operations.scheduling.looking import phases_to
from matchcore.records.schema import NEXT_PHASES, Parameter

pytestmark = pytest.mark.parametrize("machine", MACHINES)
SYMBOLS = ["600519"]
CLOSE = {"600519": DayData(previous_close="10.00")}
DAY_OF = (
    mc.Phase.OPENING_CALL, mc.Phase.OPENING_CALL_LOCKED, mc.Phase.QUIET, mc.Phase.CONTINUOUS,
    mc.Phase.BREAK, mc.Phase.CONTINUOUS, mc.Phase.CLOSING_CALL, mc.Phase.CLOSED,
    mc.Phase.AT_CLOSING_PRICE, mc.Phase.CLOSED,
)  # fmt: skip


def first_close(on: date) -> Mapping[str, DayData]:
    return CLOSE if on.isoformat() == FRIDAY else {}


def scheduled(engine: mc.Engine, clock_ns: int = 0, **more: object) -> tuple[Scheduler, Schedule]:
    schedule = Schedule.named("sse", clock_ns=clock_ns)
    given = {"symbols": SYMBOLS, "day_data": first_close, **more}
    return Scheduler(engine, schedule, **given), schedule  # type: ignore[arg-type]  # those of a test


def order(side: mc.Side, price: str, quantity: int, time: str, day: str = FRIDAY) -> mc.NewOrder:
    return mc.NewOrder(
        "600519", side, quantity, price, mc.TimeInForce.DAY, account=1, time=at(time, day)
    )


def test_a_new_exchange_gets_its_market_and_its_day(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, schedule = scheduled(engine)
        done = drive(scheduler, schedule, at("08:00"), at("23:00"))
        assert phases_set(engine) == [mc.Phase.CLOSED, *DAY_OF]
        assert not any(one.refused or one.skipped for one in done)
        found = now(engine)
        assert (found.phase, found.group) == (mc.Phase.CLOSED, 1)
        assert found.values[Parameter.DAY]["previous_close"] == 1000
        kinds = commands_of(engine)["kind"]
        assert (kinds == mc.Kind.END_DAY).sum() == 1
        assert (np.diff(commands_of(engine)["time"]) >= 0).all()


@pytest.mark.parametrize(
    ("moment", "phases"),
    [
        ("08:59", [mc.Phase.CLOSED]),
        ("09:16", [mc.Phase.CLOSED, mc.Phase.OPENING_CALL]),
        ("09:21", [mc.Phase.CLOSED, mc.Phase.OPENING_CALL, mc.Phase.OPENING_CALL_LOCKED]),
        ("09:26", [mc.Phase.QUIET]),
        ("10:00", []),  # a new market is in continuous trading
        ("12:00", [mc.Phase.BREAK]),
        ("14:58", [mc.Phase.CLOSING_CALL]),
        ("15:01", [mc.Phase.CLOSED]),
        ("15:10", [mc.Phase.AT_CLOSING_PRICE]),
    ],
)
def test_a_new_exchange_begins_where_the_day_is(
    machine: str, moment: str, phases: list[mc.Phase]
) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, schedule = scheduled(engine)
        scheduler.step(at(moment))
        assert phases_set(engine) == phases
        assert scheduler.step(at(moment) + 1) == []
        drive(scheduler, schedule, at(moment) + 2, at("23:00"))
        assert now(engine).phase == mc.Phase.CLOSED


def test_on_a_day_without_trading_it_is_closed(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        for command in markets.sse(on=FRIDAY, previous_close="10.00").commands("600519"):
            engine.submit(command)
        scheduler, _ = scheduled(engine, symbols=None)
        scheduler.step(at("10:00", "2026-11-28"))
        assert phases_set(engine) == [mc.Phase.CLOSED]
        assert scheduler.next_time(at("10:00", "2026-11-28")) == at("09:00", MONDAY)


@given(st.sets(st.integers(0, 400), max_size=12))
@settings(max_examples=40, deadline=None)
def test_restarts_at_any_minute_change_nothing(machine: str, restarts: set[int]) -> None:
    """The same commands, also if another scheduler goes on at any time."""
    with exchange(machine, log=True) as engine, exchange(machine, log=True) as other:
        scheduler, schedule = scheduled(engine)
        drive(scheduler, schedule, at("08:55"), at("15:40"))
        scheduler, schedule = scheduled(other)
        for minute in range(406):  # 08:55 to 15:40
            if minute in restarts:
                scheduler, schedule = scheduled(other)
            scheduler.step(at("08:55") + minute * 60 * SECOND)
        assert commands_of(engine).tobytes() == commands_of(other).tobytes()
        assert engine.digest() == other.digest()


def test_a_restart_in_the_middle_catches_up_in_order(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, _ = scheduled(engine)
        for moment in ("08:00", "09:00", "09:15", "09:20", "09:25", "09:30"):
            scheduler.step(at(moment))
        before = phases_set(engine)
        scheduler, _ = scheduled(engine)  # nobody was there from 09:30 to 15:03
        done = scheduler.step(at("15:03"))
        assert [one.due.phase for one in done] == [
            mc.Phase.BREAK, mc.Phase.CONTINUOUS, mc.Phase.CLOSING_CALL, mc.Phase.CLOSED,
        ]  # fmt: skip
        assert phases_set(engine)[len(before) :] == [one.due.phase for one in done]
        times = {int(row["time"]) for row in commands_of(engine)[-4:]}
        assert times == {at("15:03")}  # the log's time does not go back
        assert scheduler.step(at("15:03")) == []


def test_a_restart_on_a_directory(machine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("schedule") / "e"
    moments = ["08:00", "09:00", "09:15", "09:20", "09:25", "09:30", "11:30", "13:00", "14:57",
               "15:00", "15:05", "15:30"]  # fmt: skip
    digests = set()
    for cut in (None, 3, 8, 10):
        place = path.with_name(f"e{cut}")
        engine = mc.Engine.open(place, instruments=[STOCK], machine=machine, policy="os",
                                clock=lambda: 1)  # fmt: skip
        for count, moment in enumerate(moments):
            if count == cut:
                engine.close()
                engine = mc.Engine.open(place, machine=machine, policy="os")
            scheduled(engine)[0].step(at(moment))
        digests.add(engine.digest())
        engine.close()
    assert len(digests) == 1


def test_days_that_were_missed_are_skipped(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, schedule = scheduled(engine)
        drive(scheduler, schedule, at("08:00"), at("14:30"))
        before = len(phases_set(engine))
        done = scheduled(engine)[0].step(at("10:00", "2026-12-02"))  # a Wednesday
        rest = [one for one in done if one.due.on.isoformat() == FRIDAY]
        assert [one.due.phase for one in rest] == [*DAY_OF[6:], None]
        assert not any(one.skipped for one in rest)
        skipped = [one for one in done if one.skipped]
        assert {one.due.on.isoformat() for one in skipped} == {MONDAY, "2026-12-01"}
        assert not any(one.sent for one in skipped)
        today = [one.due.phase for one in done if one.due.on.isoformat() == "2026-12-02"]
        assert today == [None, *DAY_OF[:4]]
        assert phases_set(engine)[before:] == [*DAY_OF[6:], *DAY_OF[:4]]


def test_a_phase_that_is_set_already_is_not_sent(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, _ = scheduled(engine)
        scheduler.step(at("09:29:59"))
        engine.submit(mc.SetPhase("600519", mc.Phase.CONTINUOUS, time=at("09:29:59")))  # early
        (done,) = scheduler.step(at("09:30"))
        assert (done.due.phase, done.sent) == (mc.Phase.CONTINUOUS, 0)
        assert phases_set(engine)[-1:] == [mc.Phase.CONTINUOUS]


def test_what_an_operator_halts_without_an_end_stays_so(machine: str) -> None:
    with exchange(machine, STOCK, OTHER, log=True) as engine:
        both = ["600519", "600000"]
        scheduler, schedule = scheduled(engine, symbols=both, day_data=lambda on: {})
        drive(scheduler, schedule, at("08:00"), at("09:50"))
        engine.submit(mc.SetPhase("600000", mc.Phase.HALTED, time=at("09:51")))
        drive(scheduler, schedule, at("09:51"), at("15:00"))
        assert now(engine).phase == mc.Phase.CLOSED
        assert now(engine, "600000").phase == mc.Phase.HALTED
        drive(scheduler, schedule, at("15:01"), at("09:40", MONDAY))
        assert now(engine).phase == mc.Phase.CONTINUOUS
        assert now(engine, "600000").phase == mc.Phase.HALTED
        engine.submit(mc.SetPhase("600000", mc.Phase.CONTINUOUS, time=at("09:41", MONDAY)))
        drive(scheduler, schedule, at("09:41", MONDAY), at("11:30", MONDAY))
        assert now(engine, "600000").phase == mc.Phase.BREAK


def halted(engine: mc.Engine, scheduler: Scheduler, moment: str) -> None:
    """Makes a stock without limits trade 30 % above its open."""
    scheduler.step(at("09:30"))
    for side, price, time in (
        (mc.Side.SELL, "10.00", "09:31"), (mc.Side.BUY, "10.00", "09:31"),
        (mc.Side.SELL, "13.00", moment), (mc.Side.BUY, "13.00", moment),
    ):  # fmt: skip
        scheduler.step(at(time))
        answer = engine.submit(order(side, price, 100, time))
        assert not answer.rejected, answer


def new_stock(on: date) -> Mapping[str, DayData]:
    listed = {"600519": DayData(previous_close="10.00", listed_days=1)}
    return listed if on.isoformat() == FRIDAY else {}


def without_cage(on: date, **told: int) -> markets.VenueDay:
    return markets.sse(on=on, **told).changed(cage=mc.CageMode.OFF)  # type: ignore[arg-type]  # day data


@pytest.mark.parametrize(("moment", "end"), [("10:00", "10:10"), ("14:50", "14:57")])
def test_a_halt_ends_after_ten_minutes_or_before_the_close(
    machine: str, moment: str, end: str
) -> None:
    with exchange(machine, log=True) as engine:
        schedule = Schedule(without_cage, clock_ns=SECOND)
        scheduler = Scheduler(engine, schedule, symbols=SYMBOLS, day_data=new_stock)
        halted(engine, scheduler, moment)
        paused = now(engine)
        assert (paused.phase, paused.is_paused) == (mc.Phase.VOLATILITY_CALL, True)
        assert paused.state["until"] == at(moment) + 600 * SECOND
        engine.submit(order(mc.Side.BUY, "12.00", 100, moment))
        engine.submit(order(mc.Side.SELL, "11.90", 100, moment))  # they cross in the call
        scheduler.step(at(end) - 1)
        assert now(engine).phase == mc.Phase.VOLATILITY_CALL
        trades = engine.state().next_trade_id
        scheduler.step(at(end))
        assert engine.state().next_trade_id == trades + 1  # in the auction that reopens
        after = mc.Phase.CONTINUOUS if end == "10:10" else mc.Phase.CLOSING_CALL
        assert now(engine).phase == after
        if end == "14:57":
            assert phases_set(engine)[-2:] == [mc.Phase.CONTINUOUS, mc.Phase.CLOSING_CALL]


def test_the_close_is_the_previous_close_of_the_next_day(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, schedule = scheduled(engine, day_data=new_stock)
        drive(scheduler, schedule, at("08:00"), at("09:30"))
        engine.submit(order(mc.Side.SELL, "10.10", 100, "10:00"))
        engine.submit(order(mc.Side.BUY, "10.10", 100, "10:00"))
        drive(scheduler, schedule, at("10:01"), at("15:10"))
        told = now(engine).values[Parameter.DAY]
        assert (told["previous_close"], told["listed_days"]) == (1000, 1)
        scheduler.step(at("15:30"))
        told = now(engine).values[Parameter.DAY]
        assert (told["previous_close"], told["reference"]) == (1010, 1010)
        assert told["listed_days"] == 2
        # and so on until the stock has limits
        for day in (MONDAY, "2026-12-01", "2026-12-02", "2026-12-03"):
            assert now(engine).values[Parameter.HALTS]["first"] == 3000
            drive(scheduler, schedule, at("08:00", day), at("15:40", day))
        drive(scheduler, schedule, at("08:00", "2026-12-04"), at("09:30", "2026-12-04"))
        assert now(engine).values[Parameter.DAY]["listed_days"] == 6
        assert now(engine).values[Parameter.HALTS]["first"] == 0
        high = engine.submit(order(mc.Side.BUY, "11.12", 100, "09:31", "2026-12-04"))
        assert high.reason == mc.Reason.OUTSIDE_LIMITS


def test_rules_change_over_night(machine: str) -> None:
    """Special treatment: 5 % until 2026-07-03, a Friday, and 10 % on Monday."""
    special = {"600519": DayData(previous_close="10.00", special=True)}
    with exchange(machine, log=True) as engine:
        schedule = Schedule.named("sse", clock_ns=0)
        scheduler = Scheduler(
            engine, schedule, symbols=SYMBOLS,
            day_data=lambda on: special if on == date(2026, 7, 3) else {},
        )  # fmt: skip
        friday, monday = "2026-07-03", "2026-07-06"
        drive(scheduler, schedule, at("08:00", friday), at("09:15", friday))
        assert now(engine).values[Parameter.LIMITS]["special_up"] == 500
        high = order(mc.Side.BUY, "10.51", 100, "09:16", friday)
        assert engine.submit(high).reason == mc.Reason.OUTSIDE_LIMITS
        done = drive(scheduler, schedule, at("09:17", friday), at("09:15", monday))
        morning = next(one for one in done if one.due.on == date(2026, 7, 6))
        assert (morning.due.action, morning.sent) == (Action.DAY, 1)
        assert not engine.submit(order(mc.Side.BUY, "10.51", 100, "09:16", monday)).rejected


def test_ex_rights_of_a_morning(machine: str) -> None:
    news = {MONDAY: {"600519": DayData(reference="5.00")}}
    with exchange(machine, log=True) as engine:
        scheduler, schedule = scheduled(
            engine, day_data=lambda on: {**first_close(on), **news.get(on.isoformat(), {})}
        )
        drive(scheduler, schedule, at("08:00"), at("09:15", MONDAY))
        told = now(engine).values[Parameter.DAY]
        assert (told["previous_close"], told["reference"]) == (1000, 500)
        low = engine.submit(order(mc.Side.BUY, "4.50", 100, "09:16", MONDAY))
        assert not low.rejected
        assert engine.submit(order(mc.Side.BUY, "5.51", 100, "09:16", MONDAY)).rejected


def test_boards_do_not_touch_each_other(machine: str) -> None:
    star, fund = mc.Instrument("688001", "0.01"), mc.Instrument("510300", "0.001")
    with exchange(machine, STOCK, star, fund, log=True) as engine:
        made = [(Schedule.named("sse", board, clock_ns=0), symbol) for board, symbol in (
            ("main", "600519"), ("star", "688001"), ("fund", "510300"))]  # fmt: skip
        close = {symbol: DayData(previous_close="10.00") for _, symbol in made}
        drivers = [Scheduler(engine, schedule, symbols=[symbol], day_data=lambda on: close)
                   for schedule, symbol in made]  # fmt: skip
        day = "2026-07-03"  # when only STAR has trading after hours, and funds no closing call
        for minute in range(8 * 60, 16 * 60):
            moment = at(f"{minute // 60:02}:{minute % 60:02}", day)
            for driver in drivers:
                driver.step(moment)
            phases = [now(engine, symbol).phase for _, symbol in made]
            if minute == 14 * 60 + 58:
                assert phases == [mc.Phase.CLOSING_CALL] * 2 + [mc.Phase.CONTINUOUS]
            if minute == 15 * 60 + 10:
                closed = mc.Phase.CLOSED
                assert phases == [closed, mc.Phase.AT_CLOSING_PRICE, closed]
        rows = commands_of(engine)
        assert (rows["kind"] == mc.Kind.END_DAY).sum() == 3
        assert 0 not in rows["instrument"][rows["kind"] == mc.Kind.END_DAY]


def test_some_of_a_board(machine: str) -> None:
    with exchange(machine, STOCK, OTHER, log=True) as engine:
        for symbol in ("600519", "600000"):
            for command in markets.sse(on=FRIDAY, previous_close="10.00").commands(symbol):
                engine.submit(command)
        scheduler, schedule = scheduled(engine)
        drive(scheduler, schedule, at("08:00"), at("11:30"))
        assert now(engine).phase == mc.Phase.BREAK
        assert now(engine, "600000").phase == mc.Phase.CONTINUOUS


def test_the_wrong_tick_is_named(machine: str) -> None:
    with exchange(machine) as engine:
        scheduler = Scheduler(engine, Schedule.named("sse", "fund"), symbols=SYMBOLS)
        with pytest.raises(mc.InvalidArgument, match=r"600519: its tick is 0.01.*fund 0.001"):
            scheduler.step(at("09:00"))


def test_a_book_that_is_not_empty_is_told(machine: str) -> None:
    with exchange(machine) as engine:
        engine.submit(mc.NewOrder("600519", mc.Side.BUY, 100, "9.00"))
        done = scheduled(engine)[0].step(at("09:00"))
        (refused,) = {one for each in done for one in each.refused}
        assert refused == "SetMarket of 600519: refused, BOOK_NOT_EMPTY of INSTRUMENT"


def test_an_unknown_day_is_refused_when_it_comes(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, _ = scheduled(engine)
        scheduler.step(at("15:10"))
        with pytest.raises(mc.UnknownDay, match=r"XSHG in 20\d\d"):
            scheduler.step(at("09:15", "2100-01-04"))
        assert len(phases_set(engine)) == 1


def test_one_clock_for_each_step_while_the_market_is_open(machine: str) -> None:
    with exchange(machine, log=True) as engine:
        scheduler, _ = scheduled(engine, clock_ns=SECOND)
        for moment in ("08:00", "09:15", "09:15:01", "10:00", "12:00", "15:30", "15:31"):
            scheduler.step(at(moment))
        rows = commands_of(engine)
        clocks = rows["time"][rows["kind"] == mc.Kind.CLOCK]
        assert [int(one) for one in clocks] == [
            at(one) for one in ("09:15:01", "10:00", "12:00", "15:30")
        ]
        assert scheduler.next_time(at("10:00")) == at("10:00:01")
        assert scheduler.next_time(at("15:31")) == at("09:00", MONDAY)


def test_the_runner_follows_a_clock(machine: str) -> None:
    stop, seen = threading.Event(), []
    moments = iter([at("08:00"), at("09:15"), at("09:20"), at("09:25"), at("09:30")])
    last = [at("08:00")]

    def clock() -> int:
        last[0] = next(moments, last[0])
        return last[0]

    def done(one: Done) -> None:
        seen.append(one.due.phase)
        if one.due.phase == mc.Phase.CONTINUOUS:
            stop.set()

    with exchange(machine) as engine:
        scheduler, _ = scheduled(engine, done=done)
        thread = threading.Thread(target=scheduler.run, args=(stop, clock))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert seen[-1] == mc.Phase.CONTINUOUS == now(engine).phase


def test_every_phase_can_be_reached_without_trading_on_the_way(machine: str) -> None:
    for begin in mc.Phase:
        for end in mc.Phase:
            if begin == end:
                continue
            way = [begin, *phases_to(begin, end)]
            assert way[-1] == end and len(set(way)) == len(way)
            for one, two in pairwise(way):
                assert two in NEXT_PHASES[one]
            assert not {*way[1:-1]} & {mc.Phase.CONTINUOUS, mc.Phase.AT_CLOSING_PRICE}


def test_limits_of_what_it_drew_up(machine: str) -> None:
    """The generic venue: phases begin within their windows, and at the same moment again."""
    make = partial(markets.generic, timezone="Asia/Shanghai")
    with exchange(machine, log=True) as engine, exchange(machine, log=True) as other:
        for one in (engine, other):
            schedule = Schedule(make, seed="x", clock_ns=0)
            scheduler = Scheduler(one, schedule, symbols=SYMBOLS)
            drive(scheduler, schedule, at("05:00"), at("20:00"))
        assert engine.digest() == other.digest()
        rows = commands_of(engine)
        rows = rows[rows["kind"] == mc.Kind.SET_PHASE].view(mc.PHASE)
        (opening,) = rows["time"][rows["phase"] == mc.Phase.CONTINUOUS]
        assert at("08:00") <= opening < at("08:00:30")
        assert now(engine).values[Parameter.DAY]["previous_close"] == 0
        assert Decimal(engine.instruments["600519"].tick) == Decimal("0.01")
