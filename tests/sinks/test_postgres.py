"""A real PostgreSQL: the rows of the events, a failing wire, crashes of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from kill_rounds import kill_rounds
from postgres_server import PASSWORD, PostgresServer
from proxy import Proxy
from sink_kit import contents, expected, filled, followed, logged, sink_of

import matchcore as mc
from matchcore.sinks import SinkAway


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with closing(PostgresServer()) as made:
        made.start()
        yield made


@pytest.fixture
def url(server: PostgresServer) -> str:
    """An empty database."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS exchange WITH (FORCE)")
        connection.execute("CREATE DATABASE exchange")
    return server.url("exchange")


def asked(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("extreme", [False, True])
def test_every_table_is_the_events(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, extreme: bool
) -> None:
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 300)
    exchange = filled(tmp_path / "e", 3, 1000, 50, extreme=extreme)
    followed(exchange, url)
    assert contents(exchange, url) == expected(*logged(exchange))


def test_rows_beyond_the_position_are_shown_and_stop(tmp_path: Path, url: str) -> None:
    exchange = filled(tmp_path / "e")
    followed(exchange, url)
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE orders SET seq = 603, side = 1 WHERE seq = (SELECT max(seq) FROM orders)"
        )
    with mc.Engine.open(exchange) as engine:
        order = engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "0.01"))
        engine.cancel("ONE", order.order_id)
    says = r"orders has rows beyond its position already, shard, seq, side = \(0, 603, 1\)"
    with pytest.raises(mc.SinkError, match=says):
        followed(exchange, url)
    assert asked(url, "SELECT seq FROM positions") == [(602,)]


def test_wrong_words_and_foreign_tables_are_said_without_the_password(
    tmp_path: Path, url: str
) -> None:
    exchange, word = filled(tmp_path / "e", 1, 50), PASSWORD.replace(" ", "%20")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE trades (a INTEGER)")
    for bad, says in (
        (url, "foreign tables named trades"),
        (url.replace("/exchange", "/nowhere"), "does not exist"),
        (url.replace(word, "wr0ng"), "authentication failed"),
    ):
        with pytest.raises(mc.SinkError, match=says) as caught:
            sink_of(exchange, bad)
        assert not isinstance(caught.value, SinkAway)
        assert word not in str(caught.value) and "wr0ng" not in str(caught.value)
    assert asked(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


@pytest.mark.parametrize(
    ("what", "word"),
    [("cut", b"COPY orders"), ("cut", b"DELETE FROM open_orders"), ("mute", b"COMMIT"),
     ("cut", b"UPDATE positions"), ("mute", b"FOR UPDATE"), ("delay", b"COMMIT")],
)  # fmt: skip
def test_a_broken_connection_loses_and_doubles_nothing(
    tmp_path: Path,
    server: PostgresServer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    word: bytes,
) -> None:
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 100)
    exchange, left = filled(tmp_path / "e", 5), [2]

    def once(data: bytes) -> str:
        left[0] -= word in data
        return what if word in data and left[0] == 0 else ""

    with closing(Proxy("127.0.0.1", server.port)) as proxy:
        proxy.trouble = once
        followed(exchange, server.url("exchange", port=proxy.port), patience=60.0)
        assert proxy.seen == [what]
    assert contents(exchange, url) == expected(*logged(exchange))


def test_a_server_killed_and_started_again(
    tmp_path: Path, server: PostgresServer, url: str
) -> None:
    exchange = filled(tmp_path / "e", 1, 300)
    with mc.Follower(exchange, sink_of(exchange, url)) as follower:
        follower.run()
        filled(exchange, 2, 300)
        server.kill()
        with pytest.raises(SinkAway):
            follower.run()
    server.start()
    followed(exchange, url, patience=30.0)
    assert contents(exchange, url) == expected(*logged(exchange))


def test_killed_servers_and_followers_leave_every_row_once(
    tmp_path: Path, server: PostgresServer, url: str
) -> None:
    kill_rounds(tmp_path / "e", url, server)


def test_a_value_out_of_range_writes_nothing(tmp_path: Path, url: str) -> None:
    exchange = filled(tmp_path / "e", 1, 50)
    followed(exchange, url)
    questions = "SELECT seq FROM positions", "SELECT count(*) FROM trades"
    before = [asked(url, question) for question in questions]
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE orders ADD CHECK (quantity < 1000)")
    with mc.Engine.open(exchange) as engine:
        for side in (mc.Side.BUY, mc.Side.SELL):
            engine.submit(mc.NewOrder("ONE", side, 1000, "5.00"))
    with pytest.raises(mc.SinkError, match="violates check constraint") as caught:
        followed(exchange, url)
    assert not isinstance(caught.value, SinkAway)
    assert [asked(url, question) for question in questions] == before
