"""`OrderBook` copied, sent to another process, digested, and restored from bytes of any kind."""

from __future__ import annotations

import copy
import hashlib
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from matchcore import ORDER, OrderBook, SnapshotDamaged
from matchcore import Side as Sides
from matchcore.machine.reference import OrderBook as Reference

BUY, SELL = int(Sides.BUY), int(Sides.SELL)
HEAD = struct.Struct("<8sQqqQQQQQ")
NAMES = ("magic", "matching", "lot", "max_quantity", "max_orders", "sequence", "next_order_id",
         "next_trade_id", "count")  # fmt: skip
LIMITS = {"lot": 2, "max_quantity": 90, "max_orders": 5}


def filled(kind: Any = OrderBook, matching: bool = False) -> Any:
    book = kind(matching=matching, **LIMITS)
    book.add(5, SELL, 10, 8, account=3, client_order_id=4)
    book.add(0, SELL, 10, 6, 2)
    book.add(7, BUY, 10, 4)
    book.add(8, BUY, -3, 2, post_only=True)
    book.execute(5, 2)
    return book


class Named(OrderBook):
    name = ""


def through_pickle(protocol: int) -> Callable[[Any], Any]:
    return lambda book: pickle.loads(pickle.dumps(book, protocol))


COPIES: list[Callable[[Any], Any]] = [
    OrderBook.copy, copy.copy, copy.deepcopy,
    lambda book: type(book).from_bytes(book.to_bytes()),
    *(through_pickle(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
]  # fmt: skip


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("matching", [False, True])
def test_a_copy_is_equal_and_apart(copied: Callable[[Any], Any], matching: bool) -> None:
    book = filled(matching=matching)
    other = copied(book)
    assert type(other) is OrderBook and other.matching is matching
    assert other.digest() == book.digest() and other.to_bytes() == book.to_bytes()
    assert other.orders().tobytes() == book.orders().tobytes()
    assert len(other.events) == other.last_order_id == 0 and other.changed_levels == []
    other._check()
    for one in (book, other):  # both go on alike: counters, limits and queues
        one.add(0, SELL, 10, 90)
        one.execute(2, 4, 11)
    assert book.events.tobytes() == other.events.tobytes()
    assert book.digest() == other.digest()
    other.cancel(8)
    assert 8 in book and 8 not in other
    book._check()


def test_a_copy_of_an_empty_book_is_empty() -> None:
    assert len(OrderBook().copy()) == 0 and OrderBook().copy().digest() == OrderBook().digest()


@pytest.mark.parametrize("copied", [OrderBook.copy, *COPIES[4:]])
def test_a_class_of_ones_own_keeps_its_attributes(copied: Callable[[Any], Any]) -> None:
    book = Named(matching=False)
    book.name = "ANA"
    book.add(1, BUY, 3, 4)
    other = copied(book)
    assert (type(other), other.name, len(other)) == (Named, "ANA", 1)


def test_a_book_of_another_process_is_the_same(tmp_path: Any) -> None:
    kept = tmp_path / "book"
    kept.write_bytes(pickle.dumps(filled()))
    code = f"import pickle; print(pickle.load(open({str(kept)!r}, 'rb')).digest())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == filled().digest()


def test_a_large_copy_is_the_same_book() -> None:
    draw = np.random.default_rng(5)
    book = OrderBook(matching=False)
    for order_id, price in enumerate(draw.integers(-300, 300, 20_000).tolist(), 1):
        book.add(order_id * 977, 1 + order_id % 2, price, 1 + order_id % 50)
    other = book.copy()
    other._check()
    assert other.orders().tobytes() == book.orders().tobytes()
    assert other.ahead(977 * 20_000) == book.ahead(977 * 20_000) != (0, 0)


@pytest.mark.parametrize("matching", [False, True])
def test_the_bytes_are_as_documented_and_those_of_the_reference(matching: bool) -> None:
    book = filled(matching=matching)
    data = book.to_bytes()
    assert book.digest() == hashlib.sha256(data).hexdigest()
    assert data == filled(Reference, matching).to_bytes()
    head = dict(zip(NAMES, HEAD.unpack_from(data), strict=True))
    trades, orders = (1, 4) if not matching else (2, 3)
    assert head == {
        "magic": b"MCBOOK_1", "matching": matching, **LIMITS, "sequence": 5, "next_order_id": 2,
        "next_trade_id": 1 + trades, "count": orders,
    }  # fmt: skip
    assert np.frombuffer(data, ORDER, offset=HEAD.size).tobytes() == book.orders().tobytes()


def changed(**fields: Any) -> bytes:
    """The bytes of a crossed book of four orders, with other fields in the head."""
    data = filled().to_bytes()
    head = dict(zip(NAMES, HEAD.unpack_from(data), strict=True)) | fields
    return HEAD.pack(*head.values()) + data[HEAD.size :]


def with_orders(edit: Callable[[Any], Any], **head: Any) -> bytes:
    orders = filled().orders()
    edited = edit(orders)
    orders = orders if edited is None else edited
    return changed(count=len(orders), **head)[: HEAD.size] + orders.tobytes()


def set_to(at: int, **fields: int) -> bytes:
    def edit(orders: Any) -> None:
        for name, value in fields.items():
            orders[name][at] = value

    return with_orders(edit)


DAMAGED = {
    "nothing": (b"", "shorter"),
    "half a head": (filled().to_bytes()[:70], "shorter"),
    "a byte less": (filled().to_bytes()[:-1], "4 orders"),
    "an order less": (filled().to_bytes()[:-48], "4 orders"),
    "a byte more": (filled().to_bytes() + b"\0", "4 orders"),
    "far too many": (changed(count=2**64 - 1), "18446744073709551615 orders"),
    "another kind": (changed(magic=b"MCSTATE2"), "not an OrderBook"),
    "matching": (changed(matching=2), "matching 2: 0 to 1"),
    "crossed": (changed(matching=1), "a crossed book"),
    "lot": (changed(lot=0), "lot 0"),
    "off lot": (changed(lot=4), "forbids"),
    "limit": (changed(max_quantity=1), "max_quantity 1: 2 to"),
    "too large": (changed(max_quantity=5), "forbids"),
    "no order": (with_orders(lambda orders: orders[:0], max_orders=0), "max_orders 0: 1 to"),
    "too many": (changed(max_orders=3), "max_orders 3: 4 to"),
    "no such number": (changed(max_orders=2**32), "max_orders 4294967296"),
    "next order": (changed(next_order_id=0), "next_order_id 0"),
    "next trade": (changed(next_trade_id=0), "next_trade_id 0"),
    "no id": (set_to(0, order_id=0), "without id"),
    "twice": (set_to(0, order_id=5), "twice"),
    "no quantity": (set_to(1, quantity=0), "without id or quantity"),
    "negative": (set_to(1, quantity=-2), "without id or quantity"),
    "side": (set_to(3, side=3), "side"),
    "time in force": (set_to(3, time_in_force=3), "time in force"),
    "flags": (set_to(3, flags=2), "flags"),
    "reserved": (set_to(3, reserved=1), "flags"),
    "unsorted": (with_orders(lambda orders: orders[::-1]), "not sorted"),
    "levels": (set_to(0, price=-4), "not sorted"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_bytes_that_no_book_has_written_are_refused(name: str) -> None:
    data, said = DAMAGED[name]
    with pytest.raises(SnapshotDamaged, match=said):
        OrderBook.from_bytes(data)
    with pytest.raises(SnapshotDamaged):
        Reference.from_bytes(data)


def test_a_level_of_more_than_63_bits_is_refused() -> None:
    book = OrderBook(matching=False)
    for order_id in (1, 2):
        book.add(order_id, BUY, order_id, 2**62)
    orders = book.orders()
    orders["price"] = 2
    data = book.to_bytes()[: HEAD.size] + orders.tobytes()
    with pytest.raises(SnapshotDamaged, match="63 bits"):
        OrderBook.from_bytes(data)


@pytest.mark.parametrize("data", [None, "MCBOOK_1", 80, bytearray(80), np.zeros(80, "u1")])
def test_only_bytes_are_taken(data: Any) -> None:
    with pytest.raises(TypeError, match="data"):
        OrderBook.from_bytes(data)


def test_every_bit_that_flips_is_seen_or_is_another_sound_book() -> None:
    data = filled().to_bytes()
    sound = 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            book = OrderBook.from_bytes(bytes(flipped))
        except SnapshotDamaged:
            continue
        book._check()
        assert book.to_bytes() == flipped
        sound += 1
    assert 0 < sound < 8 * len(data)
