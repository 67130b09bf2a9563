"""Makes golden logs of versions 1 and 2 of the rules, full of what version 3 brought.

`python make_later.py`, with a build that knows version 2 at most (commit 73bd3a9, for those that
are here).  Never writes over one.  Every new type, time in force, flag and kind is in it, alone and
together, where earlier versions refuse or do not read it.
"""

from __future__ import annotations

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, Engine, Instrument
from matchcore.records import rules

HERE = Path(__file__).parent
START = 1_700_000_000_000_000_000
FLAGS = [0, *(1 << bit for bit in range(16)), 3, 9, 17, 24, 40, 72, 136, 264, 4096 | 8192, 65535]


def rows_of(count: int, **fields: Any) -> NDArray[np.void]:
    rows = np.zeros(count, COMMAND)
    for name, value in fields.items():
        rows[name] = value
    return rows


def crowd() -> NDArray[np.void]:
    """Orders that rest, in both instruments, of three accounts."""
    rows = rows_of(60, kind=1, side=1, order_type=1, time_in_force=1, quantity=9)
    rows["order_id"] = np.arange(1, 61)
    rows["instrument"], rows["account"] = 1 + rows["order_id"] % 2, rows["order_id"] % 3
    rows["side"][30:] = 2
    rows["price"] = np.where(rows["side"] == 1, 90, 100) + rows["order_id"] % 10
    return rows


def every_new() -> NDArray[np.void]:
    """Each order type with each time in force and each set of flags, priced or not."""
    codes = list(product(range(16), range(11), FLAGS, (0, 95)))
    rows = rows_of(len(codes), kind=1, instrument=1, side=1, quantity=3)
    for name, column in zip(
        ("order_type", "time_in_force", "flags", "price"), zip(*codes, strict=True), strict=True
    ):
        rows[name] = column
    rows["side"] = 1 + np.arange(len(rows)) % 2
    return rows


def every_field() -> NDArray[np.void]:
    """What markets have in fields that plain orders leave at zero, one by one and two by two."""
    fields = {"stop_price": (1, 94, -5), "display_quantity": (1, 2), "expiry": (1, START * 2),
              "self_trade": (1, 2, 3, 4, 5), "session": (1, 7), "reserved": (1,),
              "client_order_tail": (1,), "flags": (8, 64, 512, 1024)}  # fmt: skip
    rows = []
    for kind, order_type in ((1, 1), (1, 2), (1, 4), (1, 5), (3, 0), (4, 0), (2, 0)):
        for (one, values), (two, others) in product(fields.items(), fields.items()):
            for value, other in product(values, others):
                row = rows_of(1, kind=kind, order_type=order_type, instrument=1, side=2, quantity=3)
                row["time_in_force"], row["order_id"] = 1, 0 if kind == 1 else 41
                row[one], row[two] = value, other
                rows.append(row)
    return np.concatenate(rows)


def every_sweep() -> NDArray[np.void]:
    """AMEND, MASS_CANCEL and END_DAY with each set of flags; a range that is none among them."""
    rows = [crowd()]
    for kind, flags, session in product((3, 5, 6), FLAGS, (0, 1)):
        rows.append(rows_of(1, kind=kind, instrument=1, account=1, order_id=3, quantity=3,
                            flags=flags, session=session, price=96, stop_price=93))  # fmt: skip
    return np.concatenate(rows)


def every_kind(rng: np.random.Generator) -> NDArray[np.void]:
    """The kinds of markets, with any bytes in them, and sent again under their names."""
    rows = np.frombuffer(rng.bytes(96 * 600), COMMAND).copy()
    rows["kind"] = rng.integers(12, 32, len(rows))
    rows["kind"][rows["kind"] == 31] = 15
    rows["instrument"] = rng.integers(0, 4, len(rows))
    rows["account"], rows["client_order_id"] = rng.integers(0, 3, (2, len(rows)))
    rows["time"] = 0
    return np.concatenate([rows, rows[:100]])


def commands(version: int) -> NDArray[np.void]:
    rng = np.random.default_rng(100 + version)
    mixed = np.concatenate([every_new(), every_field(), every_kind(rng)])
    parts = np.array_split(mixed[rng.permutation(len(mixed))], 6)
    whole = np.concatenate([crowd(), *(np.concatenate([part, every_sweep()]) for part in parts)])
    whole["time"] = START + np.arange(len(whole))
    return whole


def main() -> None:
    world = [Instrument("ONE", "0.01"), Instrument("TWO", "0.5", lot=3, max_orders=50)]
    for version in (1, 2):
        directory = HERE / f"later-{version}"
        if directory.exists():
            raise SystemExit(f"{directory} is there: golden files are for ever")
        vars(rules)["RULES_LATEST"] = version  # as a build that knows no later one
        with Engine.open(directory, instruments=world, clock=lambda: 1) as engine:
            before = engine.sequence
            events = engine.submit_batch(commands(version))
            said = {
                "commands": engine.sequence, "before": before, "digest": engine.digest(),
                "events": len(events),
                "events_sha256": hashlib.sha256(events.tobytes()).hexdigest(),
                "reasons": sorted({int(reason) for reason in events["reason"]}),
            }  # fmt: skip
        for hint in ("lock", "position", "snapshot-lock"):
            (directory / hint).unlink(missing_ok=True)
        (HERE / f"later-{version}.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
