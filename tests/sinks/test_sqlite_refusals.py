"""Databases that are not ours are refused with a reason, and left as they were."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sink_kit import dumped, filled, followed, logged, rows, sink_of

import matchcore as mc
from matchcore.sinks import TABLES, SinkAway, open_sink
from matchcore.sinks.sql import sqlite, store
from matchcore.sinks.sql.schema import METADATA

IDENTITY = bytes(range(16))


def contents(place: Path) -> dict[str, bytes]:
    """Every file of a directory."""
    return {file.name: file.read_bytes() for file in place.iterdir() if file.is_file()}


def made(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return path


@pytest.mark.parametrize(
    "url",
    ["postgres://host/db", "x.db", "", "sqlite", "sqlite:/x.db", "SQLITE:///x.db", "://x",
     "ftp://host/x.db"],
)  # fmt: skip
def test_an_unsupported_url_names_the_schemes_there_are(url: str) -> None:
    with pytest.raises(mc.SinkError, match=r"must be one of these: sqlite://") as caught:
        open_sink(url, IDENTITY)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://x.db", "sqlite:///x.db?a=1"])
def test_a_sqlite_url_without_a_path_shows_the_forms(url: str) -> None:
    with pytest.raises(mc.SinkError, match=r"sqlite:///relative.db or sqlite:////absolute.db"):
        open_sink(url, IDENTITY)


def test_relative_and_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_sink("sqlite:///relative.db", IDENTITY).close()
    open_sink(f"sqlite:///{tmp_path}/absolute.db", IDENTITY).close()
    assert {"relative.db", "absolute.db"} <= set(contents(tmp_path))


def test_a_database_of_another_exchange_is_refused(tmp_path: Path) -> None:
    ours, theirs = filled(tmp_path / "ours", 1), filled(tmp_path / "theirs", 2)
    database = followed(theirs, tmp_path / "x.db")
    before = dumped(database), database.read_bytes()
    with pytest.raises(mc.SinkError, match="belongs to another exchange") as caught:
        followed(ours, database)
    ((owner,),) = rows(database, "SELECT exchange FROM positions")
    assert owner.hex() in str(caught.value) and str(database) in str(caught.value)
    assert (dumped(database), database.read_bytes()) == before


def test_a_database_ahead_of_the_log_is_refused(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e", 1, 300)
    shutil.copytree(exchange, tmp_path / "old")
    filled(exchange, 2, 300)
    database = followed(exchange, tmp_path / "x.db")
    before = dumped(database)
    with pytest.raises(mc.SinkError, match="is at sequence 602, but the log ends at 302"):
        followed(tmp_path / "old", database)
    assert dumped(database) == before


def test_a_database_of_another_schema_is_to_be_rebuilt(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e")
    database = followed(exchange, tmp_path / "x.db")
    too_new = "supports 5: use a newer matchcore"
    for version, says in ((1, "follow the log into a new"), (6, too_new)):
        made(database, f"UPDATE positions SET version = {version}")
        before = dumped(database)
        with pytest.raises(mc.SinkError, match=f"has schema {version}.*{says}"):
            followed(exchange, database)
        assert dumped(database) == before


def test_the_schema_before_is_known_and_refused(tmp_path: Path) -> None:
    columns = "one INTEGER PRIMARY KEY, exchange BLOB, schema INTEGER, epoch INTEGER"
    file = made(tmp_path / "x.db", f"CREATE TABLE position ({columns}, sequence INTEGER)",
                "CREATE TABLE orders (sequence INTEGER)")  # fmt: skip
    before = contents(tmp_path)
    with pytest.raises(mc.SinkError, match="has schema 1, this matchcore needs 5"):
        open_sink(f"sqlite:///{file}", IDENTITY)
    assert contents(tmp_path) == before


def test_an_older_schema_is_brought_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = filled(tmp_path / "e")
    database = followed(exchange, tmp_path / "x.db")
    monkeypatch.setattr(store, "VERSION", 6)
    monkeypatch.setitem(
        store.MIGRATIONS, 5, lambda db, _: db.exec_driver_sql("CREATE TABLE added (a INTEGER)")
    )
    for _ in range(2):
        followed(exchange, database)
        assert rows(database, "SELECT version, seq FROM positions") == [(6, 602)]
    assert rows(database, "SELECT * FROM added") == []


@pytest.mark.parametrize(
    "data", [b"no database at all\n" * 100, bytes(4096), b"SQLite format 3\x00" + b"\xff" * 4080]
)
def test_a_file_that_is_no_database_is_left_as_it_was(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(data)
    with pytest.raises(mc.SinkError, match=r"not a database|malformed") as caught:
        open_sink(f"sqlite:///{file}", IDENTITY)
    assert str(file) in str(caught.value)
    assert contents(tmp_path) == {"x.db": data}


@pytest.mark.parametrize("name", sorted(METADATA.tables))
def test_foreign_tables_of_our_names_are_refused(tmp_path: Path, name: str) -> None:
    file = made(tmp_path / "x.db", f"CREATE TABLE {name} (a)", f"INSERT INTO {name} VALUES (7)")
    before = dumped(file)
    with pytest.raises(mc.SinkError, match=f"has foreign tables named {name}"):
        open_sink(f"sqlite:///{file}", IDENTITY)
    assert dumped(file) == before


FOREIGN = [
    "TABLE orders (a)", "TABLE trades (a)", "TABLE Orders (a)", "VIEW trades AS SELECT 1",
    "TABLE positions (shard, exchange)",
]  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_a_refused_foreign_database_keeps_its_bytes(tmp_path: Path, what: str) -> None:
    made(tmp_path / "x.db", f"CREATE {what}")
    before = contents(tmp_path)
    with pytest.raises(mc.SinkError, match="has foreign tables named"):
        open_sink(f"sqlite:///{tmp_path}/x.db", IDENTITY)
    assert contents(tmp_path) == before


def test_a_refused_database_is_not_kept_open(tmp_path: Path) -> None:
    file = made(tmp_path / "x.db", "CREATE TABLE orders (a)")
    with pytest.raises(mc.SinkError) as caught:
        open_sink(f"sqlite:///{file}", IDENTITY)
    assert not opened(file), caught.value


def opened(file: Path) -> list[str]:
    """The descriptors of this process that are that file."""
    fds = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return [fd for fd in fds if fd == str(file)]


def killed(place: Path, code: str) -> None:
    """Runs code that kills itself over `db`, a connection to x.db in that directory."""
    program = (
        "import os, signal, sqlite3\n"
        f"db = sqlite3.connect('x.db', isolation_level=None)\n{code}\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_what_a_dead_owner_had_not_moved_into_the_file_stays_where_it_is(tmp_path: Path) -> None:
    """A connection that can write would move it when it is closed."""
    followed(filled(tmp_path / "e"), tmp_path / "x.db")
    killed(tmp_path, "db.execute('CREATE TABLE wine (year)')")
    before = contents(tmp_path)
    assert len(before["x.db-wal"]) > 0
    with pytest.raises(mc.SinkError, match="belongs to another exchange"):
        open_sink(f"sqlite:///{tmp_path}/x.db", IDENTITY)
    for name in ("x.db", "x.db-wal"):
        assert contents(tmp_path)[name] == before[name], name


HALF_DONE = (
    "db.execute('PRAGMA cache_size = 1')\ndb.execute('BEGIN')\n"
    "for _ in range(500): db.execute('INSERT INTO {} VALUES (?)', ('x' * 1000,))"
)


def test_a_database_that_died_in_a_transaction_is_rolled_back_and_taken(tmp_path: Path) -> None:
    made(tmp_path / "x.db", "CREATE TABLE wine (year)", "INSERT INTO wine VALUES (1982)")
    killed(tmp_path, HALF_DONE.format("wine"))
    assert "x.db-journal" in contents(tmp_path)
    open_sink(f"sqlite:///{tmp_path}/x.db", IDENTITY).close()
    assert rows(tmp_path / "x.db", "SELECT * FROM wine") == [(1982,)]
    assert rows(tmp_path / "x.db", "SELECT exchange FROM positions") == [(IDENTITY,)]


def test_a_foreign_one_that_died_in_a_transaction_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "x.db", "CREATE TABLE orders (a)", "INSERT INTO orders VALUES (7)")
    before = contents(tmp_path)
    killed(tmp_path, HALF_DONE.format("orders"))
    with pytest.raises(mc.SinkError, match="has foreign tables named orders"):
        open_sink(f"sqlite:///{tmp_path}/x.db", IDENTITY)
    assert contents(tmp_path)["x.db"] == before["x.db"]  # SQLite itself has rolled it back


def test_foreign_tables_of_all_our_names_are_refused(tmp_path: Path) -> None:
    names = sorted(METADATA.tables)
    file = made(tmp_path / "x.db", *(f"CREATE TABLE {name} (a)" for name in names))
    before = file.read_bytes()
    with pytest.raises(mc.SinkError, match=f"has foreign tables named {', '.join(names)}"):
        open_sink(f"sqlite:///{file}", IDENTITY)
    assert file.read_bytes() == before


def test_a_foreign_view_of_our_name_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    file = made(tmp_path / "x.db", "CREATE VIEW daily_bars AS SELECT 1")
    before = dumped(file)
    with pytest.raises(mc.SinkError, match="daily_bars"):
        open_sink(f"sqlite:///{file}", IDENTITY)
    assert dumped(file) == before


def test_a_lost_table_is_not_made_again_empty(tmp_path: Path) -> None:
    database = followed(filled(tmp_path / "e"), tmp_path / "x.db")
    made(database, "DROP TABLE trades")
    before = dumped(database)
    with pytest.raises(mc.SinkError, match="has lost trades: follow the log into a new"):
        followed(tmp_path / "e", database)
    assert dumped(database) == before


def test_tables_half_made_by_a_crash_are_finished(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e")
    database = followed(exchange, tmp_path / "x.db")
    made(tmp_path / "x.db", "DROP TABLE phases", "DELETE FROM positions",
         *(f"DELETE FROM {name}" for name in sorted(TABLES) if name != "phases"))  # fmt: skip
    followed(exchange, database)
    assert dumped(database) == dumped(followed(exchange, tmp_path / "y.db"))


def test_tables_of_other_names_stay_beside_ours(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e")
    file = made(tmp_path / "x.db", "CREATE TABLE wine (year)", "INSERT INTO wine VALUES (1982)")
    followed(exchange, file)
    assert rows(file, "SELECT * FROM wine") == [(1982,)]
    assert rows(file, "SELECT seq FROM positions") == [(602,)]


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    exchange = filled(tmp_path / "e")
    assert rows(followed(exchange, tmp_path / "x.db"), "SELECT seq FROM positions") == [(602,)]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(mc.SinkError, match=f"the directory {tmp_path}/no does not exist"):
        open_sink(f"sqlite:///{tmp_path}/no/x.db", IDENTITY)
    assert not (tmp_path / "no").exists()


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mc.SinkError, match="unable to open"):
        open_sink(f"sqlite:///{tmp_path}", IDENTITY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_rights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(mc.SinkError, match="unable to open"):
        open_sink(f"sqlite:///{tmp_path}/closed/x.db", IDENTITY)


def test_a_locked_database_is_a_sink_error_and_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.01)
    sink = sink_of(exchange, database)
    commands, events = logged(exchange)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(mc.SinkError, match="locked; nothing of sequence 602 was written"):
            sink.write(mc.Position(1, 602), commands, events)
        other.execute("ROLLBACK")
    sink.write(mc.Position(1, 602), commands, events)
    sink.close()
    assert dumped(database) == dumped(followed(exchange, tmp_path / "clean.db"))


def test_a_full_disk_passes(tmp_path: Path) -> None:
    exchange, database = filled(tmp_path / "e"), tmp_path / "x.db"
    commands, events = logged(exchange)
    with closing(sink_of(exchange, database)) as sink:
        sink.position()
        sink.store._live.connection.execute("PRAGMA max_page_count = 1")  # no more than there are
        with pytest.raises(SinkAway, match="is full; nothing of sequence 602 was written"):
            sink.write(mc.Position(1, 602), commands, events)
        sink.write(mc.Position(1, 602), commands, events)
    assert dumped(database) == dumped(followed(exchange, tmp_path / "clean.db"))


def test_an_exchange_that_is_no_exchange_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(mc.LogError, match="no journal here"):
        followed(tmp_path / "empty", tmp_path / "x.db")
    assert not (tmp_path / "x.db").exists()


def test_a_position_before_the_first_row_is_none(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db", IDENTITY)
    assert sink.position() is None
    sink.close()
    again = open_sink(f"sqlite:///{tmp_path}/x.db", IDENTITY)  # the identity stays
    assert again.position() is None
    again.close()
    with pytest.raises(mc.SinkError, match="another exchange"):
        open_sink(f"sqlite:///{tmp_path}/x.db", bytes(16))
