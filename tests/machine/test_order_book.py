"""`OrderBook`, the book without an engine: its calls, its errors, and a naive book beside it."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_kit import Exchange, parsed, shown

from matchcore import EVENT, LEVEL, ORDER, EventKind, Field, OrderBook, OrderRejected, Reason
from matchcore import Side as Sides
from matchcore.records.schema import RESTING_TIFS

BUY, SELL = Sides.BUY, Sides.SELL
GTC, DAY, IOC, FOK = 1, 2, 3, 4
MOST, LEAST = 2**63 - 1, -(2**63)


def book_of(*orders: tuple[int, int, int, int], **limits: int) -> OrderBook:
    book = OrderBook(**limits)
    for order in orders:
        book.add(*order)
    return book


def refused(reason: Reason, field: Field, call: Any, *args: Any, **more: Any) -> None:
    with pytest.raises(OrderRejected) as caught:
        call(*args, **more)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert isinstance(caught.value.reason, Reason) and isinstance(caught.value.field, Field)


def test_an_empty_book_is_empty() -> None:
    book = OrderBook()
    assert (book.best_bid, book.best_ask, len(book), book.last_order_id) == (None, None, 0, 0)
    assert book.orders().dtype == ORDER and len(book.orders()) == 0
    assert book.levels(BUY).dtype == LEVEL and len(book.levels(SELL, 5)) == 0
    assert book.events.dtype == EVENT and len(book.events) == len(book.trades) == 0
    assert book.order(1) is None and 1 not in book and book.quantity_at(BUY, 0) == 0
    assert book.add(1, BUY, None, 5) == 0 and len(book) == 0


def test_add_returns_what_traded_and_trades_are_those_of_the_last_call() -> None:
    book = book_of((1, SELL, 10, 5), (2, SELL, 11, 5))
    assert book.add(3, BUY, 11, 7) == 7
    names = ["order_id", "price", "quantity", "left", "taker_order_id", "taker_left", "trade_id"]
    assert book.trades[names].tolist() == [(1, 10, 5, 0, 3, 2, 1), (2, 11, 2, 3, 3, 0, 2)]
    assert book.events["kind"].tolist() == [1, 2, 2] and book.last_order_id == 3
    assert set(book.events["sequence"].tolist()) == {3} == {len(book.trades) + 1}
    assert book.add(4, BUY, 1, 1) == 0 and len(book.trades) == 0


def test_what_was_given_out_stays_as_it_was() -> None:
    book = book_of((1, SELL, 10, 5))
    events, orders, levels = book.events, book.orders(), book.levels(SELL)
    events["price"] = orders["price"] = levels["price"] = 99
    assert (book.best_ask, book.events["price"].tolist()) == (10, [10])
    book.cancel(1)
    assert orders["quantity"].tolist() == [5]
    book._check()


def test_cancel_returns_the_open_quantity_and_0_for_what_is_not_there() -> None:
    book = book_of((1, SELL, 10, 5), (2, BUY, 10, 2))
    assert book.cancel(1) == 3
    assert (book.cancel(1), book.last_order_id, len(book.events)) == (0, 0, 0)
    assert book.cancel(77) == book.cancel(0) == 0 and len(book) == 0


def test_amend_returns_what_traded() -> None:
    book = book_of((1, SELL, 10, 5), (2, BUY, 9, 7))
    assert book.amend(2, price=10) == 5
    assert book.order(2)["quantity"] == 2 and book.best_bid == 10  # type: ignore[index]
    assert book.amend(2, 1) == 0 and book.quantity_at(BUY, 10) == 1
    assert book.amend(2, quantity=8, price=-3) == 0
    assert (book.best_bid, book.quantity_at(BUY, -3), book.quantity_at(BUY, 10)) == (-3, 8, 0)


def test_reduce_returns_what_is_left() -> None:
    book = book_of((1, BUY, 10, 5), (2, BUY, 10, 5))
    assert book.reduce(1, 3) == 2
    assert book.orders()["order_id"].tolist() == [1, 2]
    assert book.reduce(1, 2) == 0 and 1 not in book
    assert book.reduce(2, MOST) == 0 and len(book) == 0


def test_id_0_has_the_book_assign_one() -> None:
    book = book_of((2, BUY, 10, 5))
    assigned = []
    for _ in range(3):
        book.add(0, BUY, 10, 5)
        assigned.append(book.last_order_id)
    assert assigned == [1, 3, 4] and all(order_id in book for order_id in assigned)


def test_the_time_in_force_and_post_only_are_those_of_the_rule_book() -> None:
    book = book_of((1, SELL, 10, 5))
    assert book.add(2, BUY, 10, 6, FOK) == 0 and book.events["reason"][-1] == Reason.FILL_OR_KILL
    assert book.add(3, BUY, 9, 6, IOC) == 0 and 3 not in book
    refused(Reason.WOULD_TRADE, Field.PRICE, book.add, 4, BUY, 10, 1, post_only=True)
    assert book.add(5, BUY, 9, 1, DAY, post_only=True, account=7, client_order_id=8) == 0
    assert book.order(5).tolist() == (5, 8, 7, 9, 1, 1, DAY, 1, 0)  # type: ignore[union-attr]
    assert book.add(6, BUY, None, 9) == 5
    assert book.events["reason"][-1] == Reason.MARKET_REMAINDER


def test_refusals_say_why_and_leave_the_book_alone() -> None:
    book = book_of((1, SELL, 10, 6), (2, BUY, 8, 3), lot=3, max_quantity=9, max_orders=2)
    before = book.orders().tobytes()
    refused(Reason.DUPLICATE_ORDER, Field.ORDER_ID, book.add, 1, BUY, 1, 3)
    refused(Reason.TOO_MANY_ORDERS, Field.MAX_ORDERS, book.add, 3, BUY, 1, 3)
    refused(Reason.OFF_LOT, Field.QUANTITY, book.add, 3, BUY, 1, 4)
    refused(Reason.QUANTITY_TOO_LARGE, Field.QUANTITY, book.amend, 1, 12)
    refused(Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY, book.add, 3, BUY, 1, 0)
    refused(Reason.QUANTITY_NOT_POSITIVE, Field.QUANTITY, book.reduce, 1, -3)
    refused(Reason.BAD_SIDE, Field.SIDE, book.add, 3, 3, 1, 3)
    refused(Reason.BAD_TIME_IN_FORCE, Field.TIME_IN_FORCE, book.add, 3, BUY, 1, 3, 5)
    refused(Reason.BAD_FLAGS, Field.FLAGS, book.add, 3, BUY, 1, 3, IOC, post_only=True)
    refused(Reason.BAD_FLAGS, Field.FLAGS, book.amend, 1)
    refused(Reason.UNKNOWN_ORDER, Field.ORDER_ID, book.amend, 9, 3)
    refused(Reason.UNKNOWN_ORDER, Field.ORDER_ID, book.reduce, 9, 3)
    refused(Reason.OFF_LOT, Field.QUANTITY, book.reduce, 1, 2)
    assert book.events["kind"].tolist() == [EventKind.REJECTED]
    assert book.orders().tobytes() == before
    book._check()


TOO_LARGE: list[tuple[str, tuple[Any, ...]]] = [
    ("add", (2**64, BUY, 1, 1)), ("add", (-1, BUY, 1, 1)), ("add", (5, 256, 1, 1)),
    ("add", (5, -1, 1, 1)), ("add", (5, BUY, 2**63, 1)), ("add", (5, BUY, LEAST - 1, 1)),
    ("add", (5, BUY, 1, 2**63)), ("add", (5, BUY, 1, 1, 256)), ("cancel", (-1,)),
    ("cancel", (2**64,)), ("amend", (1, 2**63)), ("amend", (1, None, 2**63)),
    ("reduce", (1, 2**63)), ("order", (-1,)), ("__contains__", (2**64,)),
    ("quantity_at", (BUY, 2**63)), ("quantity_at", (300, 1)),
]  # fmt: skip
WRONG_TYPES: list[tuple[str, tuple[Any, ...]]] = [
    ("add", ("1", BUY, 1, 1)), ("add", (None, BUY, 1, 1)), ("add", (5, "BUY", 1, 1)),
    ("add", (5, BUY, "1", 1)), ("add", (5, BUY, 1, None)), ("add", (5, BUY, 1)), ("add", ()),
    ("cancel", ("1",)), ("cancel", (None,)), ("amend", (1, "5")), ("amend", (1, 5, b"1")),
    ("reduce", (1, "1")), ("order", ("1",)), ("__contains__", (None,)),
    ("quantity_at", (BUY, None)), ("levels", (BUY, "1")),
]  # fmt: skip
FLOATS: list[tuple[str, tuple[Any, ...]]] = [
    ("add", (5, BUY, 9.5, 1)), ("add", (5, BUY, 9, 1.9)), ("add", (5.5, BUY, 9, 1)),
    ("cancel", (1.9,)), ("amend", (1, 1.5)), ("amend", (1, None, 9.5)), ("reduce", (1, 1.5)),
    ("quantity_at", (BUY, 9.5)), ("quantity_at", (1.0, 9)), ("order", (1.5,)),
    ("__contains__", (1.0,)), ("add", (5, 1.0, 9, 1)), ("add", (5, BUY, 9, 1, 1.0)),
    ("add", (5, BUY, 9, np.float64(1))), ("levels", (BUY, 1.5)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "name", "args"),
    [(ValueError, *call) for call in TOO_LARGE]
    + [(TypeError, *call) for call in WRONG_TYPES + FLOATS],
)
def test_a_wrong_argument_is_an_error_and_changes_nothing(
    error: type[Exception], name: str, args: tuple[Any, ...]
) -> None:
    book = book_of((1, SELL, 10, 6), (2, BUY, 8, 3))
    before = book.orders().tobytes()
    last = book.events.tobytes()
    with pytest.raises(error):
        getattr(book, name)(*args)
    assert book.orders().tobytes() == before and book.events.tobytes() == last
    book._check()


@pytest.mark.parametrize("name", ["account", "client_order_id"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(1.5, TypeError), ("1", TypeError), (None, TypeError), (-1, ValueError),
     (2**64, ValueError)],
)  # fmt: skip
def test_a_wrong_keyword_is_an_error(name: str, value: Any, error: type[Exception]) -> None:
    book = OrderBook()
    with pytest.raises(error):
        book.add(1, BUY, 1, 1, **{name: value})
    assert len(book) == 0


@pytest.mark.parametrize("side", [0, 3, None, "BUY", -1])
def test_a_look_at_no_side_is_a_value_error(side: Any) -> None:
    with pytest.raises(ValueError, match="side"):
        OrderBook().levels(side)


def test_a_negative_depth_and_side_0_are_value_errors() -> None:
    with pytest.raises(ValueError, match="depth -1"):
        OrderBook().levels(BUY, -1)
    with pytest.raises(ValueError, match="side 0"):
        OrderBook().quantity_at(0, 1)


@pytest.mark.parametrize(
    "limits",
    [{"lot": 0}, {"lot": -1}, {"lot": 5, "max_quantity": 4}, {"max_quantity": 0},
     {"max_orders": 0}, {"max_orders": 2**32}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_value_errors(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=rf"^{list(limits)[-1]} -?\d+: .*at least"):
        OrderBook(**limits)


@pytest.mark.parametrize("name", ["lot", "max_quantity", "max_orders"])
@pytest.mark.parametrize("value", [1.5, "1", None])
def test_a_limit_that_is_no_integer_is_a_type_error(name: str, value: Any) -> None:
    with pytest.raises(TypeError):
        OrderBook(**{name: value})


def test_arguments_that_there_are_not_are_type_errors() -> None:
    arguments: list[Any] = [1]
    with pytest.raises(TypeError):
        OrderBook(*arguments)
    named: dict[str, Any] = {"tick": 1}
    with pytest.raises(TypeError, match="tick"):
        OrderBook(**named)
    with pytest.raises(ValueError):
        OrderBook(lot=2**64)


def test_methods_show_their_arguments() -> None:
    assert list(inspect.signature(OrderBook.add).parameters) == [
        "self", "order_id", "side", "price", "quantity", "time_in_force", "post_only", "account",
        "client_order_id",
    ]  # fmt: skip


def test_numpy_integers_are_integers() -> None:
    book = OrderBook()
    book.add(np.uint64(2**64 - 1), np.uint8(1), np.int64(LEAST), np.int32(5))
    assert 2**64 - 1 in book and book.best_bid == LEAST


def test_the_ends_of_64_bits_are_prices_and_quantities() -> None:
    book = book_of((1, BUY, LEAST, MOST), (2, SELL, MOST, MOST))
    assert (book.best_bid, book.best_ask) == (LEAST, MOST)
    refused(Reason.LEVEL_OVERFLOW, Field.QUANTITY, book.add, 3, BUY, LEAST, 1)
    assert book.add(4, SELL, LEAST, MOST) == MOST
    assert book.add(5, BUY, None, MOST) == MOST and len(book) == 0
    book._check()


def test_a_deep_book_is_sorted_and_cut_to_a_depth() -> None:
    prices = np.random.default_rng(3).permutation(5000) * 37
    book = OrderBook()
    for order_id, price in enumerate(prices.tolist(), 1):
        book.add(order_id, SELL, price, 1 + order_id % 7)
        book.add(order_id + 10_000, BUY, -1 - price, 2)
    asks, bids = book.levels(SELL), book.levels(BUY)
    assert asks["price"].tolist() == sorted(prices.tolist())
    assert bids["price"].tolist() == sorted((-1 - prices).tolist(), reverse=True)
    assert book.levels(SELL, 10).tobytes() == asks[:10].tobytes()
    assert len(book.levels(BUY, 10**9)) == 5000 and len(book) == 10_000
    book._check()
    total = int(asks["quantity"].sum())
    assert book.add(99_999, BUY, None, MOST) == total
    assert len(book.trades) == 5000 and book.best_ask is None and len(book) == 5000
    assert book.trades["trade_id"].tolist() == list(range(1, 5001))
    book._check()


def test_a_deep_queue_is_first_in_first_out() -> None:
    book = book_of(*((order_id, BUY, 5, 1) for order_id in range(1, 3001)))
    for order_id in range(3, 3001, 3):
        book.cancel(order_id)
    assert book.levels(BUY).tolist() == [(5, 2000, 2000)]
    book.add(9999, SELL, 5, 1500)
    expected = [order_id for order_id in range(1, 3001) if order_id % 3][:1500]
    assert book.trades["order_id"].tolist() == expected
    book._check()


def test_many_books_are_apart() -> None:
    books = [OrderBook() for _ in range(300)]
    for number, book in enumerate(books):
        book.add(1, BUY, number, number + 1)
    assert [book.best_bid for book in books] == list(range(300))
    for book in books[::2]:
        book.cancel(1)
    assert [len(book) for book in books] == [0, 1] * 150


#: The only order of a level is cancelled, and the next order trades past the place: another
#: library's book never comes back from the last line.
PAST_AN_EMPTY_LEVEL = """
    buy 1 66@99996;   buy 2 98@100002;  buy 3 61@99997;   buy 4 79@99993;   sell 5 11@100001
    buy 6 2@99993;    buy 7 84@99996;   buy 8 90@99994;   sell 9 76@100001; sell 10 66@99985
    sell 11 80@99987; sell 12 58@99987; sell 13 38@99986; sell 14 82@99988; sell 15 67@99984
    cancel 6
    sell 17 55@99989
