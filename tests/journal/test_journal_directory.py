"""Segments that are swapped, missing, doubled, foreign or of another version; other files."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from journal_kit import (
    SMALL,
    closed_log,
    crashed_log,
    frame_ends,
    only_segment,
    orders,
    read_back,
    reopen,
    same,
)

from matchcore import LogDamaged
from matchcore.journal import FileLog, LogReader, identity_of, published, verify
from matchcore.journal.segments import Walk, segment_files, segment_path

COUNTS = [16, 16, 40, 16, 3, 60] * 4


@pytest.fixture
def log(tmp_path: Path) -> Path:
    closed_log(tmp_path / "log", COUNTS, SMALL)
    assert len(segment_files(tmp_path / "log")) > 3
    return tmp_path / "log"


def refused(path: Path) -> str:
    """Opening, reading and verifying all say damage; what opening says."""
    assert not verify(path).good
    with pytest.raises(LogDamaged):
        read_back(path)
    with pytest.raises(LogDamaged) as caught:
        FileLog.open(path)
    return str(caught.value)


def test_swapped_segments_are_damage(log: Path, tmp_path: Path) -> None:
    one, two = segment_files(log)[1:3]
    shutil.move(one, tmp_path / "aside")
    shutil.move(two, one)
    shutil.move(tmp_path / "aside", two)
    assert "begins with sequence" in refused(log)


def test_a_missing_segment_in_the_middle_is_damage(log: Path) -> None:
    segment_files(log)[2].unlink()
    assert "segment number 4 after number 2" in refused(log)


def test_a_missing_first_segment_is_damage_unless_it_is_not_needed(log: Path) -> None:
    commands = read_back(log)
    first, second, *_ = segment_files(log)
    first.unlink()
    begin = int(second.stem.rpartition("-")[2])
    with pytest.raises(LogDamaged, match=f"begins with sequence {begin}, but 1 is needed"):
        FileLog.open(log)
    with pytest.raises(LogDamaged, match=f"begins with sequence {begin}"):
        LogReader(log)
    FileLog.open(log, after=begin - 1).close()
    assert same(read_back(log, after=begin - 1), commands[begin - 1 :])


def test_a_segment_under_a_second_name_is_damage(log: Path) -> None:
    files = segment_files(log)
    shutil.copy(files[1], segment_path(log, 10**6))
    assert "begins with sequence" in refused(log)
    assert segment_path(log, 10**6).exists()


@pytest.mark.parametrize("which", [1, -1])
def test_a_segment_of_another_exchange_is_damage(log: Path, tmp_path: Path, which: int) -> None:
    other = tmp_path / "other"
    closed_log(other, COUNTS, SMALL)
    ours, theirs = segment_files(log)[which], segment_files(other)[which]
    assert ours.name == theirs.name and identity_of(log) != identity_of(other)
    shutil.copy(theirs, ours)
    assert "of another exchange" in refused(log)


def test_a_segment_of_an_older_copy_of_this_exchange_is_damage(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(log, copy)
    for path, seed in ((log, 5), (copy, 6)):
        again = FileLog.open(path, segment_bytes=SMALL)
        for n in range(12):
            again.append(orders(16, seed * 100 + n), 1)
        again.close()
    ours, theirs = segment_files(log), segment_files(copy)
    assert [f.name for f in ours] == [f.name for f in theirs]
    shutil.copy(theirs[-1], ours[-1])
    assert "does not continue" in refused(log)


def test_a_directory_named_like_a_segment_is_damage(log: Path) -> None:
    segment_path(log, 10**6).mkdir()
    assert "a directory where a segment should be" in refused(log)


def test_something_else_named_like_a_segment_is_damage(log: Path) -> None:
    segment_path(log, 10**6).write_bytes(b"Dear diary, " * 20)
    assert "not a journal segment" in refused(log)


def with_crc(head: bytes) -> bytes:
    """128 bytes with their checksum made right again."""
    return head[:124] + struct.pack("<I", zlib.crc32(head[:124]))


@pytest.mark.parametrize("version", [0, 2, 77])
def test_a_segment_of_another_version_is_named_as_that(tmp_path: Path, version: int) -> None:
    closed_log(tmp_path, [3])
    file = only_segment(tmp_path)
    data = bytearray(file.read_bytes())
    data[8:10] = version.to_bytes(2, "little")
    data[:128] = with_crc(bytes(data[:128]))
    file.write_bytes(data)
    assert f"journal version {version}; this matchcore reads version 1" in refused(tmp_path)


@pytest.mark.parametrize("made", [closed_log, crashed_log])
@pytest.mark.parametrize(("field", "said"), [(5, "version 9"), (4, "codec 9")])
def test_a_frame_of_another_version_or_codec_is_named_as_that(
    tmp_path: Path, made: object, field: int, said: str
) -> None:
    path = tmp_path / "log"
    made(path, [3, 20, 4])  # type: ignore[operator]
    file = only_segment(path)
    data, at = bytearray(file.read_bytes()), frame_ends(file)[1]
    data[at + field] = 9
    data[at : at + 128] = with_crc(bytes(data[at : at + 128]))
    file.write_bytes(data)
    message = refused(path)
    assert said in message and f"byte {at}, sequence 24" in message


FOREIGN = (
    "notes.txt",
    "journal-1.mcj",
    "journal-00000000000000000001.mcj.bak",
    "xjournal-00000000000000000001.mcj",
    "snapshot-00000000000000000001.mcs.old",
    ".hidden",
)


def test_other_files_are_left_alone(log: Path) -> None:
    commands = read_back(log)
    for name in FOREIGN:
        (log / name).write_bytes(name.encode())
    (log / "folder").mkdir()
    assert same(reopen(log)[0], commands)
    assert verify(log).good
    assert (log / "folder").is_dir()
    assert all((log / name).read_bytes() == name.encode() for name in FOREIGN)


def test_a_directory_that_holds_other_things_may_become_a_log(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    reopen(tmp_path, orders(2))
    assert len(read_back(tmp_path)) == 2 and (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"half a header"])
def test_a_segment_that_was_never_born_is_removed(log: Path, content: bytes) -> None:
    commands = read_back(log)
    unborn = segment_path(log, len(commands) + 1).with_suffix(".unborn")
    unborn.write_bytes(content)
    assert same(read_back(log), commands) and unborn.exists()  # readers change nothing
    assert same(reopen(log)[0], commands)
    assert not unborn.exists()


def test_a_crash_before_the_first_segment_was_born_leaves_an_empty_log(tmp_path: Path) -> None:
    segment_path(tmp_path, 1).with_suffix(".unborn").write_bytes(bytes(50))
    assert len(reopen(tmp_path, orders(1))[0]) == 0
    assert len(read_back(tmp_path)) == 1


def test_a_crash_behind_the_birth_of_a_segment_leaves_it_empty(log: Path) -> None:
    commands = read_back(log)
    last = segment_files(log)[-1]
    begin = int(last.stem.rpartition("-")[2])
    os.truncate(last, 128)
    got, found = reopen(log, orders(2))
    assert same(got, commands[: begin - 1]) and found.cut_bytes == 0
    assert len(read_back(log)) == begin + 1


@pytest.mark.parametrize("content", [None, b"", b"x", bytes(36), b"\xff" * 36, bytes(4096)])
def test_the_position_file_is_only_a_hint(log: Path, content: bytes | None) -> None:
    commands = read_back(log)
    (log / "position").unlink()
    if content is not None:
        (log / "position").write_bytes(content)
    assert same(read_back(log), commands)
    assert same(reopen(log)[0], commands)
    assert published(log) == (len(commands), len(commands), identity_of(log))


@pytest.mark.parametrize("spoil", ["directory", "empty", "foreign name"])
def test_what_is_no_segment_leaves_no_descriptor_open(tmp_path: Path, spoil: str) -> None:
    file = tmp_path / "journal-00000000000000000001.mcj"
    if spoil == "directory":
        file.mkdir()
    elif spoil == "empty":
        file.touch()
    else:
        FileLog.open(tmp_path).close()
        file = file.rename(tmp_path / "journal-00000000000000000002.mcj")
    before = len(os.listdir("/proc/self/fd"))
    for writable in (False, True):
        with pytest.raises(LogDamaged):
            Walk.open(file, writable=writable)
    assert len(os.listdir("/proc/self/fd")) == before
