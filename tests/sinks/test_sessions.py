"""Nothing is kept in a session, and nothing of a server's defaults is relied on: real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from pgbouncer_server import PgBouncer
from sink_kit import contents, expected, filled, filled_with_markets, followed, logged
from sqlalchemy import make_url
from sqlalchemy.dialects import mysql

from matchcore.cli.app import app
from matchcore.sinks.opening import built_in
from matchcore.sinks.sql.access import transaction
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.reconcile import reconcile
from matchcore.sinks.sql.schema import SQL_TABLES, Layout, ddl
from matchcore.sinks.sql.views import VIEWS

ROUNDS = 5
#: Notes how durable each commit of a position is.
WATCH = """
CREATE TABLE seen (setting TEXT);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
CREATE TRIGGER note AFTER UPDATE ON positions FOR EACH ROW EXECUTE FUNCTION note();
"""


def made(server: str, name: str, more: str = "") -> str:
    """A new database of a PostgreSQL; its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} {more}")
    return server.rpartition("/")[0] + f"/{name}"


@pytest.fixture
def pooled(postgres_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of one database, by PgBouncer and without it."""
    direct = made(postgres_url, "pooled")
    with closing(PgBouncer(postgres_url)) as bouncer:
        yield bouncer.url("pooled"), direct


def used(url: str, exchange: Path, shard: int) -> None:
    """Everything that is done to a database, again and again."""
    for turn in range(ROUNDS):
        filled(exchange, 10 * shard + turn, 200, 50)
        followed(exchange, url, shard=shard)
        with Queries(url, shard=shard) as ask:
            assert len(ask.instruments()) == 2
            ask.open_orders(symbol="ONE")
            ask.minute_bars("1970-01-02")
        assert reconcile(exchange, url, shard=shard).equal
    assert contents(exchange, url, shard) == expected(*logged(exchange), shard)
    arguments = ["rebuild", str(exchange), url, "--shard", str(shard), "--yes"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert reconcile(exchange, url, shard=shard).equal


def test_a_pooler_that_pools_by_transaction(
    tmp_path: Path, pooled: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several clients at once, with somebody else's settings left in the sessions."""
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 40)
    url, direct = pooled
    with psycopg.connect(direct, autocommit=True) as connection:
        connection.execute("ALTER DATABASE pooled SET synchronous_commit = off")
    for shard in (0, 1):
        followed(filled(tmp_path / str(shard), shard, 50), url, shard=shard)
    with psycopg.connect(direct, autocommit=True) as connection:
        connection.execute(WATCH)
    stop = threading.Event()

    def litter() -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            while not stop.wait(0.02):
                connection.execute("SET default_transaction_isolation = 'serializable'")
                connection.execute("SET statement_timeout = '20s'")

    with ThreadPoolExecutor(3) as pool:
        littering = pool.submit(litter)
        using = [pool.submit(used, url, tmp_path / str(shard), shard) for shard in (0, 1)]
        try:
            for one in using:
                one.result(120)
        finally:
            stop.set()
        littering.result(30)
    with psycopg.connect(direct) as connection:
        assert connection.execute("SELECT DISTINCT setting FROM seen").fetchall() == [("on",)]
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        left = {connection.execute("SHOW synchronous_commit").fetchone() for _ in range(12)}
    assert left == {("off",)}  # nothing of ours stays with the next client


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_text_is_text_in_every_encoding(tmp_path: Path, postgres_url: str, encoding: str) -> None:
    url = made(postgres_url, "encoded", f"ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
    exchange = filled(tmp_path / "e")
    followed(exchange, url)
    assert contents(exchange, url) == expected(*logged(exchange))
    for sql in ("UPDATE instruments SET symbol = 'TWO' WHERE symbol = 'ONE'",
                "UPDATE instruments SET symbol = E'\\xe9\\xe8' WHERE number = 1"):  # fmt: skip
        with psycopg.connect(url, client_encoding=encoding) as connection:
            connection.execute(sql)
        found = CliRunner().invoke(app, ["reconcile", str(exchange), url])
        assert (found.exit_code, "Traceback" in found.output) == (1, False), found.output
        assert "symbol is" in found.output and found.stderr == ""
        repair = ["reconcile", str(exchange), url, "--repair"]
        assert CliRunner().invoke(app, repair).exit_code == 0
    assert reconcile(exchange, url).equal
    with Queries(url) as ask:
        assert ask.instruments()["symbol"].tolist() == [b"ONE", b"TWO"]


MODES = ["ANSI_QUOTES", "ANSI", "ORACLE", "NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,MAXDB,"
         "HIGH_NOT_PRECEDENCE,EMPTY_STRING_IS_NULL,TRADITIONAL"]  # fmt: skip


@pytest.fixture(params=MODES)
def modal(request: pytest.FixtureRequest, mariadb_url: str) -> Iterator[str]:
    """The URL of a database of a MariaDB with this ``sql_mode`` by default."""
    at = make_url(mariadb_url)
    with (
        pymysql.connect(
            host=at.host, port=at.port, user=at.username, password=at.password, autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT @@GLOBAL.sql_mode")
        before = cursor.fetchone()
        cursor.execute("DROP DATABASE IF EXISTS modal")
        cursor.execute("CREATE DATABASE modal")
        cursor.execute("SET GLOBAL sql_mode = %s", (request.param,))
        try:
            yield mariadb_url.rpartition("/")[0] + "/modal"
        finally:
            cursor.execute("SET GLOBAL sql_mode = %s", before)


def test_a_database_whose_symbols_are_ascii_stays_one(tmp_path: Path, mariadb_url: str) -> None:
    """As they were made before OceanBase was known, which has no such character set."""
    url = mariadb_url.rpartition("/")[0] + "/ascii"
    exchange = filled(tmp_path / "e", 1, 300)
    column = SQL_TABLES["instruments"].c.symbol
    with closing(built_in(mariadb_url)) as store, transaction(store) as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS ascii")
        connection.exec_driver_sql("CREATE DATABASE ascii")
        connection.exec_driver_sql("USE ascii")
        for statement in ddl(mysql.dialect(), Layout()):
            connection.exec_driver_sql(statement.replace("utf8mb4", "ascii"))
    followed(exchange, url)
    filled(exchange, 2, 300)
    followed(exchange, url)
    assert contents(exchange, url) == expected(*logged(exchange))
    with closing(built_in(url)) as store, transaction(store) as connection:
        connection.execute(sa.update(SQL_TABLES["instruments"]).values({column: "one"}))
    assert reconcile(exchange, url, repair=True).different == 2
    with Queries(url) as ask:
        assert ask.number("TWO") == 2


def test_a_server_of_any_sql_mode(tmp_path: Path, modal: str) -> None:
    exchange = filled_with_markets(tmp_path / "e")
    followed(exchange, modal)
    assert contents(exchange, modal) == expected(*logged(exchange))
    at = make_url(modal)
    with pymysql.connect(
        host=at.host, port=at.port, user=at.username, password=at.password, database="modal",
        autocommit=True,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        for view in VIEWS:  # as somebody sees them whose session has the server's mode
            assert cursor.execute(f"SELECT * FROM {view}") > 0
        cursor.execute("UPDATE trades SET quantity = quantity + 1 LIMIT 1")
        cursor.execute("DELETE FROM instruments LIMIT 1")
    assert reconcile(exchange, modal, repair=True).different == 2
    assert reconcile(exchange, modal).equal
    with Queries(modal) as ask:
        assert ask.number("ONE") == 1 and len(ask.trades("1970-01-02"))
        assert len(ask.minute_bars("1970-01-02"))
    rebuild = ["rebuild", str(exchange), modal, "--yes"]
    assert CliRunner().invoke(app, rebuild).exit_code == 0
    assert contents(exchange, modal) == expected(*logged(exchange))
