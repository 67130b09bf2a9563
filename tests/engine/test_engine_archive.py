"""Retention: only what no kept snapshot needs may go, and a kill anywhere loses nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from engine_kit import opened, run, spoil

import matchcore as mc
from matchcore.journal import DISK, LogReader, snapshots, verify
from matchcore.journal.disk import SystemDisk
from matchcore.journal.notes import read_note
from matchcore.journal.segments import named_sequence, segment_files
from matchcore.operations.archive import archive


def made(path: Path, count: int = 200) -> str:
    """Many segments, two snapshots (202 and 402), more behind them; the digest at the end."""
    with opened(path, segment_bytes=4096) as engine:
        for seed in range(2):
            run(engine, seed, count, 10)
            engine.snapshot()
        run(engine, 9, 100, 10)
        return engine.digest()


def names(path: Path) -> list[str]:
    return [file.name for file in segment_files(path)]


def test_what_lies_before_the_oldest_kept_snapshot_is_moved(tmp_path: Path) -> None:
    exchange, place = tmp_path / "e", tmp_path / "old"
    digest = made(exchange)
    everything = {file.name: file.read_bytes() for file in segment_files(exchange)}
    planned = archive(exchange, place, dry_run=True)
    assert names(exchange) == list(everything) and not place.exists()
    done = archive(exchange, place)
    assert done.segments == planned.segments == names(place) and done.before == 202
    assert done.segments + names(exchange) == list(everything)
    starts = [named_sequence(file) for file in segment_files(exchange)]
    assert starts[0] == done.first_sequence <= 203 < starts[1]
    for name in done.segments:
        assert (place / name).read_bytes() == everything[name]
    with opened(exchange) as engine:
        assert engine.digest() == digest
    (entry,) = read_note(exchange)
    assert entry == (1, done.first_sequence - 1, str(place))
    assert verify(place).good
    assert archive(exchange, place).segments == []


def test_the_log_put_back_is_the_whole_log(tmp_path: Path) -> None:
    exchange, place = tmp_path / "e", tmp_path / "old"
    digest = made(exchange)
    archive(exchange, place, keep_snapshots=1)
    for file in segment_files(place):
        shutil.copy(file, exchange)
    for file in snapshots.listing(exchange):
        file.unlink()
    with opened(exchange) as engine:
        assert (engine.recovery.commands, engine.digest()) == (502, digest)


def test_dropping_needs_no_place(tmp_path: Path) -> None:
    digest = made(tmp_path / "e")
    done = archive(tmp_path / "e", drop=True, keep_snapshots=1)
    assert done.before == 402 and done.segments
    assert "dropped" in read_note(tmp_path / "e")[0][2]
    with opened(tmp_path / "e") as engine:
        assert engine.digest() == digest
    for wrong in ({}, {"place": tmp_path / "p", "drop": True}, {"place": tmp_path / "e"}):
        with pytest.raises(ValueError):
            archive(tmp_path / "e", **wrong)  # type: ignore[arg-type]


def test_too_few_good_snapshots_and_nothing_goes(tmp_path: Path) -> None:
    made(tmp_path)
    before = names(tmp_path)
    with pytest.raises(mc.LogError, match="2 good snapshots and 3 are to be kept"):
        archive(tmp_path, drop=True, keep_snapshots=3)
    spoil(snapshots.listing(tmp_path)[0])
    with pytest.raises(mc.LogError, match=r"1 good snapshots and 2 .*not match its digest|1 good"):
        archive(tmp_path, drop=True)
    assert archive(tmp_path, drop=True, keep_snapshots=1, dry_run=True).before == 202
    assert names(tmp_path) == before


def test_what_a_follower_still_needs_stays(tmp_path: Path) -> None:
    made(tmp_path)
    assert archive(tmp_path, drop=True, keep_snapshots=1, needed=500, dry_run=True).before == 402
    assert archive(tmp_path, drop=True, keep_snapshots=1, needed=401, dry_run=True).before == 202
    assert archive(tmp_path, drop=True, keep_snapshots=1, needed=100).segments == []


def test_a_damaged_segment_stops_it_before_anything_moves(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    made(exchange)
    before = names(exchange)
    spoil(segment_files(exchange)[1])
    with pytest.raises(mc.LogDamaged) as caught:
        archive(exchange, tmp_path / "old")
    assert caught.value.path == str(segment_files(exchange)[1])
    assert names(exchange) == before and not (tmp_path / "old").exists()


def test_a_place_of_another_exchange_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(tmp_path / name)
    archive(tmp_path / "one", tmp_path / "old")
    with pytest.raises(mc.LogError, match="segments of another exchange"):
        archive(tmp_path / "two", tmp_path / "old")


def test_a_wrong_copy_in_the_place_is_refused(tmp_path: Path) -> None:
    exchange, place = tmp_path / "e", tmp_path / "old"
    made(exchange)
    place.mkdir()
    first = segment_files(exchange)[0]
    shutil.copy(first, place)
    spoil(place / first.name)
    before = names(exchange)
    with pytest.raises(mc.LogError, match="is not a copy of"):
        archive(exchange, place)
    assert names(exchange) == before


class Killed(BaseException):
    pass


class Dying(SystemDisk):
    """Ends the process, so to say, before its n-th change to a file or directory."""

    def __init__(self, after: int) -> None:
        self.left = after

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self._count()
        return super().pwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        self._count()

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def sync_directory(self, directory: Path) -> None:
        self._count()


def test_killed_anywhere_it_is_started_again(tmp_path: Path) -> None:
    digest = made(tmp_path / "e", 80)
    everything = names(tmp_path / "e")
    at, ended = 0, False
    while not ended:
        exchange, place = tmp_path / f"e{at}", tmp_path / f"old{at}"
        shutil.copytree(tmp_path / "e", exchange)
        try:
            archive(exchange, place, disk=Dying(at))
            ended = True
        except Killed:
            pass
        assert sorted({*names(exchange), *(names(place) if place.exists() else ())}) == everything
        assert mc.Engine.at(exchange).digest() == digest
        archive(exchange, place)
        assert names(place) + names(exchange) == everything
        assert mc.Engine.at(exchange).digest() == digest
        at += 1
    assert at > 10


def test_readers_and_an_engine_go_on_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path / "e", segment_bytes=4096) as engine:
        with LogReader(tmp_path / "e") as slow, LogReader(tmp_path / "e") as quick:
            for seed in range(3):
                run(engine, seed, 200, 10)
                engine.snapshot()
            upto = sum(frame.count for frame in quick.read())
            assert upto == engine.sequence
            archive(tmp_path / "e", tmp_path / "old", keep_snapshots=1, disk=DISK)
            run(engine, 7, 50)
            assert sum(frame.count for frame in quick.read()) == 50
            with pytest.raises(mc.LogDamaged):
                list(slow.read())
        digest = engine.digest()
    assert mc.Engine.at(tmp_path / "e").digest() == digest


@pytest.mark.parametrize("way", ["itself", "dots", "link", "linked files"])
def test_an_archive_that_is_the_exchange_itself_loses_nothing(tmp_path: Path, way: str) -> None:
    """A copy compared with itself is equal, and then there would be none."""
    exchange, place = tmp_path / "e", tmp_path / "old"
    digest = made(exchange)
    before = names(exchange)
    if way == "itself":
        place = exchange
    elif way == "dots":
        place = tmp_path / "nothing" / ".." / "e"
        (tmp_path / "nothing").mkdir()
    elif way == "link":
        place.symlink_to(exchange)
    else:
        place.mkdir()
        for name in before:
            (place / name).symlink_to(exchange / name)
    with pytest.raises((mc.LogError, ValueError), match=r"is the exchange itself|is not a copy of"):
        archive(exchange, place)
    assert names(exchange) == before
    assert mc.Engine.at(exchange).digest() == digest
