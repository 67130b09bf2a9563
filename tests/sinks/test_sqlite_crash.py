"""A follower may die at any statement: the next one goes on, and no row is lost or doubled."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sink_kit import contents, dumped, expected, filled, followed, logged, rows, sink_of

import matchcore as mc
from matchcore.sinks import RowSink
from matchcore.sinks.rows.rows import RowMaker

#: Follows in small transactions and kills itself at the n-th SQL statement of some kind.
DIES = """
import os, signal, sys
import matchcore as mc
import matchcore.engine.follower
from matchcore.journal import identity_of
from matchcore.sinks import open_sink

exchange, database, word, nth = *sys.argv[1:4], int(sys.argv[4])
matchcore.engine.follower.BUNDLE_COMMANDS = 50
sink = open_sink(f"sqlite:///{database}", identity_of(exchange))
sink.position()
seen = 0

def trace(statement):
    global seen
    seen += statement.startswith(word)
    if seen == nth:
        os.kill(os.getpid(), signal.SIGKILL)

sink.store._live.connection.driver_connection.set_trace_callback(trace)
with mc.Follower(exchange, sink) as follower:
    follower.run()
"""
DEATHS = [
    ("BEGIN", 3),
    ("INSERT INTO orders", 40),
    ("INSERT INTO trades", 5),
    ("DELETE FROM open_orders", 4),
    ("UPDATE positions", 1),
    ("COMMIT", 2),
    ("UPDATE positions", 2),
    ("INSERT INTO orders", 1),
]


def killed_at(exchange: Path, database: Path, word: str, nth: int) -> None:
    command = [sys.executable, "-c", DIES, str(exchange), str(database), word, str(nth)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr


def sound(exchange: Path, database: Path) -> int:
    """Asserts that the rows are those up to the position, no more and no less; the position."""
    at = reached(database)
    commands, events = logged(exchange)
    wanted = expected(commands, events[events["sequence"] <= at])
    assert contents(exchange, database) == wanted
    return at


def test_killed_at_many_statements_it_equals_one_run(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e", 3, 1500, 10)
    database = tmp_path / "killed.db"
    positions = [0]
    for word, nth in DEATHS:
        killed_at(exchange, database, word, nth)
        positions.append(sound(exchange, database))
    assert positions == sorted(positions) and len(set(positions)) > 3
    assert positions[-1] < 1502  # it was killed in the middle, not behind the end
    followed(exchange, database)
    assert dumped(database) == dumped(followed(exchange, tmp_path / "clean.db"))


def reached(database: Path) -> int:
    """The position, 0 as long as there is none."""
    try:
        return int(rows(database, "SELECT seq FROM positions")[0][0])
    except sqlite3.OperationalError:
        return 0


def test_the_command_line_killed_as_it_writes_equals_one_run(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e", 4, 20_000, 50)  # five transactions
    database = tmp_path / "killed.db"
    command = [sys.executable, "-m", "matchcore", "follow", str(exchange), "--forever"]
    command += ["--to", f"sqlite:///{database}"]
    for _ in range(3):
        before = reached(database)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
            for _ in range(5000):
                if reached(database) > before or before == 20_002:
                    break
                time.sleep(0.002)
            child.kill()
        assert child.returncode == -signal.SIGKILL
        assert before == 20_002 or reached(database) > before
        sound(exchange, database)
    followed(exchange, database)
    assert dumped(database) == dumped(followed(exchange, tmp_path / "clean.db"))


def test_rows_and_position_are_one_transaction(tmp_path: Path) -> None:
    """A refusal of the position, the last statement, takes every row back."""
    exchange = filled(tmp_path / "e")
    database = tmp_path / "x.db"
    sink_of(exchange, database).close()
    empty = dumped(database)
    forbid(database, "UPDATE ON positions")
    with pytest.raises(mc.SinkError, match="no thanks; nothing of sequence 602 was written"):
        followed(exchange, database)
    forbid(database, None)
    assert dumped(database) == empty


@pytest.mark.parametrize("event", ["INSERT ON trades", "INSERT ON orders", "DELETE ON open_orders"])
def test_a_refused_row_leaves_the_position(tmp_path: Path, event: str) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    filled(exchange, 1, 300)
    followed(exchange, database)
    filled(exchange, 2, 300)
    before = dumped(database)
    forbid(database, event)
    with pytest.raises(mc.SinkError, match="no thanks"):
        followed(exchange, database)
    forbid(database, None)
    assert dumped(database) == before
    assert dumped(followed(exchange, database)) == dumped(followed(exchange, tmp_path / "y.db"))


def forbid(database: Path, event: str | None) -> None:
    """A trigger that refuses; None takes it away."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("DROP TRIGGER IF EXISTS stop")
        if event:
            when = f"CREATE TRIGGER stop BEFORE {event}"
            db.execute(f"{when} BEGIN SELECT RAISE(ABORT, 'no thanks'); END")
        db.commit()


