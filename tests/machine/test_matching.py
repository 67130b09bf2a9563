"""The rules one by one, on both machines: each is an old bug of some engine."""

from __future__ import annotations

import pytest
from desk import BUY, MACHINES, SELL, Desk

from matchcore import EventKind, Instrument, Kind, Reason, TimeInForce

INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)
GTC, DAY, IOC, FOK = TimeInForce


@pytest.fixture(params=list(MACHINES))
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


def test_trades_are_at_the_resting_price(desk: Desk) -> None:
    desk.add(1, SELL, 100, 5)
    assert desk.add(2, BUY, 110, 5) == [(1, 100, 5)]
    desk.add(3, BUY, 120, 5)
    assert desk.add(4, SELL, 90, 5) == [(3, 120, 5)]


def test_best_price_first_then_oldest(desk: Desk) -> None:
    for order, price in ((1, 102), (2, 100), (3, 101), (4, 100)):
        desk.add(order, SELL, price, 10)
    assert desk.add(9, BUY, 101, 35) == [(2, 100, 10), (4, 100, 10), (3, 101, 10)]
    assert desk.queue() == [(BUY, 101, 9, 5), (SELL, 102, 1, 10)]


def test_a_limit_order_never_pays_through_its_limit(desk: Desk) -> None:
    desk.add(1, SELL, 100, 5)
    desk.add(2, SELL, 101, 5)
    assert desk.add(3, BUY, 100, 20) == [(1, 100, 5)]
    assert desk.best() == (100, 101)


def test_cancelling_in_the_middle_keeps_the_queue(desk: Desk) -> None:
    for order in (1, 2, 3, 4):
        desk.add(order, BUY, 50, 10)
    desk.cancel(2)
    desk.cancel(1)
    assert desk.add(9, SELL, 50, 15) == [(3, 50, 10), (4, 50, 5)]


def test_an_emptied_level_is_no_longer_best(desk: Desk) -> None:
    desk.add(1, BUY, 50, 10)
    desk.add(2, BUY, 49, 10)
    desk.cancel(1)
    assert desk.best() == (49, None)
    desk.add(3, SELL, 49, 10)
    assert desk.best() == (None, None)
    desk.add(4, SELL, 49, 10)
    assert desk.best() == (None, 49)


def test_a_partial_fill_keeps_its_place(desk: Desk) -> None:
    desk.add(1, SELL, 10, 10)
    desk.add(2, SELL, 10, 10)
    desk.add(3, BUY, 10, 4)
    assert desk.queue() == [(SELL, 10, 1, 6), (SELL, 10, 2, 10)]
    assert desk.add(4, BUY, 10, 7) == [(1, 10, 6), (2, 10, 1)]


def test_ioc_rest_is_cancelled(desk: Desk) -> None:
    desk.add(1, SELL, 10, 4)
    events = desk.send(kind=Kind.NEW, order_id=2, side=BUY, order_type=1, time_in_force=IOC,
                       price=11, quantity=9)  # fmt: skip
    assert desk.trades(events) == [(1, 10, 4)]
    last = desk.row(events)
    assert (last["kind"], last["reason"]) == (EventKind.CANCELLED, Reason.IMMEDIATE_OR_CANCEL)
    assert (last["quantity"], last["left"], desk.queue()) == (5, 0, [])


def test_fok_is_judged_over_the_whole_book(desk: Desk) -> None:
    desk.add(1, SELL, 10, 4)
    desk.add(2, SELL, 10, 4)
    desk.add(3, SELL, 11, 4)
    before = desk.queue()
    assert desk.add(4, BUY, 10, 9, FOK) == []
    assert desk.add(5, BUY, 11, 13, FOK) == []
    assert desk.queue() == before
    assert desk.add(6, BUY, 11, 12, FOK) == [(1, 10, 4), (2, 10, 4), (3, 11, 4)]


def test_fok_market_orders_are_all_or_nothing(desk: Desk) -> None:
    desk.add(1, SELL, 10, 4)
    assert desk.market(2, BUY, 5, FOK) == []
    assert desk.market(3, BUY, 4, FOK) == [(1, 10, 4)]


