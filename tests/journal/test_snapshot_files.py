"""Snapshot files: what was written is read, anything else is `SnapshotDamaged`."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import struct
import zlib
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_kit import flip

from matchcore import LogFailed, SnapshotDamaged
from matchcore.journal import snapshots
from matchcore.journal.disk import SystemDisk

CHAIN, IDENTITY = bytes(range(32)), bytes(range(16))
PAYLOAD = bytes(random.Random(1).randbytes(700)) + b"the same again " * 60
GOOD = snapshots.Snapshot(42, 7, CHAIN, IDENTITY, PAYLOAD)
#: byte offsets of header fields
VERSION, HEADER, SEQUENCE, RAW_BYTES, STORED_BYTES, ZEROS = 8, 10, 32, 80, 88, 96


def made(directory: Path, sequence: int = 42, payload: bytes = PAYLOAD) -> Path:
    return snapshots.write(
        directory, sequence=sequence, epoch=7, chain=CHAIN, identity=IDENTITY, payload=payload
    )


def changed(file: Path, offset: int, form: str, value: int) -> None:
    """Puts another value into the header and makes the checksum right again."""
    data = bytearray(file.read_bytes())
    struct.pack_into(form, data, offset, value)
    struct.pack_into("<I", data, 124, zlib.crc32(data[:124]))
    file.write_bytes(data)


def test_a_snapshot_comes_back(tmp_path: Path) -> None:
    file = made(tmp_path)
    assert file.name == "snapshot-00000000000000000042.mcs"
    assert snapshots.read(file) == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


@given(payload=st.one_of(st.binary(max_size=300), st.integers(1, 10**6).map(bytes)))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_payload_comes_back(tmp_path: Path, quick_disk: None, payload: bytes) -> None:
    assert snapshots.read(made(tmp_path, payload=payload)).payload == payload


@pytest.mark.parametrize("sequence", [0, 1, 2**63, 2**64 - 1])
def test_any_sequence_comes_back(tmp_path: Path, sequence: int) -> None:
    assert snapshots.read(made(tmp_path, sequence)).sequence == sequence


@pytest.mark.parametrize("payload", [PAYLOAD, bytes(3000), b""], ids=["mixed", "zeros", "empty"])
def test_a_flip_of_any_bit_is_damage(tmp_path: Path, payload: bytes) -> None:
    """LZ4 has more than one spelling of the same bytes: what is stored counts."""
    file = made(tmp_path, payload=payload)
    for offset in range(file.stat().st_size):
        for bit in range(8):
            flip(file, offset, 1 << bit)
            with pytest.raises(SnapshotDamaged):
                snapshots.read(file)
            flip(file, offset, 1 << bit)
    assert snapshots.read(file).payload == payload


def test_a_truncation_to_any_length_is_damage(tmp_path: Path) -> None:
    file = made(tmp_path)
    data = file.read_bytes()
    for size in range(len(data)):
        file.write_bytes(data[:size])
        with pytest.raises(SnapshotDamaged):
            snapshots.read(file)


@pytest.mark.parametrize("surplus", [b"\0", b"x" * 500])
def test_bytes_behind_the_end_are_damage(tmp_path: Path, surplus: bytes) -> None:
    file = made(tmp_path)
    file.write_bytes(file.read_bytes() + surplus)
    with pytest.raises(SnapshotDamaged, match="not what the header says"):
        snapshots.read(file)


@pytest.mark.parametrize(
    ("offset", "form", "value", "said"),
    [
        (VERSION, "<H", 3, "version 3; this matchcore reads 1 and 2"),
        (VERSION, "<H", 1, "does not match its digest"),
        (HEADER, "<H", 64, "does not fit the file"),
        (12, "<B", 1, "does not match its digest"),
        (12, "<B", 9, "hash 9: unknown to this version"),
        (13, "<B", 9, "cipher 9: unknown to this version"),
        (13, "<B", 1, "header without a key id"),
        (14, "<H", 1, "does not fit the file"),
        (SEQUENCE, "<Q", 43, "header of sequence 43 does not fit"),
        (ZEROS, "<Q", 1, "values that version 1 does not know"),
        (STORED_BYTES, "<Q", 1, "not what the header says"),
        (STORED_BYTES, "<Q", 2**64 - 1, "not what the header says"),
        (RAW_BYTES, "<Q", 2**63, "not what the header says"),
        (RAW_BYTES, "<Q", 2**40, "not what the header says"),
        (RAW_BYTES, "<Q", len(PAYLOAD) + 1, "1600 of 1601 bytes"),
        (RAW_BYTES, "<Q", len(PAYLOAD) - 1, "snapshot"),
        (RAW_BYTES, "<Q", 1, "snapshot"),
        (RAW_BYTES, "<Q", 0, "snapshot"),
    ],
)
def test_a_header_that_lies_is_damage(
    tmp_path: Path, offset: int, form: str, value: int, said: str
) -> None:
    file = made(tmp_path)
    changed(file, offset, form, value)
    with pytest.raises(SnapshotDamaged, match=said):
        snapshots.read(file)


def test_a_frame_that_unpacks_to_more_than_it_says_is_damage(tmp_path: Path) -> None:
    file = made(tmp_path)
    bomb = lz4.frame.compress(bytes(10**8))
    digest = hashlib.sha256(bomb).digest()
    file.write_bytes(file.read_bytes()[:128] + digest + bomb)
    changed(file, STORED_BYTES, "<Q", len(bomb))
    with pytest.raises(SnapshotDamaged):
        snapshots.read(file)


def test_a_snapshot_under_another_name_is_damage(tmp_path: Path) -> None:
    moved = made(tmp_path).rename(tmp_path / "snapshot-00000000000000000041.mcs")
    with pytest.raises(SnapshotDamaged, match="does not fit the file"):
        snapshots.read(moved)


def test_no_file_or_a_directory_is_damage(tmp_path: Path) -> None:
    where = tmp_path / "snapshot-00000000000000000042.mcs"
    with pytest.raises(SnapshotDamaged):
        snapshots.read(where)
    where.mkdir()
    with pytest.raises(SnapshotDamaged):
        snapshots.read(where)


def test_something_else_is_no_snapshot(tmp_path: Path) -> None:
    where = tmp_path / "snapshot-00000000000000000042.mcs"
    where.write_bytes(b"Dear diary, " * 20)
    with pytest.raises(SnapshotDamaged, match="not a snapshot"):
        snapshots.read(where)


def test_listing_is_newest_first_and_of_snapshots_only(tmp_path: Path) -> None:
    files = [made(tmp_path, sequence) for sequence in (9, 100, 10)]
    (tmp_path / "snapshot-5.mcs").touch()
    (tmp_path / "notes").touch()
    assert snapshots.listing(tmp_path) == [files[1], files[2], files[0]]
    assert snapshots.listing(tmp_path / "nowhere") == []


def test_pruning_keeps_the_newest_and_other_files(tmp_path: Path) -> None:
    files = [made(tmp_path, sequence) for sequence in range(5)]
    unborn = tmp_path / "snapshot-00000000000000000009.unborn"
    for other in (unborn, tmp_path / "notes", tmp_path / "journal-00000000000000000001.unborn"):
        other.touch()
    snapshots.prune(tmp_path, keep=2)
    assert snapshots.listing(tmp_path) == [files[4], files[3]]
    left = {entry.name for entry in tmp_path.iterdir()} - {files[3].name, files[4].name}
    assert left == {"notes", "journal-00000000000000000001.unborn"}


def test_a_snapshot_that_can_not_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = made(tmp_path)

    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(LogFailed, match="No space left on device"):
        made(tmp_path, payload=b"new")
    assert snapshots.read(file) == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


class Refusing(SystemDisk):
    """Its reads fail, or its opens do."""

    def __init__(self, code: int, *, opens: bool) -> None:
        self.code, self.opens = code, opens

    def open(self, path: Path, flags: int) -> int:
        if not self.opens:
            raise OSError(self.code, os.strerror(self.code), str(path))
        return super().open(path, flags)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_a_snapshot_that_the_system_does_not_give_is_not_called_damaged(
    tmp_path: Path, code: int, opens: bool
) -> None:
    file = made(tmp_path)
    with pytest.raises(LogFailed, match=f"{file.name}: .*{os.strerror(code)}"):
        snapshots.read(file, Refusing(code, opens=opens))
    assert snapshots.read(file) == GOOD


def test_a_snapshot_that_is_gone_or_no_file_is_passed_over(tmp_path: Path) -> None:
    file = snapshots.path_of(tmp_path, 42)
    with pytest.raises(SnapshotDamaged, match="No such file"):
        snapshots.read(file)
    file.mkdir()
    with pytest.raises(SnapshotDamaged, match="a directory"):
        snapshots.read(file)
