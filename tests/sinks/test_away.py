"""What is asked again and what is final: against real servers, as `--forever` sees it."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sink_kit import filled, sink_of

import matchcore as mc
from matchcore.cli.app import app
from matchcore.sinks import SinkAway

WORD = "secret%20word"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("away") / "e", 1, 50)


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


WRONG = {
    "password": lambda url: url.replace(WORD, "wr0ng"),
    "user": lambda url: url.replace("matchcore:", "nobody:"),
    "database": lambda url: url.rsplit("/", 1)[0] + "/nowhere",
    "parameter": lambda url: url + "?colour=red",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_stays_wrong_is_final_also_with_forever(exchange: Path, url: str, wrong: str) -> None:
    found = CliRunner().invoke(
        app, ["follow", str(exchange), "--to", WRONG[wrong](url), "--forever"]
    )
    assert found.exit_code == 2 and "retrying" not in found.stderr
    assert not any(word in found.output + found.stderr for word in (WORD, "secret word", "wr0ng"))
    with pytest.raises(mc.SinkError) as caught:
        sink_of(exchange, WRONG[wrong](url), patience=60.0)
    assert not isinstance(caught.value, SinkAway)


@pytest.mark.parametrize(
    "text", ["mysql://u@h/d?partitions=many", "mysql://u@h/d?read_timeout=soon",
             "mysql://u@h/d?layout=round", "postgresql://u@h:port/d",
             *(f"postgresql://u@127.0.0.1/d?{options}" for options in (
                 "port=many", "host=a&host=b&port=1,2,3", "connect_timeout=soon", "keepalives=x",
                 "hostaddr=127.0.0.1,127.0.0.2", "hostaddr=here", "ssl_min_protocol_version=x",
                 "target_session_attrs=x", "sslnegotiation=direct",
             ))],
)  # fmt: skip
def test_a_url_of_wrong_parameters_is_refused(exchange: Path, text: str) -> None:
    with pytest.raises(mc.SinkError) as caught:
        sink_of(exchange, text)
    assert not isinstance(caught.value, SinkAway)
    found = CliRunner().invoke(app, ["follow", str(exchange), "--to", text])
    assert found.exit_code == 2 and found.stderr.count("matchcore:") == 1


def test_missing_rights_are_final(exchange: Path, postgres_url: str) -> None:
    """Of PostgreSQL; those of MySQL are in test_mysql.py."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        connection.execute("CREATE DATABASE closed")
        connection.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    guest = postgres_url.replace(f"matchcore:{WORD}", "guest:guest")
    for url in (guest, guest.rsplit("/", 1)[0] + "/closed"):
        with pytest.raises(mc.SinkError, match="permission denied") as caught:
            sink_of(exchange, url, patience=60.0)
        assert not isinstance(caught.value, SinkAway)


def test_a_refused_connection_is_away(exchange: Path, url: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    head, _, tail = url.rpartition(":")
    with pytest.raises(SinkAway, match="refused"):
        sink_of(exchange, f"{head}:{port}/{tail.partition('/')[2]}", patience=0.2)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_server_that_says_nothing_is_away(exchange: Path, scheme: str) -> None:
    """Half-open: the connection is taken, and no word is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        limit = "connect_timeout=2" + ("&read_timeout=1" if scheme == "mysql" else "")
        with pytest.raises(SinkAway, match=r"time"):
            sink_of(exchange, f"{scheme}://u:w@127.0.0.1:{port}/d?{limit}")
