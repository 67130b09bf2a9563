"""`matchcore torture`: the fault bench."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import output
from .options import json_option
from .output import progress_bar, show, show_rows

if TYPE_CHECKING:
    from ..torture.bench import Bench

COLUMNS = ("kind", "cases", "of", "crashes", "errors", "cuts", "flips", "kills", "refused",
           "losses", "seconds")  # fmt: skip


@click.command()
@click.option("--seed", type=click.IntRange(0, 2**64 - 1),
              help="Determines everything (default: a random one, which is printed).")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1.0,
              show_default=True, help="Duration.")  # fmt: skip
@click.option("--case", "case", metavar="KIND-NUMBER", help="Run only this case of the seed.")
@click.option("--plan", "plan", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Run only the plan.json of a broken promise.")  # fmt: skip
@json_option
def torture(
    seed: int | None, minutes: float, case: str | None, plan: Path | None, as_json: bool
) -> None:
    """Inject faults into disks, bytes and processes and check every promise.

    \b
    Example:  matchcore torture --seed 1 --minutes 5
    Exit 0 if every promise was kept, 1 if one was broken, 2 for wrong usage.
    A broken promise is shown with the command line that repeats it; its files are kept.
    Cases that this machine cannot run (mounting a small disk) are listed as left out.
    """
    from ..torture.bench import Bench

    seed = secrets.randbits(64) if seed is None else seed
    bench = Bench(seed)
    if not as_json:
        output.err.print(f"seed {seed}")
    if plan is not None:
        bench.plan(_plan(plan), "plan")
    elif case is not None:
        _one(bench, case)
    else:
        with progress_bar("torturing", round(minutes * 60)) as advance:
            bench.run(minutes * 60, progress=advance)
    _show(bench.report.as_plain(), as_json)
    raise SystemExit(output.GOOD if bench.report.good else output.DAMAGED)


def _plan(file: Path) -> Any:
    from ..torture.plans import Plan

    try:
        return Plan.from_plain(json.loads(file.read_text()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise click.UsageError(f"{file} is not a plan: {error}") from None


def _one(bench: Bench, case: str) -> None:
    from ..torture.bench import KINDS

    kind, _, number = case.partition("-")
    if kind not in KINDS or not number.isdecimal():
        raise click.UsageError(f"--case {case}: must be KIND-NUMBER; kinds are {', '.join(KINDS)}")
    bench.one(kind, int(number))


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show(result, True)
        return
    rows = [
        [kind[name] or (None if name == "of" else kind[name]) for name in COLUMNS]
        for kind in result["kinds"]
    ]
    show_rows(COLUMNS, rows, f"Torture, seed {result['seed']}")
    for what in result["left_out"]:
        output.out.print(f"  left out: {what}")
    if result["interrupted"]:
        output.out.print("  interrupted: results so far")
    for failure in result["failures"]:
        output.out.print(f"  BROKEN: {failure['what']}")
        output.out.print(f"    again: {failure['repeat']}")
        if failure["kept"]:
            output.out.print(f"    kept: {failure['kept']}")
            output.out.print(f"    smaller: matchcore torture --plan {failure['kept']}/plan.json")
    if result["good"]:
        output.out.print("  every promise was kept")
