"""The chain in SHA-256 or SM3: chosen once, kept for the life of an exchange."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
from journal_kit import SMALL, closed_log, read_back, same, write
from test_journal_directory import with_crc

from matchcore import Engine, Instrument, LogDamaged, LogError, MissingExtra, NewOrder, Side
from matchcore.journal import FileLog, verify
from matchcore.journal.crypto import hashes as hashes_of
from matchcore.journal.segments import segment_files

ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905, example 1


def sm3_log(path: Path) -> bytes:
    log = FileLog.open(path, hash="sm3", segment_bytes=SMALL)
    write(log, [16, 40, 16, 60, 16])
    log.close()
    return log.chain


def test_sm3_is_the_standards_and_the_same_from_either_source() -> None:
    for make in (hashes_of.hash_maker(1), hashes_of.sm3_of_extra()):
        whole, parts = make(b"abc"), make(b"a")
        parts.update(b"")
        parts.update(memoryview(b"bc"))
        assert whole.digest() == parts.digest() == parts.digest() == bytes.fromhex(ABC)


def test_a_log_in_sm3_comes_back_and_differs_from_one_in_sha256(tmp_path: Path) -> None:
    chain = sm3_log(tmp_path / "sm3")
    commands = closed_log(tmp_path / "sha", [16, 40, 16, 60, 16], SMALL)
    assert same(read_back(tmp_path / "sm3"), commands) and verify(tmp_path / "sm3").good
    again = FileLog.open(tmp_path / "sm3")  # its own, without saying so
    assert again.chain == chain
    write(again, [3])
    again.close()
    assert verify(tmp_path / "sm3").good
    first = segment_files(tmp_path / "sm3")[0].read_bytes()
    head, payload = first[128:184], first[256 : 256 + 16 * 96]
    assert first[184:216] == hashlib.new("sm3", bytes(32) + head + payload).digest()


@pytest.mark.parametrize(("made", "asked"), [("sm3", "sha256"), ("sha256", "sm3")])
def test_another_hash_than_the_exchanges_is_refused(tmp_path: Path, made: str, asked: str) -> None:
    Engine.open(tmp_path, hash=made).close()
    before = {file.name: file.read_bytes() for file in segment_files(tmp_path)}
    with pytest.raises(LogError, match=f"created with hash '{made}'.* with hash '{asked}'"):
        Engine.open(tmp_path, hash=asked)
    assert before == {file.name: file.read_bytes() for file in segment_files(tmp_path)}
    Engine.open(tmp_path, hash=made).close()


def test_an_unknown_hash_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hash 'md5': must be one of sha256, sm3"):
        Engine.open(tmp_path / "x", hash="md5")
    assert not (tmp_path / "x").exists()


def test_segments_of_two_hashes_do_not_go_together(tmp_path: Path) -> None:
    sm3_log(tmp_path)
    other = tmp_path.with_name("other")
    shutil.copytree(tmp_path, other)
    file = segment_files(other)[-1]
    data = bytearray(file.read_bytes())
    data[14] = 0
    data[:128] = with_crc(bytes(data[:128]))
    file.write_bytes(data)
    with pytest.raises(LogDamaged, match="hash sha256 after sm3"):
        FileLog.open(other)
    data[14] = 9
    data[:128] = with_crc(bytes(data[:128]))
    file.write_bytes(data)
    with pytest.raises(LogDamaged, match="hash 9: unknown to this version"):
        FileLog.open(other)


def test_without_sm3_anywhere_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, *data: bytes) -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", missing)
    hashes_of.hash_maker.cache_clear()
    try:
        assert hashes_of.hash_maker(1)(b"abc").digest() == bytes.fromhex(ABC)
        monkeypatch.setitem(sys.modules, "matchcore.journal.crypto.gm", None)
        hashes_of.hash_maker.cache_clear()
        with pytest.raises(MissingExtra, match=r"SM3.*matchcore\[gm\]"):
            Engine.open(tmp_path / "x", hash="sm3")
    finally:
        hashes_of.hash_maker.cache_clear()
    assert not (tmp_path / "x").exists()


def test_snapshots_carry_the_exchanges_hash_and_states_their_own(tmp_path: Path) -> None:
    digests = []
    for name in ("sha256", "sm3"):
        with Engine.open(
            tmp_path / name, hash=name, instruments=[Instrument("A", tick=1)], clock=lambda: 7
        ) as engine:
            engine.submit(NewOrder("A", Side.BUY, 5, 7))
            data = engine.snapshot().read_bytes()
            digests.append(engine.digest())
        assert data[128:160] == hashlib.new(name, data[160:]).digest()
        with Engine.open(tmp_path / name) as engine:
            assert engine.recovery.snapshot_sequence == 2 and engine.digest() == digests[0]
    assert digests[0] == digests[1]


def test_a_log_that_lost_its_beginning_needs_a_snapshot_that_reaches_it(tmp_path: Path) -> None:
    with Engine.open(
        tmp_path, instruments=[Instrument("A", tick=1)], segment_bytes=SMALL
    ) as engine:
        for _ in range(40):
            engine.submit(NewOrder("A", Side.BUY, 5, 7))
        engine.snapshot()
        for _ in range(40):
            engine.submit(NewOrder("A", Side.SELL, 2, 9))
        digest = engine.digest()
    covered = [f for f in segment_files(tmp_path)[1:] if int(f.stem[8:]) <= 42]
    for file in segment_files(tmp_path):
        if file < covered[-1]:
            file.unlink()
    with Engine.open(tmp_path) as engine:
        assert engine.digest() == digest
    report = verify(tmp_path)
    assert report.good and report.first_sequence == int(covered[-1].stem[8:]) > 1
    next(tmp_path.glob("snapshot-*.mcs")).unlink()
    with pytest.raises(LogDamaged, match=r"begins with sequence .* but 1 is needed: restore"):
        Engine.open(tmp_path)
