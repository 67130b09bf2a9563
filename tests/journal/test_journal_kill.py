"""An engine killed at random moments, again and again: what it acknowledged is in the log."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from journal_kit import read_back
from numpy.typing import NDArray

from matchcore import COMMAND, Engine, Instrument, Kind
from matchcore.journal import verify

ROUNDS = {"sync": 12, "os": 6}
CHILD = """
import sys, test_journal_kill
test_journal_kill.engine_until_killed(sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""
ANA = Instrument("ANA", "0.05")


def sent(first: int, count: int) -> NDArray:
    """The commands that the engine is given as sequences first, first + 1, …"""
    numbers = np.arange(first, first + count, dtype="u8")
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15)
    rows = np.zeros(count, COMMAND)
    rows["time"] = numbers
    rows["kind"], rows["instrument"], rows["order_type"], rows["time_in_force"] = Kind.NEW, 1, 1, 1
    rows["client_order_id"] = mixed
    rows["account"] = mixed >> np.uint64(60)
    rows["side"] = 1 + (mixed >> np.uint64(33)) % np.uint64(2)
    rows["price"] = 1000 + (mixed >> np.uint64(40)) % np.uint64(9)
    rows["quantity"] = 1 + (mixed >> np.uint64(50)) % np.uint64(5)
    return rows


def engine_until_killed(path: str, policy: str, seed: int) -> None:
    """Runs in the child: tells each acknowledged sequence to the pipe."""
    dice = random.Random(seed)
    with Engine.open(path, instruments=[ANA], policy=policy, segment_bytes=1 << 16) as engine:
        os.write(1, b"%d\n" % engine.sequence)
        while True:
            count = dice.choice([1, 1, 1, 2, 7, 16, 17, 60, 600])
            engine.submit_batch(sent(engine.sequence + 1, count))
            os.write(1, b"%d\n" % engine.sequence)
            if dice.random() < 0.01:
                engine.snapshot()


def acknowledged_by_a_killed_engine(path: Path, policy: str, seed: int) -> int:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), policy, str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], 30)
    assert ready, "the engine never opened"
    time.sleep(random.Random(seed).uniform(0, 0.12))
    child.send_signal(signal.SIGKILL)
    said, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    whole = said[: said.rindex(b"\n")].split(b"\n")
    return int(whole[-1])


@pytest.mark.parametrize("policy", ["sync", "os"])
def test_what_was_acknowledged_survives_every_kill(tmp_path: Path, policy: str) -> None:
    path, last, cut = tmp_path / "log", 0, 0
    for seed in range(ROUNDS[policy]):
        acknowledged = acknowledged_by_a_killed_engine(path, policy, seed)
        assert acknowledged >= last
        report = verify(path)
        assert report.good and report.last_sequence >= acknowledged
        commands = read_back(path)
        assert len(commands) == report.last_sequence
        assert commands[1:].tobytes() == sent(2, len(commands) - 1).tobytes()
        last, cut = len(commands), cut + report.torn_bytes
    with Engine.open(path, instruments=[ANA]) as engine:
        assert engine.sequence == last > ROUNDS[policy]
        digest = engine.digest()
    with Engine.memory() as replayed:
        replayed.submit_batch(read_back(path))
        assert replayed.digest() == digest
