"""What is shown together is of one moment, whatever happens between two reads."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from engine_kit import ANA

import matchcore as mc


def moving() -> mc.BookView:
    """A book that moves up past its own best ask whenever it is read once more."""
    engine = mc.Engine.memory(instruments=[ANA])
    price = 100

    def read() -> mc.Machine:
        nonlocal price
        price += 10
        engine.mass_cancel()
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 1, price + 1))
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, price))
        return engine._machine  # type: ignore[return-value]

    return mc.BookView(read, 1)


def test_both_sides_are_of_one_moment() -> None:
    book = moving()
    ask, bid = book.best_ask, book.best_bid  # two reads
    assert ask is not None and bid is not None and bid.price > ask.price
    bid, ask = book.top()
    assert bid is not None and ask is not None and bid.price + 1 == ask.price
    (bid,), (ask,) = book.depth(1)
    assert bid.price + 1 == ask.price and book.depth().bids[0].price == bid.price + 10
    plain = book.as_plain()
    assert float(plain["bids"][0]["price"]) + 1 == float(plain["asks"][0]["price"])
    low, high = (
        float(word.split()[0]) for word in repr(book)[len("<book of ANA: ") :].split(" / ")
    )
    assert low + 1 == high


def test_the_top_of_an_empty_book_and_of_one_side() -> None:
    engine = mc.Engine.memory(instruments=[ANA])
    book = engine.book("ANA")
    assert book.top() == (None, None) == (book.best_bid, book.best_ask)
    assert repr(book) == "<book of ANA: - / ->" and book.depth() == ([], [])
    engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 74, "95.70"))
    assert str(book.top()) == "- / 95.70 x 74" and book.top().ask == book.asks()[0]
    for wrong in (-1, True, 1.0, "1"):
        with pytest.raises(mc.InvalidArgument, match=r"^depth "):
            book.depth(wrong)  # type: ignore[arg-type]


def test_a_top_beside_writers_is_never_crossed(tmp_path: Path) -> None:
    """The writers move both sides up and down, a whole step in each batch."""
    with mc.Engine.open(tmp_path, instruments=[ANA], policy="os") as engine:
        sides = (mc.Side.SELL, mc.Side.BUY)
        moves = []
        for low in (100, 200):
            orders = [mc.NewOrder("ANA", side, 1, low + 3 - side) for side in sides]
            moves.append(mc.encode_all([mc.MassCancel(), *orders], engine.instruments))
        done = threading.Event()

        def write() -> None:
            while not done.is_set():
                for move in moves:
                    engine.submit_batch(move)

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        try:
            book = engine.book("ANA")
            for _ in range(300):
                bid, ask = book.top()
                assert (bid is None) == (ask is None)
                assert bid is None or ask is None or ask.price - bid.price == 1
        finally:
            done.set()
            for writer in writers:
                writer.join()
