"""Reconcile finds every kind of difference on every database, and repair takes it away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sink_kit import DAY, PLAIN_TABLES, WORLD, contents, expected, filled, followed, logged

import matchcore as mc
from matchcore.cli.app import app
from matchcore.sinks import TABLES
from matchcore.sinks.opening import built_in
from matchcore.sinks.sql.access import snapshot, transaction
from matchcore.sinks.sql.digests import Digests, add, digested, query
from matchcore.sinks.sql.reconcile import reconcile
from matchcore.sinks.sql.schema import POSITIONS, SQL_TABLES
from matchcore.sinks.sql.store import SqlStore

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
Key = tuple[int, ...]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exchange that no test writes to."""
    return filled(tmp_path_factory.mktemp("history") / "e")


@pytest.fixture
def url(history: Path, database: str) -> str:
    """A database that has all of the history."""
    return str(followed(history, database))


def change(url: str, *statements: Any) -> None:
    with closing(built_in(url)) as store, transaction(store) as connection:
        for statement in statements:
            connection.execute(statement)


def all_rows(url: str) -> dict[str, list[Any]]:
    with closing(built_in(url)) as store, snapshot(store) as connection:
        return {
            name: list(connection.execute(sa.select(source).order_by(*source.primary_key)))
            for name, source in SQL_TABLES.items()
        }


def key_of(table: str, row: Any) -> Key:
    return tuple(getattr(row, name) for name in TABLES[table].key)


def changed(table: str, row: Any, **values: Any) -> Any:
    """The statement that changes this row."""
    source = SQL_TABLES[table]
    it = sa.and_(*(source.c[name] == getattr(row, name) for name in TABLES[table].key))
    return sa.update(source).where(it).values(values)


def check_digests(url: str) -> None:
    """What NumPy and the database compute of the rows that are there is the same."""
    with closing(built_in(url)) as store:
        for table in filter(digested, PLAIN_TABLES):
            here: Digests = {}
            add(here, table, store.read(0, table))
            with snapshot(store) as connection:
                there = connection.execute(query(table, 0)).all()
            assert here == {int(a): (int(b), int(c)) for a, b, c in there}
            assert here


def test_what_was_followed_is_equal(history: Path, url: str) -> None:
    report = reconcile(history, url)
    assert report.equal and not report.differences and report.behind == 0
    assert report.rows == {name: len(rows) for name, rows in all_rows(url).items()}
    assert all(report.rows[name] for name in PLAIN_TABLES)
    check_digests(url)


def test_ids_of_all_64_bits_are_equal_too(tmp_path: Path, database: str) -> None:
    exchange = filled(tmp_path / "e", 3, 600, extreme=True)
    followed(exchange, database)
    check_digests(database)
    assert reconcile(exchange, database).equal


@pytest.mark.parametrize("table", [*filter(digested, TABLES)])
def test_a_digest_sees_every_bit_of_every_column(table: str) -> None:
    row = np.zeros(1, TABLES[table].dtype)
    seen = set()
    for name in TABLES[table].columns:
        bits = row.dtype[name].itemsize * 8
        for bit in range(bits if name not in ("shard", "seq", "n") else 0):
            one = row.copy()
            one[name] = np.array(1 << bit, np.uint64).astype(f"u{bits // 8}").view(f"i{bits // 8}")
            found: Digests = {}
            add(found, table, one)
            seen.add(found[0])
    plain: Digests = {}
    add(plain, table, row)
    columns = [f for n, f in TABLES[table].columns.items() if n not in ("shard", "seq", "n")]
    assert plain[0] not in seen and len(seen) == sum(8 * int(form[1:]) for form in columns)


