"""Single operations on a book, as a simulator makes them from Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matchcore as mc


def test_order_book_add_and_cancel(
    rate: Callable[..., Any], book_flow: list[tuple[int, ...]]
) -> None:
    def work(book: mc.OrderBook) -> None:
        add, cancel = book.add, book.cancel
        for operation in book_flow:
            if len(operation) == 4:
                add(*operation)
            else:
                cancel(operation[0])

    rate(len(book_flow), lambda: (mc.OrderBook(),), work)


def test_amend_keeps_place(rate: Callable[..., Any]) -> None:
    def setup() -> tuple[mc.OrderBook]:
        book = mc.OrderBook()
        for order in range(1, 1001):
            book.add(order, 1, 1000 - order % 50, 1_000_000)
        return (book,)

    def work(book: mc.OrderBook) -> None:
        amend = book.amend
        for quantity in range(999_999, 999_799, -1):
            for order in range(1, 1001):
                amend(order, quantity)

    rate(200_000, setup, work)


def test_levels_of_a_deep_book(benchmark: Any) -> None:
    book = mc.OrderBook()
    for order in range(1, 100_001):
        book.add(order, 1, order * 7, 10)
    levels = benchmark(book.levels, 1, 10)
    assert levels["price"][0] == 700_000
