"""Engines of one replicated log in this process: races, lost leases, and servers that are away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from standby_kit import wait_until

import matchcore as mc
from matchcore.journal.stream import Address, Servers
from matchcore.journal.stream.register import Entry, Register
from matchcore.standby import Standby
from matchcore.standby.lease import LEASE_KEY, Lease, Record
from matchcore.standby.member import Member, Role

ANA = mc.Instrument("ANA", tick="0.05")
LEASE_SECONDS = 0.5


class Running:
    """A member with its lease."""

    def __init__(
        self, where: str, name: str, state: Path | None = None, seconds: float = LEASE_SECONDS
    ) -> None:
        self.register = Register(Address.of(where))
        self.lease = Lease(Entry(self.register, LEASE_KEY), name, seconds=seconds).start()
        self.told: list[str] = []
        self.led = threading.Event()
        self.member = Member(
            Standby(where, state=state), self.lease, primary=lambda engine: self.led.set(),
            ending=self.told.append, options=lambda: {"held": self.lease.held},
        ).start()  # fmt: skip

    @property
    def leads(self) -> bool:
        return self.member.role is Role.PRIMARY

    @property
    def engine(self) -> mc.Engine:
        assert self.member.engine is not None
        return self.member.engine

    def close(self) -> None:
        self.member.close()
        self.lease.close()
        self.register.close()


Start = Callable[..., Running]


@pytest.fixture
def start(where: str) -> Iterator[Start]:
    """Starts engines of a log with one instrument."""
    mc.Engine.open(where, instruments=[ANA]).close()
    with ExitStack() as stack:

        def started(name: str, *more: Path, **seconds: float) -> Running:
            one = Running(where, name, *more, **seconds)
            stack.callback(one.close)
            return one

        yield started


def sell(engine: mc.Engine, quantity: int = 1) -> mc.Answer:
    return engine.submit(mc.NewOrder("ANA", mc.Side.SELL, quantity, "95.70"))


def test_one_of_two_gets_it_and_the_other_when_that_ends(start: Start) -> None:
    # long enough for a machine that is slow: the first one keeps it until it is closed
    both = [start("one", seconds=3.0), start("two", seconds=3.0)]
    first = wait_until(lambda: next((one for one in both if one.leads), None))
    (other,) = [one for one in both if one is not first]
    sell(first.engine, 5)
    wait_until(lambda: other.lease.holder == first.lease.name)
    assert not other.leads
    log, sequence = first.engine.log, first.engine.sequence
    first.member.close()
    assert first.member.standby.position == (log.epoch, sequence)
    wait_until(lambda: other.leads)
    assert other.engine.book("ANA").best_ask.quantity == 5
    assert other.engine.log.epoch > 2 and other.engine.recovery.commands <= 1
    # What asked for the log's end has been closed since, which is no trouble of the primary.
    wait_until(lambda: all(thread.name != "matchcore-lag" for thread in threading.enumerate()))
    assert other.member.trouble == ""


def test_a_lease_that_somebody_else_has_ends_the_primary(start: Start, where: str) -> None:
    one = start("one")
    wait_until(lambda: one.leads)
    engine, (revision, _) = one.engine, one.register.read(LEASE_KEY, 5)
    with pytest.raises(mc.LogError):
        while True:  # it is renewed all the time
            sell(engine)
            thief = Record("thief", "x", 0.5, free=False).to_bytes()
            revision, _ = one.register.read(LEASE_KEY, 5)
            try:
                one.register.write(LEASE_KEY, thief, revision, 5)
            except mc.LogError:
                continue
            one.lease.beat()
            sell(engine)
    wait_until(lambda: one.member.role is Role.ENDED)
    assert "thief has taken the lease" in one.member.why_ended and one.told
    assert engine.failure is not None


def test_an_engine_without_a_lease_ends_the_primary_at_its_next_command(
    start: Start, where: str
) -> None:
    """`Engine.open` of a library user: the log itself refuses the second writer."""
    one = start("one")
    wait_until(lambda: one.leads)
    engine = one.engine
    sell(engine)
    with mc.Engine.open(where) as other:
        with pytest.raises(mc.LogFailed, match="another engine writes it now"):
            sell(engine)
        assert sell(other).sequence == 3
    wait_until(lambda: one.member.role is Role.ENDED)
    assert "another engine writes it now" in one.member.why_ended


def test_servers_without_a_majority_stop_the_primary_and_do_not_replace_it(
    start: Start, servers: Servers
) -> None:
    # long enough for a machine that is slow between the look and the pause
    one, two = start("one", seconds=3.0), start("two", seconds=3.0)
    first = wait_until(lambda: next((o for o in (one, two) if o.leads), None))
    engine, paused = first.engine, (0, 1)
    for at in paused:
        servers.pause(at)
    try:
        waiting = engine.submit_async(mc.NewOrder("ANA", mc.Side.SELL, 3, "95.70"))
        wait_until(lambda: first.lease.lost)
        assert not first.lease.lost_for_good and not waiting.done()
        assert "not renewed in time" in first.lease.lost
    finally:
        for at in paused:
            servers.resume(at)
    wait_until(lambda: waiting.done() or first.member.role is Role.ENDED)
    leader = wait_until(lambda: next((o for o in (one, two) if o.leads and not o.lease.lost), None))
    if waiting.exception() is None:
        assert waiting.result().status.name == "OPEN"
        assert leader.engine.book("ANA").best_ask.quantity == 3


def test_a_standby_keeps_snapshots_and_begins_with_them(
    start: Start, where: str, tmp_path: Path
) -> None:
    one = start("one")
    wait_until(lambda: one.leads)
    with Standby(where, state=tmp_path / "s", snapshots_every=10) as standby:
        for _ in range(40):
            sell(one.engine)
            standby.step()
        wait_until(lambda: (standby.step(), standby.position.sequence == 41)[1])
        standby.start_snapshot()
    with Standby(where, state=tmp_path / "s") as again:
        assert again.position.sequence > 10 and not again.skipped
        wait_until(lambda: (again.step(), again.position.sequence == 41)[1])
        assert again.digest() == one.engine.digest()
        again.measure()
        assert again.lag.commands == 0 and again.lag.end == 41
