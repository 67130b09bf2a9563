"""Instructions of single operations in books of 100 to a million orders: work that is bounded.

    python -m benchmarks.instructions
    python -m benchmarks.instructions --json > benchmarks/recorded/instructions.json

Counts do not depend on what else the machine does, so they show what times hide.  Valgrind's
callgrind counts a child that does each operation N times and 2 N times in a book; the difference
is N operations and nothing else.  Needs valgrind with its headers, and a C compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import Kind, Side, TimeInForce
from matchcore.bench._loops import Rig
from matchcore.bench.resting import resting_orders
from matchcore.bench.suite import stamp

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
SPREAD = 1 << 40
#: Where orders rest -> books of how many.  A million orders over 2^40 ticks would be 3.4 GB.
PRICES = {
    "near the mid": SIZES,
    "near the mid, one 2^62 away": SIZES,
    "over 2^40 ticks": SIZES[:-1],
}
OPERATIONS = ("add", "cancel", "amend to another price", "take of one fill")
N, ROUNDS = 16, 40
MID = 100_000

#: The switch of the counter, for the child: a count belongs to the label that ends it.
SWITCH = """
#include <valgrind/callgrind.h>
void toggle(void) { CALLGRIND_TOGGLE_COLLECT; }
void told(const char *label) { CALLGRIND_DUMP_STATS_AT(label); }
"""
Commands = NDArray[np.void]
Steps = tuple[Commands, Commands, Commands]  # to prepare, to count, to undo


class Missing(Exception):
    """Something that counting needs is not there."""


class Book:
    """A rig with resting orders, and the commands of a round in it: N operations or 2 N."""

    def __init__(self, count: int, prices: str) -> None:
        self.rng = np.random.default_rng(count)
        self.far = prices == "over 2^40 ticks"
        self.resting = self._orders(count, 1)
        if prices.endswith("one 2^62 away"):
            self.resting["side"][:2] = Side.BUY, Side.SELL
            self.resting["price"][:2] = -(1 << 62), 1 << 62
        self.rig = Rig()
        self.rig.run(self.resting, 4096)
        self.steps: dict[str, Callable[[int], Steps]] = dict(
            zip(OPERATIONS, (self._add, self._cancel, self._amend, self._take), strict=True)
        )

    def _orders(self, count: int, first_id: int) -> Commands:
        """New ones, on both sides of a mid where nobody is."""
        made = resting_orders(count, seed=int(self.rng.integers(1 << 30)))
        made["order_id"] += first_id - 1
        if self.far:
            away = self.rng.integers(1, SPREAD, count)
            made["price"] = MID + np.where(made["side"] == Side.BUY, -away, away)
        return made

    def _some(self, count: int) -> Commands:
        """Resting ones, but never the far ones, which come first."""
        return self.resting[2 + self.rng.choice(len(self.resting) - 2, count, replace=False)]

    def _add(self, count: int) -> Steps:
        fresh = self._orders(count, len(self.resting) + 1)
        return fresh[:0], fresh, _of_kind(fresh, Kind.CANCEL)

    def _cancel(self, count: int) -> Steps:
        some = self._some(count)
        return some[:0], _of_kind(some, Kind.CANCEL), some

    def _amend(self, count: int) -> Steps:
        some = _of_kind(self._some(count), Kind.AMEND)
        back = some.copy()
        away = np.abs(self._orders(count, 1)["price"] - MID)
        some["price"] = MID + np.where(some["side"] == Side.BUY, -away, away)
        return some[:0], some, back

    def _take(self, count: int) -> Steps:
        makers = self._orders(count, len(self.resting) + 1)
        makers["side"], makers["price"] = Side.SELL, MID
        takers = makers.copy()
        takers["side"], takers["time_in_force"] = Side.BUY, TimeInForce.IOC
        takers["order_id"] += count
        return makers, takers, makers[:0]


def _of_kind(commands: Commands, kind: Kind) -> Commands:
    made = commands.copy()
    made["kind"] = kind
    return made


def child(library: str) -> None:
    """Runs under valgrind, which counts only between two toggles."""
    switch = ctypes.CDLL(library)
    for prices, sizes in PRICES.items():
        for size in sizes:
            book = Book(size, prices)
            for operation in OPERATIONS:
                for count in (N, 2 * N):
                    for _ in range(ROUNDS):
                        before, counted, after = book.steps[operation](count)
                        if len(before):
                            book.rig.run(before, count)
                        switch.toggle()
                        book.rig.run(counted, count)
                        switch.toggle()
                        if len(after):
                            book.rig.run(after, count)
                    switch.told(f"{prices}/{size}/{operation}/{count}".encode())


def counted() -> dict[str, int]:
    """Label -> instructions."""
    if shutil.which("valgrind") is None:
        raise Missing("valgrind is not installed, and nothing else here counts instructions")
    with tempfile.TemporaryDirectory() as place:
        source, library = Path(place) / "switch.c", Path(place) / "switch.so"
        source.write_text(SWITCH)
        build = ["cc", "-O1", "-shared", "-fPIC", str(source), "-o", str(library)]
        made = subprocess.run(build, capture_output=True, text=True)
        if made.returncode:
            raise Missing(f"valgrind's headers or a C compiler are missing: {made.stderr.strip()}")
        out = Path(place) / "out"
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                   f"--callgrind-out-file={out}", sys.executable, "-m", __spec__.name,
                   "--child", str(library)]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            raise Missing(f"the count failed: {ran.stderr.strip()[-2000:]}")
        return dict(_dumps(out))


def _dumps(out: Path) -> Iterator[tuple[str, int]]:
    for dump in out.parent.glob(f"{out.name}.*"):
        text = dump.read_text()
        label = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        if label and total:
            yield label[1], int(total[1])


def measure() -> dict[str, Any]:
    found = counted()
    rows = []
    for prices, sizes in PRICES.items():
        for size in sizes:
            row: dict[str, Any] = {"prices": prices, "orders": size}
            for operation in OPERATIONS:
                once, twice = (found[f"{prices}/{size}/{operation}/{n}"] for n in (N, 2 * N))
                row[operation] = round((twice - once) / (N * ROUNDS))
            rows.append(row)
    return {**stamp(), "operations": N * ROUNDS, "instructions": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--child", metavar="LIBRARY", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    try:
        result = measure()
    except Missing as missing:
        sys.exit(str(missing))
    if given.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{'orders':28}{'of them':>10}" + "".join(f"{name:>26}" for name in OPERATIONS))
    for row in result["instructions"]:
        cells = "".join(f"{row[name]:>26}" for name in OPERATIONS)
        print(f"{row['prices']:28}{row['orders']:>10}{cells}")


if __name__ == "__main__":
    main()
