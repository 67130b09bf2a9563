"""Opening again is the same exchange: state, instruments, and who may have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_kit import ANA, WORLD, filled, logged, opened, replayed, run
from flows import flow

import matchcore as mc
from matchcore.engine import snapshotting


def test_reopening_gives_the_same_state_and_goes_on(tmp_path: Path) -> None:
    digest = filled(tmp_path)
    with opened(tmp_path) as engine:
        assert engine.digest() == digest
        assert (engine.sequence, engine.recovery.commands) == (302, 302)
        assert engine.recovery.snapshot_sequence == engine.recovery.cut_bytes == 0
        identity = engine.identity
        run(engine, 2)
        engine._check()
        digest = engine.digest()
    with opened(tmp_path) as engine:
        assert (engine.digest(), engine.identity) == (digest, identity)
    assert replayed(tmp_path) == replayed(tmp_path, "reference") == digest


def test_many_sessions_are_one_history(tmp_path: Path) -> None:
    straight = mc.Engine.memory(instruments=WORLD)
    for seed in range(6):
        with opened(tmp_path, segment_bytes=4096) as engine:
            run(engine, seed, 60)
        run(straight, seed, 60)
    with opened(tmp_path) as engine:
        again = engine.state()
    assert again.sequence == straight.sequence
    assert [o.tobytes() for o in again.orders] == [o.tobytes() for o in straight.state().orders]
    assert replayed(tmp_path) == again.digest()


def test_progress_is_told_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    monkeypatch.setattr("matchcore.engine.recovery.REPLAY_COMMANDS", 100)
    steps: list[int] = []
    with opened(tmp_path, progress=steps.append):
        assert sum(steps) == 302 and len(steps) > 1


@pytest.mark.parametrize("step", [1, 64, 100, 300])
@pytest.mark.parametrize("begin", [None, 2, 40, 333, 640])
def test_frames_of_any_size_are_replayed_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, begin: int | None
) -> None:
    sizes = [1, 30, 260, 100, 2, 17, 100, 130, 1]  # records and planes, larger than a step too
    with opened(tmp_path) as engine:
        commands = flow(3, sum(sizes))
        for size in sizes:
            engine.submit_batch(commands[:size])
            commands = commands[size:]
        digest, last = engine.digest(), engine.sequence
    if begin is not None:
        snapshotting.take(tmp_path, sequence=begin)
    monkeypatch.setattr("matchcore.engine.recovery.REPLAY_COMMANDS", step)
    told: list[int] = []
    with opened(tmp_path, progress=told.append) as engine:
        assert (engine.digest(), engine.sequence) == (digest, last)
        stood = engine.recovery.snapshot_sequence
        assert bool(stood) == (begin is not None)
        assert sum(told) == engine.recovery.commands == last - stood
        assert len(told) >= (last - stood) // max(step, *sizes)


def test_instruments_are_added_on_reopening(tmp_path: Path) -> None:
    filled(tmp_path)
    with mc.Engine.open(tmp_path, instruments=[*WORLD, ANA]) as engine:
        assert engine.sequence == 303
        assert [i.symbol for i in engine.instruments] == ["ONE", "TWO", "ANA"]
        assert engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, "1.05")).status == mc.Status.OPEN
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        assert engine.sequence == 304 and len(engine.instruments) == 3


def test_the_same_instrument_in_another_spelling_is_the_same(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        sequence = engine.sequence
    with mc.Engine.open(tmp_path, instruments=[mc.Instrument("ANA", "0.0500")]) as engine:
        assert engine.sequence == sequence


@pytest.mark.parametrize(
    "other",
    [
        mc.Instrument("ANA", "0.01"),
        mc.Instrument("ANA", "0.05", lot=2),
        mc.Instrument("ANA", "0.05", max_quantity=5),
        mc.Instrument("ANA", "0.05", max_orders=5),
    ],
)
def test_other_parameters_for_a_symbol_are_a_conflict(tmp_path: Path, other: mc.Instrument) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        digest = engine.digest()
    with pytest.raises(mc.InstrumentConflict, match="change_instrument"):
        mc.Engine.open(tmp_path, instruments=[other])
    with mc.Engine.open(tmp_path) as engine:  # the lock was given back, the log is as it was
        assert engine.digest() == digest


def test_a_changed_instrument_is_what_the_log_knows(tmp_path: Path) -> None:
    wider = mc.Instrument("ANA", "0.10", lot=5)
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        engine.change_instrument(wider)
    with pytest.raises(mc.InstrumentConflict):
        mc.Engine.open(tmp_path, instruments=[ANA])
    with mc.Engine.open(tmp_path, instruments=[wider]) as engine:
        assert engine.instruments.get("ANA") == wider


def test_a_symbol_given_twice_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(mc.InstrumentConflict):
        mc.Engine.open(tmp_path / "exchange", instruments=[ANA, ANA])
    assert not (tmp_path / "exchange").exists()
    with pytest.raises(mc.InstrumentConflict):
        mc.Engine.memory(instruments=[ANA, ANA])


def test_adding_a_taken_symbol_is_a_conflict_and_logged(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        with pytest.raises(mc.InstrumentConflict, match="DUPLICATE_SYMBOL"):
            engine.add_instrument(mc.Instrument("ANA", "1"))
        assert engine.add_instrument(mc.Instrument("BOB", "1")) == 2
        assert engine.sequence == 3
    assert len(logged(tmp_path)) == 3


def test_a_second_engine_is_locked_out_until_the_first_closes(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(mc.LogLocked):
        opened(tmp_path)
    run(first, 1)
    digest = first.digest()
    first.close()
    with opened(tmp_path) as second:
        assert second.digest() == digest


@pytest.mark.parametrize("machine", ["reference", "cython"])
def test_either_machine_opens_what_the_other_has_written(tmp_path: Path, machine: str) -> None:
    other = {"reference": "cython", "cython": "reference"}[machine]
    with opened(tmp_path, machine=machine) as engine:
        run(engine, 3)
        engine.snapshot()
        run(engine, 4)
        digest = engine.digest()
    with opened(tmp_path, machine=other) as engine:
        assert engine.recovery.snapshot_sequence == 302
        assert engine.digest() == digest


def test_the_two_machines_answer_alike() -> None:
    said = [
        run(mc.Engine.memory(instruments=WORLD, machine=machine, clock=lambda: 5), 7).tobytes()
        for machine in ("reference", "cython")
    ]
    assert said[0] == said[1]


def test_an_unknown_machine_or_policy_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="machine 'steam'"):
        mc.Engine.open(tmp_path / "exchange", machine="steam")
    with pytest.raises(ValueError, match="machine 'steam'"):
        mc.Engine.memory(machine="steam")
    with pytest.raises(ValueError, match="policy 'hope'"):
        mc.Engine.open(tmp_path / "exchange", policy="hope")
    with pytest.raises(ValueError, match="segment_bytes"):
        mc.Engine.open(tmp_path / "exchange", segment_bytes=1)
    assert not (tmp_path / "exchange").exists()


def test_closing_twice_is_nothing_and_use_after_it_is_refused(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    run(engine, 1)
    engine.close()
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    engine.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == size
    for call in (lambda: run(engine, 2), engine.end_day, engine.snapshot):
        with pytest.raises(mc.LogError, match="closed"):
            call()
    with opened(tmp_path) as again:
        assert again.sequence == 302


def test_a_closed_engine_in_memory_takes_nothing() -> None:
    engine = mc.Engine.memory(instruments=[ANA])
    engine.close()
    with pytest.raises(mc.LogError, match="closed"):
        engine.end_day()


@pytest.mark.parametrize("commands", [300, 40_000])  # replayed at the end, and meanwhile
def test_a_replay_that_fails_lets_go_of_the_log_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: int
) -> None:
    digest = filled(tmp_path, 1, commands)
    told: list[int] = []
    with opened(tmp_path, progress=told.append) as engine:
        assert sum(told) == engine.recovery.commands == engine.sequence

    def stops(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, progress=stops)
    with monkeypatch.context() as patch:
        patch.setattr("matchcore.engine.recovery.Replaying._apply", lambda self, commands: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            opened(tmp_path)
    with opened(tmp_path) as engine:
        assert engine.digest() == digest
