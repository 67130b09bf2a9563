"""Segments that are archived while somebody reads: a real second process takes them away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_kit import ANA, apart, run, run_json

import matchcore as mc
from matchcore.engine import recovery
from matchcore.journal import Disk, Frame, LogReader, segments, verify
from matchcore.journal.segments import segment_files
from matchcore.operations import tail
from matchcore.operations.archive import archive


def kept(path: Path, count: int = 180) -> Path:
    """Many segments and three snapshots, the last one near the end."""
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=4096) as engine:
        trade(engine, count)
    return path


def trade(engine: mc.Engine, count: int) -> None:
    for at in range(count):
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1 + at % 9, "95.05", time=10**18 + at))
        if at % (count // 3) == count // 4:
            engine.snapshot()


def archived(exchange: Path, keep: int = 1) -> None:
    """By another process, and something has gone."""
    before = len(segment_files(exchange))
    place = exchange.with_name("old")
    done = apart("archive", exchange, "--to", place, "--keep-snapshots", keep)
    assert done.returncode == 0, done.stderr
    assert len(segment_files(exchange)) < before


def test_a_snapshot_from_before_the_beginning_is_no_damage(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    archived(exchange, keep=2)
    for arguments in ([], ["--jobs", 2], ["--replay"]):
        code, found = run_json("verify", exchange, *arguments)
        assert (code, found["snapshots"], found["findings"]) == (0, 3, [])
    assert found["compared"] == 1
    told = run("replay", exchange)
    assert told.exit_code == 1 and "but 1 is needed" in told.stderr


@pytest.mark.parametrize("jobs", [1, 2])
def test_verify_goes_on_with_what_is_left(tmp_path: Path, jobs: int) -> None:
    exchange = kept(tmp_path / "e")
    files = segment_files(exchange)
    waiting = [lambda: archived(exchange)]
    report = verify(exchange, lambda step: waiting.pop()() if waiting else None, jobs=jobs)
    left = segment_files(exchange)
    assert report.good and report.last_sequence == 181
    if jobs == 1:  # more may have read everything before the first is told
        assert report.gone_meanwhile == len(files) - len(left) - 1
        assert report.segments == len(left)
    after = verify(exchange)
    after.gone_meanwhile = report.gone_meanwhile
    assert report == after or not report.gone_meanwhile


def test_verify_begins_anew_when_nothing_of_its_list_is_left(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    with mc.Engine.open(exchange, instruments=[ANA], policy="os", segment_bytes=4096) as engine:
        trade(engine, 60)
        files = segment_files(exchange)

        def more(step: int) -> None:
            if segment_files(exchange)[0] == files[0]:
                trade(engine, 60)
                archived(exchange)

        report = verify(exchange, more)
        assert not set(files) & set(segment_files(exchange))
    assert report.good and report.gone_meanwhile == len(files) - 1
    assert report.last_sequence == engine.sequence


def test_one_that_goes_from_the_middle_is_damage(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    files = segment_files(exchange)
    report = verify(exchange, lambda step: files[3].unlink(missing_ok=True))
    (finding,) = report.findings
    assert (finding.what, finding.path) == ("this segment is gone", str(files[3]))


def test_a_reader_gives_the_segment_it_has_and_says_where_the_next_is(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    held = [frame.first_sequence for frame in LogReader(exchange).read()]
    with LogReader(exchange) as reader:
        frames = reader.read()
        assert next(frames).first_sequence == 1
        second = int(segment_files(exchange)[1].stem[8:])
        archived(exchange)
        begins = int(segment_files(exchange)[0].stem[8:])
        given = [1]
        with pytest.raises(mc.LogDamaged) as caught:
            for frame in frames:
                given.append(frame.first_sequence)
        assert given == held[: second - 1] and caught.value.sequence == second
        assert f"begins with sequence {begins}, but {second} is needed" in str(caught.value)
        assert str(tmp_path / "old") in str(caught.value)


def test_looks_begin_anew_at_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`info`, `book --at` and `tail` had chosen an old snapshot when it lost its log."""
    exchange = kept(tmp_path / "e")
    digest = mc.Engine.at(exchange).digest()
    newest = max(exchange.glob("snapshot-*"))
    kept_aside = newest.read_bytes()
    newest.unlink()
    starts, waiting = recovery.starts, [1]

    def slowly(*args: Any, **more: Any) -> recovery.Start:
        found = starts(*args, **more)
        if waiting:
            waiting.pop()
            newest.write_bytes(kept_aside)
            archived(exchange)
        return found

    monkeypatch.setattr(recovery, "starts", slowly)
    assert recovery.look(exchange).machine.digest() == digest
    assert not waiting


def test_tail_begins_anew_at_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = kept(tmp_path / "e")
    last_sequence = tail.last_sequence

    def slowly(path: Path) -> int:
        found = last_sequence(path)
        if segment_files(exchange)[0].stem.endswith("01"):
            archived(exchange)
        return found

    monkeypatch.setattr(tail, "last_sequence", slowly)
    lines = list(tail.lines(exchange, count=10_000))
    assert lines[0].sequence == int(segment_files(exchange)[0].stem[8:])
    assert lines[-1].sequence == 181


def test_tail_gives_its_count_when_a_segment_goes_before_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = kept(tmp_path / "e")
    read, waiting = LogReader.read, [1]

    def slowly(reader: LogReader) -> Iterator[Frame]:
        for frame in read(reader):
            yield frame
            if waiting and frame.first_sequence == 1:
                waiting.pop()
                archived(exchange)

    monkeypatch.setattr(LogReader, "read", slowly)
    lines = list(tail.lines(exchange, count=10_000))
    assert not waiting
    assert lines[0].sequence == int(segment_files(exchange)[0].stem[8:])
    assert [line.sequence for line in lines] == list(range(lines[0].sequence, 182))


@contextmanager
def beside(engine: mc.Engine, exchange: Path) -> Iterator[None]:
    """An engine that trades, takes snapshots and drops what they do not need, all the time."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            trade(engine, 60)
            archive(exchange, drop=True, keep_snapshots=1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_all_that_looks_works_beside_an_engine_that_lets_go(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    with mc.Engine.open(exchange, instruments=[ANA], policy="os", segment_bytes=4096) as engine:
        trade(engine, 60)
        for arguments in (["verify", "--replay"], ["verify", "--jobs", "2"], ["info"], ["tail"]):
            command = [arguments[0], str(exchange), *arguments[1:], "--json"]
            with beside(engine, exchange):
                told = apart(*command)
            assert told.returncode == 0, told.stdout + told.stderr
            assert told.stdout and not told.stderr


def test_an_engine_opens_while_its_old_segments_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = kept(tmp_path / "e")
    digest = mc.Engine.at(exchange).digest()
    listed, waiting = segments.segment_files, [1]

    def slowly(directory: Path, *more: Disk) -> list[Path]:
        found = listed(directory, *more)
        if waiting:
            waiting.pop()
            archived(exchange)
        return found

    monkeypatch.setattr(segments, "segment_files", slowly)
    with mc.Engine.open(exchange) as engine:
        assert engine.digest() == digest
    assert not waiting
