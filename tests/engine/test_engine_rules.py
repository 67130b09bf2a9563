"""Versions of the rules in an exchange: the upgrade is a command in the log, and stays there.

A build that knows other versions is this one with another `RULES_LATEST`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_kit import WORLD, opened, run, segment

import matchcore as mc
from matchcore.engine import recovery
from matchcore.engine.snapshotting import take
from matchcore.errors import UnknownRules
from matchcore.journal import LogReader, batches
from matchcore.operations.archive import archive
from matchcore.operations.describe import describe
from matchcore.operations.replay import replay
from matchcore.operations.tail import lines
from matchcore.operations.verify import verify
from matchcore.records import rules
from matchcore.records.codec import upgrade_record

EventKind, Kind = mc.EventKind, mc.Kind
Knows = Callable[[int], None]
KEYS = mc.Keys(lambda key_id: b"k" * 32, "one")
AT = 303  # the sequence of the upgrade in `crossing`


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> Knows:
    """`knows(2)`: from now on this build knows versions up to 2."""
    return lambda version: monkeypatch.setattr(rules, "RULES_LATEST", version)


def crossing(path: Path, knows: Knows, **more: Any) -> str:
    """A log of 302 commands under version 1, the upgrade, and 300 under version 2; its digest."""
    knows(1)
    with opened(path, **more) as engine:
        run(engine, 1)
    knows(2)
    with opened(path, **more) as engine:
        answer = engine.upgrade_rules()
        assert answer is not None and answer.sequence == AT
        run(engine, 2)
        return engine.digest()


def files(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_an_upgrade_is_answered_when_it_is_in_the_log(tmp_path: Path, knows: Knows) -> None:
    knows(1)
    with opened(tmp_path, clock=lambda: 77) as engine:
        assert (engine.rules, engine.recovery.rules_possible) == (1, None)
        assert engine.upgrade_rules() is None and engine.sequence == 2
        knows(2)
        answer = engine.upgrade_rules()
        assert answer is not None and answer.durable and answer.status == mc.Status.DONE
        (event,) = answer.typed()
        assert isinstance(event, mc.OrderEvent) and event.kind == EventKind.RULES_CHANGED
        assert (event.sequence, event.quantity, event.left, event.symbol) == (3, 2, 1, None)
        assert engine.rules == 2 and engine.durable == engine.sequence == 3
        assert engine.upgrade_rules() is None and engine.sequence == 3
    with LogReader(tmp_path) as reader:
        *_, frame = reader.read()
    assert (frame.rules, frame.count, frame.time) == (2, 1, 77)
    assert frame.commands.tobytes() == upgrade_record(2, 77).tobytes()


def test_an_open_says_that_an_upgrade_is_possible_and_does_none(
    tmp_path: Path, knows: Knows
) -> None:
    knows(1)
    with opened(tmp_path) as engine:
        digest = engine.digest()
    knows(3)
    with opened(tmp_path) as engine:
        assert (engine.recovery.rules, engine.recovery.rules_possible) == (1, 3)
        assert (engine.rules, engine.sequence, engine.digest()) == (1, 2, digest)
    seen = mc.Engine.at(tmp_path)
    assert (seen.rules, seen.recovery.rules_possible) == (1, 3)
    with pytest.raises(mc.ReadOnly):
        seen.upgrade_rules()
    said = describe(tmp_path)
    assert (said["rules"], said["rules_possible"]) == (1, 3)


def test_a_new_exchange_begins_with_the_newest_version(tmp_path: Path, knows: Knows) -> None:
    knows(2)
    with opened(tmp_path) as engine:
        assert (engine.rules, engine.recovery.rules_possible) == (2, None)
        assert engine.sequence == 2 and engine.recovery.rules == 2
    with opened(tmp_path) as engine:
        assert (engine.rules, engine.sequence) == (2, 2)
    for log in (None, mc.MemoryLog()):
        engine = mc.Engine.memory(instruments=WORLD, log=log)
        assert (engine.rules, engine.sequence) == (2, 2)


@pytest.mark.parametrize("machine", ["cython", "reference"])
@pytest.mark.parametrize("keys", [None, KEYS], ids=["plain", "encrypted"])
def test_a_log_across_an_upgrade_opens_as_it_was(
    tmp_path: Path, knows: Knows, keys: mc.Keys | None, machine: str
) -> None:
    digest = crossing(tmp_path, knows, keys=keys)
    for _ in range(2):  # from the log, then from a snapshot behind the upgrade
        with opened(tmp_path, keys=keys, machine=machine) as engine:
            assert (engine.rules, engine.digest()) == (2, digest)
            engine.snapshot()
            assert engine.recovery.rules == 2
    assert engine.recovery.snapshot_sequence == engine.sequence == 603


def test_the_exchange_as_it_was_before_and_behind_it(tmp_path: Path, knows: Knows) -> None:
    crossing(tmp_path, knows)
    for at, version in ((0, 1), (AT - 1, 1), (AT, 2), (AT + 7, 2)):
        with mc.Engine.at(tmp_path, sequence=at) as engine:
            assert (engine.rules, engine.sequence) == (version, at)
    take(tmp_path, sequence=AT)
    with mc.Engine.at(tmp_path, sequence=AT + 1) as engine:
        assert (engine.rules, engine.recovery.snapshot_sequence) == (2, AT)


def test_a_log_in_memory_is_replayed_across_it(knows: Knows) -> None:
    knows(1)
    log = mc.MemoryLog()
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    run(engine, 1)
    knows(2)
    assert engine.upgrade_rules() is not None
    run(engine, 2)
    again = mc.Engine.memory(log=log)
    assert (again.rules, again.digest(), again.recovery.rules) == (2, engine.digest(), 2)
    knows(1)
    with pytest.raises(UnknownRules, match=f"sequence {AT}.*version 2 .*up to version 1"):
        mc.Engine.memory(log=log)


def test_a_fork_follows_the_log_across_it(tmp_path: Path, knows: Knows) -> None:
    crossing(tmp_path, knows)
    with mc.Engine.at(tmp_path, sequence=AT - 10) as engine:
        fork = engine.fork()
    fork.replay(sequence=AT - 1)
    assert fork.rules == 1
    events = fork.replay(sequence=AT)
    assert (fork.rules, events["kind"].tolist()) == (2, [EventKind.RULES_CHANGED])
    fork.replay()
    assert fork.recorded == 603
    with mc.Engine.at(tmp_path) as engine:
        for symbol in ("ONE", "TWO"):
            assert fork.book(symbol).depth() == engine.book(symbol).depth()


class Kept:
    """A sink in memory."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.events = mc.Position(1, at), np.empty(0, mc.EVENT)

    def position(self) -> mc.Position:
        return self.at

    def write(self, position: mc.Position, commands: Any, events: Any) -> None:
        assert position.sequence == self.at.sequence + len(commands)
        self.at, self.events = position, np.concatenate([self.events, events])

    def close(self) -> None: ...


