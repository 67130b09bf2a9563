"""Secrets of a URL are in nothing that is said; what a URL may have is listed."""

from __future__ import annotations

import re
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sink_kit import filled, sink_of

import matchcore as mc
from matchcore.cli.app import app
from matchcore.sinks import FollowerProcess
from matchcore.sinks.opening import built_in
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.reconcile import reconcile
from matchcore.sinks.urls import OPTIONS, shown, without_secrets

PAGES = Path(__file__).parents[2] / "docs" / "databases"
SECRET = re.compile("hun|ter2|wr0ng")  # every part of it
FILE = "[client\nhunter2\npassword = hunter2\n"  # what no parser takes
#: Nothing answers at port 1.
URLS = [
    "{}://user:hunter2@127.0.0.1:1/d",
    "{}://user:hun@ter2@127.0.0.1:1/d",
    "{}://user:hun/ter2@127.0.0.1:1/d",
    "{}://user:hun@/ter2@127.0.0.1:1/d",
    "{}://user:hun:ter2@127.0.0.1:1/d",
    "{}://user:hun?ter2@127.0.0.1:1/d",
    "{}://user:hun@x/y?a=ter2@127.0.0.1:1/d",
    "{}://user:hun#ter2@127.0.0.1:1/d",
    "{}://user:hun ter2@127.0.0.1:1/d",
    "{}://user:hun%40ter2@127.0.0.1:1/d",
    "{}://user:hun€ter2@127.0.0.1:1/d",
    "{}://user:hun%00ter2@127.0.0.1:1/d",
    "{}://user:hunter2",
    "{}://user:hunter2/d",
    "{}:user:hunter2@127.0.0.1/d",
    "{}://u@127.0.0.1:1/d?password=hunter2",
    "{}://u@127.0.0.1:1/d?PASSWORD=hunter2",
    "{}://u@127.0.0.1:1/d?pass%77ord=hunter2",
    "{}://u@127.0.0.1:1/d?passwd=hunter2&password=hunter2",
    "{}://u@127.0.0.1:1/d?pasword=hunter2",
    "{}://u@127.0.0.1:1/d?hunter2",
    "{}://u@127.0.0.1:1/d?sslpassword=hunter2&sslkey={file}&sslcert={file}",
    "{}://u@127.0.0.1:1/d?sslpassword=hunter2&sslpassword=hunter2",
    "{}://u@127.0.0.1:1/d?ssl_key_password=hunter2&ssl_key={file}&ssl_cert={file}",
    "{}://u@127.0.0.1:1/d?ssl_key_password=hun&ter2",
    "{}://u@127.0.0.1:1/d?ssl_ca={file}",
    "{}://u@127.0.0.1:1/d?sslmode=verify-full&sslrootcert={file}",
    "{}://u@127.0.0.1:1/d?read_default_file={file}",
    "{}://u@127.0.0.1:1/d?passfile={file}",
    "{}://u@127.0.0.1:1/d?servicefile={file}&service=client",
    "host=127.0.0.1 port=1 user=u password=hunter2",
]
COMMANDS = {
    "follow": ["follow", "{dir}", "--to", "{url}"],
    "query": ["query", "open-orders", "--from", "{url}"],
    "reconcile": ["reconcile", "{dir}", "{url}"],
    "rebuild": ["rebuild", "{dir}", "{url}", "--yes"],
    "archive": ["archive", "{dir}", "--drop", "--dry-run", "--follower", "{url}"],
}


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("secrets") / "e", 1, 50)


