"""`matchcore drill-gateways`: kills and freezes amid traffic over all protocols."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from .options import json_option
from .output import DAMAGED, err, failing_kindly, progress_bar, show


@click.command("drill-gateways")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1),
              help="Draws the faults (default: a random one, which is printed).")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True,
              help="How many, of some seconds each.")  # fmt: skip
@click.option("--dir", "place", type=click.Path(file_okay=False, path_type=Path),
              help="A new directory, which is kept; else a temporary one.")  # fmt: skip
@json_option
def drill_gateways(seed: int | None, rounds: int, place: Path | None, as_json: bool) -> None:
    """Kill and freeze clients, gateways, lines, balancer and engine amid traffic, and check.

    \b
    Example:  matchcore drill-gateways --seed 1 --rounds 200

    Clients trade over OUCH, FIX 4.4, FIX 5.0 SP2, HTTP and WebSocket through haproxy, and a drop
    copy listens.  After each round, every order must be answered once, and every session and the
    drop copy must have been told what the log says, each report once and in order.  Exit code 1: a
    promise was broken; the files are kept.  The seed repeats the faults, not the moments at which
    they hit.
    """
    from ..traffic.drills import DrillFailed, run

    seed = secrets.randbits(32) if seed is None else seed
    made = place or Path(tempfile.mkdtemp(prefix="drill-"))
    if not as_json:
        err.print(f"seed {seed}")

    def told(one: dict[str, Any]) -> None:
        progress(1)
        if not as_json:
            err.print(f"round {one['round']}: {', '.join(one['faults'])}; {one['seconds']} s")

    with failing_kindly(as_json):
        made.mkdir(parents=True, exist_ok=True)
        with progress_bar("drilling", rounds) as progress:
            try:
                result = run(made.resolve(), seed, rounds, told)
            except DrillFailed as error:
                show({"seed": seed, "broken": str(error)}, as_json, title="A promise was broken")
                raise SystemExit(DAMAGED) from None
    if place is None:
        shutil.rmtree(made)
    show(result, as_json, title="Every promise was kept")
