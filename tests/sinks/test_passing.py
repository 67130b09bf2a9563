"""What passes by itself ends no follower: real servers that refuse for a while, each in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pymysql
import pytest
from mariadb_server import PASSWORD, MariadbServer
from numpy.typing import NDArray
from postgres_server import PostgresServer
from running import Running
from sink_kit import contents, expected, filled, logged, sink_of

from matchcore.journal import Position
from matchcore.sinks import SinkAway, opening
from matchcore.sinks.sql import store
from matchcore.sinks.sql.store import SqlStore

Trouble = AbstractContextManager[None]


class Followed:
    """A server that `follow --forever` writes to, as a user with rights on one database only."""

    def __init__(self, exchange: Path, url: str) -> None:
        self.exchange, self.url = exchange, url
        self.running = Running(exchange, url)
        self._end = 2  # instruments

    def goes_on_after(self, trouble: Trouble, says: str) -> None:
        """Commands come while there is trouble, and rows when there is none any more."""
        self.running.until(lambda: self.standing() == self._end)
        heard = len(self.running.said())
        with trouble:
            filled(self.exchange, self._end, 60)
            self._end += 60

            def said() -> bool:
                self.meanwhile()
                return says in self.running.said()[heard:]

            self.running.until(said)
            assert self.standing() < self._end  # -1 if nobody may ask
        self.running.until(lambda: self.standing() == self._end)
        self.running.until(lambda: "accepts rows again" in self.running.said()[heard:])
        assert contents(self.exchange, self.url) == expected(*logged(self.exchange))

    def standing(self) -> int:
        try:
            ((sequence,),) = self.asked("SELECT seq FROM positions")
        except (pymysql.MySQLError, psycopg.Error, ValueError):
            return -1
        return int(str(sequence))

    def asked(self, query: str) -> list[tuple[object, ...]]:
        raise NotImplementedError

    def meanwhile(self) -> None: ...


# ---------------------------------------------------------------------- MariaDB


class Mariadb(Followed):
    def __init__(self, server: MariadbServer, exchange: Path) -> None:
        self.server, self.killing = server, False
        server.sql(
            f"CREATE USER writer IDENTIFIED BY '{PASSWORD}'", "GRANT ALL ON exchange.* TO writer"
        )
        super().__init__(exchange, server.url().replace("matchcore:", "writer:"))

    def asked(self, query: str) -> list[tuple[object, ...]]:
        return self.server.sql(query, database="exchange")

    def end(self, what: str, like: str) -> None:
        for (number,) in self.asked(
            "SELECT id FROM information_schema.processlist WHERE user = 'writer'"
            f" AND coalesce(info, '') LIKE '{like}'"
        ):
            with suppress(pymysql.MySQLError):  # it has ended by itself
                self.asked(f"KILL {what} {number}")

    def meanwhile(self) -> None:
        if self.killing:
            self.end("QUERY", "%FOR UPDATE")

    @contextmanager
    def having(self, name: str, value: str) -> Iterator[None]:
        """A setting, in force for connections made later."""
        ((before,),) = self.asked(f"SELECT @@GLOBAL.{name}")
        self.asked(f"SET GLOBAL {name} = {value}")
        self.end("CONNECTION", "%")
        try:
            yield
        finally:
            self.asked(f"SET GLOBAL {name} = {before}")
            self.end("CONNECTION", "%")

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.asked("ALTER USER writer ACCOUNT LOCK")
        self.end("CONNECTION", "%")
        yield
        self.asked("ALTER USER writer ACCOUNT UNLOCK")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Somebody holds the row of the position."""
        with (
            pymysql.connect(
                unix_socket=f"{self.server.place}/s", user="root", database="exchange"
            ) as other,
            other.cursor() as cursor,
        ):
            cursor.execute("SELECT * FROM positions FOR UPDATE")
            yield

    @contextmanager
    def killed(self) -> Iterator[None]:
        with self.held():
            self.killing = True
            yield
            self.killing = False

    @contextmanager
    def slow(self) -> Iterator[None]:
        with self.having("max_statement_time", "0.2"), self.held():
            yield


MARIADB: dict[str, tuple[Callable[[Mariadb], Trouble], str]] = {
    "1290 read-only": (lambda one: one.having("read_only", "ON"), "--read-only option"),
    "1792 read-only": (lambda one: one.having("tx_read_only", "ON"), "READ ONLY transaction"),
    "4151 locked account": (Mariadb.locked, "account is locked"),
    "1969 timed out": (Mariadb.slow, "max_statement_time exceeded"),
    "1317 killed": (Mariadb.killed, "execution was interrupted"),
}


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mariadb]:
    exchange = filled(tmp_path_factory.mktemp("mariadb") / "e", 1, 0)
    with closing(MariadbServer()) as server:
        server.start()
        made = Mariadb(server, exchange)
        with made.running:
            yield made


@pytest.mark.parametrize("name", MARIADB)
def test_a_mariadb_that_refuses_for_a_while(mariadb: Mariadb, name: str) -> None:
    trouble, says = MARIADB[name]
    mariadb.goes_on_after(trouble(mariadb), says)


