"""A database that stands earlier than before: followed from there again, by the same follower."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from flows import flow
from numpy.typing import NDArray
from running import Running
from sink_kit import WORLD, contents, dumped, expected, filled, followed, logged, rows, sink_of

import matchcore as mc
from matchcore.cli.app import app
from matchcore.engine import follower
from matchcore.journal import Position, identity_of
from matchcore.sinks import FollowerProcess, Rows, RowSink, SinkAway


def copied(database: Path, target: Path) -> None:
    """A backup through SQLite, whether somebody writes or not; into a live file it is a restore."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as to:
        source.backup(to)


def restored(database: Path, backup: Path) -> None:
    copied(backup, database)


def removed(database: Path, backup: Path) -> None:
    database.unlink()


def replaced(database: Path, backup: Path) -> None:
    backup.rename(database)


def removed_with_its_log(database: Path, backup: Path) -> None:
    for name in ("x.db", "x.db-wal", "x.db-shm"):
        database.with_name(name).unlink()


SET_BACK: dict[str, tuple[Callable[[Path, Path], None], int]] = {
    "restored": (restored, 602),
    "removed": (removed, 0),
    "removed with its log": (removed_with_its_log, 0),
    "replaced": (replaced, 602),
}


@pytest.mark.parametrize(
    ("name", "writes"),
    [("restored", True), ("restored", False), ("removed", False), ("removed with its log", True),
     ("replaced", True)],
)  # fmt: skip
def test_a_file_that_is_set_back_is_filled_again(tmp_path: Path, name: str, writes: bool) -> None:
    """By `follow --forever`, also when nothing is written meanwhile."""
    how, at = SET_BACK[name]
    exchange, database, backup = filled(tmp_path / "e"), tmp_path / "x.db", tmp_path / "b.db"
    copied(followed(exchange, database), backup)
    filled(exchange, 2)
    with Running(exchange, f"sqlite:///{database}") as running:
        running.until(lambda: standing(database) == 1202)
        how(database, backup)
        if writes:
            filled(exchange, 3)
        running.until_said(f"stands at sequence {at}, and stood at 1202 before")
        end = 1802 if writes else 1202
        running.until(lambda: standing(database) == end)
        assert f"{1202 - at} commands are delivered again" in running.said()
    assert contents(exchange, database) == expected(*logged(exchange))
    assert dumped(database)  # SQLite finds it sound


def standing(database: Path) -> int:
    if not database.exists():
        return -1
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute("SELECT seq FROM positions").fetchone()[0])
        except (sqlite3.DatabaseError, TypeError):
            return -1


def test_a_file_replaced_by_another_exchange_s_is_final(tmp_path: Path) -> None:
    ours, database = filled(tmp_path / "e"), tmp_path / "x.db"
    theirs = followed(filled(tmp_path / "other", 7), tmp_path / "y.db")
    followed(ours, database)
    before = dumped(theirs)
    with Running(ours, f"sqlite:///{database}") as running:
        running.until(lambda: standing(database) == 602)
        theirs.rename(database)
        assert running.ended() == 2
        assert "belongs to another exchange" in running.said()
    assert dumped(database) == before


