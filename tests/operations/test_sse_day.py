"""A whole day of the Shanghai main board: two auctions, what each phase takes, after hours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from schedule_kit import FRIDAY, MACHINES, MONDAY, at, drive, exchange, now

import matchcore as mc
from matchcore.operations.scheduling import DayData, Schedule, Scheduler
from matchcore.records.schema import Parameter

BUY, SELL = mc.Side.BUY, mc.Side.SELL


class Day:
    """An exchange with one stock that closed at 10.00, and who sends to it."""

    def __init__(self, engine: mc.Engine) -> None:
        self.engine, self.schedule = engine, Schedule.named("sse", clock_ns=0)
        news = {"600519": DayData(previous_close="10.00")}
        self.scheduler = Scheduler(
            engine, self.schedule, symbols=["600519"],
            day_data=lambda on: news if on.isoformat() == FRIDAY else {},
        )  # fmt: skip
        self.moment = at("08:00")
        self.scheduler.step(self.moment)

    def until(self, text: str, day: str = FRIDAY) -> None:
        drive(self.scheduler, self.schedule, self.moment, at(text, day))
        self.moment = at(text, day)

    def send(self, side: mc.Side, quantity: int, price: str | None = None, **more: Any) -> Any:
        return self.engine.submit(
            mc.NewOrder("600519", side, quantity, price, mc.TimeInForce.DAY, account=side,
                        time=self.moment, **more)
        )  # fmt: skip

    def cancel(self, order: Any) -> Any:
        return self.engine.submit(mc.Cancel("600519", order.order_id, time=self.moment))

    def trades(self) -> list[tuple[str, int]]:
        """Price and quantity of all trades so far."""
        rows = []
        for frame in self.frames:
            rows += [(str(Decimal(int(row["price"])) / 100), int(row["quantity"]))
                     for row in frame if row["kind"] == mc.EventKind.TRADED]  # fmt: skip
        return rows

    @property
    def frames(self) -> list[Any]:
        log, machine = self.engine.log, mc.Engine.memory(machine="reference")
        assert log is not None
        self.engine.sequence  # noqa: B018  # waits until all of it is in the log
        return [machine.submit_batch(frame.commands) for frame in log.frames()]


@pytest.fixture(params=MACHINES)
def day(request: pytest.FixtureRequest) -> Any:
    with exchange(request.param, log=True) as engine:
        yield Day(engine)


def test_a_whole_day(day: Day) -> None:
    # before the opening call nothing is taken
    assert day.send(BUY, 100, "10.00").reason == mc.Reason.BAD_PHASE

    day.until("09:15")
    first = day.send(BUY, 300, "10.10")
    second = day.send(BUY, 200, "10.05")
    day.send(SELL, 200, "10.00")
    day.send(SELL, 200, "10.04")
    spare = day.send(BUY, 100, "9.50")
    best_five = day.send(BUY, 100, order_type=mc.OrderType.BEST_FIVE)
    assert (best_five.reason, best_five.field) == (mc.Reason.BAD_PHASE, mc.Field.ORDER_TYPE)
    for side, price in ((BUY, "11.01"), (SELL, "8.99")):
        assert day.send(side, 100, price).reason == mc.Reason.OUTSIDE_LIMITS
    assert not day.cancel(spare).rejected

    day.until("09:20")  # locked
    spare = day.send(BUY, 100, "9.60")
    assert not spare.rejected
    assert day.cancel(spare).reason == mc.Reason.BAD_PHASE
    assert day.trades() == []

    # 400 trade at 10.04 and at 10.05, and at both 100 bids are left over: the higher price
    day.until("09:25")
    assert day.trades() == [("10.05", 200), ("10.05", 100), ("10.05", 100)]
    assert first.order_id and second.order_id
    assert day.send(BUY, 100, "10.00").reason == mc.Reason.BAD_PHASE
    assert day.cancel(spare).reason == mc.Reason.BAD_PHASE
    bid = day.engine.book("600519").best_bid
    assert bid is not None and bid.quantity == 100  # the rest of the second one

    day.until("09:30")
    assert not day.cancel(spare).rejected
    assert day.send(BUY, 150, "10.00").reason == mc.Reason.OFF_LOT
    assert day.send(BUY, 1_000_100, "10.00").reason == mc.Reason.QUANTITY_TOO_LARGE
    assert day.send(BUY, 100, "10.26").reason == mc.Reason.OUTSIDE_CAGE  # best bid 10.05
    sold = day.send(SELL, 32, order_type=mc.OrderType.BEST_FIVE)  # an odd lot
    assert [(str(one.price), one.quantity) for one in sold.trades] == [("10.05", 32)]
    amended = day.engine.amend("600519", second.order_id, quantity=10)
    assert (amended.reason, amended.field) == (mc.Reason.UNSUPPORTED, mc.Field.KIND)
    swept = day.send(SELL, 100, "10.00", order_type=mc.OrderType.BEST_FIVE_LIMIT)
    assert [one.quantity for one in swept.trades] == [68]
    ask = day.engine.book("600519").best_ask
    assert ask is not None and str(ask.price) == "10.05"  # its last fill price

    day.until("11:30")
    assert day.send(BUY, 100, "10.00").reason == mc.Reason.BAD_PHASE
    assert day.cancel(swept).reason == mc.Reason.BAD_PHASE
    day.until("13:00")
    assert not day.cancel(swept).rejected
    _close_and_the_next_morning(day)


def _close_and_the_next_morning(day: Day) -> None:
    day.until("14:57")  # 100 trade from 10.02 to 10.06, bids are left over
    day.send(SELL, 100, "10.02")
    closing = day.send(BUY, 300, "10.06")
    assert day.cancel(closing).reason == mc.Reason.BAD_PHASE
    day.until("15:00")
    assert day.trades()[-1] == ("10.06", 100)
    assert now(day.engine).closing_price == 1006
    assert day.send(BUY, 100, "10.06").reason == mc.Reason.BAD_PHASE

    day.until("15:05")  # the orders of the day are gone
    assert day.engine.book("600519").best_bid is None
    assert day.send(BUY, 100, "10.05").reason == mc.Reason.OUTSIDE_LIMITS
    resting = day.send(BUY, 200, "10.20")
    after = day.send(SELL, 100, "10.00")
    assert [(str(one.price), one.quantity) for one in after.trades] == [("10.06", 100)]
    assert not day.cancel(resting).rejected

    day.until("15:30")
    assert now(day.engine).phase == mc.Phase.CLOSED
    assert now(day.engine).values[Parameter.DAY]["previous_close"] == 1006
    day.until("09:15", MONDAY)
    assert not day.send(BUY, 100, "11.07").rejected  # 11.066, rounded
    assert day.send(BUY, 100, "11.08").reason == mc.Reason.OUTSIDE_LIMITS
    assert not day.send(SELL, 100, "9.05").rejected  # 9.054
    assert day.send(SELL, 100, "9.04").reason == mc.Reason.OUTSIDE_LIMITS


def test_a_market_that_opens_again_has_another_close(day: Day) -> None:
    """Closed by an operator in the morning, and opened again."""
    day.until("10:00")
    for phase in (mc.Phase.CLOSED, mc.Phase.CONTINUOUS):
        day.engine.submit(mc.SetPhase("600519", phase, time=day.moment))
    assert now(day.engine).closing_price is None
    day.send(SELL, 100, "10.08")
    day.send(BUY, 100, "10.08")
    day.until("15:05")
    assert now(day.engine).closing_price == 1008
