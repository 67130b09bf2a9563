"""Bugs of group commit, of the policy `interval` and of encryption, planted and found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from matchcore.engine import engine as engines
from matchcore.engine._queue import Submission
from matchcore.engine.pipeline import Pipeline
from matchcore.engine.submissions import Promise
from matchcore.errors import LogError
from matchcore.journal import FileLog
from matchcore.journal.segments import Walk
from matchcore.torture.disk import EIO, POWER_BEFORE, Fault
from matchcore.torture.flow import Broken
from matchcore.torture.plans import Plan, Run, Step

#: Groups, single commands and time between them, and a snapshot for whoever goes on.
STEPS = (
    Step("batch", 5), Step("group", 6), Step("snapshot"),
    *(Step("single", 2), Step("group", 8)) * 4, Step("wait", 3), Step("batch", 60),
    *(Step("single", 3),) * 6, Step("wait", 15), Step("group", 9), *(Step("batch", 7),) * 12,
)  # fmt: skip
ENDS = (POWER_BEFORE, EIO)


def found(what: str, **shape: Any) -> bool:
    """Whether that is said of an exchange that loses its power, or its disk, along the way."""
    for at in range(8, 110, 5):
        faults = (Fault(at, ENDS[at % 2]), Fault(at + 9, POWER_BEFORE))
        try:
            Run(Plan(at, STEPS, faults, **shape)).go()
        except Broken as error:
            if what in str(error):
                return True
    return False


def test_without_a_bug_nothing_is_found() -> None:
    for number in range(8, 110, 33):
        faults = (Fault(number, ENDS[number % 2]), Fault(number + 9, POWER_BEFORE))
        Run(Plan(number, STEPS, faults, policy="interval", cipher="sm4-gcm", hash="sm3")).go()


def test_an_interval_that_never_ends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(log: FileLog) -> float | None:
        return None if log._since is None else 1e9

    monkeypatch.setattr(FileLog, "sync_due", property(never))
    assert found("ms are lost", policy="interval")


def test_an_interval_that_begins_again_with_each_answer_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync = FileLog.sync

    def anew(log: FileLog, *, to_disk: bool = False) -> None:
        sync(log, to_disk=to_disk)
        if log._since is not None:
            log._since = log._disk.monotonic()

    monkeypatch.setattr(FileLog, "sync", anew)
    assert found("ms are lost", policy="interval")


def test_an_answer_before_the_group_is_synced_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def early(real: Callable[..., Any]) -> Callable[..., Any]:
        def answered(pipeline: Pipeline, machine: Any, submission: Submission, *given: Any) -> Any:
            placed = real(pipeline, machine, submission, *given)
            if isinstance(submission, Promise):
                submission.done()
            return placed

        return answered

    for name in ("place", "place_batch"):
        monkeypatch.setattr(Pipeline, name, early(getattr(Pipeline, name)), raising=False)
    assert found("were acknowledged")


def test_answers_out_of_turn_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def reversed_(pipeline: Pipeline, submissions: list[Submission]) -> None:
        pipeline.safe.extend(reversed(submissions))

    monkeypatch.setattr(Pipeline, "_pass_on", reversed_)
    assert found("came behind")


def test_a_failed_group_that_is_answered_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pipeline, "_give_up", lambda *given: None)
    assert found("were acknowledged")


def test_an_engine_that_shows_nothing_after_an_error_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*given: object) -> None:
        raise LogError("nobody can read that")

    monkeypatch.setattr(engines, "at_durable", refuse)
    assert found("after an error nothing is shown")


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "sm4-gcm"])
def test_a_nonce_that_comes_twice_is_found(monkeypatch: pytest.MonkeyPatch, cipher: str) -> None:
    begin = FileLog.__init__

    def counted(log: FileLog, *given: Any, **named: Any) -> None:
        begin(log, *given, **named)
        log._nonce = bytes(len(log._nonce))

    monkeypatch.setattr(FileLog, "__init__", counted)
    assert found("a nonce came twice", cipher=cipher, hash="sm3")


def test_a_chain_that_forgets_its_hash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt = FileLog._adopt

    def forgetful(log: FileLog, walk: Walk) -> None:
        adopt(log, walk)
        log.hash = 0

    monkeypatch.setattr(FileLog, "_adopt", forgetful)
    assert found("no disk lied, but opening says", hash="sm3")