def test_a_packet_that_is_always_too_long_is_named(
    mariadb: Mariadb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says it, or just ends the connection: either way the setting is named."""
    monkeypatch.setattr(opening, "PAUSE_SECONDS_MAX", 0.05)
    exchange = filled(tmp_path / "e", 1, 2400)
    mariadb.server.sql("CREATE OR REPLACE DATABASE small")
    url = mariadb.server.url("small")
    sink_of(exchange, url).close()
    with (
        mariadb.having("max_allowed_packet", "16384"),
        closing(sink_of(exchange, url, patience=3.0)) as sink,
        pytest.raises(SinkAway, match=r"2402.*the same 8 times in a row.*max_allowed_packet"),
    ):
        sink.write(*everything(exchange))
    with closing(sink_of(exchange, url)) as sink:
        sink.write(*everything(exchange))
    assert contents(exchange, url) == expected(*logged(exchange))


def test_one_cause_that_shows_itself_in_two_ways_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends the connection is found so by a write or by a read."""
    monkeypatch.setattr(opening, "PAUSE_SECONDS_MIN", 0.0)
    texts = iter(["gone away", "lost"] * opening.SAME_MAX)
    heard: list[str] = []

    def ask() -> None:
        if len(heard) < opening.SAME_MAX:
            raise SinkAway(next(texts), "try this")

    opening.patiently(ask, 60.0, lambda error: heard.append(str(error)))
    assert ["try this" in text for text in heard] == [False] * (opening.SAME_MAX - 1) + [True]


def test_a_first_start_that_may_not_write_says_so_soon(
    mariadb: Mariadb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for tables that another follower makes, and not while nobody makes any."""
    tries: list[object] = []
    make = SqlStore._make
    monkeypatch.setattr(SqlStore, "_make", lambda *given: (tries.append(given), make(*given)))
    monkeypatch.setattr(store, "MAKING_SECONDS", 0.01)
    mariadb.server.sql("CREATE OR REPLACE DATABASE first")
    with (
        mariadb.having("tx_read_only", "ON"),
        pytest.raises(SinkAway, match="READ ONLY transaction"),
    ):
        sink_of(filled(tmp_path / "e", 1, 0), mariadb.server.url("first"))
    assert len(tries) == 2


def everything(exchange: Path) -> tuple[Position, NDArray, NDArray]:
    commands, events = logged(exchange)
    return Position(1, len(commands)), commands, events


# ---------------------------------------------------------------------- PostgreSQL


class Postgres(Followed):
    def __init__(self, server: PostgresServer, exchange: Path) -> None:
        self.server = server
        for statement in (
            "CREATE ROLE writer LOGIN PASSWORD 'secret word'", "CREATE DATABASE exchange",
            "ALTER DATABASE exchange OWNER TO writer",
        ):  # fmt: skip
            self.told(statement)
        super().__init__(exchange, server.url("exchange", user="writer"))

    def asked(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.server.url("exchange"), autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def told(self, statement: str) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(statement)

    def cut(self) -> None:
        self.told("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'writer'")

    @contextmanager
    def altered(self, what: str, to: str, back: str) -> Iterator[None]:
        """A state that holds for connections made later."""
        self.told(f"ALTER {what} {to}")
        self.cut()
        try:
            yield
        finally:
            self.told(f"ALTER {what} {back}")
            self.cut()

    @contextmanager
    def slow(self) -> Iterator[None]:
        with (
            psycopg.connect(self.server.url("exchange")) as other,
            self.altered(
                "ROLE writer", "SET statement_timeout = '200ms'", "RESET statement_timeout"
            ),
        ):
            other.execute("SELECT * FROM positions FOR UPDATE")
            yield


def closed(one: Postgres) -> Trouble:
    what = "DATABASE exchange"
    return one.altered(what, "ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true")


def read_only(one: Postgres) -> Trouble:
    what = "default_transaction_read_only"
    return one.altered("ROLE writer", f"SET {what} = on", f"RESET {what}")


POSTGRES: dict[str, tuple[Callable[[Postgres], Trouble], str]] = {
    "25006 read-only": (read_only, "read-only transaction"),
    "55000 closed": (closed, "not currently accepting connections"),
    "57014 timed out": (Postgres.slow, "statement timeout"),
    "28000 locked account": (
        lambda one: one.altered("ROLE writer", "NOLOGIN", "LOGIN"), "not permitted to log in",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    exchange = filled(tmp_path_factory.mktemp("postgres") / "e", 1, 0)
    with closing(PostgresServer(durable=False)) as server:
        server.start()
        made = Postgres(server, exchange)
        with made.running:
            yield made


@pytest.mark.parametrize("name", POSTGRES)
def test_a_postgresql_that_refuses_for_a_while(postgres: Postgres, name: str) -> None:
    trouble, says = POSTGRES[name]
    postgres.goes_on_after(trouble(postgres), says)
