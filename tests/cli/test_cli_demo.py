"""`demo`: a real day, a kill in the middle, and everything there once; only its own is removed."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_kit import ANA, apart, contents, run, run_json, without

import matchcore as mc
from matchcore.cli import demo as demo_module
from matchcore.importers import Bme, sample_day

PNG = b"\x89PNG\r\n\x1a\n"
Done = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The demo run once, from the beginning to the end, in a process of its own."""
    place = tmp_path_factory.mktemp("demo") / "deep" / "demo.d"
    ended = apart("demo", "--dir", place, "--json")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return place, json.loads(ended.stdout)


def test_nothing_is_lost_or_doubled(done: Done) -> None:
    said = done[1]
    assert said["nothing_lost_or_doubled"] is True and said["digests_equal"] is True
    assert (said["commands"], said["last_sequence"]) == (20_969, 20_970)
    assert (said["trades"], said["traded_quantity"]) == (796, 44_041)
    assert said["trades_in_sqlite"] == 796


def test_the_kill_was_half_way_and_kept_what_was_answered(done: Done) -> None:
    said = done[1]
    assert 20_969 // 2 <= said["acknowledged_before_the_kill"] <= said["recovered"] < 20_969


def test_the_exchange_it_leaves_is_that_day(done: Done) -> None:
    place, said = done
    with mc.Engine.memory(instruments=[ANA]) as straight:
        for part in Bme().commands(sample_day(), straight.instruments):
            straight.submit_batch(part)
        assert straight.digest() == said["digest"]
    code, found = run_json("replay", place / "exchange.d")
    assert (code, found["digest"]) == (0, said["digest"])
    assert found["snapshots_compared"] == 1
    assert run("verify", place / "exchange.d").exit_code == 0


def test_the_database_it_leaves_has_each_trade_once(done: Done) -> None:
    with closing(sqlite3.connect(done[1]["database"])) as db:
        query = "SELECT count(*), count(DISTINCT trade_id), max(trade_id), sum(quantity)"
        assert db.execute(f"{query} FROM trades").fetchone() == (796, 796, 796, 44_041)
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (10_545,)


def test_the_picture_it_leaves_is_a_png(done: Done) -> None:
    data = Path(done[1]["picture"]).read_bytes()
    assert data.startswith(PNG) and data.endswith(b"IEND\xaeB`\x82") and len(data) > 10_000


def test_a_directory_with_other_things_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    (tmp_path / "exchange.d").mkdir()
    result = run("demo", "--dir", tmp_path)
    assert result.exit_code == 2 and result.stdout == ""
    assert f"{tmp_path} holds something that is not a demo" in result.stderr
    code, found = run_json("demo", "--dir", tmp_path)
    assert (code, found["kind"]) == (2, "InvalidCommand")
    assert contents(tmp_path) == {"thesis.txt": b"ten years"}


def test_a_file_in_place_of_a_directory_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert run("demo", "--dir", tmp_path / "file").exit_code == 2
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("before", ["missing", "empty", "a demo"])
def test_its_own_directory_is_made_new(tmp_path: Path, before: str) -> None:
    place = tmp_path / "demo.d"
    if before != "missing":
        place.mkdir()
    if before == "a demo":
        (place / demo_module.MARK).touch()
        (place / "day.db").write_text("old")
    demo_module._fresh(place)
    assert list(contents(place)) == [demo_module.MARK]


def broken(lost: int, doubled: int) -> Any:
    """The verdict with some trades taken out of, or put again into, a small database."""

    def verdict(place: Path) -> dict[str, Any]:
        with mc.Engine.memory(instruments=[ANA]) as engine:
            orders = [mc.NewOrder("ANA", side, 1, 5, time=1) for side in (1, 2) * 4]
            commands = mc.encode_all(orders, engine.instruments)
            events = engine.submit_batch(commands)
        with closing(sqlite3.connect(place / "x.db")) as db:
            db.execute("CREATE TABLE trades (trade_id, quantity)")
            ids = [1, 2, 3, 4][lost:] + [1] * doubled
            db.executemany("INSERT INTO trades VALUES (?, 1)", [(one,) for one in ids])
            db.commit()
        return demo_module._verdict(
            commands, events, place / "x.db",
            acknowledged=4, recovered=5, sequence=9, digests_equal=True, first=1,
        )  # fmt: skip

    return verdict


@pytest.mark.parametrize(
    ("lost", "doubled", "good"), [(0, 0, True), (1, 0, False), (0, 1, False), (2, 2, False)]
)
def test_the_verdict_notices_what_is_lost_or_doubled(
    tmp_path: Path, lost: int, doubled: int, good: bool
) -> None:
    assert broken(lost, doubled)(tmp_path)["nothing_lost_or_doubled"] is good


def test_a_bad_verdict_is_exit_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(place: Path, *, quiet: bool) -> dict[str, Any]:
        return {"nothing_lost_or_doubled": False}

    monkeypatch.setattr(demo_module, "run_demo", bad)
    assert run_json("demo", "--dir", tmp_path / "d") == (1, {"nothing_lost_or_doubled": False})


def test_a_child_that_dies_otherwise_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(mc.LogError, match=f"ended with 2, not {-signal.SIGKILL}"):
        demo_module._run_child(tmp_path / "no.csv", tmp_path / "e", 1, kill_at=1)


def test_a_missing_extra_is_said_before_the_day_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: object, **__: object) -> int:
        raise AssertionError("the day has begun")

    without(monkeypatch, "matplotlib")
    monkeypatch.setattr(demo_module, "_run_child", too_late)
    result = run("demo", "--dir", tmp_path / "d")
    assert result.exit_code == 2 and "pip install 'matchcore[plot]'" in result.stderr
    assert result.stdout == "" and contents(tmp_path) == {}
