"""The rights and TLS of the databases' pages: the very statements there, on real servers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa
from certificates import KEY_WORD, Certificates
from click.testing import CliRunner
from mariadb_server import MariadbServer
from postgres_server import PostgresServer
from sink_kit import contents, expected, filled, followed, logged, sink_of

import matchcore as mc
from matchcore.cli.app import app
from matchcore.sinks import SinkAway
from matchcore.sinks.opening import built_in
from matchcore.sinks.sql.access import transaction
from matchcore.sinks.sql.reconcile import reconcile
from matchcore.sinks.sql.schema import METADATA, POSITIONS

PAGES = Path(__file__).parents[2] / "docs" / "databases"
TABLES = sorted(METADATA.tables)
ODD_WORD = "w\u00e4\u20ac@/:?#& x"
ODD_USER = {
    "mysql": (
        f"CREATE USER odd@'%' IDENTIFIED BY '{ODD_WORD}'",
        "GRANT SELECT ON exchange.* TO odd@'%'",
    ),
    "postgresql": (
        f"CREATE ROLE odd LOGIN PASSWORD '{ODD_WORD}'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO odd",
    ),
}
VERBS = {
    "SELECT": "SELECT 1 FROM {0} WHERE shard = 77",
    "INSERT": "INSERT INTO {0} SELECT * FROM {0} WHERE shard = 77",
    "UPDATE": "UPDATE {0} SET shard = 78 WHERE shard = 77",
    "DELETE": "DELETE FROM {0} WHERE shard = 77",
    "ALTER": "ALTER TABLE {0} ADD extra INT",
    "DROP": "DROP TABLE {0}",
}
MAY = {
    "exchange_reader": {"SELECT": TABLES},
    "exchange_writer": {
        "SELECT": TABLES, "INSERT": TABLES, "UPDATE": ["positions"],
        "DELETE": ["open_orders", "daily_bars"],
    },
    "exchange_keeper": {
        "SELECT": TABLES, "INSERT": TABLES, "DELETE": TABLES, "UPDATE": ["positions"],
    },
}  # fmt: skip


@dataclass
class Place:
    """A server with the tables and users of its page; certificates, and some of another CA."""

    kind: str
    address: str
    certificates: Certificates
    other: Certificates

    def url(self, user: str, tls: str = "") -> str:
        return f"{self.kind}://{user}:change%20me@{self.address}/exchange{tls}"


def rights(kind: str) -> list[str]:
    """The statements of the page."""
    text = (PAGES / f"{kind}.md").read_text()
    block = re.search(r"## Rights\n.*?```sql\n(.*?)```", text, re.DOTALL)
    assert block
    return [one.strip() for one in block[1].split(";") if one.strip()]


def tables(kind: str) -> list[str]:
    """What `matchcore ddl` prints."""
    printed = CliRunner().invoke(app, ["ddl", kind])
    assert printed.exit_code == 0
    return [one.strip() for one in printed.stdout.split(";\n") if one.strip()]


@pytest.fixture(scope="module", params=["mysql", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="matchcore-tls-")))
        mine, other = Certificates(directory / "mine"), Certificates(directory / "other")
        todo = [*tables(request.param), *rights(request.param), *ODD_USER[request.param]]
        if request.param == "mysql":
            options = (
                f"--ssl-ca={mine.ca}", f"--ssl-cert={mine.server}", f"--ssl-key={mine.key}",
            )  # fmt: skip
            mariadb = stack.enter_context(closing(MariadbServer(options=options)))
            mariadb.start()
            mariadb.sql(*todo, database="exchange")
            yield Place(request.param, f"127.0.0.1:{mariadb.port}", mine, other)
            return
        settings = ("ssl=on", f"ssl_cert_file={mine.server}", f"ssl_key_file={mine.key}")
        mine.give_key_to("postgres")
        postgres = stack.enter_context(closing(PostgresServer(options=settings, durable=False)))
        postgres.start()
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE exchange")
        with psycopg.connect(postgres.url("exchange"), autocommit=True) as connection:
            for statement in todo:
                connection.execute(statement)
        yield Place(request.param, f"127.0.0.1:{postgres.port}", mine, other)


@pytest.mark.parametrize("user", MAY)
def test_each_user_may_do_what_the_page_says_and_no_more(place: Place, user: str) -> None:
    with closing(built_in(place.url(user))) as store, store._engine.connect() as connection:
        for verb, statement in VERBS.items():
            for table in TABLES:
                try:
                    connection.exec_driver_sql(statement.format(table))
                    allowed = True
                except sa.exc.DBAPIError as error:
                    assert re.search(r"denied|must be owner", str(error.orig)), error
                    allowed = False
                connection.rollback()
                assert allowed == (table in MAY[user].get(verb, [])), (verb, table)
        with pytest.raises(sa.exc.DBAPIError, match="denied"):
            connection.exec_driver_sql("CREATE TABLE another (a INT)")


def test_each_user_can_do_its_work(place: Place, tmp_path: Path) -> None:
    writer, reader, keeper = (
        place.url(f"exchange_{one}") for one in ("writer", "reader", "keeper")
    )
    exchange = filled(tmp_path / "e", 1, 300)
    followed(exchange, writer)
    followed(filled(exchange, 2, 300), writer)
    assert reconcile(exchange, reader).equal
    with pytest.raises(mc.SinkError, match="denied") as caught:
        followed(filled(exchange, 3, 50), reader)
    assert not isinstance(caught.value, SinkAway)
    followed(exchange, writer)
    with closing(built_in(keeper)) as store, transaction(store) as connection:
        connection.exec_driver_sql("DELETE FROM trades WHERE shard = 0")
    with pytest.raises(mc.SinkError, match="denied"):
        reconcile(exchange, reader, repair=True)
    assert not reconcile(exchange, keeper, repair=True).equal and reconcile(exchange, reader).equal
    done = CliRunner().invoke(app, ["rebuild", str(exchange), keeper, "--yes"])
    assert done.exit_code == 0, done.output
    assert contents(exchange, reader) == expected(*logged(exchange))
    with pytest.raises(mc.SinkError, match="another exchange"):
        followed(filled(tmp_path / "other", 1, 50), writer)


TLS = {
    "mysql": ("?ssl_ca={}", "SHOW STATUS LIKE 'Ssl_cipher'"),
    "postgresql": (
        "?sslmode=verify-full&sslrootcert={}",
        "SELECT '', ssl::int::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    ),
}


def test_the_server_s_certificate_is_checked(place: Place, tmp_path: Path) -> None:
    tls, query = TLS[place.kind]
    with (
        closing(built_in(place.url("exchange_reader", tls.format(place.certificates.ca)))) as store,
        transaction(store) as connection,
    ):
        assert connection.exec_driver_sql(query).one()[1] not in ("", "0")
        assert connection.execute(sa.select(POSITIONS)).all() is not None
    exchange = filled(tmp_path / "e", 1, 50)
    for wrong, says in ((place.other.ca, "certificate verify failed"),
                        (tmp_path / "none.pem", "No such file|does not exist")):  # fmt: skip
        with pytest.raises(mc.SinkError, match=says) as caught:
            sink_of(exchange, place.url("exchange_writer", tls.format(wrong)), patience=60.0)
        assert not isinstance(caught.value, SinkAway)


def test_a_client_s_key_may_have_a_password(place: Place) -> None:
    """Nobody is asked for one that is missing, and a wrong one is not shown."""
    mine = place.certificates
    tls = TLS[place.kind][0].format(mine.ca)
    names = ("ssl_cert", "ssl_key", "ssl_key_password")
    if place.kind == "postgresql":
        names = ("sslcert", "sslkey", "sslpassword")
    tls += f"&{names[0]}={mine.server}&{names[1]}={mine.locked_key}"
    right = place.url("exchange_reader", f"{tls}&{names[2]}={KEY_WORD.replace(' ', '%20')}")
    with closing(built_in(right)) as store, transaction(store) as connection:
        assert connection.exec_driver_sql(TLS[place.kind][1]).one()[1] not in ("", "0")
    for wrong in ("", f"&{names[2]}=wr0ng"):
        with (
            pytest.raises(mc.SinkError) as caught,
            closing(built_in(place.url("exchange_reader", tls + wrong))) as store,
            transaction(store),
        ):
            pass
        assert "wr0ng" not in str(caught.value)


def test_a_password_may_have_any_letters(place: Place) -> None:
    right = f"{place.kind}://odd:{quote(ODD_WORD, safe='')}@{place.address}/exchange"
    with closing(built_in(right)) as store, transaction(store) as connection:
        assert connection.execute(sa.select(POSITIONS)).all() is not None
    with (
        pytest.raises(mc.SinkError, match=r"denied|failed") as caught,
        closing(built_in(right.replace("%23", "%24"))) as store,
        transaction(store),
    ):
        pass
    assert "w\u00e4" not in str(caught.value)
    wrong = right.replace("%23", "%24")
    said = CliRunner().invoke(app, ["query", "open-orders", "--from", wrong])
    assert said.exit_code == 2 and "w\u00e4" not in said.stderr
    assert f"//odd:***@{place.address}/exchange: " in said.stderr
    assert re.search(r"denied for user 'odd'@|authentication failed for user", said.stderr)
