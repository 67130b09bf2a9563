"""Single operations on a book, as a simulator makes them from Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest

import matchcore as mc


@pytest.mark.parametrize("what", ["__class__", "fills", "changed_levels", "trades"])
def test_order_book_add_and_cancel(
    rate: Callable[..., Any], book_flow: list[tuple[int, ...]], what: str
) -> None:
    """Each call, and what is read after it; of `__class__` only the reading costs anything."""
    read = attrgetter(what)

    def work(book: mc.OrderBook) -> None:
        add, cancel = book.add, book.cancel
        for operation in book_flow:
            if len(operation) == 4:
                add(*operation)
            else:
                cancel(operation[0])
            read(book)

    rate(len(book_flow), lambda: (mc.OrderBook(),), work)


@pytest.mark.parametrize("call", ["cancel", "execute", "reduce"])
def test_taking_off_a_crossed_book(rate: Callable[..., Any], call: str) -> None:
    """From 100,000 orders, each once, in random order: all of it, or of `reduce` a part."""
    orders = list(range(1, 100_001))
    random.Random(5).shuffle(orders)
    more = {"cancel": (), "execute": (10,), "reduce": (3,)}[call]

    def setup() -> tuple[Callable[..., int]]:
        book = mc.OrderBook(matching=False)
        for order in orders:
            book.add(order, 1 + order % 2, 1000 + order % 50, 10)
        return (getattr(book, call),)

    def work(take: Callable[..., int]) -> None:
        for order in reversed(orders):
            take(order, *more)

    rate(len(orders), setup, work)


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
