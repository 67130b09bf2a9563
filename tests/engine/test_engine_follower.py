"""A follower hands each command and its events to a sink once, whatever it began with."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from engine_kit import WORLD, filled, logged, opened, run, segment, spoil
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.engine.follower import BUNDLE_COMMANDS


class Kept:
    """A sink in memory that keeps what it is given."""

    def __init__(self, position: mc.Position | None = None) -> None:
        self.at = position
        self.commands: list[NDArray] = []
        self.events: list[NDArray] = []
        self.closed = 0
        self.fail_next = False

    def position(self) -> mc.Position | None:
        return self.at

    def write(self, position: mc.Position, commands: NDArray, events: NDArray) -> None:
        if self.fail_next:
            self.fail_next = False
            raise OSError("database is locked")
        before = self.at.sequence if self.at else 0
        assert position.sequence == before + len(commands)
        assert set(events["sequence"]) == set(range(before + 1, position.sequence + 1))
        self.at = position
        self.commands.append(commands.copy())
        self.events.append(events.copy())

    def close(self) -> None:
        self.closed += 1


def expected(path: Path, after: int = 0) -> tuple[bytes, bytes]:
    """The commands of a log beyond a sequence, and their events."""
    commands = logged(path)
    events = mc.Machine().apply(commands)
    return commands[after:].tobytes(), events[events["sequence"] > after].tobytes()


def delivered(sink: Kept) -> tuple[bytes, bytes]:
    return (
        b"".join(part.tobytes() for part in sink.commands),
        b"".join(part.tobytes() for part in sink.events),
    )


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_a_whole_log_arrives_once(tmp_path: Path, machine: str) -> None:
    filled(tmp_path)
    sink = Kept()
    steps: list[int] = []
    with mc.Follower(tmp_path, sink, machine=machine) as follower:
        assert follower.run(progress=steps.append) == mc.Position(1, 302) == sink.at
        assert follower.step() == 0
    assert sum(steps) == 302 and sink.closed == 1
    assert delivered(sink) == expected(tmp_path)


def test_a_follower_goes_on_from_any_position(tmp_path: Path) -> None:
    filled(tmp_path)
    for at in (1, 2, 3, 51, 52, 53, 120, 301, 302):  # on frames and within them
        sink = Kept(mc.Position(1, at))
        with mc.Follower(tmp_path, sink) as follower:
            assert follower.run().sequence == 302
        assert delivered(sink) == expected(tmp_path, at)


@pytest.mark.parametrize("at", [0, 50, 102, 130, 202, 250, 302])
def test_a_follower_begins_with_the_newest_snapshot_before_it(tmp_path: Path, at: int) -> None:
    with opened(tmp_path) as engine:
        for seed in range(3):
            run(engine, seed, 100)
            if seed < 2:
                engine.snapshot()
    sink = Kept(mc.Position(1, at) if at else None)
    with mc.Follower(tmp_path, sink) as follower:
        assert follower._machine.sequence == max(s for s in (0, 102, 202) if s <= at)
        follower.run()
    assert delivered(sink) == expected(tmp_path, at)


def test_a_bad_snapshot_does_not_stop_a_follower(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 100)
        spoil(engine.snapshot())
    sink = Kept(mc.Position(1, 102))
    with opened(tmp_path) as engine:
        run(engine, 2, 100)
    with mc.Follower(tmp_path, sink) as follower:
        follower.run()
    assert delivered(sink) == expected(tmp_path, 102)


def test_a_snapshot_of_another_exchange_is_not_begun_with(tmp_path: Path) -> None:
    filled(tmp_path / "ours")
    with opened(tmp_path / "theirs") as engine:
        run(engine, 77, 100)
        foreign = engine.snapshot()
    shutil.copy(foreign, tmp_path / "ours")
    sink = Kept(mc.Position(1, 200))
    with mc.Follower(tmp_path / "ours", sink) as follower:
        follower.run()
    assert delivered(sink) == expected(tmp_path / "ours", 200)


def test_a_follower_beside_a_writer_gets_what_is_answered(tmp_path: Path) -> None:
    sink = Kept()
    with opened(tmp_path, segment_bytes=4096) as engine, mc.Follower(tmp_path, sink) as follower:
        for seed in range(6):
            run(engine, seed, 60, 7)
            assert follower.step() > 0
            assert sink.at == mc.Position(1, engine.sequence)
            assert follower.step() == 0
    with opened(tmp_path, segment_bytes=4096) as engine, mc.Follower(tmp_path, sink) as follower:
        run(engine, 9, 60)
        follower.run()
        assert sink.at == mc.Position(2, engine.sequence)
    assert delivered(sink) == expected(tmp_path)


def test_a_follower_in_a_thread_keeps_up_until_it_is_stopped(tmp_path: Path) -> None:
    sink, done = Kept(), threading.Event()
    with opened(tmp_path, segment_bytes=1 << 14, policy="os") as engine:
        follower = mc.Follower(tmp_path, sink)
        last = 2 + 40 * 50

        def stop() -> bool:
            return done.is_set() and follower.position.sequence >= last

        thread = threading.Thread(target=follower.run, kwargs={"forever": True, "stop": stop})
        thread.start()
        run(engine, 1, 40 * 50, 50)
        done.set()
        thread.join(20)
        assert not thread.is_alive()
        follower.close()
    assert delivered(sink) == expected(tmp_path)


def test_many_commands_arrive_in_bundles(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 3 * BUNDLE_COMMANDS, 500)
        engine.submit_batch(flow(2, 20_000))
    sink = Kept()
    with mc.Follower(tmp_path, sink) as follower:
        follower.run()
    assert delivered(sink) == expected(tmp_path)
    sizes = [len(part) for part in sink.commands]
    assert 4 <= len(sizes) < 20 and max(sizes) <= 8192


def test_a_sink_ahead_of_the_log_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    sink = Kept(mc.Position(1, 303))
    with (
        mc.Follower(tmp_path, sink) as follower,
        pytest.raises(mc.SinkError, match="is at sequence 303, but the log ends at 302"),
    ):
        follower.run()
    assert not sink.commands


def test_damage_is_raised_behind_what_came_before_it(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path) as engine:
        assert engine.log is not None
        frame = next(f for f in engine.log.frames() if f.first_sequence > 150)
    file = segment(tmp_path)
    data = bytearray(file.read_bytes())
    data[frame.offset + 140] ^= 1
    wanted = logged(tmp_path)[: frame.first_sequence - 1]
    file.write_bytes(data)
    sink = Kept()
    with mc.Follower(tmp_path, sink) as follower, pytest.raises(mc.LogDamaged) as caught:
        follower.run()
    assert caught.value.sequence == frame.first_sequence
    assert np.concatenate(sink.commands).tobytes() == wanted.tobytes()


def test_a_new_follower_repeats_what_a_sink_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    sink = Kept()
    sink.fail_next = True
    with mc.Follower(tmp_path, sink) as follower, pytest.raises(OSError, match="locked"):
        follower.run()
    with mc.Follower(tmp_path, sink) as follower:
        follower.run()
    assert delivered(sink) == expected(tmp_path)


def test_the_same_follower_leaves_nothing_out_behind_a_refusal(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1)
        sink = Kept()
        follower = mc.Follower(tmp_path, sink)
        sink.fail_next = True
        with pytest.raises(OSError, match="locked"):
            follower.step()
        run(engine, 2)
        try:
            follower.run()
        except mc.MatchcoreError:  # or it takes nothing more, and says so
            assert not sink.commands
        else:
            assert delivered(sink) == expected(tmp_path)
        follower.close()


def test_a_follower_needs_a_log_and_a_known_machine(tmp_path: Path) -> None:
    with pytest.raises(mc.LogError, match="no journal here"):
        mc.Follower(tmp_path, Kept())
    filled(tmp_path)
    with pytest.raises(ValueError, match="machine 'steam'"):
        mc.Follower(tmp_path, Kept(), machine="steam")


def test_a_follower_changes_nothing_in_the_directory(tmp_path: Path) -> None:
    filled(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with mc.Follower(tmp_path, Kept()) as follower:
        follower.run()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert len(WORLD) == 2
