"""The views say what the rows say; old databases get them; nobody else's are touched."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sink_kit import (
    DAY,
    WORLD,
    Contents,
    contents,
    expected,
    filled,
    filled_with,
    followed,
    logged,
    market_log,
    sink_of,
)

import matchcore as mc
from matchcore.sinks import TABLES
from matchcore.sinks.opening import built_in
from matchcore.sinks.rows.tables import ADDED
from matchcore.sinks.sql.access import snapshot, transaction
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.schema import SQL_TABLES
from matchcore.sinks.sql.views import VIEWS, columns_of, drop_views

MINUTE = 60 * 10**9
WORDS = {
    "side": {1: "buy", 2: "sell"}, "aggressor": {0: "nobody", 1: "buy", 2: "sell"},
    "order_type": {1: "limit", 2: "market", 3: "market to limit", 4: "stop", 5: "stop limit",
                   6: "trailing stop", 7: "peg primary", 8: "peg market", 9: "peg midpoint",
                   10: "best five", 11: "best five limit", 12: "own best",
                   13: "counterparty best"},
    "status": {0: "open", 1: "filled", 2: "cancelled"},
    "time_in_force": {1: "gtc", 2: "day", 3: "ioc", 4: "fok", 5: "gtd", 6: "at open",
                      7: "at close", 8: "auction"},
    "liquidity": {1: "maker", 2: "taker", 3: "auction"},
    "reason": {0: "none", 32: "requested", 33: "immediate or cancel", 34: "fill or kill",
               35: "market remainder", 36: "reduced to nothing", 37: "mass cancel",
               38: "end of day", 40: "expired", 41: "self trade", 42: "one cancels other",
               43: "quote replaced", 44: "protection", 45: "minimum not met",
               46: "reference gone", 47: "auction over", 48: "amended to filled",
               49: "levels taken", 50: "no opposite", 51: "phase", 52: "volatility"},
    "parameter": {1: "trading", 2: "allocation", 3: "auction", 4: "quantities", 5: "limits",
                  6: "cage", 7: "volatility", 8: "halts", 9: "day", 10: "ticks", 11: "closing"},
}  # fmt: skip
WORDS["phase"] = WORDS["former"] = {
    1: "pre open", 2: "opening call", 3: "opening call locked", 4: "quiet", 5: "continuous",
    6: "break", 7: "closing call", 8: "at closing price", 9: "closed", 10: "volatility call",
    11: "cancel only", 12: "halted",
}  # fmt: skip
#: Views of tables that an exchange without markets has no rows in.
OF_MARKETS = {
    view for view, tables in VIEWS.items() if any(TABLES[one].since > 4 for one in tables)
}
PLAIN_VIEWS = VIEWS.keys() - OF_MARKETS - {"minute_bars_view"}
Named = dict[str, Any]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exchange that no test writes to; its ticks are 0.01 and 0.5."""
    return filled(tmp_path_factory.mktemp("seen") / "e", 4, 1000, extreme=True)


def change(url: str, *statements: Any) -> None:
    with closing(built_in(url)) as store, transaction(store) as connection:
        for statement in statements:
            connection.execute(sa.text(statement) if isinstance(statement, str) else statement)


def rows_of(url: str, query: str) -> list[Named]:
    with closing(built_in(url)) as store, snapshot(store) as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def moment(time: int) -> str:
    """To the microsecond, which not all databases exceed."""
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=time // 1000):%Y-%m-%d %H:%M:%S.%f}"


def readable(row: Named, signed: bool) -> Named:
    """What a view must say of a row."""
    made: Named = {"symbol": {1: "ONE", 2: "TWO", 3: "PLAIN"}[row["instrument"]]}
    tick = Decimal({1: "0.01", 2: "0.5", 3: "1"}[row["instrument"]])
    for name, value in row.items():
        if name in WORDS:
            made[name] = WORDS[name][value]
        elif name == "day":
            made[name] = str(date(1970, 1, 1) + timedelta(days=value))
        elif name in ("filled", "volume"):
            made[name] = value + 2**63 * row[f"{name}_wraps"]
        elif not name.endswith("_wraps"):
            ids = signed and name.endswith(("order_id", "account")) and value >= 2**63
            made[name] = value - 2**64 if ids else value
        if name.endswith("_ticks"):
            made[name.removesuffix("_ticks")] = value * tick
        elif name == "expiry_ns":
            made["expiry_utc"] = moment(value) if value else None
        elif name.endswith("_ns"):
            made[f"{name.removesuffix('_ns')}_utc"] = moment(value)
            if name in ("time_ns", "start_ns"):
                made["day"] = moment(value)[:10]
    return made


