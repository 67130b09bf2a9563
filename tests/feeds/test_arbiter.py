"""Lines put together: whatever is dropped, repeated or comes late, each change once, in order."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore.errors import FeedError
from matchcore.feeds import Changes
from matchcore.feeds.client.arbiter import (
    SILENCE_SECONDS,
    Arbiter,
    HistoryChanged,
    HistoryRefused,
)
from matchcore.feeds.client.coverage import Coverage
from matchcore.records.changes import CHANGE

HERE, OTHER = b"h" * 16, b"o" * 16


def row_bytes(number: int, history: int = 0) -> bytes:
    row = np.zeros(1, CHANGE)
    row["sequence"], row["order_id"], row["kind"] = number // 3 + 1, history, 1
    return row.tobytes()


def changes(first: int, last: int, epoch: int = 1, history: int = 0) -> Changes:
    data = b"".join(row_bytes(number, history) for number in range(first, last + 1))
    return Changes(first, epoch, np.frombuffer(data, CHANGE))


def started(first: int = 1, names: str = "AB", **more: float) -> Arbiter:
    arbiter = Arbiter(names, first=first, **more)
    for name in names:
        arbiter.greet(name, HERE, 0, first, 0.0)
        arbiter.begin(name, first)
    return arbiter


def numbers(found: list[Changes]) -> list[int]:
    return [number for one in found for number in range(one.first, one.last + 1)]


class Network:
    """A line that cuts the changes in its own way, and drops, repeats and reorders frames."""

    def __init__(self, last: int, chance: random.Random) -> None:
        frames, at = [], 1
        while at <= last:
            end = min(last, at + chance.randint(0, 6))
            frames.append((at, end))
            at = end + 1
        loss, doubled = chance.choice([0.0, 0.1, 0.5, 1.0]), chance.choice([0.0, 0.3])
        kept = [one for one in frames for _ in range(1 + (chance.random() < doubled))
                if chance.random() >= loss]  # fmt: skip
        late = chance.choice([0, 3, 30])
        order = [(at + chance.uniform(0, late), one) for at, one in enumerate(kept)]
        self.frames: Iterator[tuple[int, int]] = iter([one for _, one in sorted(order)])


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32), last=st.integers(1, 120), patience=st.sampled_from([0.02, 5.0]),
    order=st.sampled_from([0.0, 0.01]),
)  # fmt: skip
def test_each_change_once_and_in_order_whatever_happens(
    seed: int, last: int, patience: float, order: float
) -> None:
    """Two lines; what is asked for again is answered in part, late, twice, or not at all."""
    chance = random.Random(seed)
    arbiter = started(patience=patience, order_seconds=order)
    lines = {name: Network(last, chance) for name in "AB"}
    got: list[Changes] = []
    now, snapshots = 0.0, 0
    while arbiter.next <= last:
        now += chance.uniform(0, 0.05)
        for name in "AB":
            frame = next(lines[name].frames, None) if chance.random() < 0.7 else None
            if frame is not None:
                got += arbiter.take(name, changes(*frame), now)
            elif chance.random() < 0.1:
                arbiter.beat(name, last, now)
        ask = arbiter.due(now)
        if ask is None:
            now += chance.choice([0.0, 0.0, 20.0])
            continue
        assert ask.first == arbiter.next <= ask.last
        fate = chance.random()
        if not ask.line:
            assert fate < 2 and numbers(got) == list(range(1, arbiter.next))
            snapshots += 1  # as if some line had them after all
            got += arbiter.take("A", changes(ask.first, ask.last), now)
        elif fate < 0.2:
            arbiter.not_here(ask.line, ask.last)
        elif fate < 0.8:
            middle = chance.randint(ask.first, ask.last)
            for _ in range(chance.randint(1, 2)):
                got += arbiter.take(ask.line, changes(ask.first, middle), now)
    assert numbers(got) == list(range(1, last + 1))
    assert b"".join(one.rows.tobytes() for one in got) == changes(1, last).rows.tobytes()
    assert arbiter.due(now) is None and not arbiter.waits
    for health in arbiter.health(now):
        assert health.state == "connected" and 0 <= health.lost <= last
    assert sum(health.first for health in arbiter.health(now)) == last


def test_the_first_wins_and_the_other_is_compared() -> None:
    arbiter = started()
    assert numbers(arbiter.take("A", changes(1, 4), 1.0)) == [1, 2, 3, 4]
    assert arbiter.take("B", changes(1, 3), 1.5) == []
    assert numbers(arbiter.take("B", changes(4, 6), 2.0)) == [5, 6]
    assert arbiter.take("A", changes(5, 6), 2.25) == []
    a, b = arbiter.health(2.5)
    assert (a.first, b.first, a.received, b.received) == (4, 2, 6, 6)
    assert (a.lead_seconds, b.lead_seconds) == (1.0, 0.25)
    assert (a.lost, b.lost, a.repeated, b.repeated) == (0, 0, 0, 0)


def test_a_line_that_loses_is_named_and_the_other_fills() -> None:
    arbiter = started()
    arbiter.take("A", changes(1, 2), 1.0)
    assert arbiter.take("A", changes(5, 6), 1.1) == []
    assert arbiter.due(1.1) is None  # B may still bring it
    assert numbers(arbiter.take("B", changes(1, 5), 1.2)) == [3, 4, 5, 6]
    arbiter.take("A", changes(5, 6), 1.3)
    a, b = arbiter.health(1.3)
    assert (a.lost, a.repeated, b.lost) == (2, 2, 0)
    arbiter.take("A", changes(3, 3), 1.4)  # late
    assert arbiter.health(1.4)[0].lost == 1


def test_what_all_lines_passed_is_asked_for_once_on_each() -> None:
    arbiter = started()
    for name, last in (("A", 8), ("B", 9)):
        arbiter.take(name, changes(4, last), 1.0)
    asked = arbiter.due(1.0)
    assert asked == ("B", 1, 3)  # it knows more
    assert arbiter.due(1.1) is None
    arbiter.not_here("B", 3)
    assert arbiter.due(1.1) == ("A", 1, 3)
    assert numbers(arbiter.take("A", changes(1, 2), 1.2)) == [1, 2]
    assert arbiter.due(5.0) is None  # the rest is on its way
    assert arbiter.due(100.0) == ("", 3, 3)  # no answer came, nobody has it
    arbiter.restart(12, 1)
    assert arbiter.due(100.0) is None
    assert numbers(arbiter.take("B", changes(10, 14), 100.0)) == [13, 14]


def test_the_last_one_lost_is_noticed_by_the_heartbeat() -> None:
    arbiter = started(names="A")
    arbiter.take("A", changes(1, 2), 1.0)
    arbiter.beat("A", 3, 2.0)
    assert arbiter.waits and arbiter.due(2.0) == ("A", 3, 3)


def test_a_line_that_still_brings_it_is_waited_for_while_it_speaks() -> None:
    arbiter = started()
    arbiter.take("A", changes(5, 6), 1.0)
    arbiter.beat("B", 0, 100.0)
    assert arbiter.due(100.0) is None
    assert arbiter.due(100.0 + SILENCE_SECONDS) == ("A", 1, 4)
    assert [one.stale for one in arbiter.health(100.0 + SILENCE_SECONDS)] == [True, True]


def test_another_exchange_is_refused_by_name() -> None:
    arbiter = Arbiter("AB", first=1)
    arbiter.greet("A", HERE, 1, 10, 0.0)
    with pytest.raises(HistoryRefused, match=f"line B: exchange {OTHER.hex()}, and not") as caught:
        arbiter.greet("B", OTHER, 1, 10, 0.0)
    assert caught.value.line == "B" and "exchange" in arbiter.refused("B")
    assert [one.state for one in arbiter.health(0.0)] == ["connected", "refused"]


def test_an_epoch_that_goes_back_is_refused() -> None:
    arbiter = started()
    arbiter.take("A", changes(1, 5, epoch=3), 1.0)
    with pytest.raises(HistoryRefused, match="number 9 is of epoch 2, and number 5 was of 3"):
        arbiter.greet("B", HERE, 2, 10, 1.0)
    arbiter = started()
    arbiter.take("B", changes(6, 7, epoch=2), 1.0)
    assert numbers(arbiter.take("A", changes(1, 5, epoch=3), 1.0)) == [1, 2, 3, 4, 5]
    assert "another history" in arbiter.refused("B")
    arbiter.greet("A", HERE, 2, 3, 1.0)  # one that is late is not refused


def test_a_line_that_says_something_else_is_refused() -> None:
    arbiter = started()
    arbiter.take("A", changes(1, 5), 1.0)
    arbiter.take("B", changes(7, 8, history=1), 1.0)
    with pytest.raises(HistoryRefused, match="line B: other changes at number 4"):
        arbiter.take("B", changes(4, 6, history=1), 1.0)
    assert numbers(arbiter.take("A", changes(6, 7), 1.0)) == [6, 7]  # nothing of B was kept
    assert arbiter.due(1.0) is None


def test_a_later_epoch_that_says_something_else_ends_it() -> None:
    """What was given is not in the exchange's log: nothing that comes can mend that."""
    arbiter = started()
    arbiter.take("A", changes(1, 5), 1.0)
    with pytest.raises(HistoryChanged, match="from number 5 on"):
        arbiter.take("B", changes(5, 6, epoch=2, history=1), 1.0)


