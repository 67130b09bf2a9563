"""`archive` and `repair` on real directories, good and damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import ANA, run, run_json

import matchcore as mc
from matchcore.journal import snapshots
from matchcore.journal.segments import segment_files


def kept(path: Path, count: int = 120) -> Path:
    """Many segments, a snapshot half-way and one near the end."""
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=4096) as engine:
        for at in range(count):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1 + at % 9, "95.05", time=10**18 + at))
            if at in (count // 2, count - 10):
                engine.snapshot()
    return path


def test_archive_moves_and_the_errors_say_where(tmp_path: Path) -> None:
    exchange, place = kept(tmp_path / "e"), tmp_path / "old"
    digest = run_json("info", exchange)[1]["digest"]
    planned = run_json("archive", exchange, "--to", place, "--dry-run")[1]
    assert planned["segments"] and not place.exists()
    code, done = run_json("archive", exchange, "--to", place)
    assert (code, done["segments"]) == (0, planned["segments"])
    assert sorted(file.name for file in place.iterdir()) == done["segments"]
    found = run_json("info", exchange)[1]
    assert (found["digest"], found["first_sequence"]) == (digest, done["first_sequence"])
    assert run("verify", place).exit_code == 0
    assert run("archive", exchange, "--to", place).exit_code == 0  # nothing more goes


def test_archive_refuses_what_is_not_safe(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    for arguments in ([], ["--to", tmp_path / "p", "--drop"]):
        assert run("archive", exchange, *arguments).exit_code == 2
    result = run("archive", exchange, "--to", exchange / ".." / "e")
    assert result.exit_code == 2 and "is the exchange itself" in result.stderr
    result = run("archive", exchange, "--drop", "--keep-snapshots", 3)
    assert result.exit_code == 1 and "2 good snapshots and 3" in result.stderr


def test_archive_leaves_what_a_database_still_needs(tmp_path: Path) -> None:
    exchange, url = kept(tmp_path / "e"), f"sqlite:///{tmp_path}/x.db"
    found = run_json("archive", exchange, "--drop", "--follower", url, "--dry-run")[1]
    assert found["segments"] == []  # it has not begun
    run("follow", exchange, "--to", url)
    found = run_json("archive", exchange, "--drop", "--follower", url, "--dry-run")[1]
    assert found["segments"]


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 4
    file.write_bytes(data)


def without_snapshots(path: Path) -> Path:
    for file in snapshots.listing(kept(path)):
        file.unlink()
    return path


def test_a_good_log_has_nothing_to_cut(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    before = {file: file.read_bytes() for file in exchange.iterdir()}
    for arguments in ([], ["--dry-run"], ["--lose-acknowledged", "--yes"]):
        result = run("repair", exchange, *arguments)
        assert result.exit_code == 0 and "nothing to cut" in result.stdout
    after = {file: file.read_bytes() for file in exchange.iterdir() if file.name != "lock"}
    assert after.items() <= before.items()


def flipped(exchange: Path) -> None:
    flip(segment_files(exchange)[2], 300)


def missing(exchange: Path) -> None:
    segment_files(exchange)[2].unlink()


def headless(exchange: Path) -> None:
    flip(segment_files(exchange)[2], 20)


@pytest.mark.parametrize("damage", [flipped, missing, headless])
def test_acknowledged_commands_are_lost_only_on_demand(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    exchange = without_snapshots(tmp_path / "e")
    damage(exchange)
    before = {file.name: file.read_bytes() for file in exchange.iterdir()}
    code, planned = run_json("repair", exchange, "--dry-run")
    assert (code, planned["acknowledged"]) == (1, True) and planned["reasons"]
    assert planned["lost_to"] == 121 > planned["kept"] > 0
    for arguments in ([], ["--lose-acknowledged"]):  # nothing is typed on an empty input
        assert run("repair", exchange, *arguments).exit_code != 0
    assert {file.name: file.read_bytes() for file in exchange.iterdir()} == before
    kept_to = planned["kept"]
    whole = mc.Engine.at(exchange, sequence=kept_to).digest()
    code, done = run_json("repair", exchange, "--lose-acknowledged", "--yes")
    assert code == 0
    shutil.copytree(exchange, tmp_path / "copy")
    with mc.Engine.open(tmp_path / "copy") as engine:
        assert (engine.sequence, engine.digest()) == (kept_to, whole)
        engine.submit(mc.EndDay())
    put_back(exchange, done)
    assert {name: (exchange / name).read_bytes() for name in before if name.endswith("mcj")} == {
        name: data for name, data in before.items() if name.endswith("mcj")
    }


def put_back(exchange: Path, done: dict[str, object]) -> None:
    """What was set aside holds every byte that was cut."""
    aside = Path(str(done["set_aside"]))
    if done["cut_bytes"]:
        file = Path(str(done["path"]))
        (tail,) = aside.glob("*.tail")
        file.write_bytes(file.read_bytes()[: int(str(done["offset"]))] + tail.read_bytes())
    for moved in aside.glob("*.mcj"):
        shutil.move(moved, exchange / moved.name)


def test_damage_that_a_snapshot_covers_needs_no_cut(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    flipped(exchange)
    assert run("verify", exchange).exit_code == 1
    result = run("repair", exchange, "--dry-run")
    assert result.exit_code == 0 and "from the snapshot at 112" in result.stdout
    with mc.Engine.open(exchange) as engine:
        assert engine.sequence == 121


def test_a_log_that_ends_before_its_snapshot_loses_the_snapshot_on_demand(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    for file in segment_files(exchange)[2:]:
        file.unlink()
    code, planned = run_json("repair", exchange, "--dry-run")
    assert (code, planned["acknowledged"], len(planned["snapshots"])) == (1, True, 2)
    assert run("repair", exchange).exit_code == 1
    assert run("repair", exchange, "--lose-acknowledged", "--yes").exit_code == 0
    with mc.Engine.open(exchange) as engine:
        assert engine.sequence == planned["kept"]


def test_a_torn_tail_is_cut_without_being_told(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    with mc.Engine.open(tmp_path / "live", instruments=[ANA], policy="os") as engine:
        for _ in range(20):
            engine.submit(mc.EndDay())
        shutil.copytree(tmp_path / "live", exchange)
    (exchange / "position").unlink()
    (file,) = segment_files(exchange)
    data = file.read_bytes().rstrip(b"\0")
    file.write_bytes(data[:-40])
    code, planned = run_json("repair", exchange, "--dry-run")
    assert (code, planned["torn"], planned["acknowledged"], planned["kept"]) == (1, True, False, 20)
    code, done = run_json("repair", exchange)
    assert code == 0
    (tail,) = Path(done["set_aside"]).iterdir()
    assert file.read_bytes() + tail.read_bytes() == data[:-40]


def test_a_tail_that_the_writer_said_was_safe_is_kept(tmp_path: Path) -> None:
    """The same, but the writer's position says that it had answered."""
    exchange = tmp_path / "e"
    with mc.Engine.open(tmp_path / "live", instruments=[ANA], policy="os") as engine:
        for _ in range(20):
            engine.submit(mc.EndDay())
        shutil.copytree(tmp_path / "live", exchange)
    (file,) = segment_files(exchange)
    file.write_bytes(file.read_bytes().rstrip(b"\0")[:-40])
    planned = run_json("repair", exchange, "--dry-run")[1]
    assert planned["acknowledged"] and "published" in planned["reasons"][0]
    assert run("repair", exchange).exit_code == 1


def test_nothing_is_repaired_under_an_engine(tmp_path: Path) -> None:
    exchange = without_snapshots(tmp_path / "e")
    with mc.Engine.open(exchange):
        flipped(exchange)
        result = run("repair", exchange, "--lose-acknowledged", "--yes")
        assert result.exit_code == 1 and "is open for writing" in result.stderr
