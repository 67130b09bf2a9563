"""A standby over a log in files: it follows, and goes on where the first engine ended."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matchcore as mc
from matchcore.journal import snapshots
from matchcore.standby import Standby
from matchcore.standby.lock import Lock
from matchcore.standby.member import Member, Role

ANA = mc.Instrument("ANA", tick="0.05")
WAIT_SECONDS = 30.0


def order(side: mc.Side, quantity: int, price: str = "95.70") -> mc.NewOrder:
    return mc.NewOrder("ANA", side, quantity, price)


def until_at(standby: Standby, sequence: int) -> None:
    while standby.position.sequence < sequence:
        standby.step() or standby.wait()


def test_it_shows_what_it_has_applied_and_becomes_the_engine(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]) as first:
        first.submit(order(mc.Side.SELL, 70))
        standby = Standby(tmp_path)
        until_at(standby, 2)
        assert standby.book("ANA").best_ask.quantity == 70
        first.submit(order(mc.Side.BUY, 30))
        with pytest.raises(mc.LogLocked):
            standby.take_over()
        assert standby.position == (1, 3) and standby.digest() == first.digest()
    engine = standby.take_over()
    with engine:
        assert engine.recovery.commands == 0 and engine.log.epoch == 2
        assert engine.submit(order(mc.Side.BUY, 40)).status.name == "FILLED"
    with pytest.raises(mc.LogError, match="become an engine"):
        standby.digest()
    with mc.Engine.open(tmp_path) as again:
        assert again.sequence == 4 and again.digest() == engine.digest()


def test_what_it_had_not_read_is_applied_once_and_handed_on(tmp_path: Path) -> None:
    heard: list[tuple[np.ndarray, np.ndarray]] = []
    with mc.Engine.open(tmp_path, instruments=[ANA]) as first:
        standby = Standby(tmp_path, take=lambda *part: heard.append(part))
        until_at(standby, 1)
        first.submit(order(mc.Side.SELL, 70))
        first.submit(order(mc.Side.BUY, 30))
        with first.events() as stream:
            parts = [stream.read(1)]
    told = np.concatenate([part.events for part in parts])
    with standby.take_over() as engine:
        digest = engine.digest()
    assert sum(len(commands) for commands, _ in heard) == 3
    assert np.concatenate([events for _, events in heard]).tobytes() == told.tobytes()
    with mc.Engine.open(tmp_path) as again:
        assert again.digest() == digest


def test_it_writes_snapshots_that_recovery_takes(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        standby = Standby(tmp_path, snapshots_every=5)
        for _ in range(12):
            engine.submit(order(mc.Side.SELL, 1))
            standby.step()
        until_at(standby, 13)
        standby.start_snapshot()
        standby.close()
        assert not standby.snapshot_failure
    with mc.Engine.open(tmp_path) as again:
        assert again.recovery.snapshot_sequence > 5


def test_a_snapshot_is_written_behind_one_that_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, goes_on, written = threading.Event(), threading.Event(), []
    write = snapshots.write

    def slowly(directory: Path, *, sequence: int, **said: Any) -> Path:
        began.set()
        assert goes_on.wait(WAIT_SECONDS)
        written.append(sequence)
        return write(directory, sequence=sequence, **said)

    monkeypatch.setattr(snapshots, "write", slowly)
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        standby = Standby(tmp_path, snapshots_every=5)
        for sequence in range(2, 14):
            engine.submit(order(mc.Side.SELL, 1))
            until_at(standby, sequence)
            if sequence >= 12:
                standby.start_snapshot()  # the second one instead of the first
            if sequence == 5:
                assert began.wait(WAIT_SECONDS)
        goes_on.set()
        standby.close()
    assert written == [5, 13] and not standby.snapshot_failure
    with mc.Engine.open(tmp_path) as again:
        assert again.recovery.snapshot_sequence == 13


def test_why_the_last_snapshot_was_not_written_is_known_at_the_end(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]), Standby(tmp_path) as standby:
        until_at(standby, 1)
        with snapshots.turn(tmp_path):
            standby.start_snapshot()
            standby.close()
    assert "another process is writing a snapshot" in standby.snapshot_failure


def test_two_members_take_over_one_after_the_other(tmp_path: Path) -> None:
    mc.Engine.open(tmp_path, instruments=[ANA]).close()
    led: list[mc.Engine] = []
    came = threading.Semaphore(0)

    def primary(engine: mc.Engine) -> None:
        led.append(engine)
        came.release()

    members = [
        Member(Standby(tmp_path), Lock(tmp_path, name), primary=primary).start() for name in "ab"
    ]
    assert came.acquire(timeout=WAIT_SECONDS)
    led[0].submit(order(mc.Side.SELL, 70))
    (first,) = [one for one in members if one.role is Role.PRIMARY]
    first.close()
    assert first.role is Role.ENDED and not first.why_ended
    assert came.acquire(timeout=WAIT_SECONDS)
    assert led[1].submit(order(mc.Side.BUY, 70)).status.name == "FILLED"
    for member in members:
        member.close()
    assert [one.log.epoch for one in led] == [2, 3]
