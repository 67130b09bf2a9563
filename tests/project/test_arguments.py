"""Every argument of a public call is taken for what it says, or refused by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import astuple, is_dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import matchcore as mc
from matchcore.engine import recovery, snapshotting
from matchcore.journal import LogReader, identity_of
from matchcore.records.times import nanoseconds
from matchcore.sinks import FollowerProcess, open_sink
from matchcore.sinks.sql.queries import Queries

ANA = mc.Instrument("ANA", "0.05")
BUY, SELL = mc.Side.BUY, mc.Side.SELL
DAY = 86_400 * 10**9
NOON = 3 * DAY + DAY // 2


class World(NamedTuple):
    """An exchange with trades and resting orders, closed, and a database of it."""

    path: Path
    url: str
    at: mc.Engine
    ask: Queries
    fresh: Callable[[], Path]  # a place for another exchange

    def book(self) -> mc.OrderBook:
        made = mc.OrderBook()
        made.add(1, SELL, 10, 6)
        return made

    def encoded(self, kind: Any, *values: Any, **more: Any) -> bytes:
        return mc.encode(kind(*values, **more), self.at.instruments).tobytes()

    def opened(self, **more: Any) -> int:
        with mc.Engine.open(self.fresh(), **more) as engine:
            return engine.sequence

    def shard(self, number: Any) -> None:
        open_sink(f"sqlite:///{self.fresh()}.db", identity_of(self.path), shard=number).close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place, count = tmp_path_factory.mktemp("door"), iter(range(10_000))
    path, url = place / "e", f"sqlite:///{place}/x.db"
    with mc.Engine.open(path, instruments=[ANA], clock=lambda: NOON) as engine:
        for order_id in (2, 2**64 - 1):
            for side in (BUY, SELL, BUY):
                engine.submit(mc.NewOrder("ANA", side, 5, "1.00", account=order_id))
        for order_id in (7, 2**63):
            engine.submit(mc.NewOrder("ANA", BUY, 3, "1.00", account=2, order_id=order_id))
    with mc.Follower(path, open_sink(url, identity_of(path))) as follower:
        follower.run()
    with Queries(url) as ask:
        yield World(path, url, mc.Engine.at(path), ask, lambda: place / f"f{next(count)}")


class Case(NamedTuple):
    """``good``: a value that is taken; ``name``: what an error must say; ``none``: None is too."""

    name: str
    good: int
    call: Callable[[World, Any], Any]
    none: bool = False


def order(name: str) -> Callable[[World, Any], Any]:
    given = {"symbol": "ANA", "side": 1, "quantity": 5, "price": "1.00"}
    return lambda w, v: w.encoded(mc.NewOrder, **{**given, name: v})


def added(name: str) -> Callable[[World, Any], Any]:
    given = {"order_id": 5, "side": 1, "price": 3, "quantity": 2}

    def add(w: World, value: Any) -> Any:
        book = w.book()
        return book.add(**{**given, name: value}), book.orders().tobytes()

    return add


def executed(book: mc.OrderBook, price: Any) -> Any:
    return book.execute(1, 2, price), book.fills


CASES = {
    "NewOrder quantity": Case("quantity", 5, order("quantity")),
    "NewOrder account": Case("account", 5, order("account")),
    "NewOrder order_id": Case("order_id", 5, order("order_id")),
    "NewOrder client_order_id": Case("client_order_id", 5, order("client_order_id")),
    "NewOrder time": Case("time", 5, order("time")),
    "NewOrder side": Case("side", 2, order("side")),
    "NewOrder time_in_force": Case("time_in_force", 2, order("time_in_force"), none=True),
    "Cancel order_id": Case("order_id", 5, lambda w, v: w.encoded(mc.Cancel, "ANA", v)),
    "Amend quantity": Case("quantity", 5, lambda w, v: w.encoded(mc.Amend, "ANA", 1, v, "1"), True),
    "Reduce quantity": Case("quantity", 5, lambda w, v: w.encoded(mc.Reduce, "ANA", 1, v)),
    "MassCancel side": Case("side", 1, lambda w, v: w.encoded(mc.MassCancel, side=v), none=True),
    "MassCancel account": Case("account", 1, lambda w, v: w.encoded(mc.MassCancel, account=v)),
    "EndDay time": Case("time", 1, lambda w, v: w.encoded(mc.EndDay, time=v)),
    "Instrument lot": Case("lot", 5, lambda w, v: mc.Instrument("A", 1, lot=v)),
    "max_quantity": Case("max_quantity", 5, lambda w, v: mc.Instrument("A", 1, max_quantity=v)),
    "max_orders": Case("max_orders", 5, lambda w, v: mc.Instrument("A", 1, max_orders=v)),
    "Instrument.price": Case("ticks", 5, lambda w, v: ANA.price(v)),
    "directory[]": Case("instrument number", 1, lambda w, v: w.at.instruments[v]),
    "directory.get": Case("instrument number", 1, lambda w, v: w.at.instruments.get(v)),
    "directory.ticks": Case("instrument number", 1, lambda w, v: w.at.instruments.ticks(v, "1")),
    "directory.replace": Case(
        "instrument number", 1, lambda w, v: mc.Directory([ANA]).replace(v, ANA)),
    "Machine": Case("reserve", 5, lambda w, v: mc.Machine(v).sequence),
    "Machine.orders": Case("instrument number", 1, lambda w, v: w.at._machine.orders(v)),
    "Machine.order": Case("order_id", 7, lambda w, v: w.at._machine.order(1, v)),
    "OrderBook lot": Case("lot", 5, lambda w, v: len(mc.OrderBook(lot=v))),
    "OrderBook quantity": Case("max_quantity", 5, lambda w, v: len(mc.OrderBook(max_quantity=v))),
    "OrderBook orders": Case("max_orders", 5, lambda w, v: len(mc.OrderBook(max_orders=v))),
    **{f"add {name}": Case(name, 2, added(name)) for name in
       ("order_id", "side", "quantity", "time_in_force", "account", "client_order_id")},
    "add price": Case("price", 2, added("price"), none=True),
    "add post_only": Case("post_only", 1, added("post_only")),
    "OrderBook.cancel": Case("order_id", 1, lambda w, v: w.book().cancel(v)),
    "OrderBook.amend": Case("order_id", 1, lambda w, v: w.book().amend(v, 2)),
    "amend quantity": Case("quantity", 1, lambda w, v: w.book().amend(1, v, 10), none=True),
    "amend price": Case("price", 1, lambda w, v: w.book().amend(1, 2, v), none=True),
    "OrderBook.reduce": Case("order_id", 1, lambda w, v: w.book().reduce(v, 2)),
    "reduce quantity": Case("quantity", 1, lambda w, v: w.book().reduce(1, v)),
    "OrderBook matching": Case("matching", 1, lambda w, v: mc.OrderBook(matching=v).matching),
    "OrderBook.execute": Case("order_id", 1, lambda w, v: w.book().execute(v, 2)),
    "execute quantity": Case("quantity", 1, lambda w, v: w.book().execute(1, v)),
    "execute price": Case("price", 1, lambda w, v: executed(w.book(), v), none=True),
    "orders_at side": Case("side", 2, lambda w, v: w.book().orders_at(v, 10).tobytes()),
    "orders_at price": Case("price", 10, lambda w, v: w.book().orders_at(SELL, v).tobytes()),
    "OrderBook.ahead": Case("order_id", 1, lambda w, v: w.book().ahead(v)),
    "quantity_at side": Case("side", 2, lambda w, v: w.book().quantity_at(v, 10)),
    "quantity_at price": Case("price", 10, lambda w, v: w.book().quantity_at(SELL, v)),
    "OrderBook.levels": Case("side", 2, lambda w, v: w.book().levels(v)),
    "OrderBook depth": Case("depth", 2, lambda w, v: w.book().levels(SELL, v), none=True),
    "OrderBook.order": Case("order_id", 1, lambda w, v: w.book().order(v)),
    "OrderBook in": Case("order_id", 1, lambda w, v: v in w.book()),
    "book.order": Case("order_id", 7, lambda w, v: w.at.book("ANA").order(v)),
    "book.bids": Case("depth", 1, lambda w, v: w.at.book("ANA").bids(v), none=True),
    "book.depth": Case("depth", 1, lambda w, v: w.at.book("ANA").depth(v), none=True),
    "book.as_plain": Case("depth", 1, lambda w, v: w.at.book("ANA").as_plain(v), none=True),
    "book.levels": Case("side", 1, lambda w, v: w.at.book("ANA").levels(v)),
    "Engine.at": Case(
        "sequence", 3, lambda w, v: mc.Engine.at(w.path, sequence=v).digest(), none=True),
    "look": Case(
        "sequence", 3, lambda w, v: recovery.look(w.path, sequence=v).position, none=True),
    "take": Case("sequence", 9, lambda w, v: snapshotting.take(w.path, sequence=v), none=True),
    "queue_depth": Case("queue_depth", 5, lambda w, v: w.opened(queue_depth=v)),
    "queue_bytes": Case("queue_bytes", 5, lambda w, v: w.opened(queue_bytes=v)),
    "interval_ms": Case("interval_ms", 5, lambda w, v: w.opened(interval_ms=v)),
    "segment_bytes": Case("segment_bytes", 5000, lambda w, v: w.opened(segment_bytes=v)),
    "reserve": Case("reserve", 5, lambda w, v: w.opened(reserve=v)),
    "max_bytes": Case("max_bytes", 5, lambda w, v: mc.MemoryLog(max_bytes=v).max_bytes),
    "LogReader": Case("after", 5, lambda w, v: LogReader(w.path, after=v).close()),
    "fork.replay": Case("sequence", 9, lambda w, v: w.at.fork().replay(sequence=v), none=True),
    "open_sink": Case("shard", 3, lambda w, v: w.shard(v)),
    "Queries": Case("shard", 0, lambda w, v: Queries(w.url, shard=v).close()),
    "executions": Case("account", 2, lambda w, v: w.ask.executions(v)),
    "open_orders": Case("account", 2, lambda w, v: w.ask.open_orders(v), none=True),
    "lives": Case("order_id", 7, lambda w, v: len(w.ask.lives("ANA", v))),
    "life": Case("seq", 2, lambda w, v: w.ask.life(v)),
    "limit": Case("limit", 2, lambda w, v: w.ask.open_orders(limit=v), none=True),
    "length": Case("length", 60, lambda w, v: w.ask.minute_bars("1970-01-04", length=v)),
    "after": Case("after, seq", 2, lambda w, v: w.ask.open_orders(after=(v,))),
    "day": Case("day", 3, lambda w, v: w.ask.trades(v)),
    "sequence_at": Case("time", NOON, lambda w, v: recovery.sequence_at(w.path, v)),
    "Engine.at time": Case(
        "time", NOON, lambda w, v: mc.Engine.at(w.path, time=v).sequence, none=True),
}  # fmt: skip
WRONG = (True, np.bool_(True), 1.5, np.float64(1.0), "one", b"1", [1, 2], (), object(),
         np.timedelta64(5, "s"))  # fmt: skip
FAR = (-1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**30, 10**5000)


def plain(found: Any) -> Any:
    """What can be compared."""
    if isinstance(found, np.ndarray | np.void):
        return found.tobytes()
    if is_dataclass(found) and not isinstance(found, type):
        return astuple(found)
    return str(found) if isinstance(found, mc.BookView) else found


@pytest.mark.parametrize("what", CASES)
def test_numpy_integers_are_integers(world: World, what: str) -> None:
    case = CASES[what]
    expected = plain(case.call(world, case.good))
    kinds: list[type] = [np.int64, np.uint64] + [np.int32, np.uint16] * (case.good < 2**15)
    for kind in kinds:
        assert plain(case.call(world, kind(case.good))) == expected


@pytest.mark.parametrize("what", CASES)
def test_what_is_no_integer_is_refused_by_its_name(world: World, what: str) -> None:
    case = CASES[what]
    for value in WRONG + ((None,) if not case.none else ()):
        if case.name in ("post_only", "matching") and isinstance(value, bool | np.bool_):
            continue
        symbols = what in ("directory[]", "directory.get", "directory.ticks", "directory.replace")
        if symbols and isinstance(value, str | bytes):
            continue  # which is about a symbol, below
        with pytest.raises((mc.InvalidArgument, mc.InvalidCommand)) as caught:
            case.call(world, value)
        assert re.search(rf"\b{case.name}\b", str(caught.value)), (value, caught.value)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("what", CASES)
def test_numbers_from_everywhere_have_an_answer_or_a_refusal_of_ours(
    world: World, what: str
) -> None:
    case = CASES[what]
    if case.name in ("reserve", "queue_depth", "queue_bytes", "max_bytes", "interval_ms"):
        pytest.skip("takes large numbers by its nature")
    for value in FAR:
        try:
            case.call(world, value)
        except (mc.MatchcoreError, TypeError, ValueError) as error:
            assert re.search(rf"\b{case.name}\b|refused: ", str(error)), (value, error)


@pytest.mark.parametrize("value", [5, 1.5, None, True, [], "\ud800", "A\0", "'", b"\xff", "NO"])
def test_what_is_no_symbol_is_an_unknown_instrument(world: World, value: Any) -> None:
    day = date(1970, 1, 4)
    for ask in (
        lambda: world.at.book(value), lambda: world.at.instruments.number(value),
        lambda: world.encoded(mc.Cancel, value, 1), lambda: world.encoded(mc.Reduce, value, 1, 1),
        lambda: world.ask.number(value), lambda: world.ask.lives(value, 1),
        *([lambda: world.ask.trades(day, value)] if value is not None else []),
    ):  # fmt: skip
        with pytest.raises(mc.UnknownInstrument, match="instrument"):
            ask()
    assert value not in world.at.instruments


@pytest.mark.parametrize("symbol", ["ANA", b"ANA", np.str_("ANA"), np.bytes_("ANA")])
def test_symbols_as_arrays_have_them(world: World, symbol: Any) -> None:
    directory, day = world.at.instruments, "1970-01-04"
    assert directory[symbol] == directory[1] == ANA == directory.get(symbol)
    assert directory.number(symbol) == 1 == world.ask.number(symbol) and symbol in directory
    assert directory.ticks(symbol, "1.00") == 20
    assert str(world.at.book(symbol)) == str(world.at.book("ANA"))
    record = world.encoded(mc.NewOrder, symbol, BUY, 5, "1.00")
    assert record == world.encoded(mc.NewOrder, "ANA", BUY, 5, "1.00")
    assert len(world.ask.trades(day, symbol)) == len(world.ask.trades(day, "ANA")) == 2
    assert len(world.ask.lives(symbol, np.uint64(2**63))) == 1
    assert len(world.ask.daily_bars(symbol)) == len(world.ask.minute_bars(day, symbol)) == 1
    with pytest.raises(mc.UnknownInstrument):
        directory["NO"]
    with pytest.raises(KeyError):
        directory[2]
    assert directory.get("NO") is None is directory.get(2)


def test_numpy_symbols_of_instruments_are_strings() -> None:
    made = mc.Instrument(np.str_("ANA"), "0.05")
    assert made == ANA and type(made.symbol) is str


def test_answers_ask_on_with_what_is_in_them(world: World) -> None:
    """Ids, accounts, sequences, days and symbols as the arrays of the database have them."""
    resting = world.ask.open_orders()
    assert resting["order_id"].max() == 2**63
    for row in resting:
        assert len(world.ask.open_orders(row["account"])) >= 1
        (life,) = world.ask.lives("ANA", row["order_id"])
        assert life.order == row
        found = world.ask.life(row["seq"])
        assert found is not None and found.order == row
        assert world.at.book("ANA").order(row["order_id"]) is not None
    (bar,) = world.ask.daily_bars()
    trades = world.ask.trades(bar["day"])
    assert len(trades) == bar["trades"] == len(world.ask.trades(bar["day"].astype("datetime64[D]")))
    assert len(world.ask.daily_bars("ANA", bar["day"], bar["day"])) == 1
    assert len(world.ask.executions(np.uint64(2**64 - 1))) > 0
    assert world.ask.versions(trades)["symbol"][0] == b"ANA"
    assert world.ask.number(world.ask.instruments()["symbol"][0]) == 1


@pytest.mark.parametrize(
    "day",
    ["yesterday", b"1970-01-04", np.datetime64("NaT"), np.datetime64("1970-01-04T12"),
     datetime(1970, 1, 4, tzinfo=timezone.utc), NOON, 1.5],
    ids=repr,
)  # fmt: skip
def test_what_is_no_day_is_refused(world: World, day: Any) -> None:
    for ask in (world.ask.trades, world.ask.minute_bars, lambda d: world.ask.executions(2, d)):
        with pytest.raises(mc.InvalidArgument, match=r"^day "):
            ask(day)


# ---------------------------------------------------------------------- moments

MOMENT = NOON + 123_456_789


def test_moments_of_other_libraries_are_exact() -> None:
    pandas = pytest.importorskip("pandas")
    stamp = pandas.Timestamp(MOMENT, tz="UTC")
    text = "1970-01-04T12:00:00.123456789"
    same = [
        MOMENT, np.int64(MOMENT), np.uint64(MOMENT), stamp, stamp.tz_convert("Europe/Madrid"),
        np.datetime64(MOMENT, "ns"), np.datetime64(text), f"{text}Z", f"{text}+00:00",
        "1970-01-04T14:00:00.123456789+02:00", np.str_(text),
    ]  # fmt: skip
    assert [nanoseconds(one) for one in same] == [MOMENT] * len(same)
    for unit in ("s", "ms", "us"):
        assert nanoseconds(stamp.as_unit(unit)) == MOMENT // 10**9 * 10**9 + {
            "s": 0, "ms": 123_000_000, "us": 123_456_000}[unit]  # fmt: skip
    early = pandas.Timestamp(-1, tz="UTC")
    assert nanoseconds(early) == -1 == nanoseconds(np.datetime64(-1, "ns"))


@pytest.mark.parametrize(
    ("moment", "time"),
    [(("1970-01-04", "D"), 3 * DAY), (("1970-02", "M"), 31 * DAY), (("1969", "Y"), -365 * DAY),
     ((1, "W"), 7 * DAY), ((5, "h"), 5 * 3600 * 10**9), ((5, "25s"), 125 * 10**9),
     ((1999, "ps"), 1), ((-1, "ps"), -1), ((-1, "as"), -1)],
)  # fmt: skip
def test_a_datetime64_of_any_unit_is_utc(moment: tuple[Any, str], time: int) -> None:
    assert nanoseconds(np.datetime64(*moment)) == time


NO_MOMENTS = {
    "float": float(NOON), "NumPy float": np.float64(NOON), "bool": True, "nothing": None,
    "datetime without zone": datetime(1970, 1, 4), "day": date(1970, 1, 4), "bytes": b"1970-01-04",
    "NaT": np.datetime64("NaT"), "beyond": 2**63, "far": np.datetime64(2**62, "s"),
    "farther": np.datetime64(2**62, "Y"), "far past": datetime(1, 1, 1, tzinfo=timezone.utc),
    "text": "noon", "length": np.timedelta64(1, "s"), "array": np.array([1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_MOMENTS)
def test_what_is_no_moment_is_refused(world: World, what: str) -> None:
    moment = NO_MOMENTS[what]
    calls: list[Callable[[], Any]] = [lambda: recovery.sequence_at(world.path, moment)]
    if moment is not None:
        calls.append(lambda: mc.Engine.at(world.path, time=moment))
        calls.append(lambda: world.at.fork().replay(time=moment))
    for call in calls:
        with pytest.raises(mc.InvalidArgument, match=r"^time\b"):
            call()


def test_timestamps_without_a_zone_and_nat_are_refused(world: World) -> None:
    pandas = pytest.importorskip("pandas")
    for moment in (pandas.Timestamp(MOMENT), pandas.NaT, pandas.Timestamp("3000-01-01", tz="UTC")):
        with pytest.raises(mc.InvalidArgument, match=r"^time\b"):
            mc.Engine.at(world.path, time=moment)


# ---------------------------------------------------------------------- prices and the rest


@pytest.mark.parametrize(
    "price",
    ["1_0", "1_000.00", "\u0661", "\uff11.\uff10\uff10", "1\u066b5", "\u20031", "1\xa0", "1e_2",
     "0x1", "1d", "\u0661\u0660", "1.0.0", ".", "e5", "+", "1 0", "infinity", "nan", "sNaN5"],
)  # fmt: skip
def test_prices_are_decimal_numbers_in_ascii(world: World, price: str) -> None:
    for make in (
        lambda: world.encoded(mc.NewOrder, "ANA", BUY, 5, price),
        lambda: world.encoded(mc.Amend, "ANA", 1, 5, price),
        lambda: mc.Instrument("B", price),
        lambda: ANA.ticks(price),
        lambda: world.at.instruments.ticks(1, price),
        lambda: (
            mc.as_plain(mc.Amend("ANA", 1, 5, np.str_(price).strip() and price) and ANA)
            and ANA.ticks(price)
        ),
    ):
        with pytest.raises(mc.PriceError, match=r"\b(price|tick)\b"):
            make()


@pytest.mark.parametrize("value", [None, "yes", 2, 1.0, []])
def test_a_flag_is_true_or_false(world: World, value: Any) -> None:
    with pytest.raises(mc.InvalidCommand, match="post_only"):
        world.encoded(mc.NewOrder, "ANA", BUY, 5, "1.00", post_only=value)
    on = world.encoded(mc.NewOrder, "ANA", BUY, 5, "1.00", post_only=True)
    for same in (np.bool_(True), 1, np.int64(1)):
        assert world.encoded(mc.NewOrder, "ANA", BUY, 5, "1.00", post_only=same) == on


@pytest.mark.parametrize("value", [None, "ANA", 5, [ANA]])
def test_what_is_no_instrument_is_refused(world: World, value: Any) -> None:
    for call in (
        lambda: world.encoded(mc.AddInstrument, value),
        lambda: world.encoded(mc.ChangeInstrument, value),
        lambda: mc.Directory([value]),
        lambda: mc.Engine.memory(instruments=[value]),
        lambda: world.opened(instruments=[value]),
    ):
        with pytest.raises((mc.InvalidArgument, mc.InvalidCommand), match=r"(?i)instrument"):
            call()


@pytest.mark.parametrize(
    "place", [(5,), (None,), (b"sqlite:///x.db",), (("sqlite:///x.db", 1),),
              ("sqlite:///x.db", True), ("sqlite:///x.db", 1.5), ("sqlite:///x.db", -1),
              ("sqlite:///x.db", 2**31), ("sqlite:///x.db", None)],
)  # fmt: skip
def test_a_wrong_place_for_rows_is_refused_before_a_process_is_started(
    world: World, place: Any
) -> None:
    with pytest.raises(mc.InvalidArgument, match=r"url|shard"):
        FollowerProcess(world.path, *place)
