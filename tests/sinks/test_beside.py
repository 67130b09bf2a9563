"""A database beside an engine: another process follows, and trading never waits for it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from flows import flow
from sink_kit import WORLD, contents, dumped, expected, followed, logged, rows

import matchcore as mc
from matchcore.sinks import FollowerProcess, process


def until(true: Callable[[], object]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 30 seconds")


@contextmanager
def opened(
    path: Path, url: str | Path, shard: int = 0
) -> Iterator[tuple[mc.Engine, FollowerProcess]]:
    url = url if isinstance(url, str) else f"sqlite:///{url}"
    with (
        mc.Engine.open(path, instruments=WORLD, policy="os") as engine,
        FollowerProcess(path, url, shard) as beside,
    ):
        yield engine, beside


def test_the_database_follows_and_is_whole_at_the_close(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with opened(exchange, database) as (engine, beside):
        engine.submit_batch(flow(1, 500))
        until(lambda: beside.sequence == 502)
        assert (beside.lag, beside.error, beside.starts) == (0, "", 1)
        engine.submit_batch(flow(2, 500))
    assert (beside.pid, beside.sequence, beside.lag) == (None, 1002, 0)
    assert contents(exchange, database) == expected(*logged(exchange))
    assert rows(database, "SELECT seq FROM positions") == [(1002,)]


def test_it_needs_no_engine_and_outlives_some(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    mc.Engine.open(exchange, instruments=WORLD).close()
    with FollowerProcess(exchange, f"sqlite:///{database}") as beside:
        until(lambda: beside.sequence == 2)
        for seed in (1, 2):
            with mc.Engine.open(exchange) as engine:
                engine.submit_batch(flow(seed, 500))
        until(lambda: beside.sequence == 1002)
        assert (beside.lag, beside.error, beside.starts) == (0, "", 1)
        (exchange / "position").unlink()
        assert beside.lag is None
    assert contents(exchange, database) == expected(*logged(exchange))


TRADES = """
import sys
import matchcore as mc
with mc.Engine.open(sys.argv[1], instruments=[mc.Instrument("ONE", "0.01")]) as engine:
    print("open", flush=True)
    for line in sys.stdin:
        print(engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00")).sequence, flush=True)
"""


def test_it_follows_an_engine_of_another_process(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    command = [sys.executable, "-c", TRADES, str(exchange)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with FollowerProcess(exchange, f"sqlite:///{database}") as beside:
            for sequence in (2, 3):
                other.stdin.write("\n")
                other.stdin.flush()
                assert int(other.stdout.readline()) == sequence
                until(lambda sequence=sequence: beside.sequence == sequence)
                assert (beside.lag, beside.error) == (0, "")
        other.stdin.close()
    assert other.returncode == 0
    assert rows(database, "SELECT seq FROM positions") == [(3,)]


def test_it_ends_cleanly_while_an_engine_goes_on(tmp_path: Path) -> None:
    """What is durable at the close is delivered; what comes after it is not waited for."""
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    closed = threading.Event()

    def trade(engine: mc.Engine) -> None:
        batch = flow(1, 1000)
        while not closed.is_set():
            if engine.sequence - beside.sequence < 8000:  # there is always something to do
                engine.submit_batch(batch)
            else:
                time.sleep(0.001)

    with mc.Engine.open(exchange, instruments=WORLD, policy="os") as engine:
        beside = FollowerProcess(exchange, f"sqlite:///{database}")
        child = beside._child
        thread = threading.Thread(target=trade, args=(engine,), daemon=True)
        thread.start()
        until(lambda: beside.sequence > 2)
        durable = engine.durable
        beside.close(60)
        closed.set()
        thread.join()
        assert child is not None and child.returncode == 0
    assert rows(database, "SELECT seq FROM positions")[0][0] >= durable


def test_it_has_as_long_for_the_rest_as_the_close_gives_it(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    mc.Engine.open(exchange, instruments=WORLD).close()
    followed(exchange, database)
    with mc.Engine.open(exchange, policy="os") as engine:
        engine.submit_batch(flow(1, 500))
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        beside = FollowerProcess(exchange, f"sqlite:///{database}")
        child = beside._child
        assert child is not None
        until(lambda: "locked" in beside.error)
        process._say(child, 0.1)
        assert child.wait(30) == 3  # by itself, and not after 10 seconds
        beside.close(0.1)


FORKS = """
import os, sys
import matchcore as mc
from matchcore.sinks import FollowerProcess
beside = FollowerProcess(sys.argv[1], sys.argv[2])
child = beside.pid
if os.fork() == 0:
    beside.close()
    print(beside.pid, beside.error, flush=True)
    os.read(0, 1)  # outlives its parent
    os._exit(0)
assert os.path.exists(f"/proc/{child}")
beside.close()
print(beside.sequence, os.path.exists(f"/proc/{child}"), flush=True)
beside = FollowerProcess(sys.argv[1], sys.argv[2])  # which the end of the interpreter closes
print(beside.pid, flush=True)
"""


def test_a_fork_leaves_it_to_its_parent_and_the_end_of_the_interpreter_ends_it(
    tmp_path: Path,
) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    mc.Engine.open(exchange, instruments=WORLD).close()
    command = [sys.executable, "-c", FORKS, str(exchange), f"sqlite:///{database}"]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.wait(60) == 0
        assert parent.stdout is not None and parent.stdin is not None
        lines = [parent.stdout.readline() for _ in range(3)]
        parent.stdin.close()
    (fork,) = [line for line in lines if line.startswith("None")]
    assert "belongs to the process that started it, and this is a fork" in fork
    lines.remove(fork)
    assert lines[0] == "2 False\n"
    assert not Path(f"/proc/{int(lines[1])}").exists()


def test_two_exchanges_are_shards_of_one_database(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    for shard in (0, 7):
        path = tmp_path / str(shard)
        with opened(path, database, shard) as (engine, _):
            engine.submit_batch(flow(shard, 300))
        assert contents(path, database, shard) == expected(*logged(path), shard)
    assert rows(database, "SELECT shard, seq FROM positions") == [(0, 302), (7, 302)]


def test_a_killed_follower_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PAUSE_SECONDS_MIN", 0.01)
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with opened(exchange, database) as (engine, beside):
        for seed in range(2):
            engine.submit_batch(flow(seed, 500))
            until(lambda: beside.sequence == engine.sequence)
            assert beside.pid is not None
            os.kill(beside.pid, signal.SIGKILL)
            until(lambda seed=seed: beside.starts == seed + 2)
        engine.submit_batch(flow(9, 500))
    followed(exchange, database)  # what the last close may have had no time for
    assert contents(exchange, database) == expected(*logged(exchange))


def test_the_lag_is_known_before_the_first_write(tmp_path: Path) -> None:
    """After a restart it is what the database has not got, and never the whole log."""
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with closing(mc.Engine.open(exchange, instruments=WORLD, policy="os")) as engine:
        engine.submit_batch(flow(1, 500))
    followed(exchange, database)
    with opened(exchange, database) as (_, beside):
        seen = set[object]()

        def known() -> bool:
            seen.add(beside.lag)
            return beside.lag is not None

        until(known)
        assert seen <= {None, 0} and beside.sequence == 502


def test_a_follower_that_dies_is_said_until_it_is_back(tmp_path: Path) -> None:
    with opened(tmp_path / "e", tmp_path / "x.db") as (_, beside):
        until(lambda: beside.lag == 0)
        assert beside.pid is not None
        os.kill(beside.pid, signal.SIGKILL)
        until(lambda: beside.pid is None)
        until(lambda: "ended with -9" in beside.error)
        until(lambda: beside.pid is not None and not beside.error)


def test_a_follower_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PAUSE_SECONDS_MIN", 0.01)
    with opened(tmp_path / "e", tmp_path / "x.db") as (_, beside):
        assert beside.pid is not None
        with monkeypatch.context() as patch:
            patch.setattr(process.sys, "executable", str(tmp_path / "nothing"))
            os.kill(beside.pid, signal.SIGKILL)
            until(lambda: "cannot be started" in beside.error)
        until(lambda: beside.pid is not None and not beside.error)


def test_pauses_grow_while_no_follower_gets_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says where the database stands, and dies at the same place."""
    (tmp_path / "dying.py").write_text(
        "print('{\"sequence\": 1}', flush=True)\nraise SystemExit(1)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "FOLLOWER", "dying")
    monkeypatch.setattr(process, "PAUSE_SECONDS_MIN", 0.01)
    pauses: list[float] = []

    class Noting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is not None and threading.current_thread().name == "matchcore-follow":
                pauses.append(timeout)
            return super().wait(timeout)

    monkeypatch.setattr(process.threading, "Event", Noting)
    with opened(tmp_path / "e", tmp_path / "x.db"):
        until(lambda: len(pauses) >= 3)
    assert pauses[:3] == [0.01, 0.02, 0.04]


def test_a_database_that_is_away_stops_nothing_and_catches_up(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with closing(mc.Engine.open(exchange, instruments=WORLD)):
        pass
    followed(exchange, database)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # it takes nothing from anybody else
        with opened(exchange, database) as (engine, beside):
            assert len(engine.submit_batch(flow(1, 500))) > 500
            until(lambda: "locked" in beside.error)
            assert beside.lag is not None and beside.lag >= 500
            other.execute("ROLLBACK")
            until(lambda: beside.lag == 0 and not beside.error)
    assert contents(exchange, database) == expected(*logged(exchange))


def test_a_database_that_refuses_is_said_and_not_asked_again(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE orders (a)")
    before = dumped(database)
    with opened(tmp_path / "e", database) as (engine, beside):
        until(lambda: "foreign tables named orders" in beside.error)
        assert engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00")).order_id == 1
        assert (beside.starts, beside.sequence) == (1, 0)
    assert dumped(database) == before


def test_its_password_is_in_no_list_of_processes(tmp_path: Path) -> None:
    url = "mysql://user:secret-word@127.0.0.1:1/exchange"
    with opened(tmp_path / "e", url) as (_, beside):
        assert beside.pid is not None
        until(lambda: beside.error or Path(f"/proc/{beside.pid}/environ").read_bytes())
        for name in ("cmdline", "environ"):
            assert b"secret-word" not in Path(f"/proc/{beside.pid}/{name}").read_bytes()
        beside.close(0.1)


def test_a_directory_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mc.LogError, match="no journal here"):
        FollowerProcess(tmp_path, "sqlite:///x.db")
