"""What the commands about exchange directories do, without click."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..cli.output import Moment, progress_bar
from ..engine.answers import BookView
from ..engine.recovery import look, replay, sequence_at
from ..errors import LogDamaged, SnapshotDamaged
from ..journal import (
    Keys,
    LogReader,
    Report,
    bytes_there,
    check_past,
    despite_archiving,
    first_sequence,
    identity_of,
    late_beginning,
    missed,
    published,
    snapshots,
    verify,
)
from ..machine import machine_class
from ..machine.state import State
from ..records.instruments import price_text


def replay_all(directory: Path, machine: str, *, late: bool = False) -> dict[str, Any]:
    """Replays from the first command and compares the state at each snapshot.

    With `late`, a log whose beginning is archived is replayed from its oldest snapshot on.

    `LogDamaged` also for a snapshot that is damaged, or of another log or a longer one.
    """
    return despite_archiving(directory, lambda: _replay_all(directory, machine, late))


def _replay_all(directory: Path, machine: str, late: bool) -> dict[str, Any]:
    driven = machine_class(machine)()
    keys = Keys.from_environment()
    waiting = _snapshots(directory, keys)
    base, chain = 0, None
    if late and waiting and first_sequence(directory) > 1:
        taken = waiting.pop(base := min(waiting))
        driven, chain = driven.from_state(State.from_bytes(taken.payload)), taken.chain
    differ: list[str] = []
    compared = events = frames = 0
    started = time.perf_counter()
    with (
        LogReader(directory, after=base, chain=chain, keys=keys) as reader,
        progress_bar("replaying", None) as progress,
    ):
        for frame in reader.read():
            events += replay(driven, frame)
            frames += 1
            progress(frame.count)
            found = waiting.pop(driven.sequence, None)
            if found is not None:
                compared += 1
                if State.from_bytes(found.payload).digest() != driven.digest():
                    differ.append(f"snapshot at sequence {found.sequence}")
    seconds = time.perf_counter() - started
    return {
        "commands": driven.sequence - base,
        "frames": frames,
        "events": events,
        "seconds": round(seconds, 3),
        "commands_per_second": round((driven.sequence - base) / seconds) if seconds else 0,
        "snapshots_compared": compared,
        "snapshots_that_differ": differ,
        "machine": machine,
        "digest": driven.digest(),
    }


def _snapshots(directory: Path, keys: Keys | None) -> dict[int, snapshots.Snapshot]:
    good: dict[int, snapshots.Snapshot] = {}
    identity = identity_of(directory)
    for file in snapshots.listing(directory):
        try:
            snapshot = _snapshot(file, identity, keys)
        except SnapshotDamaged as error:
            raise LogDamaged(str(error), str(file), 0, 0) from None
        if snapshot is not None and _has_place(directory, snapshot, keys):
            good[snapshot.sequence] = snapshot
    return good


def _snapshot(file: Path, identity: bytes, keys: Keys | None) -> snapshots.Snapshot | None:
    """A snapshot that is good in itself and of this exchange; `SnapshotDamaged` otherwise.

    Of an encrypted one without keys, only the stored bytes are checked.

    None if it is gone: an engine at work keeps the newest few only.
    """
    try:
        snapshot = snapshots.read(file, keys=keys, structure=True)
    except SnapshotDamaged:
        if not os.path.lexists(file):
            return None
        raise
    if snapshot.payload:
        held = State.from_bytes(snapshot.payload).sequence
        if held != snapshot.sequence:
            raise SnapshotDamaged(f"{file}: holds sequence {held}")
    if identity and snapshot.identity != identity:  # none: not one segment can be read
        raise SnapshotDamaged(f"{file}: {snapshots.of_another(snapshot, identity)}")
    return snapshot


def _has_place(directory: Path, snapshot: snapshots.Snapshot, keys: Keys | None) -> bool:
    """True if the log goes as far as a snapshot, and had the same past there; else `LogDamaged`.

    False for one from before the log's beginning: archived with what it stood on, and of no use
    until that is put back.
    """
    return despite_archiving(directory, lambda: _placed(directory, snapshot, keys))


def _placed(directory: Path, snapshot: snapshots.Snapshot, keys: Keys | None) -> bool:
    if snapshot.sequence + 1 < first_sequence(directory):
        return False
    check_past(directory, snapshot.sequence, snapshot.chain, keys=keys, structure=keys is None)
    return True


def replayed(directory: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What `verify_all` said, and what a replay finds; a log with damage is not replayed."""
    if not result["good"]:
        return result
    told = replay_all(directory, "cython", late=True)
    findings = [
        {"what": f"differs from the replay: {one}", "path": str(directory), "offset": 0,
         "sequence": int(one.rsplit(" ", 1)[1])}
        for one in told["snapshots_that_differ"]
    ]  # fmt: skip
    counts = {"replayed": told["commands"], "compared": told["snapshots_compared"]}
    return {**result, "good": not findings, **counts, "digest": told["digest"],
            "findings": findings}  # fmt: skip