@pytest.mark.parametrize("tif", [GTC, DAY, IOC])
def test_a_market_order_sweeps_and_never_rests(desk: Desk, tif: int) -> None:
    desk.add(1, BUY, INT64_MIN, 1)
    desk.add(2, BUY, 5, 1)
    assert desk.market(3, SELL, 3, tif) == [(2, 5, 1), (1, INT64_MIN, 1)]
    assert desk.queue() == []


def test_far_prices_are_prices(desk: Desk) -> None:
    desk.add(1, BUY, INT64_MIN, 1)
    desk.add(2, SELL, INT64_MAX, 1)
    desk.add(3, BUY, 0, 1)
    desk.add(4, SELL, 1, 1)
    assert desk.best() == (0, 1)
    assert desk.add(5, BUY, INT64_MAX, 2) == [(4, 1, 1), (2, INT64_MAX, 1)]
    assert desk.add(6, SELL, INT64_MIN, 2) == [(3, 0, 1), (1, INT64_MIN, 1)]
    assert desk.queue() == []


def test_a_crossing_amend_trades_and_leaves_no_crossed_book(desk: Desk) -> None:
    desk.add(1, SELL, 10, 3)
    desk.add(2, BUY, 8, 5)
    assert desk.trades(desk.amend(2, price=12)) == [(1, 10, 3)]
    assert desk.queue() == [(BUY, 12, 2, 2)]
    desk.add(3, SELL, 13, 2)
    events = desk.amend(2, price=13)
    assert desk.trades(events) == [(3, 13, 2)]
    assert desk.queue() == []


def test_what_keeps_the_place_and_what_does_not(desk: Desk) -> None:
    for order in (1, 2, 3):
        desk.add(order, BUY, 50, 10)
    first = lambda: desk.queue()[0][2]  # noqa: E731
    desk.amend(1, quantity=5)
    assert first() == 1
    desk.amend(1, quantity=5)  # nothing new
    assert first() == 1
    desk.reduce(1, 1)
    assert first() == 1
    desk.amend(1, quantity=6)  # more
    assert first() == 2
    desk.amend(2, price=51)
    desk.amend(2, price=50)  # away and back
    assert [row[2] for row in desk.queue()] == [3, 1, 2]


def test_reducing_to_nothing_is_a_cancel(desk: Desk) -> None:
    desk.add(1, BUY, 50, 10)
    event = desk.row(desk.reduce(1, 4))
    assert (event["kind"], event["quantity"], event["left"]) == (EventKind.AMENDED, 6, 6)
    event = desk.row(desk.reduce(1, INT64_MAX))
    assert (event["kind"], event["reason"]) == (EventKind.CANCELLED, Reason.REDUCED_TO_NOTHING)
    assert event["quantity"] == 6
    assert desk.queue() == []


def test_ids_are_free_again_when_their_order_is_gone(desk: Desk) -> None:
    desk.add(1, BUY, 50, 10)
    again = {"side": BUY, "order_type": 1, "time_in_force": 1, "price": 50, "quantity": 1}
    refused = desk.row(desk.send(kind=Kind.NEW, order_id=1, **again))
    assert refused["reason"] == Reason.DUPLICATE_ORDER
    desk.add(2, SELL, 50, 10)
    assert desk.add(1, SELL, 60, 1) == []
    desk.cancel(1)
    desk.add(1, BUY, 1, 1)
    assert desk.queue() == [(BUY, 1, 1, 1)]


def test_ids_that_the_exchange_assigns(desk: Desk) -> None:
    def given() -> int:
        return int(desk.row(desk.send(kind=1, side=BUY, order_type=1, time_in_force=1, price=1,
                                      quantity=1), 0)["order_id"])  # fmt: skip

    desk.add(2, BUY, 5, 1)
    assert [given(), given()] == [1, 3]
    desk.add(0, BUY, 5, 0)  # refused: uses up no id
    assert given() == 4


