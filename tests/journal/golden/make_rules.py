"""Makes the golden log of a version of the rules: `python make_rules.py`.  Never writes over one.

Every kind from 0 to 255, every field out of its range, instruments that come and change, commands
sent again, and a crowd of ordinary orders: what is refused under this version stays refused.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, INSTRUMENT, LIMITS, TEXT, Engine, Instrument

HERE = Path(__file__).parent
VERSION = 3
COUNT = 2500
SYMBOLS = (b"ONE", b"TWO", b"THREE", b"bad symbol", b"")


def instrument_commands(rng: np.random.Generator, count: int) -> NDArray[np.void]:
    """Instruments that are added and changed, half of them as they must not be."""
    rows = np.zeros(count, INSTRUMENT)
    rows["kind"] = rng.integers(7, 9, count)
    rows["symbol"] = rng.choice(np.array(SYMBOLS, "S24"), count)
    rows["instrument"] = rng.integers(0, 5, count)
    rows["tick_mantissa"] = rng.choice([1, 5, 0, -1], count, p=[0.5, 0.3, 0.1, 0.1])
    rows["tick_exponent"] = rng.choice([-2, -1, 0, 1, -19], count)
    rows["lot"] = rng.choice([1, 3, 0], count, p=[0.5, 0.25, 0.25])
    rows["max_quantity"] = rng.choice([1000, 2**63 - 1, 0], count, p=[0.2, 0.6, 0.2])
    rows["max_orders"] = rng.choice([20, 2**32 - 1, 2**32, 0], count, p=[0.5, 0.3, 0.1, 0.1])
    return rows.view(COMMAND)


def order_commands(rng: np.random.Generator, count: int) -> NDArray[np.void]:
    """Orders on few ids, prices and accounts, each rule broken now and then."""
    rows = np.zeros(count, COMMAND)
    shares = [0.735, 0.1, 0.1, 0.06, 0.003, 0.002]
    rows["kind"] = rng.choice([1, 2, 3, 4, 5, 6], count, p=shares)
    rows["instrument"] = rng.integers(1, 4, count)
    rows["side"], rows["order_type"] = rng.integers(1, 3, count), rng.choice([1, 1, 1, 2], count)
    rows["time_in_force"] = rng.integers(1, 5, count)
    rows["order_id"], rows["account"] = rng.integers(0, 40, count), rng.integers(0, 4, count)
    rows["client_order_id"] = np.where(rng.random(count) < 0.5, rng.integers(0, 400, count), 0)
    rows["quantity"] = 3 * rng.integers(1, 10, count) + (rng.random(count) < 0.05)
    rows["price"] = np.where(rows["order_type"] == 2, 0, rng.integers(95, 106, count))
    keeps, posts = rng.choice([0, 2, 4], count), rng.choice([0, 0, 1], count)
    rows["flags"] = np.where(rows["kind"] == 3, keeps, posts)
    edges = {
        "instrument": [0, 9], "side": [0, 3, 255], "order_type": [0, *range(3, 20), 255],
        "time_in_force": [0, *range(5, 20), 255], "flags": [6, 8, 16, 65535],
        "quantity": [0, -1, -(2**63), 2**63 - 1, 3 * 2**61, 3 * 2**61],
        "price": [0, -(2**63), 2**63 - 1],
        "stop_price": [1, -1], "display_quantity": [1, -1], "expiry": [1, 2**63 - 1],
        "self_trade": [1, 2, 3, 255], "reserved": [1], "session": [1],
        "client_order_tail": [1, 2**63], "order_id": [2**64 - 1],
    }  # fmt: skip
    for name, values in edges.items():
        hit = rng.random(count) < 0.03
        rows[name][hit] = rng.choice(np.array(values, rows[name].dtype), int(hit.sum()))
    return rows


def text_commands(rng: np.random.Generator, count: int) -> NDArray[np.void]:
    """Entries of the register and notices, half of them as they must not be."""
    rows = np.zeros(count, TEXT)
    rows["kind"] = rng.integers(9, 11, count)
    rows["key"], rows["topic"] = rng.integers(0, 6, count), rng.integers(0, 6, count)
    rows["part"], rows["parts"] = rng.integers(0, 3, count), rng.integers(0, 22, count)
    rows["instrument"] = rng.integers(0, 5, count)
    texts = [b"words", "\u00fc\u6f22".encode(), bytes(56), b"\xff\xfe", b"a\0b", b"bell\x07"]
    for row, at in zip(rows, rng.integers(0, len(texts), count), strict=True):
        row["data"] = texts[at].ljust(56, b"\0")
    return rows.view(COMMAND)


def limit_commands(rng: np.random.Generator, count: int) -> NDArray[np.void]:
    """Limits of accounts, each value now and then, some as they must not be."""
    rows = np.zeros(count, LIMITS)
    rows["kind"], rows["account"] = 11, rng.integers(0, 4, count)
    rows["instrument"] = rng.choice([0, 1, 2, 9], count, p=[0.5, 0.3, 0.15, 0.05])
    values = {"max_quantity": 20, "max_value": 2000, "max_open_orders": 3, "collar": 2}
    for name, value in values.items():
        rows[name] = rng.choice([0, value, -1], count, p=[0.65, 0.3, 0.05])
    rate = rng.random(count) < 0.3
    rows["max_messages"], rows["window_ns"] = 5 * rate, 30 * rate
    rows["flags"] = rng.choice([0, 1, 3, 2, 8], count, p=[0.8, 0.06, 0.06, 0.04, 0.04])
    rows["reserved"] = rng.random(count) < 0.03
    return rows.view(COMMAND)


def limits() -> NDArray[np.void]:
    """An order too many in TWO, one too large there, and a level of ONE that would overflow."""
    rows = np.zeros(19, COMMAND)
    rows["kind"] = rows["side"] = rows["order_type"] = rows["time_in_force"] = 1
    rows["instrument"], rows["quantity"], rows["price"] = 2, 3, 50
    rows["quantity"][16], rows["instrument"][17:], rows["quantity"][17:] = 3000, 1, 2**63 - 1
    return rows


def commands() -> NDArray[np.void]:
    rng = np.random.default_rng(VERSION)
    unknown = order_commands(rng, 512)
    unknown["kind"] = np.arange(512) % 256
    parts = [order_commands(rng, COUNT), instrument_commands(rng, 400), unknown]
    if VERSION > 1:
        parts += [text_commands(rng, 300), limit_commands(rng, 100)]
    rows = np.concatenate(parts)
    rows = np.concatenate([limits(), rows[rng.permutation(len(rows))]])
    rows["time"] = 1_700_000_000_000_000_000 + np.arange(len(rows))
    return rows


def main() -> None:
    directory = HERE / f"rules-{VERSION}"
    if directory.exists():
        raise SystemExit(f"{directory} is there: golden files are for ever")
    instruments = [
        Instrument("ONE", "0.01"),
        Instrument("TWO", "0.5", lot=3, max_quantity=999, max_orders=15),
    ]
    with Engine.open(directory, instruments=instruments, clock=lambda: 1) as engine:
        before = engine.sequence
        events = engine.submit_batch(commands())
        said: dict[str, Any] = {
            "commands": engine.sequence,
            "before": before,
            "digest": engine.digest(),
            "events": len(events),
            "events_sha256": hashlib.sha256(events.tobytes()).hexdigest(),
            "reasons": sorted({int(reason) for reason in events["reason"]}),
        }
    for hint in ("lock", "position", "snapshot-lock"):
        (directory / hint).unlink(missing_ok=True)
    (HERE / f"rules-{VERSION}.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
