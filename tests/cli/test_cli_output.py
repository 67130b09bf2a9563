"""What the commands say: help with an example, JSON and nothing else, tables without escapes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from cli_kit import ANA, apart, run, run_json, traded

import matchcore as mc
from matchcore.cli.app import app
from matchcore.sinks import RowSink
from matchcore.sinks.sql.store import SqlStore

COMMANDS = [
    "archive",
    "bench",
    "book",
    "check-signature",
    "cluster",
    "copy",
    "ddl",
    "demo",
    "draw",
    "drill",
    "drill-gateways",
    "end-day",
    "feed",
    "feed-login",
    "feed-token",
    "follow",
    "gateway",
    "import",
    "info",
    "instrument",
    "kill",
    "limits",
    "lines",
    "load",
    "market",
    "notice",
    "promote",
    "query",
    "rebuild",
    "reconcile",
    "repair",
    "replay",
    "schedule",
    "serve",
    "shards",
    "sign",
    "sm-front",
    "snapshot",
    "standby",
    "switch",
    "tail",
    "torture",
    "upgrade-rules",
    "user",
    "verify",
]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traded(tmp_path_factory.mktemp("output") / "e")


def about(command: str, exchange: Path, place: Path) -> list[object]:
    more: dict[str, list[object]] = {
        "book": ["ANA"], "follow": ["--to", f"sqlite:///{place}/x.db"],
    }  # fmt: skip
    return [command, exchange, *more.get(command, [])]


def test_the_group_lists_every_command_with_an_example() -> None:
    for flag in ("--help", "-h"):
        result = run(flag)
        assert result.exit_code == 0 and "Example:  matchcore demo" in result.stdout
        assert "0 success, 1 damaged or refused data, 2 wrong usage" in result.stdout
    listed = result.stdout.split("Commands:")[1].split("\n")
    assert [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "] == (
        COMMANDS
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    for flag in ("--help", "-h"):
        result = run(command, flag)
        assert result.exit_code == 0 and result.stderr == ""
        assert f"Example:  matchcore {command}" in result.stdout
        found = app.commands[command]
        parts = list(found.commands) if isinstance(found, click.Group) else []
        for part in parts:
            assert "--json" in run(command, part, flag).stdout
        assert parts or "--json" in result.stdout


def test_the_version_is_the_package_s() -> None:
    assert run("--version").stdout == f"matchcore, version {mc.__version__}\n"
    done = apart("--version")
    assert (done.returncode, done.stdout) == (0, f"matchcore, version {mc.__version__}\n")


def test_the_installed_script_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("matchcore")
    if not script.exists():
        pytest.skip("matchcore is not installed as a script here")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout == apart("--version").stdout


def test_without_a_command_the_help_is_shown() -> None:
    result = run()
    assert "Usage: matchcore" in result.output or "Usage: app" in result.output
    assert "verify" in result.output


@pytest.mark.parametrize("command", ["info", "book", "replay", "verify", "follow"])
def test_json_is_all_of_standard_output(exchange: Path, tmp_path: Path, command: str) -> None:
    done = apart(*about(command, exchange, tmp_path), "--json")
    assert done.returncode == 0 and done.stderr == ""
    assert isinstance(json.loads(done.stdout), dict)


@pytest.mark.parametrize("command", ["info", "book", "replay", "verify", "follow"])
def test_text_in_a_pipe_has_no_escapes_and_no_bar(
    exchange: Path, tmp_path: Path, command: str
) -> None:
    done = apart(*about(command, exchange, tmp_path))
    assert done.returncode == 0 and done.stderr == ""
    assert len(done.stdout) > 50
    assert not {"\x1b", "\r", "\x08"} & set(done.stdout)


def test_bench_prints_json_and_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matchcore.bench.suite.run_suite", small_suite)
    code, found = run_json("bench", "--count", 1000, "--rounds", 1, "--suite", "latency")
    assert code == 0 and found["figures"][0]["what"] == "1000 by 1"
    result = run("bench", "--count", 1000, "--rounds", 1)
    assert "1000 by 1" in result.stdout and "12.500" in result.stdout
    assert result.stdout.startswith("matchcore 7.8 (no checkout), m, d\n")


def small_suite(
    *, names: tuple[str, ...], count: int, rounds: int, progress: object, suites: object
) -> dict[str, object]:
    figure = {"suite": names[0], "what": f"{count} by {rounds}", "median": 12.5, "least": 1}
    figure |= {"most": 13, "unit": "million/s", "note": ""}
    return {"version": "7.8", "commit": None, "machine": "m", "date": "d", "figures": [figure]}


def test_info_says_what_the_exchange_is(exchange: Path) -> None:
    found = run_json("info", exchange)[1]
    with mc.Engine.open(exchange, instruments=[ANA]) as engine:
        book = engine.book("ANA")
        assert found["exchange"] == engine.identity.hex()
        assert found["digest"] == engine.digest()
        assert found["instruments"] == [{
            "symbol": "ANA", "tick": "0.05", "lot": 1, "orders": len(book.orders()),
            "best_bid": str(book.best_bid), "best_ask": str(book.best_ask),
        }]  # fmt: skip
    assert (found["last_sequence"], found["segments"], found["snapshots"]) == (201, 1, 0)


def cells(shown: str, border: str = "│") -> list[list[str]]:
    """The cells of a depth table's rows, without those of its header."""
    lines = [line.split(border)[1:-1] for line in shown.splitlines() if line.count(border) > 2]
    rows = [[cell.strip() for cell in line] for line in lines]
    return [row for row in rows if row[0].isdigit() or not row[0]]


