"""A PostgreSQL standby takes over under a follower: with everything, or with less than it had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from postgres_server import PostgresServer, newest_programs
from proxy import Proxy
from running import Running
from sink_kit import contents, expected, filled, logged


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A server, and its standby; of the newest PostgreSQL at hand."""
    with ExitStack() as stack:
        bin_ = newest_programs()
        first = stack.enter_context(closing(PostgresServer(bin_=bin_, durable=False)))
        first.start()
        second = PostgresServer(bin_=bin_, durable=False, standby_of=first)
        stack.enter_context(closing(second))
        second.start()
        yield first, second


def asked(server: PostgresServer, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def standing(server: PostgresServer) -> int:
    try:
        ((sequence,),) = asked(server, "SELECT seq FROM positions")
    except (psycopg.Error, ValueError):
        return -1
    return int(str(sequence))


def test_a_planned_switch_loses_nothing(
    tmp_path: Path, pair: tuple[PostgresServer, PostgresServer]
) -> None:
    """The server ends in order, and its standby has everything; for a moment it is read-only."""
    first, second = pair
    exchange = filled(tmp_path / "e")
    with (
        closing(Proxy("127.0.0.1", first.port)) as proxy,
        Running(exchange, first.url(port=proxy.port)) as running,
    ):
        running.until(lambda: standing(second) == 602)
        first.stop()
        proxy.move("127.0.0.1", second.port)
        filled(exchange, 2)
        running.until_said("read-only transaction")
        asked(second, "SELECT pg_promote()")
        running.until(lambda: standing(second) == 1202)
        running.until_said("accepts rows again")
        assert "and stood at" not in running.said()
    assert contents(exchange, second.url()) == expected(*logged(exchange))


def test_a_standby_that_lags_is_promoted(
    tmp_path: Path, pair: tuple[PostgresServer, PostgresServer]
) -> None:
    first, second = pair
    exchange = filled(tmp_path / "e")
    with (
        closing(Proxy("127.0.0.1", first.port)) as proxy,
        Running(exchange, first.url(port=proxy.port)) as running,
    ):
        running.until(lambda: standing(second) == 602)
        asked(second, "ALTER SYSTEM SET primary_conninfo = ''")
        asked(second, "SELECT pg_reload_conf()")
        running.until(lambda: not asked(second, "SELECT 1 FROM pg_stat_wal_receiver"))
        filled(exchange, 2)
        running.until(lambda: standing(first) == 1202)
        first.kill()
        asked(second, "SELECT pg_promote()")
        proxy.move("127.0.0.1", second.port)
        running.until_said("stands at sequence 602, and stood at 1202 before: 600 commands")
        running.until(lambda: standing(second) == 1202)
    assert contents(exchange, second.url()) == expected(*logged(exchange))
