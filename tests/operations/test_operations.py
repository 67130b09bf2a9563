"""What is done to a directory, as functions: keys and progress are arguments, none is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import matchcore as mc
from matchcore.importers import import_file, sample_day, source_of
from matchcore.operations import book, describe, last_sequence, replay, verify, verify_states

BYTES = 32  # of an AES key


@pytest.fixture
def keys(tmp_path: Path) -> mc.Keys:
    file = tmp_path / "keys"
    file.write_text(f"one aes-256-gcm {'07' * BYTES}\n")
    file.chmod(0o600)
    return mc.Keys.from_file(file)


@pytest.fixture
def exchange(tmp_path: Path, keys: mc.Keys) -> Path:
    path = tmp_path / "exchange"
    ana = mc.Instrument("ANA", "0.05")
    with mc.Engine.open(path, instruments=[ana], keys=keys) as engine:
        for number in range(1, 21):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, number, "95.00"))
        engine.snapshot()
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 7, "95.00"))
    return path


def test_an_encrypted_exchange_is_read_with_keys_that_are_given(
    exchange: Path, keys: mc.Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    read: list[int] = []
    result = verify(exchange, keys=keys, progress=read.append)
    assert result["good"] and result["last_sequence"] == 22 and not result["structure_only"]
    assert sum(read) == result["bytes"]
    replayed: list[int] = []
    found = verify_states(exchange, result, keys=keys, progress=replayed.append)
    assert found["good"] and found["compared"] == 1 and sum(replayed) == found["replayed"] == 22
    digest = describe(exchange, keys=keys)["digest"]
    for machine in ("cython", "reference"):
        assert replay(exchange, machine, keys=keys)["digest"] == found["digest"] == digest
    for asked, sequence, quantity in ((21, 21, 210), (None, 22, 203)):
        view, reached = book(exchange, "ANA", sequence=asked, keys=keys)
        bid = view.top().bid
        assert reached == sequence and bid is not None and bid.quantity == quantity
    assert capsys.readouterr() == ("", "")


def test_keys_of_the_environment_are_not_used(
    exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHCORE_KEYS", str(tmp_path / "keys"))
    assert verify(exchange)["structure_only"] == 1
    for refused in (replay, describe, lambda path: book(path, "ANA")):
        with pytest.raises(mc.KeyRefused):
            refused(exchange)


def test_damage_is_a_finding_and_is_not_replayed(exchange: Path, keys: mc.Keys) -> None:
    (segment,) = exchange.glob("journal-*")
    data = bytearray(segment.read_bytes())
    data[200] ^= 1
    segment.write_bytes(data)
    result = verify(exchange, keys=keys)
    assert not result["good"] and result["findings"][0]["path"] == str(segment)
    assert verify_states(exchange, result, keys=keys) is result


def test_an_import_reports_its_progress_and_prints_nothing(
    tmp_path: Path, keys: mc.Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of("bme", sample_day())
    totals: list[int] = []
    steps: list[int] = []
    sequences: list[int] = []
    path = tmp_path / "day"
    result = import_file(
        source, path, keys=keys, expect=totals.append, progress=steps.append,
        sent=sequences.append,
    )  # fmt: skip
    assert totals == [result["commands"]] == [sum(steps)] and steps[0] == 0
    assert (np.diff(sequences) > 0).all() and sequences[-1] == last_sequence(path)
    assert verify(path)["structure_only"]  # it is encrypted
    again: list[int] = []
    assert import_file(source, path, keys=keys, progress=again.append)["sent"] == 0
    assert again == totals and capsys.readouterr() == ("", "")
