"""A database beside an engine: another process follows, and trading never waits for it."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from flows import flow
from sink_kit import WORLD, contents, dumped, expected, followed, logged, rows

import matchcore as mc
from matchcore.sinks import process as persistence


def until(true: Callable[[], object]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 30 seconds")


def opened(path: Path, url: str) -> mc.Engine:
    return mc.Engine.open(path, instruments=WORLD, policy="os", persistence=url)


def test_the_database_follows_and_is_whole_at_the_close(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with opened(exchange, f"sqlite:///{database}") as engine:
        beside = engine.persistence
        assert beside is not None
        engine.submit_batch(flow(1, 500))
        until(lambda: beside.sequence == 502)
        assert (beside.lag, beside.error, beside.starts) == (0, "", 1)
        engine.submit_batch(flow(2, 500))
    assert contents(exchange, database) == expected(*logged(exchange))
    assert rows(database, "SELECT seq FROM positions") == [(1002,)]


def test_two_exchanges_are_shards_of_one_database(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    for shard in (0, 7):
        path = tmp_path / str(shard)
        where = (f"sqlite:///{database}", shard)
        with mc.Engine.open(path, instruments=WORLD, policy="os", persistence=where) as engine:
            engine.submit_batch(flow(shard, 300))
        assert contents(path, database, shard) == expected(*logged(path), shard)
    assert rows(database, "SELECT shard, seq FROM positions") == [(0, 302), (7, 302)]


def test_a_killed_follower_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "PAUSE_SECONDS_MIN", 0.01)
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with opened(exchange, f"sqlite:///{database}") as engine:
        beside = engine.persistence
        assert beside is not None
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
    with opened(exchange, f"sqlite:///{database}") as engine:
        beside, seen = engine.persistence, set[object]()
        assert beside is not None

        def known() -> bool:
            seen.add(beside.lag)
            return beside.lag is not None

        until(known)
        assert seen <= {None, 0} and beside.sequence == 502


def test_a_follower_that_dies_is_said_until_it_is_back(tmp_path: Path) -> None:
    with opened(tmp_path / "e", f"sqlite:///{tmp_path}/x.db") as engine:
        beside = engine.persistence
        assert beside is not None
        until(lambda: beside.lag == 0)
        assert beside.pid is not None
        os.kill(beside.pid, signal.SIGKILL)
        until(lambda: beside.pid is None)
        until(lambda: "ended with -9" in beside.error)
        until(lambda: beside.pid is not None and not beside.error)


def test_a_follower_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "PAUSE_SECONDS_MIN", 0.01)
    with opened(tmp_path / "e", f"sqlite:///{tmp_path}/x.db") as engine:
        beside = engine.persistence
        assert beside is not None and beside.pid is not None
        with monkeypatch.context() as patch:
            patch.setattr(persistence.sys, "executable", str(tmp_path / "nothing"))
            os.kill(beside.pid, signal.SIGKILL)
            until(lambda: "cannot be started" in beside.error)
        until(lambda: beside.pid is not None and not beside.error)


def test_a_database_that_is_away_stops_nothing_and_catches_up(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    with closing(mc.Engine.open(exchange, instruments=WORLD)):
        pass
    followed(exchange, database)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # it takes nothing from anybody else
        with opened(exchange, f"sqlite:///{database}") as engine:
            beside = engine.persistence
            assert beside is not None
            assert len(engine.submit_batch(flow(1, 500))) > 500
            until(lambda: "locked" in beside.error)
            assert beside.lag >= 500
            other.execute("ROLLBACK")
            until(lambda: beside.lag == 0 and not beside.error)
    assert contents(exchange, database) == expected(*logged(exchange))


def test_a_database_that_refuses_is_said_and_not_asked_again(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE orders (a)")
    before = dumped(database)
    with opened(tmp_path / "e", f"sqlite:///{database}") as engine:
        beside = engine.persistence
        assert beside is not None
        until(lambda: "tables of its own named orders" in beside.error)
        assert engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00")).order_id == 1
        assert (beside.starts, beside.sequence) == (1, 0)
    assert dumped(database) == before


def test_its_password_is_in_no_list_of_processes(tmp_path: Path) -> None:
    url = "mysql://user:secret-word@127.0.0.1:1/exchange"
    with opened(tmp_path / "e", url) as engine:
        beside = engine.persistence
        assert beside is not None and beside.pid is not None
        until(lambda: beside.error or Path(f"/proc/{beside.pid}/environ").read_bytes())
        for name in ("cmdline", "environ"):
            assert b"secret-word" not in Path(f"/proc/{beside.pid}/{name}").read_bytes()
        beside.close(0.1)
