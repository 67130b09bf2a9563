"""`matchcore drill`: kills, freezes and cuts off the parts of an exchange, and checks it."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import output
from .options import json_option
from .output import failing_kindly, out, progress_bar, show, show_rows

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..drills.drill import Report

ROUNDS = 5
COLUMNS = {
    "fault": "fault", "rounds": "rounds", "lost": "lost", "rpo_ms": "RPO ms",
    "rto_ms_median": "RTO ms, median", "rto_ms_p99": "p99", "rto_ms_max": "max",
    "silence_ms_max": "silence ms, max", "copy_behind_max": "copy behind", "copy_ms_max": "ms",
}  # fmt: skip


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True,
              help="How many faults.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1),
              help="Determines the faults and the orders (default: a random one).")  # fmt: skip
@click.option("--fault", "names", multiple=True, metavar="TEXT",
              help="Only faults with this text in their name; can be repeated.")  # fmt: skip
@click.option("--netns", is_flag=True,
              help="Networks that are cut, lossy or slow, too (root).")  # fmt: skip
@click.option("--power-cut", is_flag=True,
              help="Power cuts of all servers, too (root).")  # fmt: skip
@click.option("--full-disk", is_flag=True,
              help="Full disks of servers, too (root).")  # fmt: skip
@click.option("--server-clocks", is_flag=True,
              help="Clocks of servers that jump, too (QEMU, slower).")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="Say which faults there are, and end.")
@click.option("--dir", "place", type=click.Path(file_okay=False, path_type=Path),
              help="Keep everything there (default: a temporary folder).")  # fmt: skip
@json_option
def drill(
    rounds: int, seed: int | None, names: tuple[str, ...], netns: bool, power_cut: bool,
    full_disk: bool, server_clocks: bool, listed: bool, place: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Rehearse failures on an exchange under load, and check every promise after each.

    \b
    Example:  matchcore drill --rounds 20 --seed 1
              matchcore drill --rounds 10 --fault primary
    It starts an exchange as `matchcore cluster up` does, sends orders, kills or freezes one part
    after the other, and prints RPO (what was answered and is lost) and RTO (until the next answer).
    Exit 0 if every promise was kept, 1 if one was broken; then the folder is kept.
    Ctrl-C ends it with the results so far.
    """
    if listed:
        return _list(as_json)
    seed = secrets.randbits(64) if seed is None else seed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with failing_kindly(as_json):
        if not as_json:
            output.err.print(f"seed {seed}")
        made = place or Path(tempfile.mkdtemp(prefix="matchcore-drill-"))
        try:
            with progress_bar("drilling", rounds) as progress:
                more = {"netns": netns, "power_cut": power_cut, "full_disk": full_disk,
                        "server_clocks": server_clocks}  # fmt: skip
                report = _run(made, seed, rounds, names, more, progress)
        except BaseException:
            _keep_or_remove(made, place is not None, as_json)
            raise
        _keep_or_remove(made, place is not None or not report.good, as_json)
    _show(report, as_json)
    if report.interrupted:
        raise SystemExit(output.INTERRUPTED)
    raise SystemExit(output.GOOD if report.good else output.DAMAGED)


def _run(
    place: Path, seed: int, rounds: int, names: tuple[str, ...], more: dict[str, bool],
    progress: Any,
) -> Report:  # fmt: skip
    from ..drills.rehearsal import rehearse

    return rehearse(place, seed, rounds, only=names, progress=lambda one: progress(1), **more)


def _list(as_json: bool) -> None:
    """All faults, in the order in which they are done."""
    from ..drills.rehearsal import listed

    rows = [
        {"fault": fault.name, "option": option, "stops": fault.stops} for fault, option in listed()
    ]
    if as_json:
        show({"faults": rows}, True)
        return
    shown = [[row["fault"], row["option"], "yes" if row["stops"] else ""] for row in rows]
    show_rows(["fault", "with", "stops everything"], shown, "Faults")


def _keep_or_remove(place: Path, keep: bool, as_json: bool) -> None:
    if keep:
        if not as_json:
            output.err.print(f"matchcore: everything is in {place}")
    else:
        shutil.rmtree(place, ignore_errors=True)


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        from ..bench.suite import stamp  # late: few commands measure

        show({**stamp(), **report.as_plain()}, True)
        return
    rows = [[row[name] for name in COLUMNS] for row in report.table()]
    show_rows(list(COLUMNS.values()), rows, f"Drill, seed {report.seed}")
    for what in report.left_out:
        out.print(f"  left out: {what}")
    if report.interrupted:
        out.print("  interrupted: results so far")
    if report.good:
        answered = report.rounds[-1].answered if report.rounds else 0
        out.print(f"  every promise was kept: {answered:,} answers, none lost and none done twice")
    else:
        out.print(f"  BROKEN: {report.broken}")
        last = report.rounds[-1] if report.rounds else None
        if last is not None:
            out.print(f"    in round {len(report.rounds)}: {last.fault} ({', '.join(last.parts)})")
