"""Every channel shows what the changes make of the market, at every message of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_kit import CHANNELS, Client, client, exchange, flow, run, serving

import matchcore as mc
from matchcore import Side
from matchcore.feeds import Books, Stream
from matchcore.feeds.statistics import BAR, TRADE
from matchcore.feeds.web import frames
from matchcore.records.changes import CHANGE, ChangeKind
from matchcore.records.instruments import Directory, price_text

ANA, BBB = mc.Instrument("ANA", "0.05"), mc.Instrument('Q"\\', "0.001")
NEW = mc.Instrument("NEW", "7")
SIDES = (("bids", Side.BUY), ("asks", Side.SELL))


class Past:
    """What everything was at each number, by other means than the feed's."""

    def __init__(self, path: Path) -> None:
        self._stream = Stream(path)
        self._rows = self._each()
        self.number = self.defined = 0
        self.books: Books | None = None
        self.trades: dict[int, list[dict[str, Any]]] = {}
        self.day: dict[int, list[dict[str, Any]]] = {}
        self.days: dict[int, int] = {}

    def _each(self) -> Iterator[Any]:
        for changes in self._stream.poll():
            if self.books is None:
                self.books = Books(self._stream.instruments)
            for at in range(len(changes.rows)):
                yield changes.rows[at : at + 1]

    def go_to(self, number: int) -> None:
        while self.number < number:
            row = next(self._rows)
            self.number += 1
            assert self.books is not None
            if self.number > 1:  # the first is a definition that the books began with
                self.books.apply(row)
            self._count(row[0])

    def _count(self, row: Any) -> None:
        number = int(row["instrument"])
        if row["kind"] == ChangeKind.DEFINED:
            self.defined = max(self.defined, number)
        if row["kind"] == ChangeKind.DAY_ENDED:
            for one in [number] if number else range(1, self.defined + 1):
                self.day[one] = []
                self.days[one] = self.days.get(one, 0) + 1
        if row["kind"] == ChangeKind.EXECUTED:
            trade = {
                "id": int(row["trade_id"]),
                "price": self.text(number, int(row["price"])),
                "quantity": int(row["quantity"]),
                "side": "sell" if row["side"] == Side.BUY else "buy",
                "time": str(row["time"]),
            }
            self.trades.setdefault(number, []).append(trade)
            self.day.setdefault(number, []).append(trade)

    def text(self, number: int, ticks: int) -> str:
        return price_text(self._stream.instruments[number].price(ticks))

    def levels(self, number: int, depth: int | None = None) -> dict[Any, Any]:
        assert self.books is not None
        found = {}
        for name, side in SIDES:
            for price, quantity, orders in self.books.levels(number, side, depth).tolist():
                found[name, self.text(number, price)] = quantity, orders
        return found

    def orders(self, number: int) -> dict[Any, Any]:
        assert self.books is not None
        return {("bids" if row["side"] == Side.BUY else "asks", int(row["order_id"])):
                (self.text(number, int(row["price"])), int(row["quantity"]))
                for row in self.books.orders(number)}  # fmt: skip

    def best(self, number: int) -> Any:
        found = self.levels(number, 1)
        said: dict[str, Any] = {"bids": None, "asks": None}
        said |= {side: [price, *held] for (side, price), held in found.items()}
        return said["bids"], said["asks"]

    def all(self, channel: str, number: int, depth: int) -> Any:
        if channel == "book.l2":
            return self.levels(number, depth or None)
        if channel == "trades":
            return self.trades.get(number, [])
        if channel.startswith("bars"):
            return self.bars(number, 60 if channel == "bars.1m" else 86_400)
        return {"book.l1": self.best, "book.l3": self.orders, "status": self.status}[channel](
            number
        )

    def bars(self, number: int, seconds: int) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        for trade in self.trades.get(number, []):
            start = int(trade["time"]) // 10**9 // seconds * seconds
            found[start] = bar_with(found.get(start), start, trade)
        return found

    def status(self, number: int) -> dict[str, Any]:
        bar: list[Any] | None = None
        for trade in self.day.get(number, []):
            bar = bar_with(bar, 0, trade)
        names = ("open", "high", "low", "last", "volume", "turnover")
        if bar is None:
            zero = self.text(number, 0)
            bar = [0, None, None, None, None, 0, zero]
        said = dict(zip(names, bar[1:], strict=True))
        count = len(self.day.get(number, []))
        return said | {"trades": count, "day": self.days.get(number, 0)}


