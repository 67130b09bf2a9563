"""The compiled text of changes is the JSON that plain Python writes, for every number there is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore.feeds.web import _texts, frames, texts
from matchcore.records.changes import CHANGE, ChangeKind

MOST = 2**63 - 1
OPS = {1: "add", 2: "execute", 3: "reduce", 4: "delete"}
SIDES = {1: "buy", 2: "sell"}

small_or_large = st.one_of(st.integers(0, 3), st.sampled_from([2**53, 2**53 + 1, MOST]))
change = st.fixed_dictionaries({
    "kind": st.integers(1, 4), "side": st.integers(1, 2),
    "price": st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), -(2**62), MOST])),
    "quantity": small_or_large, "left": small_or_large, "level_quantity": small_or_large,
    "level_orders": st.integers(0, 2**32 - 1), "order_id": st.integers(1, 2**64 - 1),
    "trade_id": st.one_of(st.integers(1, 9), st.just(2**64 - 1)),
    "time": st.integers(-(2**63), MOST), "flags": st.sampled_from([0, 0, 8, 12]),
})  # fmt: skip
ticks = st.tuples(st.one_of(st.integers(1, 9), st.just(MOST)), st.integers(0, 18))


def price_said(price: int, mantissa: int, decimals: int) -> str:
    return json.loads(texts.decimal(price, mantissa, -decimals))


def limit_said(side: int, price: int, *tick: int) -> str | None:
    """None for a buy at the largest price, or a sell at the smallest: they trade at any."""
    return None if price == (MOST if side == 1 else -(2**63)) else price_said(price, *tick)


def is_unseen(one: dict[str, int]) -> bool:
    return one["kind"] == ChangeKind.EXECUTED and bool(one["flags"] & 8)


def whole_said(value: int) -> int | str:
    return value if value <= 2**53 else str(value)


@given(st.lists(change, max_size=30), ticks)
def test_it_is_what_plain_python_says(given_changes: list[dict[str, int]], tick: Any) -> None:
    rows = np.zeros(len(given_changes), CHANGE)
    for row, fields in zip(rows, given_changes, strict=True):
        for name, value in fields.items():
            row[name] = value
    seen = [one for one in given_changes if not is_unseen(one)]
    levels = {(one["side"], one["price"]): one for one in seen}
    said = json.loads(b"{" + _texts.levels(rows, *tick) + b"}")
    for name, side in (("bids", 1), ("asks", 2)):
        expected = [
            [limit_said(side, price, *tick), whole_said(one["level_quantity"]), one["level_orders"]]
            for (its, price), one in levels.items()
            if its == side
        ]
        assert sorted(said[name], key=str) == sorted(expected, key=str)
    trades = [
        {"id": whole_said(one["trade_id"]), "price": price_said(one["price"], *tick),
         "quantity": whole_said(one["quantity"]),
         "side": None if one["flags"] & 4 else SIDES[3 - one["side"]],
         "time": str(one["time"])}
        for one in given_changes
        if one["kind"] == ChangeKind.EXECUTED
    ]  # fmt: skip
    assert json.loads(b"{" + _texts.executions(rows, *tick) + b"}")["trades"] == trades
    orders = [
        {"op": "trade" if is_unseen(one) else OPS[one["kind"]],
         "order_id": whole_said(one["order_id"]), "side": SIDES[one["side"]],
         "price": (price_said(one["price"], *tick) if is_unseen(one)
                   else limit_said(one["side"], one["price"], *tick)),
         "quantity": whole_said(one["quantity"]), "left": whole_said(one["left"]),
         **({"trade_id": whole_said(one["trade_id"])} if one["kind"] == 2 else {})}
        for one in given_changes
    ]  # fmt: skip
    assert json.loads(b"{" + _texts.orders(rows, *tick) + b"}")["changes"] == orders
    binary = np.frombuffer(frames.last_levels(rows), frames.LEVEL)
    assert {(row["side"], row["price"]): (row["quantity"], row["orders"]) for row in binary} == {
        place: (one["level_quantity"], one["level_orders"]) for place, one in levels.items()
    }


@given(st.integers(-(2**130), 2**130), ticks)
def test_decimals_are_exact(value: int, tick: tuple[int, int]) -> None:
    mantissa, decimals = tick
    said = json.loads(texts.decimal(value, mantissa, -decimals))
    assert int(said.replace(".", "")) == value * mantissa
    assert len(said.partition(".")[2]) == decimals


@given(st.integers(0, 300), st.sampled_from([0, 65_400, 70_000]), st.booleans(), st.integers(0, 9))
def test_a_frame_is_one(size: int, more: int, update: bool, number: int) -> None:
    fields = b'"x":"%b"' % (b"y" * (size + more))
    text = b'{"a":1,"number":%d,' % (2**63 + number)
    text += b'"prev":%d,' % number if update else b""
    text += b'"time":"-5",%b}' % fields
    made = _texts.framed(b'{"a":1,', 2**63 + number, number, update, -5, fields)
    assert made == frames.frame(frames.TEXT, text)


@pytest.mark.parametrize("wrong", [None, 5, b"", np.zeros(3), np.zeros((2, 2), CHANGE)])
def test_what_is_no_changes_is_refused(wrong: Any) -> None:
    for write in (_texts.levels, _texts.executions, _texts.orders):
        with pytest.raises(TypeError, match="changes: a 1-D NumPy array"):
            write(wrong, 1, 0)
