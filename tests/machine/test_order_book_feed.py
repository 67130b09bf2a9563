"""`OrderBook(matching=False)`, `execute`, queues, and what a call has changed, as tuples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore import EventKind, Field, OrderBook, OrderRejected, Reason
from matchcore import Side as Sides
from matchcore.machine.reference import OrderBook as Reference

BUY, SELL = int(Sides.BUY), int(Sides.SELL)
GTC, DAY, IOC, FOK = 1, 2, 3, 4
MOST, LEAST = 2**63 - 1, -(2**63)
Order = tuple[int, int, int, int]
CROSSED: list[Order] = [(1, SELL, 10, 5), (2, BUY, 12, 6), (3, BUY, 12, 7), (4, SELL, 10, 8)]

both = pytest.mark.parametrize("kind", [OrderBook, Reference])


def book_of(kind: Any, *orders: Order, **limits: int) -> Any:
    """One that does not match."""
    book = kind(matching=False, **limits)
    for order in orders:
        assert book.add(*order) == 0
    return book


def queue(book: Any, side: int, price: int) -> list[tuple[int, int]]:
    return book.orders_at(side, price)[["order_id", "quantity"]].tolist()


def refused(reason: Reason, field: Field, call: Any, *args: Any) -> None:
    with pytest.raises(OrderRejected) as caught:
        call(*args)
    assert (caught.value.reason, caught.value.field) == (reason, field)


@both
def test_a_crossed_book_stays_crossed(kind: Any) -> None:
    book = book_of(kind, *CROSSED)
    assert queue(book, BUY, 12) == [(2, 6), (3, 7)] and queue(book, SELL, 10) == [(1, 5), (4, 8)]
    book._check()


def test_what_a_crossed_book_says_of_itself() -> None:
    book = book_of(OrderBook, *CROSSED)
    assert (book.best_bid, book.best_ask, book.matching) == (12, 10, False)
    assert book.levels(BUY).tolist() == [(12, 13, 2)] and OrderBook().matching is True


@both
def test_an_amended_order_joins_its_new_queue_and_does_not_trade(kind: Any) -> None:
    book = book_of(kind, *CROSSED, (5, SELL, 12, 1))
    assert book.amend(1, price=12) == 0 and book.fills == []
    assert queue(book, SELL, 12) == [(5, 1), (1, 5)] and queue(book, BUY, 12) == [(2, 6), (3, 7)]
    assert book.amend(2, quantity=9) == 0 and queue(book, BUY, 12) == [(3, 7), (2, 9)]
    assert book.amend(3, quantity=2) == 0 and queue(book, BUY, 12) == [(3, 2), (2, 9)]
    book._check()


@both
@pytest.mark.parametrize(
    ("price", "tif", "reason"),
    [(12, IOC, Reason.IMMEDIATE_OR_CANCEL), (12, FOK, Reason.FILL_OR_KILL),
     (None, GTC, Reason.MARKET_REMAINDER), (None, FOK, Reason.FILL_OR_KILL)],
)  # fmt: skip
def test_an_order_that_cannot_rest_is_cancelled(
    kind: Any, price: int | None, tif: int, reason: Reason
) -> None:
    book = book_of(kind, *CROSSED)
    before = book.orders().tobytes()
    assert book.add(9, BUY, price, 1, tif) == 0
    assert book.events["kind"].tolist() == [EventKind.ACCEPTED, EventKind.CANCELLED]
    assert book.events["reason"][-1] == reason and book.changed_levels == []
    assert book.orders().tobytes() == before


@both
def test_a_post_only_order_rests_on_either_side_of_the_spread(kind: Any) -> None:
    book = book_of(kind, *CROSSED)
    assert book.add(5, BUY, 11, 1, post_only=True) == book.amend(5, price=12) == 0
    assert book.ahead(5) == (2, 13)


@both
@pytest.mark.parametrize("matching", [False, True])
def test_execute_trades_a_named_order_wherever_it_is(kind: Any, matching: bool) -> None:
    book = kind(matching=matching)
    for order_id in (1, 2, 3):
        book.add(order_id, SELL, 10, 5, account=7, client_order_id=order_id + 70)
    assert book.execute(2, 3) == 2
    assert queue(book, SELL, 10) == [(1, 5), (2, 2), (3, 5)]
    (event,) = book.events.tolist()
    assert event == (4, 2, 72, 7, 10, 3, 2, 0, 0, 0, 1, 1, EventKind.TRADED, SELL, 0, 0)
    assert (book.fills, book.changed_levels) == ([(2, 10, 3)], [(SELL, 10, 12, 3)])
    assert book.execute(2, 2) == 0 and queue(book, SELL, 10) == [(1, 5), (3, 5)]
    assert book.execute(1, 5, price=11) == 0 and book.fills == [(1, 11, 5)]
    assert book.changed_levels == [(SELL, 10, 5, 1)] and book.events["trade_id"].tolist() == [3]
    assert book.execute(3, 5, -4) == 0 and book.changed_levels == [(SELL, 10, 0, 0)]
    assert len(book.orders()) == 0
    book._check()


@both
def test_execute_refuses_by_name_and_changes_nothing(kind: Any) -> None:
    book = book_of(kind, (1, BUY, 10, 9), lot=3)
    before = book.orders().tobytes()
    refused(Reason.QUANTITY_TOO_LARGE, Field.QUANTITY, book.execute, 1, 12)
    (event,) = book.events.tolist()
    assert event[0] == 2 and event[-4:-2] == (EventKind.REJECTED, 0)
    refused(Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY, book.execute, 1, 0)
    refused(Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY, book.execute, 2, -MOST)
    refused(Reason.UNKNOWN_ORDER, Field.ORDER_ID, book.execute, 2, 3)
    refused(Reason.UNKNOWN_ORDER, Field.ORDER_ID, book.execute, 0, 3)
    refused(Reason.OFF_LOT, Field.QUANTITY, book.execute, 1, 4)
    assert (book.fills, book.changed_levels) == ([], [])
    assert book.orders().tobytes() == before and book.execute(1, 9) == 0


@both
def test_a_place_is_what_is_ahead_in_the_queue(kind: Any) -> None:
    book = book_of(kind, *((order_id, BUY, 5, order_id) for order_id in range(1, 6)))
    assert [book.ahead(order_id) for order_id in (1, 2, 5, 6, 0)] == [
        (0, 0), (1, 1), (4, 10), None, None,
    ]  # fmt: skip
    book.cancel(3)
    book.execute(1, 1)
    book.reduce(2, 1)
    assert [book.ahead(order_id) for order_id in (1, 2, 4, 5)] == [None, (0, 0), (1, 1), (2, 5)]
    assert queue(book, BUY, 5) == [(2, 1), (4, 4), (5, 5)]
    assert len(book.orders_at(SELL, 5)) == len(book.orders_at(BUY, MOST)) == 0


@both
def test_the_first_of_a_queue_after_a_match_has_nothing_ahead(kind: Any) -> None:
    book = kind()
    for order_id in (1, 2, 3):
        book.add(order_id, SELL, 5, 10)
    book.add(4, BUY, 5, 13)
    assert (book.ahead(2), book.ahead(3)) == ((0, 0), (1, 7))


@both
def test_changed_levels_are_those_that_differ_and_in_order(kind: Any) -> None:
    book = kind()
    book.add(1, SELL, 10, 5)
    assert book.changed_levels == [(SELL, 10, 5, 1)]
    book.add(2, SELL, 10, 1)
    book.add(3, SELL, 11, 4)
    book.add(4, SELL, 12, 4)
    book.add(5, BUY, 12, 11)
    assert book.fills == [(1, 10, 5), (2, 10, 1), (3, 11, 4), (4, 12, 1)]
    assert book.changed_levels == [(SELL, 10, 0, 0), (SELL, 11, 0, 0), (SELL, 12, 3, 1)]
    book.add(6, BUY, 9, 5)
    book.amend(6, 8, 12)
    assert book.fills == [(4, 12, 3)]
    assert book.changed_levels == [(SELL, 12, 0, 0), (BUY, 9, 0, 0), (BUY, 12, 5, 1)]
    book.amend(6, 5, 12)
    assert book.changed_levels == [] and len(book.events) == 1
    book.add(7, SELL, 12, 9, IOC)
    assert book.changed_levels == [(BUY, 12, 0, 0)]
    assert book.cancel(7) == 0 and book.changed_levels == book.fills == []


def test_tuples_are_plain_integers() -> None:
    book = OrderBook()
    book.add(2**64 - 1, SELL, MOST, MOST)
    book.add(1, BUY, np.int64(MOST), 7)
    (fill,), (level,) = book.fills, book.changed_levels
    assert fill == (2**64 - 1, MOST, 7) and level == (SELL, MOST, MOST - 7, 1)
    assert {type(number) for number in (*fill, *level)} == {int}


# ---------------------------------------------------------------------- both, with random calls

prices = st.one_of(st.integers(-3, 3), st.sampled_from([LEAST, MOST, 64, -64, 4096]))
quantities = st.one_of(st.integers(-1, 20), st.sampled_from([MOST, MOST - 9]))
ids = st.integers(0, 12)
calls = st.one_of(
    st.tuples(st.just("add"), ids, st.sampled_from([1, 2, 3]), st.none() | prices, quantities,
              st.sampled_from([GTC, GTC, GTC, DAY, IOC, FOK, 9])),
    st.tuples(st.just("add"), ids, st.sampled_from([1, 2]), prices, st.integers(1, 20)),
    st.tuples(st.just("execute"), ids, quantities, st.none() | prices),
    st.tuples(st.just("execute"), ids, st.integers(1, 6)),
    st.tuples(st.just("cancel"), ids),
    st.tuples(st.just("reduce"), ids, quantities),
    st.tuples(st.just("amend"), ids, st.none() | quantities, st.none() | prices),
)  # fmt: skip


def outcome(book: Any, name: str, args: tuple[Any, ...]) -> Any:
    try:
        return getattr(book, name)(*args)
    except OrderRejected as error:
        return error.reason, error.field


def looked_at(book: Any) -> list[Any]:
    """Everything that both books say, after any call."""
    orders = book.orders()
    levels = dict.fromkeys(orders[["side", "price"]].tolist())
    return [
        book.events.tobytes(), book.fills, book.changed_levels, orders.tobytes(), book.digest(),
        [book.orders_at(*level).tobytes() for level in levels],
        [book.ahead(order_id) for order_id in range(14)],
    ]  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(
    st.lists(calls, min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from([{}, {"lot": 2}, {"lot": 3, "max_quantity": 12, "max_orders": 4}]),
    st.integers(0, 40),
)
def test_both_books_agree_on_every_event_and_order(
    steps: list[tuple[Any, ...]], matching: bool, limits: dict[str, int], copied_at: int
) -> None:
    book, reference = OrderBook(matching=matching, **limits), Reference(matching=matching, **limits)
    for number, (name, *args) in enumerate(steps):
        if number == copied_at:  # a copy goes on as what it was copied from
            book, reference = book.copy(), Reference.from_bytes(book.to_bytes())
        assert outcome(book, name, tuple(args)) == outcome(reference, name, tuple(args)), name
        assert looked_at(book) == looked_at(reference), name
        book._check()
    reference._check()
