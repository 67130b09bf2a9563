"""`python -m benchmarks.soak.orders`: orders over all doors for as long as one likes.

An engine, two lines, two gateways and a balancer run as processes, and sessions of every protocol
trade at a steady rate.  Every answer is checked, and the memory of each process is looked at.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from matchcore import Instrument
from matchcore.bench.suite import stamp
from matchcore.cli.options import json_option
from matchcore.cli.output import progress_bar, show
from matchcore.drills.processes import HOST
from matchcore.traffic.flow import Flow
from matchcore.traffic.processes import Exchange, User
from matchcore.traffic.running import PROTOCOLS, run_load
from matchcore.traffic.session import Account, Target

SYMBOLS = tuple(f"SYM{at}" for at in range(1, 11))
TICK, UNITS = "0.05", 500
FLOW = Flow(SYMBOLS, 950_000, 955_000, UNITS, open=20)
PASSWORD = "soak-soak"
LOOK_SECONDS = 2.0
CHECK_MS = 2000  # of the balancer: a busy machine is not a dead gateway
PATIENCE_SECONDS = 600.0
MIB = 1024  # KiB


class Memory(threading.Thread):
    """Looks at the memory of processes until it is stopped."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(daemon=True)
        self._exchange, self._over = exchange, threading.Event()
        self.seen: dict[str, list[float]] = {child.of: [] for child in exchange.children}

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for child in self._exchange.children:
                said = Path(f"/proc/{child.pid}/status").read_text()
                self.seen[child.of].append(int(said.partition("VmRSS:")[2].split()[0]) / MIB)

    def stop(self) -> dict[str, list[float]]:
        """The medians of each tenth of the time, in MiB, by process."""
        self._over.set()
        self.join()
        return {
            of: [round(float(np.median(part)), 1) for part in np.array_split(seen, 10) if len(part)]
            for of, seen in self.seen.items()
        }


def run(
    place: Path, *, minutes: float, rate: float, sessions: int, protocols: Sequence[str],
    progress: Any,
) -> dict[str, Any]:  # fmt: skip
    """What happened."""
    users = [User(f"u{n}", PASSWORD, n, n) for n in range(1, sessions + 1)]
    instruments = [Instrument(one, TICK) for one in SYMBOLS]
    exchange = Exchange(place, instruments, users, check_ms=CHECK_MS)
    try:
        exchange.start()
        ports = {name: exchange.ports["fix" if "fix" in name else name] for name in protocols}
        targets = {
            name: Target(HOST, of[0], tuple(of[1:]), patience_seconds=PATIENCE_SECONDS)
            for name, of in ports.items()
        }
        memory = Memory(exchange)
        memory.start()
        began = time.monotonic()
        result = run_load(
            targets, [Account(user.name, PASSWORD) for user in users], FLOW,
            rate=rate, seconds=60 * minutes, progress=progress,
        )  # fmt: skip
        seconds = time.monotonic() - began
        seen = memory.stop()
    finally:
        exchange.end()
    return {
        "minutes": round(seconds / 60, 2),
        **result.whole.as_dict(),
        "by_protocol": {name: part.as_dict() for name, part in result.by_protocol.items()},
        "fine": result.fine,
        "gave_up": result.whole.gave_up,
        "first_wrong": result.whole.first_wrong or None,
        "memory_mib_by_tenths": seen,
        "log_mib": round(sum(one.stat().st_size for one in exchange.path.iterdir()) / 2**20, 1),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=60,
              show_default=True, help="How long.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=1), default=1000, show_default=True,
              help="Orders a second, of 10 symbols.")  # fmt: skip
@click.option("--sessions", type=click.IntRange(min=4), default=16, show_default=True,
              help="Over all protocols in turn.")  # fmt: skip
@click.option("--protocol", "protocols", type=click.Choice(PROTOCOLS), multiple=True,
              help="Only this one; can be repeated.")  # fmt: skip
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path),
              help="Where the exchange is made and kept; else it is temporary.")  # fmt: skip
@json_option
def soak(
    minutes: float, rate: float, sessions: int, protocols: tuple[str, ...],
    directory: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Trade at a steady rate over all doors, and look on.

    \b
    Example:  python -m benchmarks.soak.orders --minutes 60 --rate 1000

    Exit code 1 if an order has no answer, or two, or an answer does not fit.
    """
    with (
        tempfile.TemporaryDirectory() as temporary,
        progress_bar("trading", round(60 * minutes)) as progress,
    ):
        place = directory or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        result = run(
            place, minutes=minutes, rate=rate, sessions=sessions,
            protocols=protocols or PROTOCOLS, progress=progress,
        )  # fmt: skip
    if not as_json:
        for of, seen in result["memory_mib_by_tenths"].items():
            result[f"memory of {of}, MiB"] = ", ".join(map(str, seen))
    show({**stamp(), **result}, as_json, title="Soak of the doors")
    sys.exit(0 if result["fine"] else 1)


if __name__ == "__main__":
    soak(prog_name="python -m benchmarks.soak.orders")