def bar_with(bar: list[Any] | None, start: int, trade: dict[str, Any]) -> list[Any]:
    price, quantity = Decimal(trade["price"]), trade["quantity"]
    if bar is None:
        return [start, *[trade["price"]] * 4, quantity, str(price * quantity)]
    _, first, high, low, _, volume, turnover = bar
    high, low = str(max(Decimal(high), price)), str(min(Decimal(low), price))
    turnover = str(Decimal(turnover) + price * quantity)
    return [start, first, high, low, trade["price"], volume + quantity, turnover]


def check_states(seen: Client, path: Path, numbers: dict[str, int], depth: int = 0) -> int:
    """Each state that the client had is what there was at its number."""
    told = sorted(
        (number, *place, at)
        for place, states in seen.states.items()
        for at, (number, _) in enumerate(states)
    )
    past = Past(path)
    for number, channel, symbol, at in told:
        past.go_to(number)
        state = seen.states[channel, symbol][at][1]
        instrument = numbers[symbol]
        expected = past.all(channel, instrument, depth)
        if channel == "trades":  # a snapshot has the last ones only
            expected = expected[len(expected) - len(state) :]
        if channel == "status":
            check_vwap(state, past.day.get(instrument, []))
            state = {name: value for name, value in state.items() if name != "vwap"}
        assert state == expected, (number, channel, symbol)
    return len(told)


def check_vwap(status: dict[str, Any], day: list[dict[str, Any]]) -> None:
    if not day:
        assert status["vwap"] is None
        return
    exact = Decimal(status["turnover"]) / status["volume"]
    unit = Decimal(status["vwap"]).as_tuple().exponent
    assert isinstance(unit, int)
    assert abs(Decimal(status["vwap"]) - exact) <= Decimal(1).scaleb(unit) / 2


