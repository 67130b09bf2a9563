"""`archive` and `repair` on real directories, good and damaged."""

from __future__ import annotations

from pathlib import Path

from cli_kit import ANA, run, run_json

import matchcore as mc


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
    result = run("archive", exchange, "--drop", "--keep-snapshots", 3)
    assert result.exit_code == 1 and "2 good snapshots and 3" in result.stderr


def test_archive_leaves_what_a_database_still_needs(tmp_path: Path) -> None:
    exchange, url = kept(tmp_path / "e"), f"sqlite:///{tmp_path}/x.db"
    found = run_json("archive", exchange, "--drop", "--follower", url, "--dry-run")[1]
    assert found["segments"] == []  # it has not begun
    run("follow", exchange, "--to", url)
    found = run_json("archive", exchange, "--drop", "--follower", url, "--dry-run")[1]
    assert found["segments"]