def urls(place: Path, step: int = 1) -> list[str]:
    file = place / "planted"
    file.write_text(FILE)
    made = [url.replace("{}", scheme) for url in URLS for scheme in ("mysql", "postgresql")]
    made += [URLS[1].replace("{}", scheme) for scheme in ("mariadb", "ftp", "sqlite")]
    return [url.replace("{file}", str(file)) for url in made[::step]]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_says_a_secret(exchange: Path, tmp_path: Path, command: str) -> None:
    for url in urls(tmp_path, 1 if command == "follow" else 7):
        arguments = [
            part.replace("{dir}", str(exchange)).replace("{url}", url) for part in COMMANDS[command]
        ]
        for flags in ([], ["--json"]):
            found = CliRunner().invoke(app, [*arguments, *flags])
            assert found.exit_code in (2, 3), (url, found.output)
            said = found.stdout + found.stderr
            assert said and not SECRET.search(said), (url, said)


def test_no_exception_says_a_secret(exchange: Path, tmp_path: Path) -> None:
    for url in urls(tmp_path, 3):
        for do in (lambda: sink_of(exchange, url), lambda: Queries(url),  # noqa: B023
                   lambda: reconcile(exchange, url)):  # fmt: skip  # noqa: B023
            with pytest.raises(mc.SinkError) as caught:
                do()
            said = [
                str(caught.value),
                repr(caught.value),
                *traceback.format_exception(caught.value),
            ]
            assert not SECRET.search("".join(said)), (url, said)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_no_follower_process_says_a_secret(
    tmp_path: Path, scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its errors come back as text."""
    for at, url in enumerate((URLS[1], URLS[15])):
        exchange = tmp_path / str(at)
        mc.Engine.open(exchange).close()
        with FollowerProcess(exchange, url.format(scheme)) as beside:
            beside._watcher.join(60)  # what is refused is not started again
            assert beside.error and not SECRET.search(beside.error + repr(beside))
    out, err = capfd.readouterr()
    assert not SECRET.search(out + err)


@pytest.mark.parametrize(
    ("scheme", "option"),
    [("mysql", option) for option in (
        "read_default_file", "read_default_group", "local_infile", "init_command", "sql_mode",
        "charset", "client_flag", "cursorclass", "conv", "server_public_key", "defer_connect",
        "auth_plugin_map", "passwd", "db", "user", "Layout",
    )] + [("postgresql", option) for option in (
        "service", "servicefile", "passfile", "sslkeylogfile", "client_encoding", "autocommit",
        "prepare_threshold", "row_factory", "context", "password", "user", "dbname", "replication",
    )],
)  # fmt: skip
def test_other_options_are_refused_by_name_with_those_there_are(scheme: str, option: str) -> None:
    with pytest.raises(mc.SinkError) as caught:
        built_in(f"{scheme}://u@h/d?{option}=x")
    says = str(caught.value)
    assert f"the option {option!r} is not one" in says and f"{option}=***" in says
    assert all(name in says for name in OPTIONS[scheme])


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_the_pages_list_the_options_that_there_are(kind: str) -> None:
    table = (PAGES / f"{kind}.md").read_text().partition("| in the URL")[2].partition("\n\n")[0]
    cells = "".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert set(re.findall(r"`(\w+)", cells)) == OPTIONS[kind]


def test_what_is_allowed_is_taken_and_shown() -> None:
    url = "postgresql://u:w@h1/d?host=h2&host=h3&sslmode=require&sslpassword=s&options=-cx%3D1"
    assert shown(url) == (
        "postgresql://u:***@h1/d?host=h2&host=h3&sslmode=require&sslpassword=***&options=-cx=1"
    )
    with closing(built_in(url)) as store:
        assert store.shown == shown(store.url.render_as_string(hide_password=False))
    assert shown("sqlite:////srv/a@b:c/x.db") == "sqlite:////srv/a@b:c/x.db"
    assert shown("duck://u:w@h/d?threads=4") == "duck://u:***@h/d?threads=***"
    text = "no duck://u:w@h/d here, nor mysql://u:w w@h/d"
    assert without_secrets(text) == "no duck://***"


def test_an_option_that_is_there_twice_is_refused() -> None:
    with pytest.raises(mc.SinkError, match="the option 'layout' is given twice"):
        built_in("mysql://u@h/d?layout=plain&layout=drds")