def same(found: Named, wanted: Named, floats: bool) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        there = found[name]
        if name.endswith("_utc") and value is not None:
            there = there[:26] if floats else f"{there:%Y-%m-%d %H:%M:%S.%f}"
        elif name == "day":
            there = str(there)
        if floats and isinstance(there, float):
            assert abs(there - float(value)) <= abs(float(value)) * 2**-50, name
        else:
            assert there == value, name


def test_views_say_what_the_rows_say(exchange: Path, database: str) -> None:
    url = followed(exchange, database)
    told = expected(*logged(exchange))
    for view in PLAIN_VIEWS:
        compare(url, told, view)


def test_views_say_what_the_rows_of_markets_say(database: str) -> None:
    commands, events = market_log(5, 1500)
    filled_with(database, commands, events, 300)
    told = expected(commands, events)
    for view in PLAIN_VIEWS | OF_MARKETS:
        compare(database, told, view)
    query = "SELECT busted_seq FROM trades_view WHERE busted_seq IS NOT NULL"
    assert rows_of(database, query)


def compare(url: str, told: Contents, view: str) -> None:
    plain = [dict(zip(TABLES[table].columns, row, strict=True))
             for table in VIEWS[view] for row in told[table]]  # fmt: skip
    busts: dict[tuple[int, int], int] = {}  # trade and instrument -> the first command
    for _, seq, trade, number, *_ in told["busts"]:
        busts.setdefault((trade, number), seq)
    if view in ("trades_view", "executions_view"):
        for row in plain:
            row["busted_seq"] = busts.get((row["trade_id"], row["instrument"]))
    found = rows_of(url, f"SELECT * FROM {view}")
    if found:
        assert list(found[0]) == columns_of(view)
    for rows in (found, plain):
        rows.sort(key=lambda row: (row["seq"], row.get("n", 0), row["instrument"],
                                   row.get("order_id", 0)))  # fmt: skip
    assert len(found) == len(plain) > 0
    signed, floats = not url.startswith("mysql"), url.startswith("sqlite")
    for one, row in zip(found, plain, strict=True):
        same(one, readable(row, signed), floats)


def test_the_view_of_minutes_is_what_is_asked(exchange: Path, database: str) -> None:
    url = followed(exchange, database)
    found = rows_of(url, "SELECT * FROM minute_bars_view ORDER BY start_ns, instrument_seq")
    with Queries(url) as ask:
        last = int(ask.daily_bars()["day"].max())
        days = [date(1970, 1, 1) + timedelta(days=day) for day in range(last + 1)]
        bars = np.concatenate([ask.minute_bars(day) for day in days])
    names = bars.dtype.names or ()
    assert len(found) == len(bars) > 30
    for one, bar in zip(found, bars.tolist(), strict=True):
        same(one, readable(dict(zip(names, bar, strict=True)), False), url.startswith("sqlite"))


