"""An exchange on a replicated log: the same exchange, and everything that reads a log reads it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from flows import flow

import matchcore as mc
from matchcore import LogError, LogFailed
from matchcore.cli.app import app
from matchcore.engine.follower import Follower
from matchcore.engine.snapshotting import take
from matchcore.feeds.stream import Stream
from matchcore.journal import Position, identity_of
from matchcore.journal.stream import Servers
from matchcore.operations import describe, lines, replay, verify, verify_states
from matchcore.sinks import FollowerProcess, open_sink
from matchcore.sinks.sql.rebuild import rebuild
from matchcore.sinks.sql.reconcile import reconcile

WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3, max_quantity=999))


@pytest.fixture(scope="module")
def day(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """A day's log: its address, a directory with one of its snapshots, and the digest at its end.

    The same day in files has the same digest.
    """
    address, state = servers.address("day"), tmp_path_factory.mktemp("state")
    digests = []
    for place, more in ((address, {"state": state}), (tmp_path_factory.mktemp("day"), {})):
        with mc.Engine.open(place, instruments=WORLD, clock=lambda: 1, **more) as engine:
            for n in range(6):
                engine.submit_batch(flow(n, 200))
                if n == 3:
                    engine.snapshot()
            digests.append(engine.digest())
    assert digests[0] == digests[1]
    return address, state, digests[0]


def test_answers_are_replicated_and_the_exchange_opens_again(
    day: tuple[str, Path, str], address: str
) -> None:
    with mc.Engine.open(address, instruments=WORLD) as engine:
        answer = engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00"))
        assert answer.durability.policy == "replicated" and answer.durability.loss_ms_max == 0
        assert (engine.durable, engine.on_disk, engine.path) == (3, 3, None)
        digest = engine.digest()
        with pytest.raises(LogError, match="state=DIRECTORY"):
            engine.snapshot()
    with mc.Engine.open(address) as engine:
        assert engine.digest() == digest and engine.log is not None and engine.log.epoch == 2


def test_recovery_begins_at_the_snapshot(day: tuple[str, Path, str]) -> None:
    address, state, digest = day
    for place, more, replayed in (
        (address, {"state": state}, 400), (f"{address}&state={state}", {}, 400),
        (address, {}, 1202),
    ):  # fmt: skip
        with mc.Engine.at(place, **more) as engine:  # type: ignore[arg-type]  # by name
            assert (engine.recovery.commands, engine.digest()) == (replayed, digest)


def test_an_engine_that_lost_its_log_takes_no_commands_and_shows_what_is_there(
    address: str,
) -> None:
    old = mc.Engine.open(address, instruments=WORLD)
    digest = old.digest()
    new = mc.Engine.open(address)
    with pytest.raises(LogFailed, match="its epoch is 2"):
        old.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00"))
    assert old.digest() == digest == new.digest()
    with pytest.raises(LogFailed, match="accepts no more commands"):
        old.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00"))
    old.close()
    assert new.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00")).sequence == 3
    new.close()


def test_events_begin_anywhere_and_go_on(address: str) -> None:
    with mc.Engine.open(address, instruments=WORLD) as engine:
        engine.submit_batch(flow(1, 300))
        with engine.events(after=100) as events:
            got = 0
            while got < 302 - 100:
                part = events.read(10)
                assert part is not None
                got += len(part.commands)
            engine.submit_batch(flow(2, 50))
            part = events.read(10)
            assert part is not None and part.first == 303


def test_a_snapshot_is_taken_aside(address: str, tmp_path: Path) -> None:
    with mc.Engine.open(address, state=tmp_path, instruments=WORLD) as engine:
        engine.submit_batch(flow(3, 100))
        file = engine.start_snapshot().result()
        assert file.parent == tmp_path
        assert take(f"{address}&state={tmp_path}") == file
    with pytest.raises(LogError, match=r"add \?state=DIRECTORY"):
        take(address)


def test_a_fork_of_the_process_lets_go_of_the_log(address: str) -> None:
    with mc.Engine.open(address, instruments=WORLD) as engine:
        child = os.fork()
        if not child:
            try:
                engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00"))
            except LogFailed as error:
                os._exit(0 if "fork" in str(error) else 2)
            os._exit(3)
        assert os.waitpid(child, 0)[1] == 0
        assert engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00")).sequence == 3


def test_operations_read_it(day: tuple[str, Path, str]) -> None:
    address, state, digest = day
    place = f"{address}&state={state}"
    found = verify_states(place, verify(place))
    assert found["good"] and found["digest"] == digest
    assert (found["commands"], found["snapshots"], found["compared"]) == (1202, 1, 1)
    assert replay(address, "reference")["digest"] == digest
    assert describe(address)["last_sequence"] == 1202
    assert [line.sequence for line in lines(address, count=3)] == [1200, 1201, 1202]
    assert [line.sequence for line in lines(address, sequence=7, count=2)] == [7, 8]


def test_tail_follows_what_comes(address: str) -> None:
    with mc.Engine.open(address, instruments=WORLD) as engine:
        found = lines(address, count=1, follow=True)
        assert next(found).sequence == 2
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.00"))
        assert next(found).sequence == 3
        found.close()  # type: ignore[attr-defined]  # a generator


class Counting:
    """A sink that counts."""

    def __init__(self) -> None:
        self.at: Position | None = None

    def position(self) -> Position | None:
        return self.at

    def write(self, position: Position, commands: object, events: object) -> None:
        self.at = position

    def close(self) -> None:
        pass


def test_a_follower_is_pushed(address: str) -> None:
    sink = Counting()
    with mc.Engine.open(address, instruments=WORLD) as engine, Follower(address, sink) as follower:
        stop = threading.Event()
        running = threading.Thread(
            target=follower.run, kwargs={"forever": True, "stop": stop.is_set}
        )
        running.start()
        engine.submit_batch(flow(1, 500))
        while sink.at is None or sink.at.sequence < 502:
            stop.wait(0.01)
        stop.set()
        running.join()


def test_a_database_follows_and_is_compared(day: tuple[str, Path, str], tmp_path: Path) -> None:
    address, _, _ = day
    url = f"sqlite:///{tmp_path}/day.db"
    with Follower(address, open_sink(url, identity_of(address))) as follower:
        assert follower.run().sequence == 1202
    assert reconcile(address, url).equal
    assert rebuild(address, url).sequence == 1202


def test_a_follower_in_a_process_of_its_own(day: tuple[str, Path, str], tmp_path: Path) -> None:
    address, _, _ = day
    follower = FollowerProcess(address, f"sqlite:///{tmp_path}/day.db")
    while follower.sequence < 1202 and not follower.error:
        threading.Event().wait(0.02)
    assert (follower.error, follower.sequence, follower.lag) == ("", 1202, None)
    follower.close()


def test_a_feed_has_the_numbers_of_one_from_files(
    day: tuple[str, Path, str], tmp_path: Path
) -> None:
    address, _, _ = day
    with mc.Engine.open(tmp_path, instruments=WORLD, clock=lambda: 1) as engine:
        for n in range(6):
            engine.submit_batch(flow(n, 200))
    with Stream(tmp_path) as files, Stream(address) as replicated:
        for mine, theirs in zip(files.poll(), replicated.poll(), strict=True):
            assert (mine.first, mine.rows.tobytes()) == (theirs.first, theirs.rows.tobytes())
        mark = replicated.mark()
    with Stream(address, mark=mark) as again:
        assert list(again.poll()) == []


def test_a_feed_waits_in_its_event_loop(address: str) -> None:
    async def follow(engine: mc.Engine) -> None:
        with closing(Stream(address)) as stream:
            list(stream.poll())
            engine.submit_batch(flow(1, 30))
            while not list(stream.poll()):
                await stream.grown()

    with mc.Engine.open(address, instruments=WORLD) as engine:
        asyncio.run(asyncio.wait_for(follow(engine), 20))


def test_the_command_line_reads_it_and_never_shows_a_password(tmp_path: Path) -> None:
    with Servers(tmp_path / "servers", 1, user=("ada", "sesame-5")) as guarded:
        address = guarded.address("day") + "?replicas=1"
        with mc.Engine.open(address, instruments=WORLD) as engine:
            engine.submit_batch(flow(1, 20))
        for arguments in (
            ["info", address, "--json"], ["tail", address, "--json"], ["verify", address],
            ["book", address, "ONE"], ["replay", address],
            ["follow", address, "--to", f"sqlite:///{tmp_path}/a.db"],
        ):  # fmt: skip
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, result.output
            assert "sesame-5" not in result.output
        told = json.loads(CliRunner().invoke(app, ["info", address, "--json"]).output)
        assert told["epoch"] == 1


@pytest.mark.parametrize("command", ["archive", "repair", "draw"])
def test_commands_that_cannot_take_an_address_say_so(command: str) -> None:
    result = CliRunner().invoke(app, [command, "nats://a,b,c/day"])
    assert result.exit_code == 2
    assert "log in files" in " ".join(result.output.split())


_ = subprocess, sys