def test_what_a_batch_remembers_of_rows_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set back in the middle of a run, where open orders and bars are known from before."""
    monkeypatch.setattr(follower, "BUNDLE_COMMANDS", 50)
    exchange, database, backup = filled(tmp_path / "e", 5), tmp_path / "x.db", tmp_path / "b.db"
    sink, heard = sink_of(exchange, database), []
    write, turns = sink.store.write, iter(range(1000))

    def writing(*batch: object) -> None:
        turn = next(turns)
        if turn == 4:
            copied(database, backup)
        if turn == 8:
            copied(backup, database)
        write(*batch)

    monkeypatch.setattr(sink.store, "write", writing)
    with mc.Follower(exchange, sink, went_back=lambda *two: heard.append(two)) as one:
        assert one.run() == Position(1, 602)
    assert [(before.sequence, now.sequence) for before, now in heard] == [(377, 177)]
    assert contents(exchange, database) == expected(*logged(exchange))


def test_it_goes_back_to_the_newest_snapshot_before(tmp_path: Path) -> None:
    exchange, database, backup = tmp_path / "e", tmp_path / "x.db", tmp_path / "b.db"
    with mc.Engine.open(exchange, instruments=WORLD, policy="os") as engine:
        for seed in range(3):
            engine.submit_batch(flow(seed, 300))
            engine.snapshot()
            followed(exchange, database)
            if seed == 1:
                copied(database, backup)
        with mc.Follower(exchange, sink_of(exchange, database)) as one:
            one.run()
            copied(backup, database)
            engine.submit_batch(flow(4, 300))
            made: list[int] = []
            begin = one._begin
            one._begin = lambda at: (begin(at), made.append(one._machine.sequence))  # type: ignore[method-assign]
            one.run()
            assert made == [602] and one.position.sequence == 1202
    assert contents(exchange, database) == expected(*logged(exchange))


def test_a_database_before_the_log_s_beginning_is_said(tmp_path: Path) -> None:
    exchange, database, backup = tmp_path / "e", tmp_path / "x.db", tmp_path / "b.db"
    options = {"instruments": WORLD, "policy": "os", "segment_bytes": 4096}
    with mc.Engine.open(exchange, **options) as engine:
        engine.submit_batch(flow(1, 300))
    copied(followed(exchange, database), backup)
    with mc.Engine.open(exchange, **options) as engine:
        for seed in range(3):
            engine.submit_batch(flow(seed, 300))
        engine.snapshot()
    with mc.Follower(exchange, sink_of(exchange, database)) as one:
        one.run()
        done = CliRunner().invoke(
            app, ["archive", str(exchange), "--to", str(tmp_path / "a"), "--keep-snapshots", "1"]
        )
        assert done.exit_code == 0, done.output
        copied(backup, database)
        with mc.Engine.open(exchange) as engine:
            engine.submit_batch(flow(4, 300))
        with pytest.raises(mc.LogDamaged, match="archived"):
            one.run()
        with pytest.raises(mc.SinkError, match="make a new follower"):
            one.run()


def test_a_database_ahead_of_the_log_stays_refused(tmp_path: Path) -> None:
    """Also one that was set back, and then is found to be of a longer history."""
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    shutil.copytree(exchange, tmp_path / "old")
    filled(exchange, 2)
    followed(exchange, database)
    before = dumped(database)
    with pytest.raises(mc.SinkError, match="is at sequence 1202, but the log ends at 602"):
        followed(tmp_path / "old", database)
    assert dumped(database) == before


class Listed:
    """A sink of somebody's own: a list, and where it stands."""

    def __init__(self) -> None:
        self.parts: list[NDArray] = []

    def position(self) -> Position | None:
        count = sum(map(len, self.parts))
        return Position(1, count) if count else None

    def write(self, position: Position, commands: NDArray, events: NDArray) -> None:
        at = self.position() or Position(0, 0)
        first = position.sequence - len(commands) + 1
        if first > at.sequence + 1:
            raise mc.SinkBehind(at, first)
        self.parts.append(commands.copy())

    def close(self) -> None: ...


def test_a_sink_of_one_s_own_may_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "SINK_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(follower, "BUNDLE_COMMANDS", 50)
    exchange, sink = filled(tmp_path / "e"), Listed()
    with mc.Follower(exchange, sink) as one:
        one.run()
        del sink.parts[5:]  # found by a look while nothing is written
        one.run()
        assert np.concatenate(sink.parts).tobytes() == logged(exchange)[0].tobytes()
        del sink.parts[3:]  # found by the next write
        filled(exchange, 2)
        one.run()
    assert np.concatenate(sink.parts).tobytes() == logged(exchange)[0].tobytes()


