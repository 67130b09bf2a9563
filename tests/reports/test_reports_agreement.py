"""The compiled reports and the oracle: the same log, every report, everything that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports_kit import Pair, cuts, session_flow, world

from matchcore.reports import ReportKind

#: What is told of instruments that have a market (test_reports_markets.py), and of busted trades.
OF_MARKETS = {
    ReportKind.TRIGGERED,
    ReportKind.REPRICED,
    ReportKind.DECREMENTED,
    ReportKind.BUSTED,
    ReportKind.QUOTE_SET,
    ReportKind.QUOTE_REJECTED,
}


@pytest.mark.parametrize("extreme", [False, True], ids=["small", "extreme"])
@pytest.mark.parametrize("remembered", [1, 3, 50, 1 << 20])
@pytest.mark.parametrize("seed", range(3))
def test_flows_agree(seed: int, remembered: int, extreme: bool) -> None:
    machine, commands = world()
    pair = Pair(remembered)
    pair.apply(commands, machine.apply(commands))
    for part in cuts(seed, session_flow(seed, 4000, extreme=extreme)):
        pair.fast.pend(part)
        pair.slow.pend(part)
        pair.look(part[:20])
        pair.apply(part, machine.apply(part))
        pair.look(part[-30:])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32),
    st.integers(1, 600),
    st.booleans(),
    st.sampled_from([1, 2, 20, 1000]),
    st.integers(2, 200),
)
def test_any_flow_agrees(
    seed: int, count: int, extreme: bool, remembered: int, longest: int
) -> None:
    machine, commands = world()
    pair = Pair(remembered)
    pair.apply(commands, machine.apply(commands))
    for part in cuts(seed, session_flow(seed, count, extreme=extreme), longest):
        pair.apply(part, machine.apply(part))
    pair.look(part)


def test_the_flows_meet_every_report() -> None:
    """The checks above are worth something only if the flows get everywhere."""
    kinds, statuses, flags = set(), set(), set()
    for seed in range(6):
        machine, commands = world()
        pair = Pair(1000)
        pair.apply(commands, machine.apply(commands))
        rows = session_flow(seed, 4000)
        reports = pair.apply(rows, machine.apply(rows))
        kinds |= set(reports["kind"].tolist())
        statuses |= set(reports["status"].tolist())
        flags |= {1 << bit for bit in range(8) if (reports["flags"] & (1 << bit)).any()}
    assert kinds - OF_MARKETS == set(ReportKind) - OF_MARKETS
    assert statuses == set(range(7))
    assert flags == {1, 2, 4, 8}


def test_numbers_have_no_gaps_and_cuts_change_nothing() -> None:
    rows = session_flow(5, 3000)
    whole: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    for longest, found in ((4000, whole), (7, parts)):
        machine, commands = world()
        pair = Pair(1000)
        pair.apply(commands, machine.apply(commands))
        found += [pair.apply(part, machine.apply(part)) for part in cuts(1, rows, longest)]
    told = np.concatenate(whole)
    assert told.tobytes() == np.concatenate(parts).tobytes()
    told = told[told["number"] > 0]
    for session in range(5):
        for day in range(int(told["day"].max()) + 1):
            mine = told[(told["session"] == session) & (told["day"] == day)]
            assert mine["number"].tolist() == list(range(1, len(mine) + 1))
