"""A real MariaDB: the rows of the events, faults on the wire, crashes of server and follower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kill_rounds import kill_rounds
from mariadb_server import PASSWORD, MariadbServer
from proxy import Proxy
from sink_kit import contents, expected, filled, followed, logged, sink_of

import matchcore as mc
from matchcore.sinks import SinkAway
from matchcore.sinks.sql import mysql
from matchcore.sinks.sql.queries import Queries


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    made = MariadbServer()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def proxy(server: MariadbServer) -> Iterator[Proxy]:
    with closing(Proxy(server.host, server.port)) as made:
        yield made


@pytest.mark.parametrize("extreme", [False, True])
def test_every_table_is_the_events(tmp_path: Path, server: MariadbServer, extreme: bool) -> None:
    exchange = filled(tmp_path / "e", 3, 1000, 50, extreme=extreme)
    url = followed(exchange, server.fresh())
    assert contents(exchange, url) == expected(*logged(exchange))


def test_batches_and_bulk_statements(
    tmp_path: Path, server: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "STATEMENT_ROWS", 7)
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 40)
    exchange = filled(tmp_path / "e", 4)
    url = followed(exchange, server.fresh() + "?layout=partitions&partitions=3")
    assert contents(exchange, url) == expected(*logged(exchange))


def test_two_shards_share_a_database(tmp_path: Path, server: MariadbServer) -> None:
    url = server.fresh()
    for shard in (0, 5):
        followed(filled(tmp_path / str(shard), shard), url, shard=shard)
    for shard in (0, 5):
        exchange = tmp_path / str(shard)
        assert contents(exchange, url, shard) == expected(*logged(exchange), shard)
    with pytest.raises(mc.SinkError, match="this exchange is shard 5 there, not 1"):
        sink_of(tmp_path / "5", url, shard=1)
    with pytest.raises(mc.SinkError, match="shard 0 belongs to another exchange"):
        sink_of(tmp_path / "5", url, shard=0)


REFUSED: dict[str, tuple[str, str]] = {
    "foreign table": ("CREATE TABLE exchange.trades (a INT)", "foreign tables named trades"),
    "foreign view": ("CREATE VIEW exchange.orders AS SELECT 1", "foreign tables named orders"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_foreign_tables_are_refused_and_kept(
    tmp_path: Path, server: MariadbServer, name: str
) -> None:
    statement, says = REFUSED[name]
    url = server.fresh()
    server.sql(statement)
    with pytest.raises(mc.SinkError, match=says):
        sink_of(filled(tmp_path / "e", 1, 50), url)
    assert len(server.sql("SHOW TABLES", database="exchange")) == 1


def test_missing_rights_and_wrong_words_are_said_without_the_password(
    tmp_path: Path, server: MariadbServer
) -> None:
    exchange, url = filled(tmp_path / "e", 1, 50), server.fresh()
    server.sql(
        "CREATE OR REPLACE USER reader IDENTIFIED BY 'other word'",
        "GRANT SELECT ON exchange.* TO reader",
    )
    word = PASSWORD.replace(" ", "%20")
    for bad, says in (
        (url.replace(f"matchcore:{word}", "reader:other%20word"), "CREATE command denied"),
        (url.replace(word, "wr0ng"), "Access denied"),
        (url.replace("/exchange", "/nowhere"), "Unknown database"),
    ):
        with pytest.raises(mc.SinkError, match=says) as caught:
            sink_of(exchange, bad)
        assert not isinstance(caught.value, SinkAway)
        assert not any(one in str(caught.value) for one in ("word@", word, "wr0ng", "other%20"))
    assert server.sql("SHOW TABLES", database="exchange") == []


def test_the_rights_that_the_pages_name_are_enough(tmp_path: Path, server: MariadbServer) -> None:
    """For a writer of tables and views, for one that makes no views, and for one who asks."""
    exchange, url = filled(tmp_path / "e", 1, 50), server.fresh()
    word = PASSWORD.replace(" ", "%20")
    writer, reader = (url.replace(f"matchcore:{word}", f"{who}:w") for who in ("writer", "reader"))
    server.sql(
        "CREATE OR REPLACE USER writer IDENTIFIED BY 'w'",
        "CREATE OR REPLACE USER reader IDENTIFIED BY 'w'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON exchange.* TO writer",
        "GRANT SELECT ON exchange.* TO reader",
    )
    with pytest.raises(mc.SinkError, match="CREATE VIEW command denied"):
        sink_of(exchange, writer)
    followed(exchange, f"{writer}?views=no")
    server.sql(
        "GRANT CREATE VIEW ON exchange.* TO writer",
        "CREATE INDEX orders_account_seq ON exchange.orders (account, seq)",
        "DROP INDEX orders_order_id ON exchange.orders",
        "UPDATE exchange.positions SET version = 2",
    )
    for _ in range(2):
        followed(exchange, writer)
    assert contents(exchange, url) == expected(*logged(exchange))
    with Queries(reader) as ask:
        assert len(ask.instruments()) == 2
    assert server.sql("SELECT count(*) FROM exchange.orders_view") != [(0,)]


def test_a_value_out_of_range_writes_nothing(tmp_path: Path, server: MariadbServer) -> None:
    exchange, url = filled(tmp_path / "e"), server.fresh()
    followed(exchange, url)
    questions = "SELECT seq FROM exchange.positions", "SELECT count(*) FROM exchange.executions"
    before = [server.sql(question) for question in questions]
    server.sql("ALTER TABLE exchange.trades MODIFY quantity TINYINT NOT NULL")
    with mc.Engine.open(exchange) as engine:
        for side in (mc.Side.BUY, mc.Side.SELL):
            engine.submit(mc.NewOrder("ONE", side, 1000, "5.00"))
    with pytest.raises(mc.SinkError, match="Out of range value for column 'quantity'"):
        followed(exchange, url)
    assert [server.sql(question) for question in questions] == before


# ---------------------------------------------------------------------- faults on the wire


def once(word: bytes, what: str, nth: int = 2) -> Callable[[bytes], str]:
    """Trouble at the n-th packet that holds a word."""
    left = [nth]

    def trouble(data: bytes) -> str:
        if word in data:
            left[0] -= 1
            return what if left[0] == 0 else ""
        return ""

    return trouble


FAULTS = [
    ("cut", b"INSERT INTO orders"), ("cut", b"INSERT INTO executions"),
    ("cut", b"DELETE FROM open_orders"), ("mute", b"COMMIT"), ("cut", b"UPDATE positions"),
    ("mute", b"FOR UPDATE"), ("hold", b"INSERT INTO trades"), ("hold", b"COMMIT"),
    ("delay", b"COMMIT"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "word"), FAULTS)
def test_a_broken_connection_loses_and_doubles_nothing(
    tmp_path: Path,
    server: MariadbServer,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    word: bytes,
) -> None:
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 100)
    exchange = filled(tmp_path / "e", 5)
    server.fresh()
    proxy.trouble = once(word, what)
    url = server.url(port=proxy.port).replace(server.host, "127.0.0.1") + "?read_timeout=1"
    followed(exchange, url, patience=60.0)
    assert proxy.seen == [what]
    assert contents(exchange, server.url()) == expected(*logged(exchange))


def test_a_connection_cut_while_bars_are_read(
    tmp_path: Path, server: MariadbServer, proxy: Proxy
) -> None:
    """Bars that are there stay known: what the 100 rounds found."""
    exchange = filled(tmp_path / "e", 5)
    followed(exchange, server.fresh())
    filled(exchange, 6)  # on the same days
    proxy.trouble = once(b"FROM daily_bars", "cut", 1)
    followed(exchange, server.url(port=proxy.port), patience=60.0)
    assert proxy.seen == ["cut"]
    assert contents(exchange, server.url()) == expected(*logged(exchange))


def test_without_patience_a_database_that_is_away_is_said(
    tmp_path: Path, server: MariadbServer, proxy: Proxy
) -> None:
    exchange = filled(tmp_path / "e", 1, 50)
    url = server.url(port=proxy.port)
    proxy.refusing = True
    with pytest.raises(SinkAway, match=r"Can't connect|Lost connection"):
        sink_of(exchange, url)
    with pytest.raises(SinkAway, match=r"Can't connect|Lost connection"):
        sink_of(exchange, url, patience=0.3)


# ---------------------------------------------------------------------- crashes


def test_killed_servers_and_followers_leave_every_row_once(
    tmp_path: Path, server: MariadbServer
) -> None:
    kill_rounds(tmp_path / "e", server.fresh(), server)