def test_stopped_and_resumed_it_equals_one_run(tmp_path: Path) -> None:
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    for seed in range(5):
        filled(exchange, seed, 120, 30)
        followed(exchange, database)
        followed(exchange, database)  # and once more for nothing
    assert dumped(database) == dumped(followed(exchange, tmp_path / "clean.db"))
    assert rows(database, "SELECT epoch, seq FROM positions") == [(5, 602)]


def test_what_is_written_already_is_skipped_by_position(tmp_path: Path) -> None:
    """A commit whose answer was lost: the same batch again, by the same writer or another."""
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    commands, events = logged(exchange)
    of_first = events["sequence"] <= 100
    with closing(sink_of(exchange, database)) as sink, closing(sink_of(exchange, database)) as two:
        rows_of = RowMaker(0, partial(two.store.read, 0)).make
        sink.write(mc.Position(1, 100), commands[:100], events[of_first])
        two.store.write(0, 1, 1, 100, rows_of(1, commands[:100], events[of_first]))
        sink.write(mc.Position(1, 602), commands[100:], events[~of_first])
    assert contents(exchange, database) == expected(commands, events)


def test_two_followers_are_noticed(tmp_path: Path) -> None:
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    commands, events = logged(exchange)

    def write(sink: RowSink, first: int, last: int) -> None:
        some = events[(events["sequence"] >= first) & (events["sequence"] <= last)]
        sink.write(mc.Position(1, last), commands[first - 1 : last], some)

    with closing(sink_of(exchange, database)) as one, closing(sink_of(exchange, database)) as two:
        write(one, 1, 60)
        write(two, 61, 100)
        with pytest.raises(mc.SinkError, match="is at sequence 100, within 61 to 150: another"):
            write(one, 61, 150)
        write(two, 101, 602)
    assert contents(exchange, database) == expected(commands, events)


def test_a_gap_and_an_older_writer_are_refused(tmp_path: Path) -> None:
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    commands, events = logged(exchange)
    sink = sink_of(exchange, database)
    sink.write(mc.Position(2, 100), commands[:100], events[events["sequence"] <= 100])
    behind = events[events["sequence"] > 200]
    with pytest.raises(mc.SinkError, match="is at sequence 100, 201 does not follow"):
        sink.write(mc.Position(2, 602), commands[200:], behind)
    behind = events[events["sequence"] > 100]
    with pytest.raises(mc.SinkError, match="is at epoch 2: epoch 1 is an old writer"):
        sink.write(mc.Position(1, 602), commands[100:], behind)
    assert sink.position() == mc.Position(2, 100)
    sink.close()
    wanted = expected(commands, events[events["sequence"] <= 100])
    assert contents(exchange, database) == wanted


def test_rows_changed_by_someone_else_are_noticed(tmp_path: Path) -> None:
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    followed(exchange, database)
    with closing(sqlite3.connect(database)) as db:
        db.execute("DELETE FROM open_orders")
        db.commit()
    with mc.Engine.open(exchange) as engine:
        engine.mass_cancel()
    with pytest.raises(mc.SinkError, match="does not match the log; rebuild it"):
        followed(exchange, database)
    assert rows(database, "SELECT seq FROM positions") == [(602,)]


def test_rows_beyond_the_position_are_shown_and_stop(tmp_path: Path) -> None:
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    followed(exchange, database)
    with closing(sqlite3.connect(database)) as db:
        db.execute(
            "UPDATE orders SET seq = 603, side = 1 WHERE seq = (SELECT max(seq) FROM orders)"
        )
        db.commit()
    before = dumped(database)
    with mc.Engine.open(exchange) as engine:
        order = engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, "0.01"))
        assert engine.sequence == 603
        engine.cancel("ONE", order.order_id)
    says = r"orders has rows beyond its position already, shard, seq, side = \(0, 603, 1\)"
    with pytest.raises(mc.SinkError, match=says):
        followed(exchange, database)
    assert dumped(database) == before


def test_a_reader_is_not_in_the_way(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e")
    commands, events = logged(exchange)
    first = events[events["sequence"] <= 300]
    with (
        closing(sink_of(exchange, tmp_path / "x.db")) as sink,
        closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as reader,
    ):
        sink.write(mc.Position(1, 300), commands[:300], first)
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM orders").fetchone()
        sink.write(mc.Position(1, 602), commands[300:], events[len(first) :])
        assert reader.execute("SELECT count(*) FROM orders").fetchone() == before
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM orders").fetchone() > before
    assert rows(tmp_path / "x.db", "SELECT seq FROM positions") == [(602,)]