def test_book_shows_the_depth_best_first(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=[ANA]) as engine:
        for price, quantity in (("95.00", 10), ("95.00", 5), ("94.95", 7)):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, quantity, price))
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 1234, "96.05"))
    lines = run("book", tmp_path / "e", "ANA").stdout.splitlines()
    assert lines[0] == "ANA, sequence 5"
    assert cells("\n".join(lines)) == [
        ["2", "15", "95.00", "96.05", "1,234", "1"],
        ["1", "7", "94.95", "", "", ""],
    ]
    assert run_json("book", tmp_path / "e", "ANA")[1] == {
        "symbol": "ANA",
        "bids": [
            {"price": "95.00", "quantity": 15, "orders": 2},
            {"price": "94.95", "quantity": 7, "orders": 1},
        ],
        "asks": [{"price": "96.05", "quantity": 1234, "orders": 1}],
        "sequence": 5,
    }


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_depth_limits_the_levels(exchange: Path, depth: int) -> None:
    with mc.Engine.open(exchange) as engine:
        bids, asks = engine.book("ANA").bids(), engine.book("ANA").asks()
    found = run_json("book", exchange, "ANA", "--depth", depth)[1]
    assert len(found["bids"]) == min(depth, len(bids)) > 0
    assert len(found["asks"]) == min(depth, len(asks))
    assert found["bids"][0]["price"] == str(bids[0].price)


def test_an_empty_book_says_so(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=[ANA]):
        pass
    assert "(no orders rest)" in run("book", tmp_path / "e", "ANA").stdout