def test_a_changed_value_in_any_column_is_found_and_repaired(
    history: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as few goes as there are rows for: every column of a table in a row of its own."""
    monkeypatch.setattr("matchcore.sinks.sql.reconcile.SHOWN_MAX", 1000)
    before = all_rows(url)
    left = {
        table: [name for name in spec.columns if name not in spec.key]
        for table, spec in TABLES.items()
        if table in PLAIN_TABLES
    }
    while any(left.values()):
        planted, statements = set(), []
        for table, names in left.items():
            for row in before[table]:
                if names:
                    name = names.pop()
                    value = getattr(row, name)
                    other = f"{value}X" if isinstance(value, str) else value ^ 1
                    statements.append(changed(table, row, **{name: other}))
                    planted.add((table, key_of(table, row), name, value, other))
        change(url, *statements)
        check_digests(url)
        report = reconcile(history, url, repair=True)
        assert {
            (one.table, tuple(one.key.values()), one.column, one.journal, one.database)
            for one in report.differences
            if one.what == "different"
        } == planted
        assert len(report.differences) == report.different == len(planted)
        assert report.repaired == len({(table, key[1]) for table, key, *_ in planted})
        assert all_rows(url) == before
    assert reconcile(history, url).equal


def test_missing_and_extra_rows_are_found_and_repaired(history: Path, url: str) -> None:
    before, statements, planted = all_rows(url), [], []
    for table, rows in [(name, before[name]) for name in PLAIN_TABLES]:
        source, first = SQL_TABLES[table], rows[0]
        it = sa.and_(*(source.c[name] == getattr(first, name) for name in TABLES[table].key))
        # The extra one is in a chunk that the journal has no row of.
        statements += [sa.delete(source).where(it),
                       sa.insert(source).values({**rows[-1]._mapping, "seq": 70_000})]  # fmt: skip
        planted += [(table, first.seq, "missing"), (table, 70_000, "extra")]
    change(url, *statements)
    report = reconcile(history, url, repair=True)
    assert [(one.table, one.key["seq"], one.what) for one in report.differences] == planted
    assert report.repaired == len(planted) and not report.equal
    assert all_rows(url) == before and reconcile(history, url).equal


@ON_SQLITE
@pytest.mark.parametrize(
    ("table", "column"), [("trades", "price_ticks"), ("orders", "account"), ("trades", "quantity")]
)
def test_values_that_changed_places_are_found(
    history: Path, url: str, table: str, column: str
) -> None:
    before = all_rows(url)
    one = before[table][0]
    other = next(row for row in before[table] if getattr(row, column) != getattr(one, column))
    change(
        url,
        changed(table, one, **{column: getattr(other, column)}),
        changed(table, other, **{column: getattr(one, column)}),
    )
    report = reconcile(history, url, repair=True)
    assert [(d.what, d.column) for d in report.differences] == 2 * [("different", column)]
    assert all_rows(url) == before and reconcile(history, url).equal


@ON_SQLITE
def test_without_repair_nothing_is_written_and_looking_stops(history: Path, url: str) -> None:
    rows = all_rows(url)["executions"][:30]
    change(url, *(changed("executions", row, quantity=77_777) for row in rows))
    before = all_rows(url)
    report = reconcile(history, url)
    assert (len(report.differences), report.different, report.repaired) == (20, 30, 0)
    assert all_rows(url) == before


@ON_SQLITE
def test_one_that_is_behind_is_equal_as_far_as_it_is(
    history: Path, url: str, tmp_path: Path
) -> None:
    exchange = shutil.copytree(history, tmp_path / "copy")
    filled(exchange, 2, 300)
    report = reconcile(exchange, url)
    assert report.equal and report.behind == 300 and report.position == mc.Position(1, 602)
    followed(exchange, url)
    assert reconcile(exchange, url).position == mc.Position(2, 902)


@ON_SQLITE
@pytest.mark.parametrize("wrong", [{"seq": 700}, {"epoch": 9}, {"seq": 0}])
def test_a_wrong_position_is_found_and_repaired(
    history: Path, url: str, wrong: dict[str, int]
) -> None:
    check_wrong_position(history, url, wrong)


def test_a_position_before_the_rows_is_found_and_repaired(history: Path, url: str) -> None:
    check_wrong_position(history, url, {"seq": 500})


def check_wrong_position(history: Path, url: str, wrong: dict[str, int]) -> None:
    before = all_rows(url)
    change(url, sa.update(POSITIONS).values(wrong))
    report = reconcile(history, url, repair=True)
    assert not report.equal
    if wrong.get("seq", 0) > 602 or "epoch" in wrong:
        assert report.differences[0].table == "positions"
    assert reconcile(history, url).equal
    followed(history, url)
    assert all_rows(url) == before
    assert reconcile(history, url).position == mc.Position(1, 602)


def told(*arguments: object) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, json.loads(result.stdout)


def test_rebuild_makes_every_row_again(history: Path, url: str) -> None:
    before = all_rows(url)
    trade = before["trades"][3]
    change(url, sa.delete(SQL_TABLES["orders"]), changed("trades", trade, quantity=987654))
    code, found = told("rebuild", history, url, "--yes")
    assert (code, found["last_sequence"]) == (0, 602) and all_rows(url) == before
    assert "secret" not in json.dumps(found)


@ON_SQLITE
def test_a_rebuild_cut_short_refuses_followers_until_it_is_done_again(
    history: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_rows(url)
    for allowed in (1, 2, 4, 9, 13):  # transactions: the position, then two a table
        turns = iter(range(allowed))

        def cut(store: SqlStore, turns: Iterator[int] = turns) -> Any:
            if next(turns, None) is None:
                raise mc.SinkError("cut short")
            return transaction(store)

        with monkeypatch.context() as patch:
            patch.setattr("matchcore.sinks.sql.access.transaction", cut)
            assert told("rebuild", history, url, "--yes")[1]["error"] == "cut short"
        left = all_rows(url)
        with pytest.raises(mc.SinkError, match="instruments has rows beyond its position"):
            followed(history, url)
        assert all_rows(url) == left and left["instruments"] == before["instruments"]
        assert told("rebuild", history, url, "--yes")[0] == 0 and all_rows(url) == before


@ON_SQLITE
def test_a_rebuild_begins_with_the_first_epoch(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = filled(filled(tmp_path / "e"), 2)
    followed(exchange, database)
    monkeypatch.setattr("matchcore.engine.follower.BUNDLE_COMMANDS", 50)
    code, found = told("rebuild", exchange, database, "--yes")
    assert (code, found["epoch"], found["last_sequence"]) == (0, 2, 1202)
    assert reconcile(exchange, database).equal


@ON_SQLITE
def test_the_command_line_says_so(history: Path, url: str) -> None:
    code, found = told("reconcile", history, url)
    assert (code, found["equal"], found["sequence"]) == (0, True, 602)
    before = all_rows(url)
    change(url, changed("trades", before["trades"][3], quantity=987654))
    code, found = told("reconcile", history, url)
    assert (code, found["different_rows"], found["differences"][0]["column"]) == (1, 1, "quantity")
    text = CliRunner().invoke(app, ["reconcile", str(history), url])
    assert text.exit_code == 1 and "different: quantity is 987654, the log" in text.stdout
    code, found = told("reconcile", history, url, "--repair")
    assert (code, found["sequences_rewritten"]) == (0, 1)
    assert told("reconcile", history, url)[1]["equal"]
    asked = CliRunner().invoke(app, ["rebuild", str(history), url], input="n\n")
    assert asked.exit_code == 1 and all_rows(url) == before


def archived(path: Path, database: str, *where: object) -> dict[str, list[Any]]:
    """An exchange whose early segments are gone; the rows of its database."""
    with mc.Engine.open(
        path, instruments=WORLD, policy="os", clock=lambda: DAY, segment_bytes=4096
    ) as engine:
        for _ in range(100):
            engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 3, "1.00"))
        engine.snapshot()
    followed(path, database)
    code, found = told("archive", path, *where, "--keep-snapshots", 1)
    assert code == 0 and found["segments"]
    return contents(path, database)


@ON_SQLITE
def test_a_log_without_its_beginning_is_refused_and_nothing_is_dropped(
    tmp_path: Path, database: str
) -> None:
    before = archived(tmp_path / "e", database, "--drop")
    (tmp_path / "empty").mkdir()
    for command in (["reconcile"], ["rebuild", "--yes"]):
        code, found = told(*command, tmp_path / "e", database)
        assert code == 1 and "the segments before it are archived nowhere" in found["error"]
        code, found = told(*command, tmp_path / "e", database, "--archive", tmp_path / "empty")
        assert code == 1 and "not in the archive named" in found["error"]
    assert contents(tmp_path / "e", database) == before


@ON_SQLITE
def test_archived_segments_are_read_where_they_are(tmp_path: Path, database: str) -> None:
    place = tmp_path / "place"
    before = archived(tmp_path / "e", database, "--to", place)
    code, found = told("reconcile", tmp_path / "e", database)
    assert code == 1 and f"(it says {place}) with --archive" in found["error"]
    change(database, sa.update(SQL_TABLES["open_orders"]).values(quantity=7))
    code, found = told("reconcile", tmp_path / "e", database, "--archive", place)
    assert (code, found["different_rows"]) == (1, 100)
    code, found = told("rebuild", tmp_path / "e", database, "--yes", "--archive", place)
    assert code == 0 and contents(tmp_path / "e", database) == before
    assert reconcile(tmp_path / "e", database, archives=[place]).equal
    (first, *_) = sorted(place.glob("*.mcj"))
    first.write_bytes(first.read_bytes()[:-700] + bytes(700))
    code, found = told("rebuild", tmp_path / "e", database, "--yes", "--archive", place)
    assert (code, found["kind"]) == (1, "LogDamaged") and found["path"].startswith(str(place))
    assert contents(tmp_path / "e", database) == before


def test_commands_sent_again_make_no_row_twice(tmp_path: Path, database: str) -> None:
    """A fifth of the commands is one that came before, or has its name; also over an epoch."""
    exchange = tmp_path / "e"
    for seed in (5, 5, 6):  # all of the first flow once more
        filled(exchange, seed, 500, again=0.2)
    commands, events = logged(exchange)
    assert (events["kind"] == mc.EventKind.REPEATED).sum() > 300
    followed(exchange, database)
    assert contents(exchange, database) == expected(commands, events)
    assert reconcile(exchange, database).equal


@ON_SQLITE
def test_a_damaged_log_is_refused_and_nothing_is_dropped(
    history: Path, url: str, tmp_path: Path
) -> None:
    copy = shutil.copytree(history, tmp_path / "copy")
    (segment,) = copy.glob("*.mcj")
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 2)
        file.write(b"damage")
    before = all_rows(url)
    for command in (["reconcile"], ["rebuild", "--yes"]):
        code, found = told(*command, copy, url)
        assert (code, found["kind"]) == (1, "LogDamaged")
    assert all_rows(url) == before


def test_nothing_is_made_where_nothing_is(history: Path, tmp_path: Path) -> None:
    with pytest.raises(mc.SinkError, match="there is no such file"):
        reconcile(history, f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
    other = followed(filled(tmp_path / "other", count=50), f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(mc.SinkError, match="belongs to another exchange"):
        reconcile(history, other)
    result = CliRunner().invoke(app, ["reconcile", str(history), "oracle://x/y"])
    assert result.exit_code == 2 and "must be one of these" in result.stderr


def test_a_plug_in_s_database_is_refused(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("duck", "a_package:open_duck", "matchcore.sinks")
    monkeypatch.setattr("matchcore.sinks.opening.entry_points", lambda group: [point])
    for command in (["reconcile"], ["rebuild", "--yes"]):
        code, found = told(*command, history, "duck://x/y")
        assert code == 2 and "belongs to a plug-in" in found["error"]
