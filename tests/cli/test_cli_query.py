"""`matchcore query`: the answers of the database, for people and for machines."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_kit import ANA, SECOND, apart, run, run_json, traded

import matchcore as mc

DAY = "2019-05-21"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("query")
    exchange = traded(place / "e")
    with mc.Engine.open(exchange) as engine:
        for side in (mc.Side.BUY, mc.Side.SELL):
            engine.submit(mc.NewOrder("ANA", side, 5, ANA.price(19_137), account=2**64 - 1,
                                      time=SECOND * 10**9))  # fmt: skip
    made = f"sqlite:///{place}/x.db"
    assert run("follow", exchange, "--to", made).exit_code == 0
    return made


def test_trades_of_a_day(url: str) -> None:
    code, found = run_json("query", "trades", "--day", DAY, "--from", url, "--limit", 1000)
    assert code == 0 and len(found["rows"]) > 20
    first = found["rows"][0]
    assert first["symbol"] == "ANA" and first["price"] == "95.00"
    assert (first["price_ticks"], first["time_utc"]) == (1900, "2019-05-21T09:00:07.000000000Z")
    few = run_json("query", "trades", "--day", DAY, "--from", url, "--limit", 2)[1]
    assert few["rows"] == found["rows"][:2]
    assert run_json("query", "trades", "--day", "2019-05-22", "--from", url)[1] == {"rows": []}


def test_no_digit_of_a_price_is_lost(url: str) -> None:
    rows = run_json("query", "executions", "--account", 2**64 - 1, "--from", url)[1]["rows"]
    assert [row["account"] for row in rows] == [2**64 - 1] * len(rows) and rows
    shown = run("query", "open-orders", "--account", 2**64 - 1, "--from", url).stdout
    assert "956.85" in shown and str(2**64 - 1) in shown and "instrument_seq" not in shown


def test_orders_and_bars(url: str) -> None:
    order = run_json("query", "open-orders", "--from", url)[1]["rows"][0]
    by = ["--symbol", "ANA", "--order", order["order_id"], "--from", url]
    assert run_json("query", "order", *by)[1]["rows"] == [order]
    done = run_json("query", "order-executions", *by)[1]["rows"]
    assert sum(row["quantity"] for row in done) == order["filled"]
    (bar,) = run_json("query", "daily-bars", "--day", DAY, "--from", url)[1]["rows"]
    minutes = run_json("query", "minute-bars", "--day", DAY, "--from", url)[1]["rows"]
    assert bar["day"] == DAY and bar["volume"] == sum(one["volume"] for one in minutes) > 0
    assert minutes[0]["start_utc"] == "2019-05-21T09:00:00.000000000Z"


def test_words_and_numbers_are_those_of_the_views(url: str) -> None:
    """All columns that a view and the command share, but prices, which SQLite has as doubles."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
        db.row_factory = sqlite3.Row
        views = {
            "trades": ("trades_view", ["--day", DAY], "1"),
            "executions": ("executions_view", ["--account", 1], "account = 1"),
            "open-orders": ("open_orders_view", [], "1"),
        }
        for what, (view, asked, where) in views.items():
            found = run_json("query", what, *asked, "--from", url, "--limit", 1000)[1]["rows"]
            rows = db.execute(f"SELECT * FROM {view} WHERE {where} ORDER BY seq").fetchall()
            columns = rows[0].keys()
            shared = [name for name in found[0] if name in columns]
            shared = [
                name
                for name in shared
                if name not in ("price", "stop") and not name.endswith("_utc")
            ]
            assert len(shared) > 8 and len(found) == len(rows) > 5
            for one, row in zip(found, rows, strict=True):
                assert {n: one[n] for n in shared} == {
                    n: row[n] % 2**64 if n.endswith("account") else row[n] for n in shared
                }
    shown = run("query", "open-orders", "--from", url).stdout
    for word in ("sell", "limit", "gtc", "open", "none"):
        assert f" {word} " in shown
    traded = run_json("query", "trades", "--day", DAY, "--from", url)[1]["rows"]
    assert {row["aggressor"] for row in traded} <= {"buy", "sell"}
    taken = run_json("query", "executions", "--account", 1, "--from", url)[1]["rows"]
    assert {row["liquidity"] for row in taken} <= {"maker", "taker"}


def test_the_url_may_be_in_the_environment(url: str) -> None:
    done = apart("query", "open-orders", env={"MATCHCORE_SINK_URL": url})
    assert done.returncode == 0 and done.stderr == "" and "open-orders: 20 rows" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["trades"], "trades needs --day"), (["executions"], "executions needs --account"),
     (["order", "--symbol", "ANA"], "order needs --order"),
     (["trades", "--day", "yesterday"], "a day like 2019-05-21"),
     (["trades", "--day", "9999-01-01"], "beyond 64 bits"),
     (["trades", "--day", DAY, "--symbol", "NONE"], "no instrument 'NONE'"),
     (["executions", "--account", str(2**64)], "is not in the range"),
     (["open-orders", "--limit", "0"], "is not in the range"),
     (["open-orders", "--shard", "1"], "has no position of shard 1"),
     (["wine"], "is not one of")],
)  # fmt: skip
def test_wrong_usage_is_said(url: str, arguments: list[str], says: str) -> None:
    result = run("query", *arguments, "--from", url)
    assert result.exit_code == 2 and says in result.stderr and "Traceback" not in result.stderr


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = run("query", "open-orders", "--from", f"sqlite:///{tmp_path}/x.db")
    assert result.exit_code == 2 and "there is no such file" in result.stderr
    assert not any(tmp_path.iterdir())
