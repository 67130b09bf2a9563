"""Every question, on every kind of database, answered as the events of the log say it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from flows import definitions, flow
from sink_kit import DAY, PLAIN_TABLES, WORLD, Contents, expected, followed, logged

import matchcore as mc
from matchcore.journal import identity_of
from matchcore.sinks import TABLES
from matchcore.sinks.opening import built_in
from matchcore.sinks.sql import queries
from matchcore.sinks.sql.access import transaction
from matchcore.sinks.sql.frames import to_arrow, to_frame
from matchcore.sinks.sql.minutes import MINUTE_BAR
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.schema import POSITIONS, SQL_TABLES

MINUTE = 60 * 10**9
MIDNIGHT = 40 * DAY
UNKNOWN = 2**64 - 1
EPOCH = date(1970, 1, 1)


def history(path: Path) -> Path:
    """Random flows over days, huge numbers among them, a tick that changes within a minute, and
    trades on both sides of a midnight."""
    with mc.Engine.open(path, instruments=WORLD, policy="os", clock=lambda: DAY) as engine:
        for seed, extreme in ((3, False), (4, True)):
            commands = flow(seed, 500, extreme=extreme)
            commands["time"] *= DAY // 60 * (1 + extreme)
            for at in range(0, len(commands), 50):
                engine.submit_batch(commands[at : at + 50])
        for order in engine.book("ONE").orders():  # a tick changes in an empty book only
            engine.cancel("ONE", int(order["order_id"]))
        cross(engine, MIDNIGHT - 1, UNKNOWN - 1, UNKNOWN)
        cross(engine, MIDNIGHT, UNKNOWN - 1, UNKNOWN)
        for tick in ("0.5", "0.000000000000000001"):
            changed = definitions(mc.Instrument("ONE", tick))
            changed["kind"], changed["instrument"] = mc.Kind.CHANGE_INSTRUMENT, 1
            assert engine.submit_batch(changed)["kind"][0] == mc.EventKind.INSTRUMENT_CHANGED
            for later in range(3):
                cross(engine, 50 * DAY + later, 2**63, 7 + later)
        rest = flow(5, 30)
        rest["kind"], rest["instrument"] = mc.Kind.NEW, 1
        engine.submit_batch(rest)
    return path


def cross(engine: mc.Engine, time: int, *accounts: int) -> None:
    """A trade of a huge quantity at a huge price."""
    pair = np.zeros(2, mc.COMMAND)
    pair["kind"], pair["instrument"], pair["order_type"] = mc.Kind.NEW, 1, mc.OrderType.LIMIT
    pair["time_in_force"], pair["side"] = mc.TimeInForce.GTC, (1, 2)
    pair["quantity"], pair["price"], pair["time"] = 2**62, 2**61 + 1, time
    pair["account"] = accounts
    assert mc.EventKind.TRADED in engine.submit_batch(pair)["kind"]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return history(tmp_path_factory.mktemp("asked") / "e")


@pytest.fixture(scope="module")
def told(exchange: Path) -> Contents:
    """What the events say, with something to find in each table."""
    made = expected(*logged(exchange))
    assert all(made[name] for name in PLAIN_TABLES)
    return made


@pytest.fixture(scope="module")
def url(kept_database: str, exchange: Path) -> str:
    """A database of the whole history; only read from."""
    return str(followed(exchange, kept_database))


@pytest.fixture(scope="module")
def ask(url: str) -> Iterator[Queries]:
    with Queries(url) as made:
        yield made


def that(told: Contents, table: str, **values: Any) -> list[tuple[Any, ...]]:
    """Rows whose columns have these values, or are in these sets or ranges."""
    names = list(TABLES[table].columns)
    tests = [
        (names.index(name), value if isinstance(value, range | set) else {value})
        for name, value in values.items()
    ]
    return [row for row in told[table] if all(row[at] in value for at, value in tests)]


def column(told: Contents, table: str, name: str) -> list[Any]:
    at = list(TABLES[table].columns).index(name)
    return [row[at] for row in told[table]]


def of_day(day: date) -> range:
    start = (day - EPOCH).days * DAY
    return range(start, start + DAY)


def days(told: Contents) -> list[date]:
    """Those with trades, and the ones before and after each."""
    traded = {time // DAY for time in column(told, "trades", "time_ns")}
    beside = {day + more for day in traded for more in (-1, 0, 1)}
    assert len(beside) > len(traded) + 5
    return [EPOCH + timedelta(days=day) for day in sorted(beside)]


def test_trades_of_days(ask: Queries, told: Contents) -> None:
    for day in days(told):
        for symbol, numbers in (("ONE", {1}), ("TWO", {2}), (None, {1, 2})):
            found = ask.trades(day.isoformat(), symbol)
            assert found.dtype == TABLES["trades"].dtype
            assert found.tolist() == that(told, "trades", time_ns=of_day(day), instrument=numbers)


def test_a_day_of_too_many_instruments_to_name(
    ask: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ask.trades("1970-01-02").tolist()
    monkeypatch.setattr(queries, "NAMED_MAX", 1)
    assert ask.trades("1970-01-02").tolist() == named and named


def test_a_day_begins_at_its_midnight(ask: Queries) -> None:
    day = EPOCH + timedelta(days=MIDNIGHT // DAY)
    (late,) = ask.trades(day - timedelta(days=1))
    (early,) = ask.trades(day)
    assert (late["time_ns"], early["time_ns"]) == (MIDNIGHT - 1, MIDNIGHT)
    assert [len(ask.minute_bars(one)) for one in (day - timedelta(days=1), day)] == [1, 1]
    assert len(ask.daily_bars("ONE", day, day)) == 1


def test_executions_of_accounts(ask: Queries, told: Contents) -> None:
    for account in (0, 1, 3, 7, 2**63, UNKNOWN - 1, UNKNOWN):
        found = that(told, "executions", account=account)
        assert ask.executions(account).tolist() == found and found
        day = EPOCH + timedelta(days=3)
        assert ask.executions(account, day).tolist() == that(
            told, "executions", account=account, time_ns=of_day(day)
        )
    assert len(ask.executions(99)) == 0


def test_open_orders(ask: Queries, told: Contents) -> None:
    assert told["open_orders"]
    assert ask.open_orders().tolist() == told["open_orders"]
    for account in (0, 1, 2, 3, 99, UNKNOWN):
        for symbol, number in (("ONE", 1), ("TWO", 2)):
            assert ask.open_orders(account).tolist() == that(told, "open_orders", account=account)
            assert ask.open_orders(account, symbol).tolist() == that(
                told, "open_orders", account=account, instrument=number
            )


def test_daily_bars(ask: Queries, told: Contents) -> None:
    assert ask.daily_bars().tolist() == told["daily_bars"]
    assert ask.daily_bars("TWO").tolist() == that(told, "daily_bars", instrument=2)
    for first, last in ((0, 2), (3, 3), (5, 4), (100, 200)):
        found = ask.daily_bars("ONE", EPOCH + timedelta(days=first), EPOCH + timedelta(days=last))
        within = that(told, "daily_bars", instrument=1, day=range(first, last + 1))
        assert found.tolist() == within
    assert max(column(told, "daily_bars", "volume_wraps")) > 0


def bars(told: Contents, day: date, length: int) -> list[tuple[int, ...]]:
    """Minute bars in plain Python, trade by trade."""
    made: dict[tuple[int, int], dict[str, int]] = {}
    for row in that(told, "trades", time_ns=of_day(day)):
        trade = dict(zip(TABLES["trades"].columns, row, strict=True))
        start = trade["time_ns"] - trade["time_ns"] % (length * MINUTE)
        price, size = trade["price_ticks"], trade["quantity"]
        bar = made.setdefault(
            (start, trade["instrument_seq"]),
            {"instrument": trade["instrument"], "open": price, "high": price, "low": price,
             "volume": 0, "trades": 0},
        )  # fmt: skip
        bar.update(high=max(bar["high"], price), low=min(bar["low"], price), close=price)
        bar["volume"] += size
        bar["trades"] += 1
    return [
        (0, bar["instrument"], version, start, bar["open"], bar["high"], bar["low"], bar["close"],
         bar["volume"] % 2**63, bar["volume"] // 2**63, bar["trades"])
        for (start, version), bar in sorted(made.items())
    ]  # fmt: skip


@pytest.mark.parametrize("length", [1, 7, 1440])
def test_minute_bars(ask: Queries, told: Contents, length: int) -> None:
    wide = 0
    for day in days(told):
        found = ask.minute_bars(day, length=length)
        assert found.dtype == MINUTE_BAR
        assert found.tolist() == bars(told, day, length)
        if length == 7:
            assert ask.minute_bars(day, "ONE", length=length).tolist() == [
                bar for bar in found.tolist() if bar[1] == 1
            ]
        wide += int((found["volume_wraps"] > 0).sum())
    assert wide and len(ask.minute_bars(EPOCH + timedelta(days=50))) == 2  # two ticks, one minute


def test_lives_of_an_order_id(ask: Queries, told: Contents) -> None:
    ids = sorted({*column(told, "orders", "order_id"), *column(told, "open_orders", "order_id")})
    again = 0
    for symbol, number in (("ONE", 1), ("TWO", 2)):
        for order_id in ids[::3] + ids[-2:]:
            both = [
                row
                for table in ("orders", "open_orders")
                for row in that(told, table, order_id=order_id, instrument=number)
            ]
            lives = ask.lives(symbol, order_id)
            assert [life.order.item() for life in lives] == sorted(both, reverse=True)
            for life in lives:
                done = that(told, "executions", order_seq=int(life.order["seq"]),
                            order_id=order_id, instrument=number)  # fmt: skip
                assert life.executions.tolist() == done
            again += len(lives) > 1
    assert again and ask.lives("ONE", 987_654_321) == []


def test_the_life_of_a_command(ask: Queries, told: Contents) -> None:
    for row in [*told["orders"][::40], *told["open_orders"]]:
        life = ask.life(row[1])
        assert life is not None and life.order.item() == row
    assert ask.life(1) is None and ask.life(10**9) is None


Page = Callable[..., np.ndarray]


@pytest.mark.parametrize("what", ["trades", "executions", "open", "daily", "minutes"])
def test_page_by_page_it_is_the_same(ask: Queries, what: str) -> None:
    day = EPOCH + timedelta(days=2)
    asked: Page = {
        "trades": partial(ask.trades, day), "executions": partial(ask.executions, 1),
        "open": ask.open_orders, "daily": ask.daily_bars, "minutes": partial(ask.minute_bars, day),
    }[what]  # fmt: skip
    whole, parts = asked(), []
    rows = asked(limit=3)
    while len(rows):
        assert len(rows) <= 3
        parts += rows.tolist()
        rows = asked(limit=3, after=rows[-1])
    assert parts == whole.tolist() and len(whole) > 3
    key = ("start_ns", "instrument_seq") if what == "minutes" else ("seq", "n")
    names = [name for name in key if name in (whole.dtype.names or ())]
    behind = asked(after=tuple(int(whole[1][name]) for name in names))
    assert behind.tolist() == whole[2:].tolist()


def test_more_rows_than_are_given_at_once(ask: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ask.executions(1)
    monkeypatch.setattr(queries, "ROWS_MAX", len(whole))
    monkeypatch.setattr(queries, "FETCHED_TOGETHER", 7)
    assert ask.executions(1).tolist() == whole.tolist()
    monkeypatch.setattr(queries, "ROWS_MAX", len(whole) - 1)
    with pytest.raises(mc.TooManyRows, match=r"more than \d+ rows: .* limit= and after="):
        ask.executions(1)
    assert len(ask.executions(1, limit=5)) == 5  # and it can be asked on
    with pytest.raises(ValueError, match="limit"):
        ask.executions(1, limit=len(whole))


BAD: dict[str, tuple[Callable[[Queries], object], type[Exception], str]] = {
    "symbol": (lambda ask: ask.trades("1970-01-01", "'; DROP"), mc.UnknownInstrument, "'; DROP"),
    "symbol of bars": (lambda ask: ask.daily_bars("ONE "), mc.UnknownInstrument, "ONE "),
    "day": (lambda ask: ask.trades("yesterday"), ValueError, "yesterday"),
    "moment": (lambda ask: ask.trades(datetime(2026, 1, 1)), ValueError, "not a time"),
    "far day": (lambda ask: ask.trades("9999-01-01"), ValueError, "beyond 64 bits"),
    "account": (lambda ask: ask.executions(2**64), mc.InvalidArgument, "^account 1844"),
    "negative": (lambda ask: ask.lives("ONE", -1), mc.InvalidArgument, "^order_id -1"),
    "limit": (lambda ask: ask.open_orders(limit=0), ValueError, "limit 0"),
    "after": (lambda ask: ask.executions(1, after=(1,)), ValueError, "its seq, n"),
    "length": (lambda ask: ask.minute_bars("1970-01-01", length=0), ValueError, "^length 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_question_says_what_is_wrong(ask: Queries, name: str) -> None:
    question, kind, says = BAD[name]
    with pytest.raises(kind, match=says):
        question(ask)
    assert len(ask.instruments()) == 4


def test_the_first_and_the_last_day_there_are(ask: Queries) -> None:
    for day in ("1677-09-21", "2262-04-11"):
        assert len(ask.trades(day)) == 0 == len(ask.minute_bars(day))


def test_prices_are_those_of_the_tick_then(ask: Queries) -> None:
    known = {int(one["seq"]): one for one in ask.instruments()}
    rows = ask.executions(1)
    for row, price in zip(rows, ask.prices(rows), strict=True):
        one = known[int(row["instrument_seq"])]
        tick = Decimal(int(one["tick_mantissa"])).scaleb(int(one["tick_exponent"]))
        exact = Decimal(int(row["price_ticks"])) * tick
        assert abs(price - float(exact)) <= abs(float(exact)) * 2**-51
    trades = ask.trades("1970-01-02", "ONE")  # cents, each the float that prints as it
    cents = [float(Decimal(ticks).scaleb(-2)) for ticks in trades["price_ticks"].tolist()]
    assert cents and ask.prices(trades).tolist() == cents
    foreign = rows[:1].copy()
    foreign["instrument_seq"] = 999
    with pytest.raises(mc.SinkError, match="not its rows"):
        ask.prices(foreign)


def test_frames_and_arrow_tables(ask: Queries) -> None:
    rows = ask.executions(1)
    frame, table = to_frame(ask, rows), to_arrow(ask, rows)
    assert list(frame.columns) == table.column_names
    assert len(frame) == table.num_rows == len(rows)
    names = {1: "ONE", 2: "TWO"}
    for made in (frame["symbol"].tolist(), table["symbol"].to_pylist()):
        assert made == [names[number] for number in rows["instrument"].tolist()]
    assert frame["price"].tolist() == table["price"].to_pylist() == ask.prices(rows).tolist()
    assert [time.value for time in frame["time_utc"]] == rows["time_ns"].tolist()
    assert str(frame["time_utc"].dt.tz) == "UTC" == table.schema.field("time_utc").type.tz
    assert table["account"].to_pylist() == rows["account"].tolist()
    bars = ask.daily_bars("TWO")
    first = EPOCH + timedelta(days=int(bars["day"][0]))
    assert to_frame(ask, bars)["day"].iloc[0].date() == first
    for empty in (ask.executions(99), ask.minute_bars("1990-01-01"), ask.instruments()[:0]):
        assert len(to_frame(ask, empty)) == to_arrow(ask, empty).num_rows == 0


@pytest.mark.parametrize(
    ("module", "code", "extra"),
    [("pandas", "to_frame(None, rows)", "pandas"),
     ("pyarrow", "to_arrow(None, rows)", "arrow"),
     ("sqlalchemy", "", "sql")],
)  # fmt: skip
def test_a_missing_extra_is_named(module: str, code: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\nimport numpy, matchcore\n"
        "try:\n    from matchcore.sinks import to_arrow, to_frame\n"
        "    rows = numpy.zeros(1, 'i4,i4')\n"
        f"    {code}\nexcept matchcore.MissingExtra as error:\n    print(error.extra)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == f"{extra}\n", done.stderr


# ---------------------------------------------------------------------- whom it asks


def test_it_can_not_write(ask: Queries, told: Contents) -> None:
    with pytest.raises(mc.SinkError, match=r"(?i)read.?only"), ask._moment() as connection:
        connection.execute(sa.delete(SQL_TABLES["trades"]))
    assert ask.trades("1970-01-02").tolist() == that(
        told, "trades", time_ns=of_day(date(1970, 1, 2))
    )


def test_a_writer_does_not_wait_and_is_not_waited_for(url: str, ask: Queries) -> None:
    """A batch is under way: its fence is held, its rows are there and not yet true."""
    before = ask.open_orders().tolist()
    with closing(built_in(url)) as store, transaction(store) as connection:
        connection.execute(sa.select(POSITIONS).with_for_update())
        connection.execute(sa.delete(SQL_TABLES["open_orders"]))
        assert ask.open_orders().tolist() == before
        with ask._moment() as reading:  # a reader in the middle of its answer
            reading.execute(sa.select(POSITIONS)).all()
            connection.execute(sa.update(POSITIONS).values(seq=7))
        connection.rollback()
    assert ask.open_orders().tolist() == before


def test_another_exchange_or_shard_is_not_asked(url: str, exchange: Path) -> None:
    Queries(url, identity=identity_of(exchange)).close()
    with pytest.raises(mc.SinkError, match="shard 0 belongs to another exchange"):
        Queries(url, identity=bytes(16))
    with pytest.raises(mc.SinkError, match="has no position of shard 3"):
        Queries(url, shard=3)
