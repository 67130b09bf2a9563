"""Servers that die, sleep and answer nothing: what was answered is there, once, and in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_kit import orders
from stream_kit import asked, read_back, write

from matchcore import LogFailed
from matchcore.journal.stream import Address, Servers, StreamLog, StreamReader, link, sender


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that a test may end."""
    with Servers(tmp_path_factory.mktemp("own")) as running:
        StreamLog.open(running.address("first")).close()
        yield running


def leader(servers: Servers, address: str) -> int:
    """Which of the servers leads a stream."""

    async def work(streams: Any) -> str:
        info = await streams.stream_info(Address.of(address).name)
        return str(info.cluster.leader)

    return int(asked(address, work).removeprefix("log-"))


class Writing:
    """Appends in a thread, and counts what is durable."""

    def __init__(self, address: str) -> None:
        self.log = StreamLog.open(address)
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.batches: list[np.ndarray] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            while not self.stop.is_set():
                for _ in range(3):
                    self.batches.append(orders(100, len(self.batches)))
                    self.log.append(self.batches[-1], 1)
                self.log.sync()
        except BaseException as error:
            self.error = error

    def until(self, sequence: int) -> None:
        while self.log.durable < sequence and self.error is None:
            time.sleep(0.01)
        assert self.error is None

    def end(self) -> np.ndarray:
        self.stop.set()
        self.thread.join()
        return np.concatenate(self.batches)


def test_the_leader_is_killed_under_load(own: Servers) -> None:
    address = own.address("killed")
    writing = Writing(address)
    writing.until(2000)
    at = leader(own, address)
    own.kill(at)
    writing.until(writing.log.durable + 3000)
    own.start(at)
    commands = writing.end()
    assert writing.error is None
    writing.log.close()
    assert read_back(address).tobytes() == commands.tobytes()


def test_all_servers_are_killed_at_once(own: Servers) -> None:
    address = own.address("all-killed")
    writing = Writing(address)
    writing.until(1000)
    own.kill()
    own.start()
    with StreamReader(address) as reader:
        there = reader.growth()
        writing.until(writing.log.durable + 1000)
        seen = 0
        while seen < 2000:
            there.wait(1)
            seen += sum(frame.count for frame in reader.read())
    commands = writing.end()
    assert writing.error is None
    writing.log.close()
    assert read_back(address).tobytes() == commands.tobytes()


def test_without_a_majority_nothing_is_answered(own: Servers) -> None:
    address = own.address("minority")
    log = StreamLog.open(address, patience=2)
    commands = write(log, [10])
    at = leader(own, address)
    own.pause(at)
    own.pause((at + 1) % 3)
    try:
        log.append(orders(3), 1)
        with pytest.raises(LogFailed, match="could not be appended for 2 s"):
            log.sync()
        assert log.durable == 10
    finally:
        own.resume(at)
        own.resume((at + 1) % 3)
    log.close()
    again = StreamLog.open(address)  # it may have come, or not: never half of it
    more = write(again, [2], seed=4)
    again.close()
    held = read_back(address)
    assert len(held) in (12, 15)
    assert held[:10].tobytes() == commands.tobytes()
    assert held[-2:].tobytes() == more.tobytes()


def test_a_leader_that_nobody_follows_does_not_say_where_the_log_ends(own: Servers) -> None:
    address = own.address("followed")
    log = StreamLog.open(address)
    write(log, [10])
    log.close()  # its connection is not to lose its server
    at = leader(own, address)
    others = [one for one in range(3) if one != at]
    only = f"nats://{own.urls[at]}/followed"  # stays connected
    with StreamReader(only, patience=3) as reader:
        assert sum(frame.count for frame in reader.read()) == 10
        for one in others:
            own.pause(one)
        time.sleep(3.2)  # the leader waits for ten seconds until it gives up
        try:
            with pytest.raises(LogFailed, match=f"log-{at} has not heard a majority"):
                list(reader.read())
        finally:
            for one in others:
                own.resume(one)
        assert list(reader.read()) == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(link, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0.01)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lost=st.sets(st.integers(0, 60), min_size=1, max_size=8),
    kind=st.sampled_from(["answer", "message"]),
)
def test_answers_and_messages_that_are_lost(
    addresses: Callable[[], str], impatient: None, lost: set[int], kind: str
) -> None:
    """Whether a message came is looked up, and it is never there twice."""
    address, seen = addresses(), iter(range(10**6))
    log = StreamLog.open(address)
    talker = log._sender
    with pytest.MonkeyPatch.context() as patch:
        if kind == "answer":
            answered = talker._answered

            async def deaf(message: Any) -> None:
                if next(seen) not in lost:
                    await answered(message)

            patch.setattr(talker, "_client", None)  # so that it listens anew, with this
            patch.setattr(talker, "_answered", deaf)
        else:
            client, publish = log._link.client, log._link.client.publish

            async def dumb(*args: Any, **more: Any) -> None:
                if next(seen) not in lost:
                    await publish(*args, **more)

            patch.setattr(client, "publish", dumb)
        commands = write(log, [20] * 40, sync=False)
    log.close()
    assert read_back(address).tobytes() == commands.tobytes()


def test_a_client_that_closed_itself_is_replaced(address: str) -> None:
    log = StreamLog.open(address)
    commands = write(log, [5])
    with StreamReader(address) as reader:
        assert [frame.count for frame in reader.read()] == [5]
        for one in (log._link, reader._link):
            one.call(one.client.close())
        more = write(log, [6], seed=4)
        counts: list[int] = []
        while not counts:
            reader.growth().wait(1)
            counts = [frame.count for frame in reader.read()]
        assert counts == [6]
    log.close()
    assert read_back(address).tobytes() == np.concatenate([commands, more]).tobytes()


def test_two_writers_that_open_by_turns_never_both_write(address: str) -> None:
    first = StreamLog.open(address)
    logs, done = [first], write(first, [3])
    for n in range(4):
        logs.append(StreamLog.open(address))
        done = np.concatenate([done, write(logs[-1], [2], seed=20 + n)])
    for old in logs[:-1]:
        with suppress(LogFailed):
            old.append(orders(1), 1)
            old.sync()
        assert "its epoch is 5" in old.failure or "its epoch is" in old.failure
        old.close()
    logs[-1].close()
    assert read_back(address).tobytes() == done.tobytes()