def verify_all(directory: Path, jobs: int = 0) -> dict[str, Any]:
    """Checks every segment and every snapshot, and that they belong together.

    ``jobs``: processes that walk segments at once, 0 for as many as are worth it.  ``not_there``:
    commands that the writer published as safe, and that are not in the log.
    """
    keys = Keys.from_environment()
    hint = published(directory)  # first: an engine at work goes on
    with progress_bar("verifying", bytes_there(directory.glob("journal-*"))) as progress:
        report = verify(directory, progress, keys=keys, jobs=jobs)
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


def _snapshots_found(
    directory: Path, report: Report, keys: Keys | None
) -> tuple[int, int, list[dict[str, Any]]]:
    """How many snapshots there are, the newest that stands on the log, and what is wrong."""
    findings: list[dict[str, Any]] = []
    checked = reached = 0
    for file in snapshots.listing(directory):
        try:
            snapshot = _snapshot(file, bytes.fromhex(report.identity), keys)
            checked += snapshot is not None
            # of a damaged log, where it ends says nothing
            if snapshot is not None and report.good and _has_place(directory, snapshot, keys):
                reached = max(reached, snapshot.sequence)
        except SnapshotDamaged as error:
            checked += 1
            findings.append({"what": str(error), "path": str(file), "offset": 0, "sequence": 0})
        except LogDamaged as error:
            place = {"path": str(file), "offset": 0, "sequence": error.sequence}
            findings.append({"what": error.what, **place})
    return checked, reached, findings


def describe(directory: Path) -> dict[str, Any]:
    """What is in a directory, from its newest state."""
    found = look(directory, keys=Keys.from_environment())
    machine, recovery = found.machine, found.recovery
    instruments = []
    for number, one in enumerate(machine.instruments, 1):
        view = BookView(lambda: machine, number)
        best = view.top()
        instruments.append(
            {
                "symbol": one.symbol,
                "tick": price_text(one.tick),
                "lot": one.lot,
                "orders": len(view.orders()),
                "best_bid": str(best.bid or "-"),
                "best_ask": str(best.ask or "-"),
            }
        )
    segments = list(directory.glob("journal-*.mcj"))
    return {
        "exchange": identity_of(directory).hex(),
        "epoch": found.position.epoch,
        "first_sequence": first_sequence(directory),
        "last_sequence": found.position.sequence,
        "next_order_id": machine.next_order_id,
        "next_trade_id": machine.next_trade_id,
        "segments": len(segments),
        "bytes": bytes_there(segments),
        "snapshots": len(snapshots.listing(directory)),
        "digest": machine.digest(),
        "opening": asdict(recovery),
        "instruments": instruments,
    }


def book_of(directory: Path, symbol: str, at: Moment | None = None) -> tuple[BookView, int]:
    """A book somewhere in the log or at its end, and the sequence that is."""
    keys = Keys.from_environment()
    sequence = at.sequence if at else None
    if at is not None and at.time is not None:
        sequence = sequence_at(directory, at.time, keys=keys)
    machine = look(directory, sequence=sequence, keys=keys).machine
    return BookView(lambda: machine, machine.instruments.number(symbol)), machine.sequence
