"""A reader beside a writer gives durable frames only, all of them, in order."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from journal_kit import SMALL, crashed_log, frame_ends, noise, only_segment, orders, same, write

from matchcore import LogDamaged
from matchcore.journal import FileLog, LogReader, verify
from matchcore.journal.disk import SystemDisk
from matchcore.journal.segments import segment_files


def sequences(reader: LogReader) -> list[int]:
    return [frame.first_sequence for frame in reader.read()]


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_a_frame_is_given_once_it_is_durable(tmp_path: Path, policy: str) -> None:
    log = FileLog.open(tmp_path, policy=policy)
    with LogReader(tmp_path) as reader:
        assert sequences(reader) == []
        log.append(orders(2), 1)
        assert sequences(reader) == []
        log.sync()
        assert sequences(reader) == [1]
        assert sequences(reader) == []
        write(log, [3, 20])
        log.append(orders(1), 1)
        assert sequences(reader) == [3, 6]
        log.close()
        assert sequences(reader) == [26]
        assert sequences(reader) == []


def test_a_reader_follows_over_rotations_and_restarts(tmp_path: Path) -> None:
    counts, begin, got, wanted = [16, 40, 3, 16, 16, 70], 0, [], []
    log = FileLog.open(tmp_path, segment_bytes=SMALL)
    with LogReader(tmp_path) as reader:
        assert reader.identity == log.identity
        for round_ in range(6):
            wanted += write(log, counts, seed=100 * round_)
            begin += sum(counts)
            got += [frame.commands for frame in reader.read()]
            assert sum(map(len, got)) == begin
            if round_ % 2:
                log.close()
                log = FileLog.open(tmp_path, segment_bytes=SMALL)
        log.close()
        assert list(reader.read()) == []
    assert len(segment_files(tmp_path)) > 4
    assert same(np.concatenate(got), np.concatenate(wanted))


def test_a_reader_may_begin_behind_the_end(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    write(log, [4])
    with LogReader(tmp_path, after=4) as reader:
        assert sequences(reader) == []
        write(log, [2])
        assert sequences(reader) == [5]
    with LogReader(tmp_path, after=9) as reader:
        write(log, [3, 1, 2])
        assert sequences(reader) == [10, 11]
    log.close()


def test_a_reader_beside_a_busy_writer_never_runs_ahead(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path, segment_bytes=SMALL, policy="os")
    batches = [noise(1 + n % 23, n) for n in range(600)]
    done = threading.Event()

    def work() -> None:
        for n, batch in enumerate(batches):
            log.append(batch, 1)
            if n % 3 == 0:
                log.sync()
        log.sync()
        done.set()

    thread = threading.Thread(target=work)
    got: list[bytes] = []
    with LogReader(tmp_path) as reader:
        thread.start()
        last = False
        while not last:
            last = done.is_set()
            for frame in reader.read():
                assert frame.first_sequence + frame.count - 1 <= log.durable
                got.append(frame.commands.tobytes())
    thread.join()
    log.close()
    assert got == [batch.tobytes() for batch in batches]


def test_a_torn_end_without_a_writer_is_just_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    crashed_log(path, [1, 2, 30])
    file = only_segment(path)
    ends = frame_ends(file)
    file.write_bytes(file.read_bytes()[: ends[-1] - 10])
    with LogReader(path) as reader:
        assert sequences(reader) == [1, 2]
        log = FileLog.open(path, accept_loss=True)
        assert log.recovered.cut_bytes > 0
        write(log, [5])
        assert sequences(reader) == [4]
        log.close()


def test_a_frame_still_being_written_is_neither_given_nor_damage(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    write(log, [1, 1])
    file = only_segment(tmp_path)
    end = frame_ends(file)[-1]
    with LogReader(tmp_path) as reader:
        assert sequences(reader) == [1, 2]
        with open(file, "r+b") as other:
            other.seek(end)
            other.write(b"half of a frame that is on its way")
        assert sequences(reader) == []
        write(log, [7])
        assert sequences(reader) == [3]
    log.close()


def test_damage_below_what_is_durable_is_raised_beside_a_writer(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    write(log, [1, 20, 1])
    file = only_segment(tmp_path)
    data = bytearray(file.read_bytes())
    data[frame_ends(file)[0] + 140] ^= 1
    with open(file, "r+b") as other:
        other.write(data)
    got = []
    with LogReader(tmp_path) as reader, pytest.raises(LogDamaged) as caught:
        for frame in reader.read():
            got.append(frame.first_sequence)
    log.close()
    assert got == [1] and caught.value.sequence == 2


def test_a_segment_dropped_under_a_reader_is_read_to_its_end(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path, segment_bytes=SMALL)
    write(log, [16] * 8)
    with LogReader(tmp_path) as reader:
        frames = reader.read()
        got = [next(frames).first_sequence]
        segment_files(tmp_path)[0].unlink()
        got += [frame.first_sequence for frame in frames]
    assert got == [1 + 16 * n for n in range(8)]
    log.close()


@pytest.mark.parametrize(("which", "said"), [([1], "number 3 after number 1"), ([-1], "gone")])
def test_a_segment_that_a_reader_still_needs_is_missed(
    tmp_path: Path, which: list[int], said: str
) -> None:
    log = FileLog.open(tmp_path, segment_bytes=SMALL)
    write(log, [16] * 8)
    files = segment_files(tmp_path)
    assert len(files) > 2
    with LogReader(tmp_path, after=113 if which == [-1] else 0) as reader:
        next(reader.read())
        for at in which:
            files[at].unlink()
        with pytest.raises(LogDamaged, match=said):
            list(reader.read())
    log.close()


def test_reading_a_copy_changes_no_byte_of_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    crashed_log(path, [1, 2, 30])
    shutil.copytree(path, tmp_path / "twin")
    with LogReader(path) as reader:
        assert sequences(reader) == [1, 2, 4]
    names = sorted(file.name for file in path.iterdir())
    assert names == sorted(file.name for file in (tmp_path / "twin").iterdir())
    assert all((path / n).read_bytes() == (tmp_path / "twin" / n).read_bytes() for n in names)


def test_a_writer_that_comes_while_a_reader_reads_is_noticed(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    write(log, [2, 2])
    log.close()
    with LogReader(tmp_path) as reader:
        frames = reader.read()
        assert next(frames).first_sequence == 1
        log = FileLog.open(tmp_path)
        log.append(orders(2), 1)
        assert [frame.first_sequence for frame in frames] == [3]  # the last is not synced
        log.sync()
        assert sequences(reader) == [5]
    log.close()


class Late(SystemDisk):
    """Looks at a place, and only then a writer fills it."""

    def __init__(self, offset: int, log: FileLog) -> None:
        self.offset, self.log = offset, log

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = super().pread(fd, size, offset)
        if offset == self.offset:
            self.offset = -1
            self.log.append(orders(2), 1)
        return data


def test_a_frame_that_is_written_while_verify_looks_is_no_damage(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path)
    write(log, [2, 2])
    end = frame_ends(only_segment(tmp_path))[-1]
    report = verify(tmp_path, disk=Late(end, log))
    assert report.good and report.last_sequence == 6
    log.close()
