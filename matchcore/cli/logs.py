"""What the commands about exchange directories do, without click."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import snapshots
from ..answers import BookView
from ..errors import LogDamaged, SnapshotDamaged
from ..follower import Follower
from ..journal import LogReader, identity_of, verify
from ..recovery import machine_class, read, replay
from ..sinks import open_sink
from ..state import State
from .output import progress_bar


def replay_all(directory: Path, machine: str) -> dict[str, Any]:
    """Replays from the first command and compares the state at each snapshot."""
    driven = machine_class(machine)()
    waiting = _snapshots(directory)
    differ: list[str] = []
    compared = events = frames = 0
    started = time.perf_counter()
    with LogReader(directory, after=0) as reader, progress_bar("replaying", None) as progress:
        for frame in reader.read():
            events += len(replay(driven, frame))
            frames += 1
            progress(frame.count)
            taken = waiting.pop(driven.sequence, None)
            if taken is not None:
                compared += 1
                if taken.payload != driven.state().to_bytes():
                    differ.append(f"snapshot at sequence {taken.sequence}")
    seconds = time.perf_counter() - started
    return {
        "commands": driven.sequence,
        "frames": frames,
        "events": events,
        "seconds": round(seconds, 3),
        "commands_per_second": round(driven.sequence / seconds) if seconds else 0,
        "snapshots_compared": compared,
        "snapshots_that_differ": differ,
        "machine": machine,
        "digest": driven.digest(),
    }


def _snapshots(directory: Path) -> dict[int, snapshots.Snapshot]:
    good: dict[int, snapshots.Snapshot] = {}
    for file in snapshots.listing(directory):
        try:
            snapshot = snapshots.read(file)
            State.from_bytes(snapshot.payload)
        except SnapshotDamaged as error:
            raise LogDamaged(str(error), str(file), 0, 0) from None
        good[snapshot.sequence] = snapshot
    return good


def verify_all(directory: Path) -> dict[str, Any]:
    """Checks every segment and every snapshot."""
    total = sum(file.stat().st_size for file in directory.glob("journal-*"))
    with progress_bar("verifying", total) as progress:
        report = verify(directory, progress)
    findings = [asdict(finding) for finding in report.findings]
    checked = 0
    for file in snapshots.listing(directory):
        checked += 1
        try:
            snapshot = snapshots.read(file)
            State.from_bytes(snapshot.payload)
            if snapshot.identity.hex() != report.identity:
                raise SnapshotDamaged(f"{file}: of another exchange")
        except SnapshotDamaged as error:
            findings.append({"what": str(error), "path": str(file), "offset": 0, "sequence": 0})
    return {
        "good": not findings,
        "segments": report.segments,
        "frames": report.frames,
        "commands": report.commands,
        "bytes": report.bytes,
        "torn_bytes": report.torn_bytes,
        "last_sequence": report.last_sequence,
        "snapshots": checked,
        "findings": findings,
    }


def describe(directory: Path) -> dict[str, Any]:
    """What is in a directory, from its newest state."""
    machine, position = read(directory)
    instruments = []
    for number, one in enumerate(machine.instruments, 1):
        view = BookView(machine, number)
        instruments.append(
            {
                "symbol": one.symbol,
                "tick": str(one.tick),
                "lot": one.lot,
                "orders": len(view.orders()),
                "best_bid": str(view.best_bid or "-"),
                "best_ask": str(view.best_ask or "-"),
            }
        )
    segments = sorted(directory.glob("journal-*.mcj"))
    return {
        "exchange": identity_of(directory).hex(),
        "epoch": position.epoch,
        "last_sequence": position.sequence,
        "next_order_id": machine.next_order_id,
        "next_trade_id": machine.next_trade_id,
        "segments": len(segments),
        "bytes": sum(file.stat().st_size for file in segments),
        "snapshots": len(snapshots.listing(directory)),
        "digest": machine.digest(),
        "instruments": instruments,
    }


def book_of(directory: Path, symbol: str) -> tuple[BookView, int]:
    """A book at the end of the log, and the sequence that is."""
    machine, position = read(directory)
    return BookView(machine, machine.instruments.number(symbol)), position.sequence


def follow_into(
    directory: Path, url: str, *, forever: bool, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Runs a follower from a log into the sink of a URL."""
    started = time.perf_counter()
    with Follower(directory, open_sink(url, identity_of(directory))) as follower:
        before = follower.position.sequence
        position = follower.run(forever=forever, progress=progress)
    return {
        "delivered": position.sequence - before,
        "last_sequence": position.sequence,
        "epoch": position.epoch,
        "seconds": round(time.perf_counter() - started, 3),
        "to": url,
    }
