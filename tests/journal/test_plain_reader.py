"""A reader made from docs/journal.md alone reads what matchcore wrote; the flow stays compact."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from journal_kit import SMALL, noise, orders, write
from plain_reader import read_directory, read_snapshot

from matchcore import Engine, Instrument, Keys, NewOrder, Side
from matchcore.bench import neutral
from matchcore.journal import FileLog
from matchcore.journal.format import CODEC_PLANES_LZ4
from matchcore.journal.segments import segment_files

MASTER = {"k1": bytes(range(32)), "k2": bytes(range(32, 64))}


def keys(cipher: str | None, key_id: str = "k1") -> Keys | None:
    return cipher and Keys(MASTER.__getitem__, key_id, cipher)  # type: ignore[return-value]


@pytest.mark.parametrize("hash", ["sha256", "sm3"])
@pytest.mark.parametrize("cipher", [None, "aes-256-gcm", "sm4-gcm"])
def test_the_page_is_enough(tmp_path: Path, hash: str, cipher: str | None) -> None:
    sparse = orders(1100)
    sparse["account"] = np.arange(1100) == 1099
    log = FileLog.open(tmp_path / "log", hash=hash, keys=keys(cipher), segment_bytes=SMALL * 4)
    batches = write(log, [1, 16, 17, 300])
    for batch in (sparse, noise(60)):
        log.append(batch, 5)
        batches.append(batch)
    log.close()
    log = FileLog.open(tmp_path / "log", keys=keys(cipher, "k2"), segment_bytes=SMALL * 4)
    batches += write(log, [40], seed=7)
    shutil.copytree(tmp_path / "log", tmp_path / "live")
    chain = log.chain
    log.close()
    whole = b"".join(batch.tobytes() for batch in batches)
    for name, seals in (("log", 2), ("live", 1)):
        found = read_directory(tmp_path / name, MASTER.__getitem__)
        assert b"".join(found.commands) == whole and not found.torn
        assert (found.hash, found.first, found.seals) == (hash, 1, seals)
        assert found.last == len(whole) // 96 and found.codecs >= {0, 1, CODEC_PLANES_LZ4}
        assert found.identity == log.identity.hex() and found.chain == chain.hex()
    blind = read_directory(tmp_path / "log")
    assert blind.chain == chain.hex() and bool(blind.commands) == (cipher is None)
    last = segment_files(tmp_path / "live")[-1]
    last.write_bytes(last.read_bytes().rstrip(b"\0")[:-100])
    assert read_directory(tmp_path / "live", MASTER.__getitem__).torn


@pytest.mark.parametrize("cipher", [None, "aes-256-gcm", "sm4-gcm"])
def test_the_page_is_enough_for_snapshots(tmp_path: Path, cipher: str | None) -> None:
    with Engine.open(
        tmp_path, hash="sm3", keys=keys(cipher), instruments=[Instrument("A", tick=1)]
    ) as engine:
        engine.submit(NewOrder("A", Side.BUY, 5, 7))
        file, state, chain = engine.snapshot(), engine.state().to_bytes(), engine.log.chain  # type: ignore[union-attr]
    assert read_snapshot(file, MASTER.__getitem__) == (2, chain.hex(), state)


@pytest.mark.parametrize("cipher", [None, "aes-256-gcm"])
def test_the_neutral_flow_takes_less_than_24_bytes_a_command(
    tmp_path: Path, cipher: str | None
) -> None:
    commands = neutral.commands(neutral.messages("flash-crash", 40_000))
    log = FileLog.open(tmp_path, keys=keys(cipher))
    for at in range(0, len(commands), 4096):
        log.append(commands[at : at + 4096], 10**18 + at)
        log.sync()
    log.close()
    stored = sum(file.stat().st_size for file in segment_files(tmp_path))
    assert stored / len(commands) < 24, stored


def test_the_page_has_the_bytes_of_position(tmp_path: Path) -> None:
    with Engine.open(tmp_path, policy="os") as engine:
        engine.end_day()
        data, identity = (tmp_path / "position").read_bytes(), engine.identity
    assert data[:32] == struct.pack("<QQ", 1, 0) + identity and len(data) == 36
    assert data[32:] == struct.pack("<I", zlib.crc32(data[:32]))