def test_times_before_1970_and_at_the_ends(tmp_path: Path, database: str) -> None:
    """Rounded down, as everywhere: what is cut off makes no moment a later one."""
    times = [-1, -999, -1000, -1001, -(10**9), 1 - 10**9, -DAY, -DAY - 1, 1 - DAY, -40 * DAY - 7,
             -(2**63), 1 - 2**63, 999, DAY, 2**63 - 1]  # fmt: skip
    with mc.Engine.open(tmp_path / "e", instruments=WORLD, policy="os", clock=lambda: 1) as engine:
        for time in times:
            for side in (mc.Side.BUY, mc.Side.SELL):
                engine.submit(mc.NewOrder("ONE", side, 2, "1.00", account=1, time=time))
        engine.submit(mc.NewOrder("TWO", mc.Side.BUY, 3, "1.0", account=1, time=-3))
    url, told = followed(tmp_path / "e", database), expected(*logged(tmp_path / "e"))
    for view in PLAIN_VIEWS:
        compare(url, told, view)
    with Queries(url) as ask:
        names = list(TABLES["trades"].columns)
        at, made = names.index("time_ns"), 0
        for day in sorted({time // DAY for time in times}):
            trades = [row for row in told["trades"] if row[at] // DAY == day]
            assert ask.trades(day).tolist() == trades
            assert ask.trades(np.datetime64(day, "D")).tolist() == trades
            assert ask.daily_bars("ONE", day, day)["day"].tolist() == [day]
            made += len(trades)
        assert made == len(times)
        (first,) = ask.minute_bars(-(2**63) // DAY, length=7)
        assert first["start_ns"] == -(2**63) and first["trades"] == 2
    bars = rows_of(url, "SELECT day, start_utc, start_ns FROM minute_bars_view ORDER BY start_ns")
    assert [bar["start_ns"] for bar in bars] == sorted(
        {max(time - time % MINUTE, -(2**63)) for time in times}
    )
    for bar in bars:
        told_of = moment(bar["start_ns"])
        same(bar, {**bar, "day": told_of[:10], "start_utc": told_of}, url.startswith("sqlite"))


def as_of_version_2(url: str) -> None:
    """A database as it was before there were views, with its indexes of then."""
    with closing(built_in(url)) as store, transaction(store) as connection:
        for view in VIEWS:
            connection.exec_driver_sql(f"DROP VIEW {view}")
        for index in (*SQL_TABLES["orders"].indexes, *SQL_TABLES["daily_bars"].indexes):
            if index.name != "daily_bars_day_instrument":
                connection.execute(sa.schema.DropIndex(index))
        connection.exec_driver_sql("CREATE INDEX orders_account_seq ON orders (account, seq)")
        connection.exec_driver_sql("UPDATE positions SET version = 2")


def things(url: str) -> dict[str, list[str]]:
    with closing(built_in(url)) as store, snapshot(store) as connection:
        looker = sa.inspect(connection)
        made = {name: sorted(str(index["name"]) for index in looker.get_indexes(name))
                for name in TABLES}  # fmt: skip
        return {**made, "views": sorted(looker.get_view_names())}


def test_an_older_database_gets_views_and_indexes(exchange: Path, database: str) -> None:
    url = followed(exchange, database)
    before, rows = things(url), contents(exchange, url)
    assert before["views"] == sorted(VIEWS)
    as_of_version_2(url)
    with Queries(url) as ask:  # its tables are those of now
        assert len(ask.trades("1970-01-02"))
    assert things(url)["views"] == []
    followed(exchange, url)
    assert things(url) == before
    assert rows_of(url, "SELECT version FROM positions") == [{"version": 5}]
    as_of_version_2(url)  # and one that died half-way, on a server that has done a part then
    change(url, "CREATE INDEX orders_order_id ON orders (order_id)",
           "CREATE VIEW trades_view AS SELECT " + ", ".join(
               f"0 AS {name}" for name in columns_of("trades_view")))  # fmt: skip
    followed(exchange, url)
    assert {**things(url)} == before and contents(exchange, url) == rows


def as_of_version_4(url: str) -> None:
    """A database as it was before there were markets: its keys, columns and tables of then."""
    with closing(built_in(url)) as store, transaction(store) as connection:
        drop_views(connection)
        for name, table in TABLES.items():
            if table.since > 4:
                connection.exec_driver_sql(f"DROP TABLE {name}")
        for name in ("open_orders", "orders", "daily_bars"):
            columns = [one for one in TABLES[name].columns if one not in ADDED]
            connection.exec_driver_sql(
                f"CREATE TABLE old AS SELECT {', '.join(columns)} FROM {name}"
            )
            connection.exec_driver_sql(f"DROP TABLE {name}")
            then = sa.Table(name, sa.MetaData(), *(
                sa.Column(one, SQL_TABLES[name].c[one].type, nullable=False, autoincrement=False,
                          primary_key=one in ("shard", "seq")) for one in columns
            ), sqlite_with_rowid=False)  # fmt: skip
            for index in SQL_TABLES[name].indexes:
                sa.Index(index.name, *(then.c[column.name] for column in index.columns))
            then.create(connection)
            connection.exec_driver_sql(f"INSERT INTO {name} SELECT * FROM old")
            connection.exec_driver_sql("DROP TABLE old")
        connection.exec_driver_sql("UPDATE positions SET version = 4")


def test_a_database_without_markets_gets_them(exchange: Path, database: str) -> None:
    url = followed(exchange, database)
    before, rows = things(url), contents(exchange, url)
    as_of_version_4(url)
    with Queries(url) as ask:  # zeros in place of what it does not have
        old = ask.open_orders()
        assert len(old) == len(rows["open_orders"]) and not old["triggered_seq"].any()
        assert ask.lives("ONE", int(old["order_id"][0]))
    for _ in range(2):
        followed(exchange, url)
        assert things(url) == before and contents(exchange, url) == rows


def test_other_schemas_are_not_asked(exchange: Path, database: str) -> None:
    url = followed(exchange, database)
    for version in (1, 6):
        change(url, f"UPDATE positions SET version = {version}")
        with pytest.raises(mc.SinkError, match=f"schema {version}, this matchcore reads 2 to 5"):
            Queries(url)


@pytest.mark.parametrize("what", ["TABLE trades_view (a INTEGER)", "VIEW orders_view AS SELECT 1"])
def test_what_others_have_under_these_names_is_kept(
    exchange: Path, database: str, what: str
) -> None:
    name = what.split()[1]
    change(database, f"CREATE {what}")
    try:
        with pytest.raises(mc.SinkError, match=f"has foreign tables named {name}"):
            sink_of(exchange, database)
        with closing(built_in(database)) as store, snapshot(store) as connection:
            looker = sa.inspect(connection)
            assert [*looker.get_table_names(), *looker.get_view_names()] == [name]
    finally:
        change(database, f"DROP {what.split()[0]} {name}")


def test_a_database_can_do_without(exchange: Path, database: str) -> None:
    if database.startswith("sqlite"):
        with pytest.raises(mc.SinkError, match=r"sqlite:///relative.db"):
            sink_of(exchange, f"{database}?views=no")
        return
    with pytest.raises(mc.SinkError, match="views=maybe: yes or no"):
        sink_of(exchange, f"{database}?views=maybe")
    url = followed(exchange, f"{database}?views=no")
    assert things(url)["views"] == []
    with Queries(url) as ask:
        assert len(ask.minute_bars("1970-01-02"))


# ---------------------------------------------------------------------- asking, while


def test_an_empty_database_has_empty_answers(exchange: Path, database: str) -> None:
    with pytest.raises(mc.SinkError, match=r"no such file|no tables of an exchange"):
        Queries(database)
    sink_of(exchange, database).close()
    with Queries(database) as ask:
        asked = [ask.trades("2026-01-01"), ask.executions(1), ask.open_orders()]
        asked += [ask.daily_bars(), ask.minute_bars("2026-01-01"), ask.instruments()]
        for rows in asked:
            assert len(rows) == 0 and rows.dtype.names
        assert ask.life(1) is None and len(ask.prices(ask.executions(1))) == 0
        with pytest.raises(mc.UnknownInstrument, match="no instrument 'ONE'"):
            ask.lives("ONE", 1)
    for view in VIEWS:
        assert rows_of(database, f"SELECT * FROM {view}") == []


def test_an_order_is_not_lost_between_two_tables(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is filled after the question has looked at one table, and before the other one."""
    exchange = filled(tmp_path / "e", 1, 50)
    with mc.Engine.open(exchange) as engine:
        order = engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "0.01", account=1))
        url = followed(exchange, database)
        look, looked = Queries._rows, []

        def filling(self: Queries, table: str, *rest: Any, **more: Any) -> Any:
            if table == "orders":
                engine.cancel("ONE", order.order_id)
                followed(exchange, url)
            looked.append(table)
            return look(self, table, *rest, **more)

        with Queries(url) as ask:
            with monkeypatch.context() as patched:
                patched.setattr(Queries, "_rows", filling)
                (before,) = ask.lives("ONE", order.order_id)
            (after,) = ask.lives("ONE", order.order_id)
    assert looked.index("open_orders") < looked.index("orders")
    assert (before.order["status"], after.order["status"]) == (0, 2)
    assert before.order["seq"] == after.order["seq"]


def test_asking_leaves_the_files_as_they_are(exchange: Path, tmp_path: Path) -> None:
    """Also a write-ahead log that its writer did not live to put into the file."""
    with mc.Follower(exchange, sink_of(exchange, tmp_path / "x.db")) as follower:
        follower.run()
        (tmp_path / "dead").mkdir()
        for file in tmp_path.glob("x.db*"):
            shutil.copy(file, tmp_path / "dead")
    for place in (tmp_path, tmp_path / "dead"):
        files = {file.name: file.read_bytes() for file in place.glob("x.db*")}
        with Queries(f"sqlite:///{place}/x.db") as ask:
            assert len(ask.trades("1970-01-02"))
        after = {file.name: file.read_bytes() for file in place.glob("x.db*")}
        for name, data in files.items():
            assert name.endswith("-shm") or after[name] == data, name
    assert (tmp_path / "dead" / "x.db-wal").stat().st_size > 0