@pytest.mark.parametrize("at", [0, AT - 2, AT - 1, AT, AT + 1])
def test_a_follower_hands_it_on_like_any_command(tmp_path: Path, knows: Knows, at: int) -> None:
    crossing(tmp_path, knows)
    sink = Kept(at)
    with mc.Follower(tmp_path, sink) as follower:
        assert follower.run().sequence == 603
    told = sink.events[sink.events["kind"] == EventKind.RULES_CHANGED]
    assert told["sequence"].tolist() == ([AT] if at < AT else [])


def test_verify_and_tail_know_it(tmp_path: Path, knows: Knows) -> None:
    digest = crossing(tmp_path, knows)
    with opened(tmp_path) as engine:
        odd = upgrade_record(2, 5)
        (event,) = engine.submit_batch(odd)
        assert event["reason"] == mc.Reason.UNKNOWN_KIND
        engine.snapshot()
    assert verify(tmp_path)["good"]
    told = replay(tmp_path, "reference")
    assert told["snapshots_compared"] == 1 and not told["snapshots_that_differ"]
    assert told["digest"] != digest
    line, after = lines(tmp_path, sequence=AT, count=2)
    assert isinstance(line.command, mc.UpgradeRules) and line.command.version == 2
    assert line.as_plain()["type"] == "UpgradeRules" and "version 2" in str(line)
    assert not isinstance(after.command, mc.UpgradeRules)
    (refused,) = lines(tmp_path, count=1)
    assert refused.command is None and refused.record["kind"] == Kind.UPGRADE_RULES