def test_a_snapshot_must_not_go_back() -> None:
    arbiter = started()
    arbiter.take("A", changes(1, 5, epoch=2), 1.0)
    for number, epoch in ((4, 2), (9, 1)):
        with pytest.raises(FeedError, match=f"a snapshot of number {number}"):
            arbiter.restart(number, epoch)


def test_what_it_keeps_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matchcore.feeds.client.arbiter.AHEAD_MAX", 10)
    arbiter = started(names="A")
    for number in range(2, 100):
        assert arbiter.take("A", changes(number, number), 1.0) == []
    assert numbers(arbiter.take("A", changes(1, 1), 1.0)) == list(range(1, 12))
    assert arbiter.due(1.0) == ("A", 12, 99)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), min_size=1))
def test_coverage_counts_as_a_set_does(runs: list[tuple[int, int]]) -> None:
    coverage, came = Coverage(), set[int]()
    coverage.start(runs[0][0])
    for first, more in runs:
        first = max(first, runs[0][0])
        wanted = set(range(first, first + more + 1))
        assert coverage.add(first, first + more) == len(wanted - came)
        came |= wanted
    assert coverage.at == max(came) + 1
    assert coverage.lost == len(set(range(runs[0][0], coverage.at)) - came)


def test_a_line_that_was_never_reached_may_still_have_what_is_missing() -> None:
    arbiter = Arbiter(["a", "b"], first=1)
    arbiter.greet("a", b"i" * 16, 1, 10, 0.0)
    arbiter.begin("a", 10)
    asked = arbiter.due(0.0)
    assert asked is not None and (asked.line, asked.first, asked.last) == ("a", 1, 9)
    arbiter.not_here("a", 9)
    assert arbiter.due(1.0) is None
    arbiter.away("b", "refused by its machine")
    asked = arbiter.due(1.0)
    assert asked is not None and asked.line == ""
