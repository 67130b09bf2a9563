"""The lease, with a clock that the test moves: one holder, who stops before another begins."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import matchcore as mc
from matchcore.journal.stream.register import Changed
from matchcore.standby.lease import Lease, Record


class Shared:
    """A register that may be away, slow to tell, or take a record and not say so."""

    def __init__(self) -> None:
        self.record, self.revision, self.now = b"", 0, 0.0
        self.away = self.deaf = False

    def clock(self) -> float:
        return self.now

    def read(self, seconds: float) -> tuple[int, bytes]:
        if self.away:
            raise mc.LogFailed("no server can be reached")
        return self.revision, self.record

    def write(self, record: bytes, revision: int, seconds: float) -> int:
        if self.away:
            raise mc.LogFailed("no server can be reached")
        if revision != self.revision:
            raise Changed("somebody else")
        self.record, self.revision = record, self.revision + 1
        if self.deaf:
            raise mc.LogFailed("no answer in time")
        return self.revision


def leases(shared: Shared, *names: str) -> list[Lease]:
    return [Lease(shared, name, seconds=1.0, clock=shared.clock) for name in names]


def held(shared: Shared, *names: str) -> list[Lease]:
    """The first one has it, and all have seen that."""
    first, *others = made = leases(shared, *names)
    for _ in range(5):
        first.beat()
        shared.now += 0.25
    assert first.is_free() and first.take()
    for one in others:
        one.beat()
    return made


def test_the_first_record_is_waited_for_and_the_holder_is_named() -> None:
    one, two = held(Shared(), "one", "two")
    assert not one.lost and one.left == pytest.approx(0.9)
    assert two.holder == "one" and not two.is_free() and "has no lease" in two.lost


def test_jumps_of_the_time_of_day_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared()
    shared.record, shared.revision = Record().to_bytes(), 1  # given up
    one, two = (Lease(shared, name, seconds=3600.0) for name in ("one", "two"))
    one.beat()
    assert one.take()
    two.beat()
    for days in (1, -1, 365, -365):
        now = time.time_ns() + days * 86_400 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        monkeypatch.setattr(time, "time", lambda now=now: now / 1e9)
        assert not one.lost and not two.is_free()
        one.beat()
        two.beat()
        assert not one.lost and not two.is_free() and two.holder == "one"
        monkeypatch.undo()


def test_it_is_free_when_nothing_was_renewed_for_its_time() -> None:
    shared = Shared()
    one, two, three = held(shared, "one", "two", "three")
    for _ in range(4):
        shared.now += 0.25
        two.beat()
        three.beat()
    assert "not renewed in time: this engine was paused" in one.lost
    assert two.is_free() and two.take() and not two.lost
    assert three.is_free() and not three.take()
    one.beat()
    assert one.lost_for_good == "one is not primary any more: two has taken the lease"
    with pytest.raises(mc.LogFailed, match="two has taken"):
        one.held()


def test_who_could_not_look_does_not_take_it() -> None:
    shared = Shared()
    one, two = held(shared, "one", "two")
    shared.away = True
    for _ in range(8):
        shared.now += 0.25
        one.beat()
        two.beat()
    assert "no server" in one.lost and not one.lost_for_good and not two.is_free()
    shared.away = False
    two.beat()
    assert not two.is_free()  # it counts from now on
    one.beat()
    assert not one.lost


def test_it_is_given_up_when_nobody_can_be_reached_for_long() -> None:
    shared = Shared()
    (one,) = held(shared, "one")
    one._patience, one.seconds = 2.0, 0.01
    shared.away, shared.now = True, shared.now + 1
    clock = itertools.count(shared.now, 0.25)  # it moves whenever it is asked
    one._clock = lambda: next(clock)
    with pytest.raises(mc.LogFailed, match="nothing came for 2 s"):
        one.held()
    assert one.lost_for_good


def test_a_renewal_that_was_taken_and_not_acknowledged_is_its_own() -> None:
    shared = Shared()
    one, two = held(shared, "one", "two")
    shared.deaf = True
    one.beat()
    shared.deaf, shared.now = False, shared.now + 0.5
    one.beat()
    assert not one.lost and one.left == pytest.approx(0.9)
    two.beat()
    assert two.holder == "one"


def test_it_is_given_up_to_the_one_that_is_asked_for() -> None:
    shared = Shared()
    one, two, three = held(shared, "one", "two", "three")
    three.ask_for("three")
    one.beat()
    assert one.wanted == "three" and not one.lost
    one.give_up(one.wanted)
    for lease in (one, two, three):
        lease.beat()
    assert not one.is_free() and not two.is_free() and three.is_free()
    shared.now += 0.5
    two.beat()
    shared.now += 0.5
    two.beat()
    assert two.is_free()  # three did not come


def test_what_is_no_record_is_of_nobody_and_expires() -> None:
    shared = Shared()
    (one,) = leases(shared, "one")
    for junk in (b"\xff", b"[]", b'{"name": 7}', b'{"seconds": -1}', b'{"more": 1}', b"x" * 9000):
        shared.record, shared.revision = junk, shared.revision + 1
        one.beat()
        assert one.holder == "(unreadable)" and not one.is_free()
    for _ in range(4):
        shared.now += 0.25
        one.beat()
    assert one.is_free() and one.take()


def test_a_server_that_is_behind_is_not_believed() -> None:
    shared = Shared()
    one, two = held(shared, "one", "two")
    one.beat()
    two.beat()
    shared.record, shared.revision = Record(free=True).to_bytes(), 1
    two.beat()
    assert two.holder == "one"


class Many(RuleBasedStateMachine):
    """Whatever happens in whatever order, no two believe that they hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = Shared()
        self.leases = leases(self.shared, "one", "two", "three")

    @rule(who=st.integers(0, 2))
    def beat(self, who: int) -> None:
        self.leases[who].beat()

    @rule(who=st.integers(0, 2))
    def take(self, who: int) -> None:
        lease = self.leases[who]
        if lease.is_free():
            try:
                lease.take()
            except mc.LogFailed:
                assert lease.lost

    @rule(who=st.integers(0, 2), to=st.sampled_from(["", "one", "two", "nobody"]))
    def give_up(self, who: int, to: str) -> None:
        self.leases[who].give_up(to)

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.25, 0.5, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.shared.now += seconds

    @rule(who=st.integers(0, 2), times=st.integers(1, 6))
    def watch(self, who: int, times: int) -> None:
        """One of them looks, or renews, in good time."""
        for _ in range(times):
            self.shared.now += 0.25
            self.leases[who].beat()
            self.one_holder()

    @rule(who=st.integers(0, 2))
    def wait_and_take(self, who: int) -> None:
        """As an engine does."""
        self.watch(who, 5)
        self.take(who)

    @rule(away=st.booleans(), deaf=st.booleans())
    def network(self, away: bool, deaf: bool) -> None:
        self.shared.away, self.shared.deaf = away, deaf

    @invariant()
    def one_holder(self) -> None:
        assert sum(not lease.lost for lease in self.leases) <= 1


Many.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_no_two_hold_it = Many.TestCase
