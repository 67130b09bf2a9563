"""A real OceanBase engine: the rows of the events, repair, locks, crashes of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pymysql
import pytest
from kill_rounds import kill_rounds
from sink_kit import (
    DAY,
    contents,
    expected,
    filled,
    filled_with_markets,
    followed,
    logged,
    sink_of,
)

import matchcore as mc
from matchcore.sinks import SinkAway
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.reconcile import reconcile
from matchcore.sinks.sql.schema import SQL_TABLES
from matchcore.sinks.sql.views import VIEWS

pytest.importorskip("pylibseekdb", reason="OceanBase's engine: Python 3.11 or later, glibc 2.28")
from oceanbase_server import OceanBaseServer
from test_grants import MAY, TABLES, VERBS, rights, tables


@pytest.fixture(scope="module")
def server() -> Iterator[OceanBaseServer]:
    with closing(OceanBaseServer()) as made:
        made.start()
        yield made


@pytest.mark.parametrize("layout", ["", "&layout=partitions&partitions=3"])
def test_every_table_and_answer_is_the_events(
    tmp_path: Path, server: OceanBaseServer, layout: str
) -> None:
    exchange = filled(tmp_path / "e", 3, 1000, 50, extreme=True)
    url = followed(exchange, server.fresh() + layout)
    assert contents(exchange, url) == expected(*logged(exchange))
    report = reconcile(exchange, url)
    assert report.equal and report.rows["orders"] > 0
    with Queries(url) as ask:
        assert ask.number("TWO") == 2
        assert len(ask.daily_bars()) == report.rows["daily_bars"]
        assert len(ask.trades("1970-01-02")) and len(ask.minute_bars("1970-01-02"))
    for view, sources in VIEWS.items():
        count = len(server.sql(f"SELECT * FROM {view}", database="exchange"))
        assert count == sum(report.rows[name] for name in sources) or not sources, view


def test_views_tell_every_time_that_there_is(tmp_path: Path, server: OceanBaseServer) -> None:
    followed(filled(tmp_path / "e"), server.fresh())
    times = [-(2**63), -DAY - 1, -DAY, -1, 0, 999, DAY - 1, 1_574_000_000_123_456_789, 2**63 - 1]
    for time in times:
        server.sql(f"UPDATE orders SET accepted_ns = {time} LIMIT 1", database="exchange")
        asked = f"SELECT accepted_utc FROM orders_view WHERE accepted_ns = {time}"
        found = {row[0] for row in server.sql(asked, database="exchange")}
        assert found == {datetime(1970, 1, 1) + timedelta(microseconds=time // 1000)}


def test_what_was_changed_is_found_and_repaired(tmp_path: Path, server: OceanBaseServer) -> None:
    exchange = filled_with_markets(tmp_path / "e")
    url = followed(exchange, server.fresh())
    for name in SQL_TABLES:
        server.sql(
            f"DELETE FROM {name} WHERE seq = (SELECT * FROM (SELECT MAX(seq) FROM {name}) m)",
            database="exchange",
        )
    server.sql(
        "UPDATE orders SET quantity = quantity + 1 LIMIT 1",
        "UPDATE instruments SET symbol = 'one'",
        database="exchange",
    )
    report = reconcile(exchange, url, repair=True)
    assert report.different >= len(SQL_TABLES) + 2 and report.repaired
    assert reconcile(exchange, url).equal
    assert contents(exchange, url) == expected(*logged(exchange))


@pytest.mark.parametrize("user", MAY)
def test_rights_are_those_of_the_page_of_mysql(server: OceanBaseServer, user: str) -> None:
    server.fresh()
    server.sql(*(f"DROP USER IF EXISTS {name}" for name in MAY))
    server.sql(*tables("mysql"), *rights("mysql"), database="exchange")
    with (
        server.connect("exchange", user, "change me") as connection,
        connection.cursor() as cursor,
    ):
        for verb, statement in VERBS.items():
            for table in TABLES:
                try:
                    cursor.execute(statement.format(table))
                    allowed = True
                except pymysql.MySQLError as error:
                    assert "denied" in str(error)
                    allowed = False
                assert allowed == (table in MAY[user].get(verb, [])), (verb, table)


def test_a_lock_is_waited_for_as_long_as_an_answer(tmp_path: Path, server: OceanBaseServer) -> None:
    """``ob_query_timeout`` is set from ``read_timeout``; a lock is away, and asked again."""
    exchange = filled(tmp_path / "e")
    url = server.fresh() + "&read_timeout=1"
    sink_of(exchange, url).close()
    waited: list[SinkAway] = []
    with server.connect("exchange") as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM positions FOR UPDATE")

        def waiting(error: SinkAway) -> None:
            waited.append(error)
            if len(waited) == 2:
                other.rollback()

        followed(exchange, url, patience=60.0, waiting=waiting)
    assert len(waited) == 2 and "Lock wait timeout exceeded" in str(waited[0])
    assert reconcile(exchange, url).equal


def test_tables_that_are_there_are_named_when_the_rest_fails(
    tmp_path: Path, server: OceanBaseServer
) -> None:
    """Statements that make tables are not undone here."""
    exchange, url = filled(tmp_path / "e"), server.fresh()
    with server.connect("exchange") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS some@'%' IDENTIFIED BY 'word'")
        cursor.execute("GRANT SELECT, INSERT, CREATE ON exchange.* TO some@'%'")  # no view
    some = url.replace("root@", "some:word@")
    with pytest.raises(mc.SinkError, match=r"the tables .*trades.* were created and are empty"):
        sink_of(exchange, some)
    assert len(server.sql("SHOW TABLES", database="exchange")) == len(SQL_TABLES) + 1
    followed(exchange, url)
    assert reconcile(exchange, url).equal


def test_killed_engines_and_followers_leave_every_row_once(
    tmp_path: Path, server: OceanBaseServer
) -> None:
    kill_rounds(tmp_path / "e", server.fresh(), server)