"""


def test_a_level_that_a_cancel_has_emptied_is_traded_past_as_by_the_reference() -> None:
    book, reference = OrderBook(), Exchange("reference")
    for line in re.split(r"[;\n]\s*", PAST_AN_EMPTY_LEVEL.strip()):
        said = parsed(line)
        if "side" in said:
            book.add(said["order_id"], said["side"], said["price"], said["quantity"])
        else:
            book.cancel(said["order_id"])
        expected = reference.say(line)
        assert [shown(event) for event in book.events] == expected
        book._check()
    assert book.orders().tobytes() == reference.engine.book("PLAIN").orders().tobytes()
    assert expected == ["accepted 17 55@99989"] and len(book) == 1


class NaiveBook:
    """A list of [id, side, price, quantity], oldest first; the next one is found by sorting."""

    def __init__(self) -> None:
        self.orders: list[list[int]] = []

    def find(self, order_id: int) -> list[int] | None:
        return next((order for order in self.orders if order[0] == order_id), None)

    def makers(self, side: int, price: int | None) -> list[list[int]]:
        sign = 1 if side == BUY else -1
        facing = [o for o in self.orders if o[1] != side]
        if price is not None:
            facing = [o for o in facing if sign * o[2] <= sign * price]
        return sorted(facing, key=lambda order: sign * order[2])  # stable: oldest first

    def enter(self, order_id: int, side: int, price: int | None, quantity: int, tif: int) -> list:
        trades, makers = [], self.makers(side, price)
        if tif == FOK and sum(order[3] for order in makers) < quantity:
            return []
        for maker in makers:
            fill = min(maker[3], quantity)
            if fill:
                trades.append((maker[0], maker[2], fill))
                maker[3] -= fill
                quantity -= fill
        self.orders = [order for order in self.orders if order[3]]
        if quantity and price is not None and tif in RESTING_TIFS:
            self.orders.append([order_id, side, price, quantity])
        return trades

    def amend(self, order: list[int], quantity: int, price: int) -> list:
        if price == order[2] and quantity <= order[3]:
            order[3] = quantity
            return []
        self.orders.remove(order)
        return self.enter(order[0], order[1], price, quantity, GTC)

    def shown(self, side: int) -> list[tuple[int, int, int]]:
        sign = -1 if side == BUY else 1
        mine = sorted((o for o in self.orders if o[1] == side), key=lambda o: sign * o[2])
        return [(order[0], order[2], order[3]) for order in mine]


actions = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "cancel", "amend", "reduce"]),
        st.integers(1, 12),
        st.sampled_from([1, 2]),
        st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([LEAST, MOST, 64, -64, 4096])),
        st.integers(1, 20),
        st.sampled_from([GTC, GTC, DAY, IOC, FOK]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(actions)
def test_a_naive_book_agrees(steps: list[tuple[str, int, int, int | None, int, int]]) -> None:
    book, naive = OrderBook(), NaiveBook()
    for step in steps:
        act_on_both(book, naive, *step)
        shown = book.orders()[["order_id", "price", "quantity"]].tolist()
        assert shown == naive.shown(BUY) + naive.shown(SELL)
        assert len(book) == len(naive.orders)
        for side, best in ((BUY, book.best_bid), (SELL, book.best_ask)):
            totals: Counter[int] = Counter()
            for _, price, quantity in naive.shown(side):
                totals[price] += quantity
            assert [(p, q) for p, q, _ in book.levels(side).tolist()] == list(totals.items())
            assert best == next(iter(totals), None)
            assert all(book.quantity_at(side, price) == q for price, q in totals.items())
    book._check()


def act_on_both(
    book: OrderBook, naive: NaiveBook, what: str, order_id: int, side: int, price: int | None,
    quantity: int, tif: int,
) -> None:  # fmt: skip
    order = naive.find(order_id)
    assert (order_id in book) == (order is not None)
    if what == "add" and order is None:
        assert book.add(order_id, side, price, quantity, tif) == book.trades["quantity"].sum()
        expected = naive.enter(order_id, side, price, quantity, tif)
        assert book.trades[["order_id", "price", "quantity"]].tolist() == expected
    elif what == "cancel":
        assert book.cancel(order_id) == (order[3] if order else 0)
        naive.orders = [other for other in naive.orders if other is not order]
    elif what == "amend" and order is not None:
        expected = naive.amend(order, quantity, order[2] if price is None else price)
        assert book.amend(order_id, quantity, price) == sum(fill for _, _, fill in expected)
    elif what == "reduce" and order is not None:
        order[3] = max(0, order[3] - quantity)
        assert book.reduce(order_id, quantity) == order[3]
        naive.orders = [other for other in naive.orders if other[3]]
    else:
        with pytest.raises(OrderRejected):
            {"add": book.add, "amend": book.amend, "reduce": book.reduce}[what](
                *((order_id, side, price, quantity) if what == "add" else (order_id, quantity))
            )