class Silent(Listed):
    """It keeps no position: filled once by each follower, and not once a look."""

    def position(self) -> Position | None:
        return None

    def write(self, position: Position, commands: NDArray, events: NDArray) -> None:
        self.parts.append(commands.copy())


def test_a_sink_that_never_says_where_it_stands_is_not_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "SINK_LOOK_SECONDS", 0.0)
    exchange, sink = filled(tmp_path / "e"), Silent()
    with mc.Follower(exchange, sink) as one:
        assert one.step() == 602
        assert [one.step() for _ in range(3)] == [0, 0, 0]


class Kept:
    """A store of a third party that refuses what does not follow with a plain error."""

    def __init__(self) -> None:
        self.at: Position | None = None

    def position(self, shard: int) -> Position | None:
        return self.at

    def read(self, shard: int, table: str, column: str = "", values: object = ()) -> NDArray:
        from matchcore.sinks import TABLES

        return np.zeros(0, TABLES[table].dtype)

    def write(self, shard: int, epoch: int, first: int, last: int, rows: Rows) -> None:
        if first != (self.at.sequence if self.at else 0) + 1:
            raise mc.SinkError(f"{first} does not follow")
        self.at = Position(epoch, last)

    def close(self) -> None: ...


def test_a_store_of_one_s_own_may_go_back(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=WORLD, policy="os") as engine:
        store = Kept()
        with mc.Follower(tmp_path / "e", RowSink(store)) as one:
            one.run()
            assert store.at == Position(1, 2)
            store.at = None
            engine.submit_batch(flow(1, 10))
            assert one.run() == store.at == Position(1, 12)


def test_an_emptied_position_is_made_again(tmp_path: Path) -> None:
    """A database put in place of another that no follower has used yet: away, then anew."""
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    empty = sink_of(exchange, tmp_path / "empty.db")
    empty.close()
    with sqlite3.connect(tmp_path / "empty.db") as db:
        db.execute("DELETE FROM positions")
    db.close()
    with mc.Follower(exchange, sink_of(exchange, database, patience=10.0)) as one:
        one.run()
        copied(tmp_path / "empty.db", database)
        filled(exchange, 2)
        one.run()
    assert rows(database, "SELECT exchange, seq FROM positions") == [(identity_of(exchange), 1202)]
    assert contents(exchange, database) == expected(*logged(exchange))


def test_a_directory_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """Such as one whose file system is not mounted for a moment."""
    exchange, place = filled(tmp_path / "e"), tmp_path / "d"
    place.mkdir()
    with mc.Follower(exchange, sink_of(exchange, place / "x.db")) as one:
        one.run()
        place.rename(tmp_path / "away")
        filled(exchange, 2)
        with pytest.raises(SinkAway, match="unable to open"):
            one.run()
    (tmp_path / "away").rename(place)
    followed(exchange, place / "x.db")
    assert contents(exchange, place / "x.db") == expected(*logged(exchange))


def until(true: Callable[[], object]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 30 seconds")


def test_a_follower_process_says_how_far_its_database_was_set_back(tmp_path: Path) -> None:
    exchange, database, backup = filled(tmp_path / "e"), tmp_path / "x.db", tmp_path / "b.db"
    copied(followed(exchange, database), backup)
    with (
        mc.Engine.open(exchange, policy="os") as engine,
        FollowerProcess(exchange, f"sqlite:///{database}") as beside,
    ):
        engine.submit_batch(flow(2, 500))
        until(lambda: beside.lag == 0)
        copied(backup, database)
        engine.submit_batch(flow(3, 500))
        until(lambda: beside.set_back and beside.lag == 0)
        assert "stands at sequence 602, and stood at 1102" in beside.set_back
        assert (beside.starts, beside.error) == (1, "")
    assert contents(exchange, database) == expected(*logged(exchange))
