"""Reports that are kept: resend, days, drop copies, restarts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reports_kit import SESSIONS, cuts, session_flow, world

from matchcore import EVENT, Machine
from matchcore.errors import ReportsError
from matchcore.reports import REPORT, ReportFlag, Reports

EXCHANGE = b"exchange of test"
Part = tuple[NDArray[np.void], NDArray[np.void]]


def log(seed: int, count: int, longest: int = 300) -> list[Part]:
    """Commands with their events."""
    machine, commands = world()
    parts = [commands, *cuts(seed, session_flow(seed, count), longest)]
    return [(part, machine.apply(part)) for part in parts]


def told(reports: Reports, parts: Iterable[Part]) -> NDArray[np.void]:
    return np.concatenate([np.empty(0, REPORT), *(reports.apply(*part) for part in parts)])


def check(reports: Reports, all_told: NDArray[np.void]) -> None:
    """What is read is what was told."""
    for day in (reports.day, reports.day - 1):
        for session in range(SESSIONS):
            mine = (all_told["session"] == session) & (all_told["day"] == day)
            want = all_told[mine & (all_told["number"] > 0)]
            assert reports.read(session, 1, 10**6, day=day).tobytes() == want.tobytes()
    for session in range(SESSIONS):
        assert len(reports.read(session, 1, 10**6)) == reports.last(session)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 1500), st.integers(2, 400))
def test_what_is_read_is_what_was_told(seed: int, count: int, longest: int) -> None:
    with Reports() as reports:
        check(reports, told(reports, log(seed, count, longest)))


def test_days_before_yesterday_are_gone(tmp_path: Path) -> None:
    with Reports(tmp_path) as reports:
        told(reports, log(1, 6000))
        assert reports.day > 3
        assert len(reports.read(0, 1, 10, day=reports.day - 2)) == 0
        kept = {f"reports-{day}" for day in (reports.day, reports.day - 1)}
        assert {path.name for path in tmp_path.glob("reports-*")} <= kept


def plain_copy(all_told: NDArray[np.void], accounts: Iterable[int] | None) -> NDArray[np.void]:
    """The copy of one day, from all its reports in the order of the log."""
    chosen = (all_told["number"] > 0) & (all_told["flags"] & ReportFlag.COPY == 0)
    if accounts is not None:
        chosen &= np.isin(all_told["account"], [*accounts])
    mine = all_told[chosen]
    mine["number"] = np.arange(1, len(mine) + 1)
    return mine


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32),
    st.integers(1, 2500),
    st.sampled_from([None, [0], [1, 2], [7]]),
    st.floats(0, 1),
)
def test_a_copy_is_the_same_whenever_it_began(
    seed: int, count: int, accounts: list[int] | None, when: float
) -> None:
    parts = log(seed, count)
    begin = int(when * len(parts))
    with Reports() as reports:
        before = told(reports, parts[:begin])
        reports.copy("firm", accounts)
        day, live, rest = reports.day, [], []
        for part in parts[begin:]:
            rest.append(reports.apply(*part))
            live.append(reports.copied.get("firm", np.empty(0, REPORT)))
        everything = np.concatenate([before, *rest])
        for wanted in {day, reports.day} & {reports.day, reports.day - 1}:
            want = plain_copy(everything[everything["day"] == wanted], accounts)
            assert reports.read_copy("firm", 1, 10**6, day=wanted).tobytes() == want.tobytes()
        assert reports.last_copy("firm") == len(reports.read_copy("firm", 1, 10**6))
        heard = np.concatenate([np.empty(0, REPORT), *live])
        later = plain_copy(everything[everything["day"] > day], accounts)
        assert [*heard["sequence"][heard["day"] > day]] == [*later["sequence"]]


def test_one_command_with_more_reports_than_a_piece() -> None:
    """A mass cancel of thousands of orders: the merge takes it whole."""
    machine, commands = world()
    rows = session_flow(0, 5000)
    rows["kind"], rows["order_id"], rows["time_in_force"], rows["order_type"] = 1, 0, 1, 1
    rows["side"], rows["price"], rows["flags"], rows["client_order_id"] = 1, 100, 0, 0
    rows["instrument"], rows["quantity"], rows["session"] = 2, 3, np.arange(5000) % 2
    rows["account"] = 5
    sweep = np.zeros(1, rows.dtype)
    sweep["kind"], sweep["session"] = 5, 1
    with Reports() as reports:
        everything = told(
            reports, [(part, machine.apply(part)) for part in (commands, rows, sweep)]
        )
        assert len(everything) > 9000
        reports.copy("all", None)
        want = plain_copy(everything, None)
        assert reports.read_copy("all", 1, 10**6).tobytes() == want.tobytes()


# ---------------------------------------------------------------------- restarts


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 2500), st.floats(0, 1), st.floats(0, 1))
def test_a_restart_goes_on_where_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, at: float, more: float
) -> None:
    """Also if it went on after that and was killed: the file is written over with the same."""
    directory, parts = tmp_path_factory.mktemp("reports"), log(seed, count)
    saved = int(at * len(parts))
    killed = saved + int(more * (len(parts) - saved))
    with Reports(directory, identity=EXCHANGE, remembered=100) as first:
        first.copy("firm", [1, 2])
        before = told(first, parts[:saved])
        first.save(epoch=4)
        told(first, parts[saved:killed])
    with Reports(directory, identity=EXCHANGE, remembered=100) as again:
        assert (again.rebuilt, again.epoch) == ("", 4)
        assert again.sequence == sum(len(commands) for commands, _ in parts[:saved])
        again.copy("firm", [1, 2])  # it has it
        everything = np.concatenate([before, told(again, parts[saved:])])
        check(again, everything)
        want = plain_copy(everything[everything["day"] == again.day], [1, 2])
        assert again.read_copy("firm", 1, 10**6).tobytes() == want.tobytes()
    with Reports(remembered=100) as whole:
        assert told(whole, parts).tobytes() == everything.tobytes()


def saved_in(directory: Path) -> list[Part]:
    parts = log(2, 2000)
    with Reports(directory, identity=EXCHANGE) as reports:
        told(reports, parts)
        reports.save()
    return parts


@pytest.mark.parametrize(
    "damage", ["state byte", "state end", "state line", "no state", "no spool"]
)
def test_what_is_damaged_is_rebuilt(tmp_path: Path, damage: str) -> None:
    parts = saved_in(tmp_path)
    state = tmp_path / "state"
    data = bytearray(state.read_bytes())
    if damage == "state byte":
        data[len(data) // 2] ^= 1
    elif damage == "state end":
        del data[-1:]
    elif damage == "state line":
        data[20] ^= 1
    state.write_bytes(data)
    if damage == "no state":
        state.unlink()
    if damage == "no spool":
        for path in tmp_path.glob("reports-*"):
            path.unlink()
    with Reports(tmp_path, identity=EXCHANGE) as reports:
        assert reports.rebuilt and reports.sequence == 0
        check(reports, told(reports, parts))


@pytest.mark.parametrize("change", [{"identity": b"another exchange"}, {"remembered": 77}])
def test_another_exchange_or_size_is_rebuilt(tmp_path: Path, change: dict[str, object]) -> None:
    parts = saved_in(tmp_path)
    with Reports(tmp_path, **{"identity": EXCHANGE, **change}) as reports:  # type: ignore[arg-type]  # of either
        assert reports.rebuilt and reports.sequence == 0
        check(reports, told(reports, parts))


def test_a_spool_that_was_cut_off_is_named_when_it_is_read(tmp_path: Path) -> None:
    saved_in(tmp_path)
    for path in tmp_path.glob("reports-*"):
        os.truncate(path, 100)
    with Reports(tmp_path, identity=EXCHANGE) as reports:
        assert not reports.rebuilt
        with pytest.raises(ReportsError, match="cut off"):
            reports.read(1, 1, 1000)


def test_a_spool_with_other_reports_is_named_when_it_is_read(tmp_path: Path) -> None:
    saved_in(tmp_path)
    for path in tmp_path.glob("reports-*"):
        path.write_bytes(bytes(len(path.read_bytes())))
    with (
        Reports(tmp_path, identity=EXCHANGE) as reports,
        pytest.raises(ReportsError, match="damaged"),
    ):
        for session in range(SESSIONS):
            reports.read(session, 1, 1000)


def test_another_format_is_rebuilt(tmp_path: Path) -> None:
    saved_in(tmp_path)
    state = tmp_path / "state"
    line, _, body = state.read_bytes().partition(b"\n")
    head = json.loads(line.rpartition(b" ")[0])
    text = json.dumps(head | {"format": 2}).encode()
    state.write_bytes(
        text + b" " + hashlib.blake2b(text, digest_size=16).hexdigest().encode() + b"\n" + body
    )
    with Reports(tmp_path, identity=EXCHANGE) as reports:
        assert "format 2" in reports.rebuilt


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    with Reports(tmp_path), pytest.raises(ReportsError, match="another process"):
        Reports(tmp_path)
    Reports(tmp_path).close()


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from matchcore.reports import Reports;"
        "Reports(sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    Reports(tmp_path).close()


def test_a_place_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportsError, match="file"):
        Reports(tmp_path / "file")


# ---------------------------------------------------------------------- wrong use


def test_commands_and_events_must_follow() -> None:
    parts = log(3, 500)
    for wrong in (
        [parts[0], parts[2]],  # a gap
        [parts[0], parts[0]],  # twice
        [(parts[0][0], parts[0][1][:-1])],  # events missing
        [(parts[0][0][:-1], parts[0][1])],  # commands missing
        [(parts[0][0], np.empty(0, EVENT))],
    ):
        with Reports() as reports, pytest.raises(ReportsError, match="do not follow"):
            told(reports, wrong)
    with Reports() as reports, pytest.raises(ReportsError, match="not known"):
        told(reports, parts[3:])  # begins in the middle
    with Reports() as reports, pytest.raises(TypeError):
        reports.apply(parts[0][0], parts[0][0])
    with Reports() as reports:
        assert len(reports.apply(parts[0][0][:0], parts[0][1][:0])) == 0


@pytest.mark.parametrize("remembered", [0, -1, 2**31, 1.5, None])
def test_a_wrong_number_to_remember_is_refused(remembered: object) -> None:
    with pytest.raises(ValueError, match="remembered"):
        Reports(remembered=remembered)  # type: ignore[arg-type]  # the wrong types are the point


def test_a_machine_of_its_own_is_not_needed() -> None:
    """Reports need commands and events only, whoever applied them."""
    machine = Machine()
    _, commands = world()
    with Reports() as one, Reports() as other:
        for part in [commands, *cuts(9, session_flow(9, 300))]:
            events = machine.apply(part)
            assert one.apply(part, events).tobytes() == other.apply(part, events).tobytes()