def test_both_machines_replay_to_the_same_digest(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    with mc.Engine.open(exchange) as engine:
        engine.snapshot()
        engine.submit(mc.EndDay())
        engine.snapshot()
        digest = engine.digest()
    for machine in ("cython", "reference"):
        code, found = run_json("replay", exchange, "--machine", machine)
        assert (code, found["machine"], found["digest"]) == (0, machine, digest)
        assert (found["snapshots_compared"], found["snapshots_that_differ"]) == (2, [])
        assert found["commands"] == 202 and found["events"] > 202


def test_follow_counts_what_is_new(tmp_path: Path) -> None:
    exchange, url = traded(tmp_path / "e", 50), f"sqlite:///{tmp_path}/x.db"
    first = run_json("follow", exchange, "--to", url)[1]
    again = run_json("follow", exchange, "--to", url)[1]
    assert [one["delivered"] for one in (first, again)] == [51, 0]
    assert first["last_sequence"] == again["last_sequence"] == 51 and first["to"] == url


def test_looking_works_while_an_engine_has_it_open(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    with mc.Engine.open(exchange) as engine:
        engine.submit(mc.EndDay())
        for command in ("info", "book", "replay", "verify", "follow"):
            done = apart(*about(command, exchange, tmp_path), "--json")
            found = json.loads(done.stdout)
            assert done.returncode == 0, done.stderr
            assert 202 in [found.get(name) for name in ("last_sequence", "sequence", "commands")]


def follower_interrupted(
    exchange: Path, database: Path, by: signal.Signals = signal.SIGINT
) -> subprocess.CompletedProcess[str]:
    """`follow --forever --json`, stopped by Ctrl-C or SIGTERM once it is up to date."""
    command = [sys.executable, "-m", "matchcore", "follow", str(exchange), "--forever", "--json"]
    command += ["--to", f"sqlite:///{database}"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(2000):
        if database.exists() and position(database) == 201:
            break
        time.sleep(0.01)
    child.send_signal(by)
    stdout, stderr = child.communicate(timeout=30)
    return subprocess.CompletedProcess(command, child.returncode, stdout, stderr)


def position(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        try:
            return int(db.execute("SELECT seq FROM positions").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_following_forever_ends_well(by: signal.Signals, exchange: Path, tmp_path: Path) -> None:
    done = follower_interrupted(exchange, tmp_path / "x.db", by)
    assert (done.returncode, done.stderr) == (0, "")
    assert position(tmp_path / "x.db") == 201


def test_following_forever_says_json_on_interrupt(exchange: Path, tmp_path: Path) -> None:
    done = follower_interrupted(exchange, tmp_path / "x.db")
    found = json.loads(done.stdout)
    assert (found["delivered"], found["last_sequence"], found["epoch"]) == (201, 201, 1)


@pytest.mark.parametrize(
    ("where", "method", "there"), [(SqlStore, "_write_rows", 50), (RowSink, "write", 100)]
)
def test_an_interrupt_says_what_is_in_the_database(
    exchange: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: type,
    method: str,
    there: int,
) -> None:
    """Inside the second transaction, or just behind it and before anyone has heard of it."""
    whole, calls = getattr(where, method), []

    def interrupted(sink: Any, *arguments: Any) -> None:
        whole(sink, *arguments)
        calls.append(method)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 50)
    monkeypatch.setattr(where, method, interrupted)
    code, found = run_json("follow", exchange, "--to", f"sqlite:///{tmp_path}/x.db")
    assert (code, found["delivered"], found["last_sequence"]) == (0, there, there)
    assert position(tmp_path / "x.db") == there


def test_a_plain_terminal_encoding_is_enough(exchange: Path) -> None:
    for command in ("info", "verify", "replay"):
        done = apart(command, exchange, env={**os.environ, "PYTHONIOENCODING": "ascii"})
        assert done.returncode == 0 and done.stdout.isascii(), done.stderr
    done = apart("book", exchange, "ANA", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and done.stdout.isascii(), done.stderr
    with mc.Engine.open(exchange) as engine:
        bids, asks = engine.book("ANA").bids(), engine.book("ANA").asks()
    assert cells(done.stdout, "|") == [
        [str(b.orders), str(b.quantity), str(b.price), str(a.price), str(a.quantity), str(a.orders)]
        for b, a in zip(bids, asks, strict=True)
    ]


@pytest.mark.parametrize("columns", ["", "1", "20", "80"])
@pytest.mark.parametrize("command", ["info", "replay"])
def test_a_digest_in_a_pipe_is_in_one_piece(exchange: Path, command: str, columns: str) -> None:
    digest = run_json("replay", exchange)[1]["digest"]
    done = apart(command, exchange, env={**os.environ, "COLUMNS": columns})
    assert done.returncode == 0 and f" {digest}" in done.stdout


def on_a_terminal(*arguments: object, columns: int) -> str:
    """What a command shows on a terminal of so many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "matchcore", *map(str, arguments)]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as child:
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # EIO once the child has closed its side
            while data := os.read(ours, 65536):
                shown += data
    os.close(ours)
    assert child.returncode == 0, shown
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [0, 40, 200])
def test_no_number_of_a_book_is_cut_off(tmp_path: Path, columns: int) -> None:
    """In a pipe (0 here) and on terminals, which wrap a long line by themselves."""
    wide, most = mc.Instrument("WIDE", "0.000000000000000001"), 2**63 - 1
    with mc.Engine.open(tmp_path / "e", instruments=[wide]) as engine:
        for price, side in ((most, mc.Side.SELL), (1, mc.Side.BUY), (-most, mc.Side.BUY)):
            engine.submit(mc.NewOrder("WIDE", side, most, wide.price(price)))
    arguments = ["book", tmp_path / "e", "WIDE"]
    shown = on_a_terminal(*arguments, columns=columns) if columns else apart(*arguments).stdout
    assert cells(shown) == [
        ["1", f"{most:,}", "0.000000000000000001", "9.223372036854775807", f"{most:,}", "1"],
        ["1", f"{most:,}", "-9.223372036854775807", "", "", ""],
    ]


def test_a_terminal_is_shown_what_a_pipe_is(exchange: Path) -> None:
    shown = on_a_terminal("book", exchange, "ANA", columns=30)
    assert shown.endswith(apart("book", exchange, "ANA").stdout)


ODD = ["[b]X", "[/x]", "A[red]", ":smile:", "[link=x]"]


@pytest.mark.parametrize("symbol", ODD)
@pytest.mark.parametrize("command", ["info", "book"])
def test_a_symbol_is_shown_as_it_is(tmp_path: Path, symbol: str, command: str) -> None:
    odd = mc.Instrument(symbol, 1)
    with mc.Engine.open(tmp_path / "e", instruments=[odd]):
        pass
    result = run(*([command, tmp_path / "e", symbol][: 3 if command == "book" else 2]))
    assert result.exit_code == 0 and symbol in result.stdout


@pytest.mark.parametrize("name", [name.replace("/", "") for name in ODD] + ["e" * 200])
@pytest.mark.parametrize("command", ["info", "verify", "replay", "follow"])
def test_a_directory_is_shown_as_it_is(tmp_path: Path, command: str, name: str) -> None:
    result = run(*about(command, traded(tmp_path / name, 5), tmp_path))
    assert result.exit_code == 0
    assert result.stdout.split("\n")[0].endswith(f"{tmp_path}/{name}")


def test_an_error_names_a_directory_as_it_is(tmp_path: Path) -> None:
    for name in ODD:
        (tmp_path / name).mkdir(parents=True)
        result = run("info", tmp_path / name)
        assert result.stderr == f"matchcore: {tmp_path / name}: no journal here\n"


def test_a_book_as_it_was_is_the_state_behind_that_command(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    for at in (150, "2019-05-21T09:02:28.5"):  # 149 commands, a second apart, from 09:00:00
        code, found = run_json("book", exchange, "ANA", "--at", at)
        view = mc.Engine.at(exchange, sequence=150).book("ANA")
        assert (code, found) == (0, {**view.as_plain(10), "sequence": 150})
    late = run("book", exchange, "ANA", "--at", 300)
    assert late.exit_code == 2 and "ends with 201" in late.stderr
    assert run("book", exchange, "ANA", "--at", "noon").exit_code == 2


def test_info_says_what_an_open_would_do(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e", 50)
    with mc.Engine.open(exchange) as engine:
        engine.snapshot()
        engine.submit(mc.EndDay())
    opening = run_json("info", exchange)[1]["opening"]
    assert (opening["snapshot_sequence"], opening["commands"], opening["cut_bytes"]) == (51, 1, 0)
    shown = run("info", exchange).stdout
    assert "snapshot sequence" in shown and "cut bytes" in shown


def test_snapshot_writes_one_and_says_where(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e", 50)
    code, found = run_json("snapshot", exchange, "--at", 40)
    assert (code, found["sequence"]) == (0, 40) and Path(found["path"]).exists()
    assert run("snapshot", exchange).exit_code == 0
    assert run_json("info", exchange)[1]["opening"]["snapshot_sequence"] == 51
    assert run("snapshot", exchange, "--at", 52).exit_code == 2
