"""Encryption at rest: what comes back, what is refused, and that no nonce comes twice."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from journal_kit import SMALL, flip, frame_ends, noise, only_segment, orders, same, write

from matchcore import (
    COMMAND,
    Engine,
    Follower,
    Instrument,
    KeyRefused,
    Keys,
    LogDamaged,
    LogError,
    MissingExtra,
    NewOrder,
    Side,
    SnapshotDamaged,
)
from matchcore.journal import FileLog, LogReader, snapshots, verify
from matchcore.journal.crypto.keys import CIPHERS
from matchcore.journal.format import HEADER_BYTES, FrameHeader, SegmentHeader
from matchcore.journal.segments import segment_files
from matchcore.sinks import open_sink

MASTER = {"k1": bytes(range(32)), "k2": bytes(range(32, 64))}
SECRETS = [key.hex() for key in MASTER.values()] + [repr(key)[2:-1] for key in MASTER.values()]
BOTH = pytest.mark.parametrize("cipher", CIPHERS[1:])


def keys(key_id: str = "k1", cipher: str = "aes-256-gcm") -> Keys:
    return Keys(MASTER.__getitem__, key_id, cipher)


def opened(path: Path, with_keys: Keys | None, **options: object) -> tuple[FileLog, np.ndarray]:
    parts = [np.zeros(0, COMMAND)]
    log = FileLog.open(path, keys=with_keys, on_frame=lambda f: parts.append(f.commands), **options)
    return log, np.concatenate(parts)


def made(
    path: Path, counts: list[int], with_keys: Keys, segment_bytes: int = 1 << 20
) -> np.ndarray:
    log = FileLog.open(path, keys=with_keys, segment_bytes=segment_bytes)
    batches = write(log, counts)
    log.close()
    return np.concatenate(batches)


def contents(path: Path) -> dict[str, bytes]:
    hints = {"lock", "position"}
    return {f.name: f.read_bytes() for f in path.iterdir() if f.name not in hints}


@BOTH
@pytest.mark.parametrize("hash", ["sha256", "sm3"])
def test_commands_come_back_and_are_not_to_be_seen(tmp_path: Path, cipher: str, hash: str) -> None:
    log = FileLog.open(tmp_path, keys=keys(cipher=cipher), hash=hash, segment_bytes=SMALL)
    batches = [*write(log, [3, 16, 40, 300, 16, 60]), noise(20)]
    log.append(batches[-1], 1)
    log.sync()
    assert same(np.concatenate([f.commands for f in log.frames()]), np.concatenate(batches))
    log.close()
    stored = b"".join(contents(tmp_path).values())
    assert all(batch.tobytes()[:24] not in stored for batch in batches)
    assert len(segment_files(tmp_path)) > 2
    for _ in range(2):
        log, commands = opened(tmp_path, keys(cipher=cipher))
        log.close()
        assert same(commands, np.concatenate(batches))
    with LogReader(tmp_path, keys=keys()) as reader:  # the header says which cipher, not the reader
        assert same(np.concatenate([f.commands for f in reader.read()]), np.concatenate(batches))


def headers(path: Path) -> list[SegmentHeader]:
    return [SegmentHeader.from_bytes(file.read_bytes()) for file in segment_files(path)]


def test_every_segment_has_a_salt_of_its_own_and_a_key_that_can_change(tmp_path: Path) -> None:
    now = ["k1"]
    log = FileLog.open(tmp_path, keys=Keys(MASTER.__getitem__, lambda: now[0]), segment_bytes=SMALL)
    write(log, [40] * 12)
    now[0] = "k2"
    write(log, [40] * 12)
    log.close()
    said = [header.encryption for header in headers(tmp_path)]
    assert {one.key_id for one in said} == {"k1", "k2"}
    assert len({one.salt for one in said}) == len({one.check for one in said}) == len(said) > 3


@pytest.mark.parametrize("counts", [[], [16, 40]])
@pytest.mark.parametrize("before", [None, "k1"])
def test_opening_with_another_key_encrypts_with_it_from_there(
    tmp_path: Path, before: str | None, counts: list[int]
) -> None:
    log = FileLog.open(tmp_path, keys=keys(before) if before else None)
    batches = write(log, counts)
    log.close()
    log, commands = opened(tmp_path, keys("k2"))
    assert len(commands) == sum(counts)
    batches += write(log, [20], seed=9)
    log.close()
    found = headers(tmp_path)
    assert [header.number for header in found] == list(range(1, len(found) + 1))
    assert found[-1].encryption.key_id == "k2" and len(found) == 1 + bool(counts)
    log, commands = opened(tmp_path, keys("k2"))
    log.close()
    assert same(commands, np.concatenate(batches)) and verify(tmp_path, keys=keys()).good


def test_a_reader_goes_on_when_its_empty_segment_gets_another_key(tmp_path: Path) -> None:
    FileLog.open(tmp_path).close()
    with LogReader(tmp_path, keys=keys()) as reader:
        assert list(reader.read()) == []
        commands = made(tmp_path, [5, 20], keys())
        got = [frame.commands for frame in reader.read()]
    assert same(np.concatenate(got), commands)


def nonces(path: Path) -> list[tuple[bytes, bytes]]:
    """(salt of the segment, nonce) of every frame."""
    found = []
    for file in segment_files(path):
        data, at = file.read_bytes(), HEADER_BYTES
        salt = SegmentHeader.from_bytes(data).encryption.salt
        for end in frame_ends(file):
            found.append((salt, data[at + HEADER_BYTES : at + HEADER_BYTES + 12]))
            at = end
    return found


def test_a_torn_frame_written_anew_has_another_nonce(tmp_path: Path) -> None:
    log = FileLog.open(tmp_path / "live", keys=keys())
    write(log, [5])
    clean = log._offset
    write(log, [40], seed=5)
    shutil.copytree(tmp_path / "live", tmp_path / "torn")
    log.close()
    file = only_segment(tmp_path / "torn")
    hint = tmp_path / "torn" / "position"  # a power cut takes it before what it vouches for
    hint.unlink()
    seen = set(nonces(tmp_path / "torn"))
    os.truncate(file, clean + 300)
    first = FrameHeader.from_bytes(file.read_bytes(), clean)
    for seed in range(5):  # the same place, again and again
        log, commands = opened(tmp_path / "torn", keys())
        assert len(commands) == 5 and log._offset == clean
        write(log, [40], seed=20 + seed)
        shutil.copy(file, tmp_path / "copy")
        log.close()
        shutil.copy(tmp_path / "copy", file)
        (again,) = nonces(tmp_path / "torn")[1:2]
        assert FrameHeader.from_bytes(file.read_bytes(), clean).epoch == first.epoch + 1
        assert again not in seen
        seen.add(again)
        os.truncate(file, clean + 300)
        hint.unlink()


def test_nonces_of_a_busy_life_never_repeat(tmp_path: Path) -> None:
    for n in range(6):
        log = FileLog.open(tmp_path, keys=keys(), segment_bytes=SMALL)
        write(log, [1] * 10 + [30], seed=n)
        log.close()
    found = nonces(tmp_path)
    assert len(set(found)) == len(found) == 6 * 12


@BOTH
def test_every_cut_of_a_tail_is_a_tear_with_the_key_and_without(
    tmp_path: Path, quick_disk: None, cipher: str
) -> None:
    live = tmp_path / "live"
    log = FileLog.open(live, keys=keys(cipher=cipher))
    batches = write(log, [5, 40, 700])
    shutil.copytree(live, tmp_path / "crashed")
    log.close()
    file = only_segment(tmp_path / "crashed")
    (tmp_path / "crashed" / "position").unlink()
    data, (_, second, third) = file.read_bytes(), frame_ends(file)
    for cut in [*range(second, second + 300, 7), *range(second, third, 97), third - 1]:
        file.write_bytes(data[:cut] + bytes(cut % 3 * 500))
        report = verify(tmp_path / "crashed")
        assert report.good and report.commands == 45, cut
        log, commands = opened(tmp_path / "crashed", keys(cipher=cipher))
        log._release()
        assert same(commands, np.concatenate(batches[:2]))


def test_a_flip_of_any_byte_is_damage_and_never_cut(tmp_path: Path, quick_disk: None) -> None:
    made(tmp_path, [2, 30], keys())
    file = only_segment(tmp_path)
    data = file.read_bytes()
    for at in range(len(data)):
        flip(file, at, 1 << at % 8)
        assert not verify(tmp_path).good, at
        with pytest.raises((LogDamaged, KeyRefused)):
            opened(tmp_path, keys())
        flip(file, at, 1 << at % 8)
    assert file.read_bytes() == data and verify(tmp_path, keys=keys()).good


def test_a_forger_who_makes_chain_and_checksums_right_needs_the_key(tmp_path: Path) -> None:
    from dataclasses import replace

    made(tmp_path, [20], keys())
    file = only_segment(tmp_path)
    data = bytearray(file.read_bytes()[: frame_ends(file)[0]])
    header = replace(FrameHeader.from_bytes(bytes(data), HEADER_BYTES), time=99)
    payload = bytes(data[256 : 256 + header.payload_bytes])
    header = replace(header, chain=header.chain_after(bytes(32), payload))
    data[128:256] = header.to_bytes()
    file.write_bytes(data)
    assert verify(tmp_path).good  # in structure; that is all one can say without the key
    (finding,) = verify(tmp_path, keys=keys()).findings
    assert "do not decrypt with this key" in finding.what
    with pytest.raises(LogDamaged, match="do not decrypt with this key"):
        opened(tmp_path, keys())
    assert file.read_bytes() == data


def wrong_bytes(key_id: str) -> bytes:
    return bytes(32)


REFUSALS = [
    (None, "is encrypted with key 'k1', and there are no keys"),
    (Keys({}.__getitem__, "k1"), "there is no key 'k1'"),
    (Keys(wrong_bytes, "k1"), "key 'k1' does not open this file"),
    (Keys(lambda key_id: MASTER[key_id][:31], "k1"), "has 31 bytes: aes-256-gcm needs at least 32"),
    (Keys(lambda key_id: MASTER[key_id].hex(), "k1"), "must be bytes, not str"),  # type: ignore
    (Keys(MASTER.__getitem__), "key id '' for new files"),
    (Keys(MASTER.__getitem__, "a key id too long"), "1 to 16 ASCII"),
]


@pytest.mark.parametrize(("given", "said"), REFUSALS, ids=[said for _, said in REFUSALS])
@pytest.mark.parametrize("torn", [False, True])
def test_a_refused_key_changes_nothing_and_is_no_damage(
    tmp_path: Path, given: Keys | None, said: str, torn: bool
) -> None:
    with Engine.open(tmp_path, keys=keys(), instruments=[Instrument("A", tick=1)]) as engine:
        engine.submit(NewOrder("A", Side.BUY, 5, 7))
    if torn:
        file = only_segment(tmp_path)
        os.truncate(file, frame_ends(file)[-2] - 50)
    before = contents(tmp_path)
    with pytest.raises(KeyRefused) as caught:
        Engine.open(tmp_path, keys=given)
    assert said in str(caught.value) and contents(tmp_path) == before
    assert not any(secret in str(caught.value) for secret in SECRETS)
    if "for new files" not in said and "ASCII" not in said:
        with pytest.raises(KeyRefused), LogReader(tmp_path, keys=given) as reader:
            list(reader.read())
    if given is not None:
        with pytest.raises(KeyRefused):
            Engine.open(tmp_path / "new", keys=given if "does not open" not in said else keys("k9"))
        assert not (tmp_path / "new").exists()


@BOTH
def test_snapshots_are_encrypted_and_the_engine_begins_with_them(
    tmp_path: Path, cipher: str
) -> None:
    with Engine.open(
        tmp_path, keys=keys(cipher=cipher), instruments=[Instrument("SECRET", tick=1)]
    ) as e:
        e.submit(NewOrder("SECRET", Side.BUY, 5, 7))
        file, digest = e.snapshot(), e.digest()
        payload = e.state().to_bytes()
    assert b"SECRET" not in b"".join(contents(tmp_path).values())
    assert snapshots.read(file, keys=keys()).payload == payload
    with Engine.open(tmp_path, keys=keys("k2", cipher)) as engine:
        assert engine.recovery.snapshot_sequence == 2 and engine.digest() == digest
        assert snapshots.read(engine.snapshot(), keys=keys()).payload == payload
    for given in (None, Keys(wrong_bytes, "k2", cipher)):
        with pytest.raises(KeyRefused):
            Engine.open(tmp_path, keys=given)
    assert snapshots.read(file, structure=True).payload == b""
    for at in range(0, file.stat().st_size, 3):
        flip(file, at, 4)
        with pytest.raises((SnapshotDamaged, KeyRefused)):
            snapshots.read(file, keys=keys())
        with pytest.raises((SnapshotDamaged, KeyRefused)):
            snapshots.read(file, structure=True)
        flip(file, at, 4)


def test_followers_and_verify_with_and_without_keys(tmp_path: Path) -> None:
    commands = made(tmp_path, [40] * 12, keys(), SMALL)
    report = verify(tmp_path)
    assert report.good and report.structure_only == report.segments > 1
    assert report.commands == len(commands)
    report = verify(tmp_path, keys=keys())
    assert report.good and report.structure_only == 0
    with LogReader(tmp_path, structure=True) as reader:
        assert sum(frame.count for frame in reader.read()) == len(commands)
    with pytest.raises(KeyRefused):
        Follower(tmp_path, open_sink(f"sqlite:///{tmp_path}/x.db", bytes(16)))


def test_without_the_extra_its_name_is_said_and_nothing_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matchcore.journal.crypto.gm", None)
    with pytest.raises(MissingExtra, match=r"encryption at rest.*matchcore\[gm\]"):
        Engine.open(tmp_path / "x", keys=keys())
    assert not (tmp_path / "x").exists()


def test_a_build_without_sm4_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm

    from matchcore.journal.crypto import gm

    def unsupported(*_: object) -> None:
        raise UnsupportedAlgorithm("cipher SM4 in GCM mode is not supported")

    monkeypatch.setattr(gm, "Cipher", unsupported)
    with pytest.raises(LogError, match=r"sm4-gcm is not in the OpenSSL .* cryptography \d"):
        Engine.open(tmp_path / "x", keys=keys(cipher="sm4-gcm"))
    assert not (tmp_path / "x").exists()


def key_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_keys_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATCHCORE_KEYS", raising=False)
    assert Keys.from_environment() is None
    lines = [f"{name} {'aes-256-gcm' if name == 'k1' else 'sm4-gcm'} {key.hex()}"
             for name, key in MASTER.items()]  # fmt: skip
    file = key_file(tmp_path / "keys", "# ours\n\n" + "\n".join(lines) + "\n")
    monkeypatch.setenv("MATCHCORE_KEYS", str(file))
    found = Keys.from_environment()
    assert found is not None and repr(found) == "Keys(cipher='sm4-gcm')"
    commands = made(tmp_path / "log", [20], found)
    assert headers(tmp_path / "log")[0].encryption[:2] == (2, "k2")
    with LogReader(tmp_path / "log", keys=found) as reader:
        assert same(next(reader.read()).commands, commands)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("k1 aes-256-gcm 00", 0o640, "only its owner may read"),
        ("k1 aes-256-gcm 00", 0o604, "only its owner may read"),
        ("# nothing\n", 0o600, "no key in this file"),
        ("k1 aes-256-gcm deadbeefxx", 0o600, "line 1"),
        ("k1 deadbeef", 0o600, "line 1"),
        ("k1 rot13 deadbeef", 0o600, "line 1"),
        ("k1 sm4-gcm deadbeef\nk1 sm4-gcm deadbeef", 0o600, "line 2"),
    ],
)
def test_a_key_file_that_is_none(tmp_path: Path, text: str, mode: int, said: str) -> None:
    file = key_file(tmp_path / "keys", text, mode)
    with pytest.raises(KeyRefused, match=said) as caught:
        Keys.from_file(file)
    assert "deadbeef" not in str(caught.value)


def test_an_encrypted_frame_costs_28_bytes_more(tmp_path: Path) -> None:
    commands = orders(500)
    sizes = []
    for name, given in (("plain", None), ("encrypted", keys())):
        log = FileLog.open(tmp_path / name, keys=given)
        log.append(commands, 1)
        log.close()
        data = only_segment(tmp_path / name).read_bytes()
        sizes.append(FrameHeader.from_bytes(data, HEADER_BYTES).payload_bytes)
    assert sizes[1] == sizes[0] + 28


def test_a_key_refused_at_a_rotation_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    vault = dict(MASTER)
    log = FileLog.open(tmp_path, keys=Keys(vault.__getitem__, "k1"), segment_bytes=SMALL)
    batches = write(log, [16])
    del vault["k1"]
    with pytest.raises(KeyRefused, match="no key 'k1'"):
        write(log, [40] * 12, seed=2)
    last = log.sequence
    vault["k1"] = MASTER["k1"]
    write(log, [3], seed=50)
    log.close()
    report = verify(tmp_path, keys=keys())
    assert report.good and report.last_sequence == last + 3 and len(batches) == 1
