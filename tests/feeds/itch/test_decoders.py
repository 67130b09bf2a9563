"""Decoders of other people rebuild the engine's books from the saved stream."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import itch_book
import itchcpp.book
import numpy as np
import pytest
from flows import definitions, flow
from itch_kit import blocks_of, messages_of
from numpy.typing import NDArray

from matchcore import Instrument, Machine
from matchcore.feeds.itch import Encoder
from matchcore.importers import sample_day, source_of
from matchcore.records.instruments import Directory

DEPTH = 10
UNITS = 10_000  # in a price of 1
Levels = list[tuple[int, int, int]]  # price in units, shares, orders; best first


@dataclass
class Moment:
    """Behind ``count`` messages of the standard: levels by locate, bids and asks."""

    blocks: bytes  # of the standard's messages since the moment before
    count: int
    books: dict[int, tuple[Levels, Levels]]


def books_of(machine: Machine) -> dict[int, tuple[Levels, Levels]]:
    """What the engine shows."""
    found: dict[int, tuple[Levels, Levels]] = {}
    for number, instrument in enumerate(machine.instruments.in_order(), 1):
        unit = int(instrument.tick * UNITS)
        buy, sell = (
            [(price * unit, quantity, orders)
             for price, quantity, orders in machine.levels(number, side).tolist()]
            for side in (1, 2)
        )  # fmt: skip
        found[number] = buy, sell
    return found


def moments(parts: Iterator[NDArray[np.void]]) -> Iterator[Moment]:
    """Commands to a machine, its changes to messages: a moment behind each part.

    Messages of our own types are left out, as the page says to do for decoders that refuse them.
    """
    machine, count = Machine(), 0
    encoder = Encoder(machine.instruments)
    for commands in parts:
        standard = [message for message in messages_of(encoder.blocks(machine.changes(commands)))
                    if message[:1].isupper()]  # fmt: skip
        count += len(standard)
        yield Moment(b"".join(map(blocks_of, standard)), count, books_of(machine))


def day() -> Iterator[NDArray[np.void]]:
    source = source_of("bme", sample_day())
    yield definitions(*source.instruments)
    for rows, _ in source.importer.rows(source.file, Directory(source.instruments), chunk=150):
        yield rows


WORLD = (Instrument("ONE", "0.01"), Instrument("TWO", "0.5", lot=3, max_quantity=999))


def random_flow() -> Iterator[NDArray[np.void]]:
    yield definitions(*WORLD)
    rows = flow(15, 12_000, again=0.1)
    sayable = (rows["price"] > 0) & (rows["price"] < 2**20) & (rows["quantity"] < 2**32)
    rows = rows[sayable]  # in messages of the standard
    for at in range(0, len(rows), 50):
        yield rows[at : at + 50]


FLOWS = {"day": day, "random": random_flow}
_made: dict[str, list[Moment]] = {}


@pytest.fixture(params=FLOWS)
def known(request: pytest.FixtureRequest) -> list[Moment]:
    name = request.param
    if name not in _made:
        _made[name] = list(moments(FLOWS[name]()))
    return _made[name]


class PlainBook:
    """The book as itchfeed's page describes to keep it: by reference numbers alone."""

    def __init__(self) -> None:
        self.orders: dict[int, list[Any]] = {}  # locate, side, price, shares; oldest first

    def take(self, message: Any) -> None:
        kind = message.message_type
        if kind == b"A":
            reference = message.order_reference_number
            assert reference not in self.orders
            self.orders[reference] = [message.stock_locate, message.buy_sell_indicator,
                                      message.price, message.shares]  # fmt: skip
        elif kind == b"D":
            del self.orders[message.order_reference_number]
        elif kind in (b"E", b"X"):
            order = self.orders[message.order_reference_number]
            order[3] -= message.executed_shares if kind == b"E" else message.cancelled_shares
            assert order[3] >= 0
            if not order[3]:
                del self.orders[message.order_reference_number]

    def levels(self, locate: int) -> tuple[Levels, Levels]:
        sides: dict[bytes, dict[int, list[int]]] = {b"B": {}, b"S": {}}
        for owner, side, price, shares in self.orders.values():
            if owner == locate:
                level = sides[side].setdefault(price, [0, 0])
                level[0] += shares
                level[1] += 1
        bids, asks = ([(price, *level) for price, level in sides[side].items()] for side in sides)
        return sorted(bids, reverse=True), sorted(asks)


def test_itchfeed(known: list[Moment], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITCH_NO_CPP", "1")  # its own parser, not that of itchcpp
    import itch
    from itch.parser import MessageParser

    assert not itch.USING_CPP_BACKEND
    parser, book, seen = MessageParser(), PlainBook(), 0
    for moment in known:
        for message in parser.parse_stream(moment.blocks):
            book.take(message)
            seen += 1
        assert seen == moment.count
        for locate, levels in moment.books.items():
            assert book.levels(locate) == levels
    assert len(known) > 100 and seen > 2000


def test_itchcpp(known: list[Moment]) -> None:
    books = itchcpp.book.BookManager()
    symbols: dict[int, str] = {}
    for moment in known:
        books.process_stream(moment.blocks)
        for message in messages_of(moment.blocks):
            if message[:1] == b"R":
                symbols[int.from_bytes(message[1:3], "big")] = message[11:19].decode().strip()
        for locate, (bids, asks) in moment.books.items():
            if bids or asks:
                best = books.book_for_symbol(symbols[locate]).bbo()
                shown = [(round(best.bid_price * UNITS), best.bid_shares)] if best.has_bid else []
                assert shown == [level[:2] for level in bids[:1]]
                shown = [(round(best.ask_price * UNITS), best.ask_shares)] if best.has_ask else []
                assert shown == [level[:2] for level in asks[:1]]


def test_itch_book(known: list[Moment], tmp_path: Path) -> None:
    path = tmp_path / "saved.bin"
    path.write_bytes(b"".join(moment.blocks for moment in known))
    shown: dict[int, list[tuple[int, tuple[Levels, Levels]]]] = defaultdict(list)
    with itch_book.open(str(path), date=date(2019, 5, 21), price_type="fixed") as feed:
        for batch in feed.batches(tables=("depth",), depth=DEPTH):
            for at, (number, locate) in enumerate(
                zip(batch.depth["seq"].tolist(), batch.depth["locate"].tolist(), strict=True)
            ):
                shown[locate].append((number, depth_of(batch.depth, at)))
    assert feed.stats["messages"] == known[-1].count
    faults = ("unknown", "malformed", "missing_ref", "dup_ref", "rejected", "clamped")
    assert [feed.stats[fault] for fault in faults] == [0] * len(faults)
    for locate, rows in shown.items():
        numbers = [number for number, _ in rows]
        for moment in known:
            bids, asks = moment.books[locate]
            at = bisect_right(numbers, moment.count) - 1
            if at >= 0:
                assert rows[at][1] == (bids[:DEPTH], asks[:DEPTH])


def depth_of(table: dict[str, NDArray[Any]], at: int) -> tuple[Levels, Levels]:
    """A row of the table, the best levels behind a message."""
    bids, asks = (
        [(int(table[f"{side}_px_{n:02}"][at]), int(table[f"{side}_sz_{n:02}"][at]),
          int(table[f"{side}_ct_{n:02}"][at]))
         for n in range(DEPTH) if table[f"{side}_ct_{n:02}"][at]]
        for side in ("bid", "ask")
    )  # fmt: skip
    return bids, asks