def test_nothing_that_needs_an_unknown_version_is_read_or_changed(
    tmp_path: Path, knows: Knows
) -> None:
    crossing(tmp_path, knows)
    knows(1)
    before = files(tmp_path)
    asks: list[Callable[[], object]] = [
        lambda: mc.Engine.open(tmp_path),
        lambda: mc.Engine.at(tmp_path),
        lambda: take(tmp_path),
        lambda: verify(tmp_path),
        lambda: replay(tmp_path, "cython"),
        lambda: describe(tmp_path),
        lambda: list(lines(tmp_path, count=1)),
        lambda: mc.Follower(tmp_path, Kept()).run(),
    ]
    for ask in asks:
        with pytest.raises(UnknownRules, match=r"version 2 .*knows up to version 1"):
            ask()
    after = files(tmp_path)
    assert after.pop("snapshot-lock") == b""  # `take` waits for others there
    assert after == before
    assert mc.Engine.at(tmp_path, sequence=AT - 1).rules == 1


def test_a_follower_delivers_all_before_a_version_that_is_not_known(
    tmp_path: Path, knows: Knows
) -> None:
    crossing(tmp_path, knows)
    knows(1)
    sink = Kept()
    with mc.Follower(tmp_path, sink) as follower, pytest.raises(UnknownRules):
        follower.run()
    assert sink.at.sequence == AT - 1


def test_a_snapshot_of_an_unknown_version_is_not_passed_over(tmp_path: Path, knows: Knows) -> None:
    """Also when what led to it is archived, and where an older snapshot is good."""
    knows(1)
    with opened(tmp_path, segment_bytes=1 << 12) as engine:
        run(engine, 1)
        engine.snapshot()
        knows(2)
        assert engine.upgrade_rules() is not None
        run(engine, 2)
        file = engine.snapshot()
        run(engine, 3)
    archive(tmp_path, None, drop=True, keep_snapshots=1)
    knows(1)
    before = files(tmp_path)
    with pytest.raises(UnknownRules, match=f"{file.name}: version 2"):
        mc.Engine.open(tmp_path)
    with pytest.raises(UnknownRules, match=f"{tmp_path.name}: version 2"):
        verify(tmp_path)
    with pytest.raises(UnknownRules, match=f"{file.name}: version 2"):
        archive(tmp_path, None, drop=True, keep_snapshots=1)
    assert files(tmp_path) == before


def test_a_torn_upgrade_was_never_made(tmp_path: Path, knows: Knows) -> None:
    knows(1)
    alive, torn = tmp_path / "alive", tmp_path / "torn"
    with opened(alive, policy="os") as engine:
        before = engine.digest()
        knows(2)
        assert engine.upgrade_rules() is not None
        data = segment(alive).read_bytes().rstrip(b"\0")
    torn.mkdir()
    (torn / segment(alive).name).write_bytes(data[:-60])
    with opened(torn) as engine:
        assert engine.recovery.cut_bytes and engine.recovery.rules_possible == 2
        assert (engine.rules, engine.sequence, engine.digest()) == (1, 2, before)


CHILD = """
import os, sys
from matchcore.records import rules
import matchcore as mc
rules.RULES_LATEST = 1
engine = mc.Engine.open(sys.argv[1], instruments=[mc.Instrument("ONE", "0.01")])
rules.RULES_LATEST = 2
engine.upgrade_rules()
print(engine.sequence, flush=True)
sys.stdin.read()
"""


def test_an_answered_upgrade_outlives_a_kill(tmp_path: Path, knows: Knows) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None and child.stdout.readline() == "2\n"
        os.kill(child.pid, signal.SIGKILL)
    knows(2)
    with mc.Engine.open(tmp_path) as engine:
        assert (engine.rules, engine.sequence) == (2, 2)


def test_many_threads_upgrade_once_among_orders(tmp_path: Path, knows: Knows) -> None:
    knows(1)
    with opened(tmp_path) as engine:
        knows(2)
        answers: list[mc.Answer | None] = []

        def work(number: int) -> None:
            run(engine, number, 60, 5)
            answers.append(engine.upgrade_rules())
            run(engine, number + 10, 60, 5)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (made,) = [one for one in answers if one is not None]
        digest = engine.digest()
    with LogReader(tmp_path) as reader:
        marked = [frame.first_sequence for frame in reader.read() if frame.rules]
    assert marked == [made.sequence]
    with opened(tmp_path) as engine:
        assert (engine.rules, engine.digest()) == (2, digest)


