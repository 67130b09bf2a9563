"""Verification of an exchange directory: log, snapshots, and that they belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.starts import snapshot_files
from ..errors import LogDamaged, SnapshotDamaged, UnknownRules
from ..journal import (
    Keys,
    Place,
    Report,
    Where,
    first_sequence,
    late_beginning,
    missed,
    place_of,
    published,
    snapshots,
    unencrypted,
)
from ..journal import verify as verify_log
from ..records.rules import checked_rules
from .replay import replay
from .snapshots import check_if_there, is_on_log

if TYPE_CHECKING:
    from ..journal.stream import Address


def verify(
    path: Where,
    *,
    jobs: int = 0,
    keys: Keys | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Checks every segment and every snapshot, and that they belong together: JSON-ready values.

    Damage is no error here: ``good`` is False then, and ``findings`` names each file, offset and
    sequence.  ``not_there``: commands that the writer published as safe and that are not in the
    log.  ``jobs``: processes that walk segments at once, 0 for as many as are worth it.  Of
    encrypted files without ``keys``, structure and chain are checked.  ``progress`` receives the
    number of bytes read.
    """
    directory = place_of(path)
    if not isinstance(directory, Path):
        return _verify_replicated(directory, keys, progress)
    hint = published(directory)  # first: an engine at work goes on
    report = verify_log(directory, progress, keys=keys, jobs=jobs)
    _check_rules(directory, report)
    late = settled = False
    while not settled:  # an engine may take other snapshots meanwhile, and segments be archived
        there = first_sequence(directory), snapshots.listing(directory)
        checked, reached, findings = _snapshots_found(directory, report, keys)
        begins = first_sequence(directory)
        late = report.good and begins > reached + 1
        settled = not late or there == (begins, snapshots.listing(directory))
    if late:
        first = min(directory.glob("journal-*.mcj"))
        findings.append(asdict(late_beginning(first, begins, reached + 1)))
    findings = [*(asdict(finding) for finding in report.findings), *findings]
    identity, end = bytes.fromhex(report.identity), report.last_sequence
    wrong = missed(hint, directory, identity, end) if report.good else None
    if wrong is not None and all(one["sequence"] <= end for one in findings):  # said already
        place = {"path": wrong.path, "offset": wrong.offset, "sequence": wrong.sequence}
        findings.append({"what": wrong.what, **place})
    known = report.good and hint.identity == identity
    return {
        "good": not findings,
        "segments": report.segments,
        "structure_only": report.structure_only,
        "gone_meanwhile": report.gone_meanwhile,
        "frames": report.frames,
        "commands": report.commands,
        "bytes": report.bytes,
        "torn_bytes": report.torn_bytes,
        "last_sequence": report.last_sequence,
        "not_there": max(0, hint.durable - end) if known else 0,
        "snapshots": checked,
        "findings": findings,
    }


def _verify_replicated(
    place: Address, keys: Keys | None, progress: Callable[[int], None]
) -> dict[str, Any]:
    """The same of a replicated log, and of its snapshots on this machine."""
    from ..journal.stream.verifying import verify as verify_stream

    if keys is not None:
        raise unencrypted(place)
    report = verify_stream(place, progress)
    _check_rules(place, report)
    checked, _, findings = _snapshots_found(place, report, keys)
    findings = [*(asdict(finding) for finding in report.findings), *findings]
    return {
        "good": not findings,
        "segments": report.segments,
        "structure_only": 0,
        "gone_meanwhile": 0,
        "frames": report.frames,
        "commands": report.commands,
        "bytes": report.bytes,
        "torn_bytes": report.torn_bytes,
        "last_sequence": report.last_sequence,
        "not_there": 0,
        "snapshots": checked,
        "findings": findings,
    }


def _check_rules(directory: Place, report: Report) -> None:
    """`UnknownRules` for a log that this matchcore cannot open."""
    try:
        checked_rules(report.rules)
    except UnknownRules as error:
        raise UnknownRules(f"{directory}: {error}") from None


def verify_states(
    path: Where,
    result: dict[str, Any],
    *,
    keys: Keys | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """The result of `verify` with the findings of a replay; a log with damage is not replayed.

    ``progress`` receives the number of commands of each frame.  Raises what `replay` raises.
    """
    if not result["good"]:
        return result
    told = replay(path, late=True, keys=keys, progress=progress)
    findings = [
        {"what": f"differs from the replay: {one}", "path": str(place_of(path)), "offset": 0,
         "sequence": int(one.rsplit(" ", 1)[1])}
        for one in told["snapshots_that_differ"]
    ]  # fmt: skip
    counts = {"replayed": told["commands"], "compared": told["snapshots_compared"]}
    return {**result, "good": not findings, **counts, "digest": told["digest"],
            "findings": findings}  # fmt: skip


def _snapshots_found(
    directory: Place, report: Report, keys: Keys | None
) -> tuple[int, int, list[dict[str, Any]]]:
    """How many snapshots there are, the newest that stands on the log, and what is wrong."""
    findings: list[dict[str, Any]] = []
    identity = bytes.fromhex(report.identity)  # empty if not one segment can be read
    checked = reached = 0
    for file in snapshot_files(directory):
        try:
            snapshot = check_if_there(file, identity, keys)
            checked += snapshot is not None
            # of a damaged log, where it ends says nothing
            if snapshot is not None and report.good and is_on_log(directory, snapshot, keys):
                reached = max(reached, snapshot.sequence)
        except SnapshotDamaged as error:
            checked += 1
            findings.append({"what": str(error), "path": str(file), "offset": 0, "sequence": 0})
        except LogDamaged as error:
            place = {"path": str(file), "offset": 0, "sequence": error.sequence}
            findings.append({"what": error.what, **place})
    return checked, reached, findings
