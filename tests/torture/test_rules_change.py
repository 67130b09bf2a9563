"""A log that is upgraded half-way: the bench crosses the change, and finds who does not."""

from __future__ import annotations

import numpy as np
import pytest

import matchcore as mc
from matchcore.engine import recovery
from matchcore.journal import Frame
from matchcore.machine import Machine
from matchcore.records.schema import RULES_LATEST
from matchcore.torture.bench import Bench
from matchcore.torture.flow import Broken, Ledger, applied, commands, fresh_machine, reference, sent
from matchcore.torture.kills import digests
from matchcore.torture.plans import Plan, Run, Step, crossing

STEPS = (
    Step("batch", 90), Step("snapshot"), Step("upgrade"), Step("batch", 90), Step("reopen"),
    Step("batch", 20),
)  # fmt: skip


def test_the_bench_crosses_the_change_under_faults() -> None:
    report = Bench(seed=3).run(cases={"rules": 12})
    assert report.good, report.failures
    (tally,) = (one for one in report.tallies if one.kind == "rules")
    assert tally.cases == 12 and tally.crashes


def test_a_plan_begins_under_the_first_rules_and_upgrades_once() -> None:
    plan = crossing(5)
    assert plan.rules == 1 and [step.what for step in plan.steps].count("upgrade") == 1
    assert Plan.from_plain(plan.as_plain()) == plan
    run = Run(Plan(5, STEPS, rules=1))
    run.go()
    (at,) = np.flatnonzero(run.stream["kind"] == mc.Kind.UPGRADE_RULES)
    assert at == 90 and len(sent(run.stream)) == 200
    _, events, starts = reference(run.stream, 1)
    long = np.flatnonzero(run.stream["session"])
    unknown = [events["reason"][starts[one]] == mc.Reason.UNSUPPORTED for one in long]
    assert any(unknown) and not any(unknown[np.searchsorted(long, at) :])


def test_a_machine_that_does_not_change_its_rules_on_replay_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def passed_over(machine: Machine, part: Frame) -> np.ndarray:
        return machine.apply(part.commands)  # refuses it as a kind that nobody knows

    monkeypatch.setattr(recovery, "upgrade", passed_over)
    Run(Plan(5, STEPS)).go()
    with pytest.raises(Broken, match="the state is not that of its commands"):
        Run(Plan(5, STEPS, rules=1)).go()


@pytest.mark.parametrize("at", [0, 1, 60, 120])
def test_both_machines_answer_alike_over_the_change(at: int) -> None:
    plan = Plan(9, (Step("batch", at), Step("upgrade"), Step("batch", 120 - at)), rules=1)
    run = Run(plan)
    run.go()
    machine, expected, _ = reference(run.stream, 1)
    mine = fresh_machine("cython", 1)
    assert applied(mine, run.stream).tobytes() == expected.tobytes()
    assert mine.digest() == machine.digest() and machine.rules == RULES_LATEST
    ledger = Ledger()
    ledger.take(expected)
    ledger.agrees(machine)


def test_every_way_to_a_state_crosses_the_change() -> None:
    count, _ = digests(4)
    assert count >= 6
    assert len(commands(4, 2000)) == 2000


def test_a_log_that_fails_at_its_first_command_shows_the_rules_that_it_began_under() -> None:
    outcome = Run(Plan(1, (Step("batch", 9),), room=953, segment_bytes=20_000, rules=1)).go()
    assert outcome.errors == 1