def test_an_upgrade_that_the_log_did_not_take_was_not_made(knows: Knows) -> None:
    knows(1)
    log = mc.MemoryLog(max_bytes=600)
    engine = mc.Engine.memory(instruments=WORLD, log=log)
    before = engine.digest()
    knows(2)
    with pytest.raises(mc.LogFailed, match="max_bytes"):
        engine.upgrade_rules()
    assert (engine.rules, engine.digest()) == (1, before)
    with pytest.raises(mc.LogFailed):
        engine.upgrade_rules()


def test_it_can_be_awaited(knows: Knows) -> None:
    knows(1)

    async def upgraded() -> tuple[mc.Answer | None, mc.Answer | None]:
        async with mc.AsyncEngine(mc.Engine.memory(log=mc.MemoryLog())) as engine:
            knows(2)
            return await engine.upgrade_rules(), await engine.upgrade_rules()

    first, second = asyncio.run(upgraded())
    assert first is not None and first.sequence == 1 and second is None


def test_only_the_engine_sends_it() -> None:
    engine = mc.Engine.memory(instruments=WORLD)
    with pytest.raises(mc.InvalidCommand, match=r"engine\.upgrade_rules\(\)"):
        engine.submit(mc.UpgradeRules(2))
    assert engine.sequence == 2


def test_batches_hold_an_upgrade_alone(tmp_path: Path, knows: Knows) -> None:
    crossing(tmp_path, knows)
    with LogReader(tmp_path) as reader:
        whole = list(batches(reader.read(), 10**6))
    shown = [(one.epoch, one.first_sequence, len(one.commands), one.rules) for one in whole]
    assert shown == [(1, 1, 302, 0), (2, 303, 1, 2), (2, 304, 300, 0)]
    with LogReader(tmp_path) as reader:
        small = list(batches(reader.read(), 100))
    assert max(len(one.commands) for one in small) == 100
    joined = np.concatenate([one.commands for one in small])
    assert joined.tobytes() == np.concatenate([one.commands for one in whole]).tobytes()


@pytest.mark.parametrize("machine", ["cython", "reference"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("count", [0, 300])
def test_every_reader_takes_the_first_version_from_the_log(
    tmp_path: Path, knows: Knows, version: int, count: int, machine: str
) -> None:
    knows(version)
    with mc.Engine.open(tmp_path / "e", instruments=WORLD if count else ()) as engine:
        if count:
            run(engine, 1, count)
        digest, sequence = engine.digest(), engine.sequence
    knows(2)
    with mc.Engine.open(tmp_path / "e", machine=machine) as engine:
        assert (engine.rules, engine.digest()) == (version, digest)
        assert (engine.sequence, engine.recovery.rules) == (sequence, version)
    for at in {0, sequence}:
        with mc.Engine.at(tmp_path / "e", sequence=at, machine=machine) as engine:
            assert (engine.rules, engine.fork().rules) == (version, version)
    assert describe(tmp_path / "e")["rules"] == version
    assert verify(tmp_path / "e")["good"]
    if count:
        assert replay(tmp_path / "e", machine)["digest"] == digest
        with mc.Follower(tmp_path / "e", Kept(), machine=machine) as follower:
            assert follower.run().sequence == sequence
        assert take(tmp_path / "e") is not None
        with mc.Engine.open(tmp_path / "e") as engine:
            assert engine.recovery.snapshot_sequence == sequence
            assert (engine.rules, engine.digest()) == (version, digest)


def test_a_state_of_another_version_than_the_log_is_damage(knows: Knows) -> None:
    knows(1)
    log = mc.MemoryLog()
    mc.Engine.memory(instruments=WORLD, log=log)
    knows(2)
    machine = mc.Machine()
    machine.apply(np.zeros(1, mc.COMMAND))
    _, frame = log.frames()
    with pytest.raises(mc.LogDamaged, match=r"under version 1 .* a state of version 2"):
        recovery.replay(machine, frame)