@pytest.mark.parametrize("depth", [0, 5])
def test_every_state_of_every_channel_is_true(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "e"

    async def test() -> None:
        with exchange(path, ANA, BBB) as engine:
            engine.submit_batch(flow(1, 300, 2))
            async with serving(path) as served, client(served) as seen:
                await seen.subscribe(CHANNELS, ["*"], depth=depth, id=1)
                for turn in range(40):
                    if turn == 15:
                        engine.add_instrument(NEW)
                    many = 3 if turn > 15 else 2
                    engine.submit_batch(flow(turn + 2, 25, many, 300 + 25 * turn))
                    await served.come_to(engine.sequence)
                    if turn % 4 == 0:
                        await seen.settle()
                await seen.settle()
                for symbol, number in (("ANA", 1), ("NEW", 3)):
                    view = engine.book(symbol)
                    book = {(name, price_text(level.price)): (level.quantity, level.orders)
                            for name, found in (("bids", view.bids(depth or None)),
                                                ("asks", view.asks(depth or None)))
                            for level in found}  # fmt: skip
                    assert seen.now["book.l2", symbol] == book, number
        checked = check_states(seen, path, {"ANA": 1, BBB.symbol: 2, "NEW": 3}, depth)
        assert checked > 300
        assert {place[0] for place in seen.states} == set(CHANNELS)

    run(test())


def test_another_tick_brings_fresh_snapshots(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", mc.Instrument("ANA", "0.05")) as engine:
            engine.submit(mc.NewOrder("ANA", Side.BUY, 5, price="95.05"))
            engine.submit(mc.NewOrder("ANA", Side.SELL, 2, price="95.05"))
            async with serving(tmp_path / "e") as served, client(served) as seen:
                await seen.subscribe(CHANNELS, ["ANA"])
                await seen.settle()
                engine.mass_cancel("ANA")
                engine.change_instrument(mc.Instrument("ANA", "0.002", lot=3))
                told = await seen.until("instrument")
                assert told["instrument"] == {"number": 1, "symbol": "ANA", "tick": "0.002",
                                              "lot": 3}  # fmt: skip
                engine.submit(mc.NewOrder("ANA", Side.SELL, 3, price="95.052"))
                engine.submit(mc.NewOrder("ANA", Side.BUY, 6, price="95.052"))
                await served.come_to(engine.sequence)
                await seen.settle()
        assert seen.now["book.l2", "ANA"] == {("bids", "95.052"): (3, 1)}
        status = seen.now["status", "ANA"]
        assert Decimal(status["open"]) == Decimal("95.05") and status["high"] == "95.052"
        assert Decimal(status["turnover"]) == 2 * Decimal("95.05") + 3 * Decimal("95.052")
        assert [trade["price"] for trade in seen.now["trades", "ANA"]] == ["95.05", "95.052"]
        (day,) = seen.now["bars.1d", "ANA"].values()
        assert [Decimal(text) for text in day[1:5]] == [
            Decimal(text) for text in ("95.05", "95.052", "95.05", "95.052")
        ]

    run(test())


def test_the_binary_form_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "e"

    async def test() -> None:
        with exchange(path, ANA, BBB) as engine:
            engine.submit_batch(flow(1, 200, 2))
            async with serving(path) as served, client(served) as text, client(served) as raw:
                await text.subscribe(CHANNELS, ["ANA"])
                await text.settle()
                await raw.subscribe(CHANNELS, ["ANA"], format="binary", id=9)
                told: list[bytes] = []
                for turn in range(6):
                    engine.submit_batch(flow(turn + 2, 40, 2, 200 + 40 * turn))
                    await served.come_to(engine.sequence)
                    await text.settle()
                    await raw.ask("ping", id=turn)
                    while True:
                        message = await raw.socket.recv()
                        if isinstance(message, bytes):
                            told.append(message)
                        elif json.loads(message)["type"] == "pong":
                            break
                for channel, code in frames.CHANNEL_CODES.items():
                    check_binary(channel, [one for one in told if one[1] == code], text)

    run(test())


def check_binary(channel: str, told: list[bytes], text: Client) -> None:
    """Chains, and ends in the state that a reader of JSON has."""
    last, rows, header = 0, np.empty(0, DTYPES[channel]), frames.HEADER
    books = Books(Directory([ANA]))
    for message in told:
        kind, _, zero, instrument, number, prev, time = header.unpack_from(message)
        assert (zero, instrument) == (0, 1) and time > 0
        assert (kind == frames.SNAPSHOT) == (last == 0) and prev == (last if last else 0)
        last, rows = number, np.frombuffer(message, DTYPES[channel], offset=header.size)
        if channel == "book.l3":
            books.apply(rows)
    assert last == text.numbers[channel, "ANA"] and len(told) > 3
    now = text.now[channel, "ANA"]
    if channel == "book.l3":
        assert len(books.orders(1)) == len(now)
    elif channel == "trades":
        assert rows["trade_id"].tolist() == [trade["id"] for trade in now][-len(rows) :]
    elif channel == "status":
        assert int(rows["volume"][0]) == now["volume"]
        assert text_of(rows[0], "turnover") == now["turnover"]
    elif channel.startswith("bars"):
        assert text_of(rows[-1], "close") == [*now.values()][-1][4]
    elif channel == "book.l1":
        sides = {int(row["side"]): [row["price"], row["quantity"], row["orders"]] for row in rows}
        for side, level in zip((1, 2), now, strict=True):
            assert (side in sides) == (level is not None)
            assert level is None or [str(ANA.price(sides[side][0])), *sides[side][1:]] == level
    else:
        for row in rows:
            place = "bids" if row["side"] == 1 else "asks", str(ANA.price(int(row["price"])))
            held = (int(row["quantity"]), int(row["orders"])) if row["quantity"] else None
            assert now.get(place) == held


DTYPES = {"book.l1": frames.LEVEL, "book.l2": frames.LEVEL, "book.l3": CHANGE, "trades": TRADE,
          "bars.1m": BAR, "bars.1d": BAR, "status": frames.STATUS}  # fmt: skip


def text_of(row: Any, name: str) -> str:
    unit = Decimal(int(row["mantissa"])).scaleb(int(row["exponent"]))
    high = int(row[f"{name}_high"]) << 64 if f"{name}_high" in row.dtype.names else 0
    return price_text(unit * (high + int(row[name])))