def test_post_only(desk: Desk) -> None:
    desk.add(1, SELL, 10, 5)
    desk.add(2, BUY, 10, 5, flags=1)
    assert desk.queue() == [(SELL, 10, 1, 5)]
    desk.add(3, BUY, 9, 5, flags=1)
    refused = desk.row(desk.amend(3, price=10))
    assert refused["reason"] == Reason.WOULD_TRADE
    assert desk.queue() == [(BUY, 9, 3, 5), (SELL, 10, 1, 5)]


def test_mass_cancel_picks_by_account_side_and_instrument() -> None:
    for machine in MACHINES:
        desk = Desk(machine, Instrument("ONE", "1"), Instrument("TWO", "1"))
        for instrument in (1, 2):
            for order, side, account in ((1, BUY, 7), (2, SELL, 7), (3, BUY, 8), (4, SELL, 8)):
                price = 10 * side
                desk.add(order, side, price, 5, account=account, instrument=instrument)
        events = desk.send(kind=Kind.MASS_CANCEL, account=7, side=SELL)
        assert events["order_id"].tolist() == [2, 0]
        assert desk.row(events)["quantity"] == 1
        events = desk.send(kind=Kind.MASS_CANCEL, instrument=0, account=8)
        assert events[["instrument", "order_id"]].tolist() == [
            (1, 3),
            (1, 4),
            (2, 3),
            (2, 4),
            (0, 0),
        ]
        desk.send(kind=Kind.MASS_CANCEL, instrument=2)
        assert (len(desk.queue(1)), len(desk.queue(2))) == (1, 0)


def test_the_end_of_a_day_takes_day_orders_only(desk: Desk) -> None:
    desk.add(1, BUY, 5, 1, DAY)
    desk.add(2, BUY, 6, 1, GTC)
    desk.add(3, SELL, 9, 1, DAY)
    events = desk.send(kind=Kind.END_DAY, instrument=0)
    assert events["order_id"].tolist() == [1, 3, 0]
    assert (events["reason"][:2] == Reason.END_OF_DAY).all()
    assert [row[2] for row in desk.queue()] == [2]


def test_trades_say_what_is_left_of_both(desk: Desk) -> None:
    desk.add(1, SELL, 10, 4, account=11)
    desk.add(2, SELL, 10, 4, account=12)
    events = desk.send(kind=1, order_id=3, account=13, side=BUY, order_type=1, time_in_force=1,
                       price=10, quantity=7)  # fmt: skip
    names = ["order_id", "account", "left", "taker_order_id", "taker_account", "taker_left"]
    assert events[1:][[*names, "trade_id"]].tolist() == [
        (1, 11, 0, 3, 13, 3, 1),
        (2, 12, 1, 3, 13, 0, 2),
    ]


def test_many_orders_leave_nothing_behind(desk: Desk) -> None:
    for order in range(1, 301):
        desk.add(order, BUY, -order * 1000, 1)
    for order in range(1, 301):
        desk.cancel(order)
    empty = len(desk.machine.state().to_bytes())
    assert desk.queue() == []
    assert empty == 40 + 96 + 8


def test_seventeen_operations_that_hang_another_engine(desk: Desk) -> None:
    buys = "+99996*66 +100002*98 +99997*61 +99993*79 -100001*11 +99993*2 +99996*84 +99994*90"
    more = "-100001*76 -99985*66 -99987*80 -99987*58 -99986*38 -99988*82 -99984*67"
    sent = traded = 0
    for number, word in enumerate((buys + " " + more).split(), 1):
        price, quantity = map(int, word[1:].split("*"))
        side = BUY if word[0] == "+" else SELL
        traded += sum(row[2] for row in desk.add(number, side, price, quantity))
        sent += quantity
    gone = int(desk.row(desk.cancel(6))["quantity"])
    traded += sum(row[2] for row in desk.add(16, SELL, 99989, 55))
    resting = sum(row[3] for row in desk.queue())
    assert sent + 55 == resting + 2 * traded + gone
    bid, ask = desk.best()
    assert bid is None or ask is None or bid < ask
