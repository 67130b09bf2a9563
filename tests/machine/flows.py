"""Random command flows that meet every rule: small worlds full of collisions, and extremes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import (
    COMMAND,
    INSTRUMENT,
    LIMITS,
    TEXT,
    Flag,
    Instrument,
    Kind,
    OrderType,
    TimeInForce,
)
from matchcore.records.commands import among
from matchcore.records.instruments import write_instrument
from matchcore.records.register import DATA_BYTES
from matchcore.records.schema import (
    ASIDE_KINDS,
    FOLLOWER_FIELDS,
    INSTRUMENT_KINDS,
    KINDS_OF_3,
    LATER_FIELDS,
    LIMITS_RECORD,
    TEXT_KINDS,
    UNPRICED_TYPES,
)
from matchcore.torture.flow import drawn

#: Of notices and of the register: those that may be told, and those that may not.
TEXTS = [
    b"open",
    b"x" * 56,
    "\u00fc\u6f22".encode(),
    b"",
    b"\xff",
    b"a\0b",
    b"bell\x07",
    b"\xc2\x85",
]
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
#: Markets have flows of their own (market_flows.py); here every instrument is a plain one.
KINDS = sorted(set(Kind) - INSTRUMENT_KINDS - KINDS_OF_3)
UNKNOWN_KIND = next(code for code in range(1, 256) if code not in set(Kind))
KIND_WEIGHTS: dict[Any, float] = {
    Kind.NEW: 58, Kind.CANCEL: 13, Kind.AMEND: 13, Kind.REDUCE: 10, Kind.MASS_CANCEL: 2,
    Kind.END_DAY: 2,
}  # fmt: skip
#: What only markets take is refused, so there is little of it.
TYPE_WEIGHTS = {OrderType.LIMIT: 165, OrderType.MARKET: 15}
TIF_WEIGHTS = {
    TimeInForce.GTC: 60, TimeInForce.DAY: 15, TimeInForce.IOC: 15, TimeInForce.FOK: 15,
}  # fmt: skip


def definitions(*instruments: Instrument) -> NDArray:
    """ADD_INSTRUMENT commands as a `COMMAND` array."""
    rows = np.zeros(len(instruments), INSTRUMENT)
    for row, instrument in zip(rows, instruments, strict=True):
        write_instrument(row, instrument)
    rows["kind"] = Kind.ADD_INSTRUMENT
    return rows.view(COMMAND)


def flow(
    seed: int, count: int, *, instruments: int = 2, extreme: bool = False, again: float = 0.0
) -> NDArray:
    """`count` commands on few ids, accounts and prices, mostly valid, each kind among them.

    Client order ids are 0 or used once, but for a share `again` of commands sent once more.
    """
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["time"] = np.arange(1, count + 1)
    rows["kind"] = drawn(rng, count, [*KINDS, 0, UNKNOWN_KIND], KIND_WEIGHTS)
    rows["instrument"] = rng.integers(1, instruments + 1, count)
    rows["side"] = rng.integers(1, 3, count)
    rows["order_type"] = drawn(rng, count, [*OrderType], TYPE_WEIGHTS)
    rows["time_in_force"] = drawn(rng, count, [*TimeInForce], TIF_WEIGHTS)
    rows["order_id"] = rng.integers(0, 60, count)
    rows["client_order_id"] = (seed % 2**32 << 20) + rng.permutation(count) + 1
    rows["client_order_id"][rng.random(count) < 0.25] = 0
    rows["account"] = rng.integers(0, 4, count)
    rows["quantity"] = rng.integers(1, 30, count)
    rows["price"] = np.where(unpriced(rows), 0, rng.integers(95, 106, count))
    new, amend = rows["kind"] == Kind.NEW, rows["kind"] == Kind.AMEND
    rows["flags"][new] = rng.choice([0, 1], count, p=[0.9, 0.1])[new]
    rows["flags"][amend] = rng.choice([0, 2, 4], count)[amend]
    if extreme:
        _make_extreme(rng, rows)
    _bound_sweeps(rng, rows)
    _write_texts(rng, rows)
    _write_limits(rng, rows)
    _spoil(rng, rows)
    _send_again(rng, rows, again)
    return rows


def unpriced(rows: NDArray) -> NDArray:
    return among(rows["order_type"], UNPRICED_TYPES)


def _bound_sweeps(rng: np.random.Generator, rows: NDArray) -> None:
    """Some mass cancels have a range of prices or a session, which is read since version 3."""
    mass = rows["kind"] == Kind.MASS_CANCEL
    flags = [0, Flag.RANGE, Flag.OF_SESSION, Flag.RANGE | Flag.OF_SESSION]
    rows["flags"][mass] = rng.choice(flags, len(rows), p=[0.5, 0.4, 0.05, 0.05])[mass]
    rows["stop_price"][mass] = rng.integers(97, 106, len(rows))[mass]
    rows["session"][mass] = rng.integers(0, 2, len(rows))[mass]


def _send_again(rng: np.random.Generator, rows: NDArray, share: float) -> None:
    """Some commands are one of the fifty before them once more, some only have its name."""
    for at in np.flatnonzero(rng.random(len(rows)) < share).tolist():
        first = max(0, at - int(rng.integers(1, 50)))
        if rng.random() < 0.7:
            rows[at] = rows[first]
        else:
            for name in ("client_order_id", "account"):
                rows[name][at] = rows[name][first]


def for_c(rows: NDArray) -> NDArray:
    """Without the kinds that the compiled machine leaves to Python."""
    return rows[~among(rows["kind"], ASIDE_KINDS)]


def _write_texts(rng: np.random.Generator, rows: NDArray) -> None:
    """What REGISTER and NOTICE have in place of an order's fields."""
    for at in np.flatnonzero(among(rows["kind"], TEXT_KINDS)).tolist():
        row = rows[at : at + 1].view(TEXT)[0]
        data = TEXTS[int(rng.integers(len(TEXTS)))]
        row["data"] = data.ljust(DATA_BYTES, b"\0")
        row["topic"], row["part"], row["parts"] = rng.integers([0, 0, 0], [4, 3, 22])
        row["key"] = rng.integers(0, 5)


def _write_limits(rng: np.random.Generator, rows: NDArray) -> None:
    """What SET_LIMITS has in place of an order's fields: mostly none, so that orders go on."""
    for at in np.flatnonzero(rows["kind"] == Kind.SET_LIMITS).tolist():
        account, instrument = int(rows["account"][at]), int(rows["instrument"][at])
        row = rows[at : at + 1].view(LIMITS)[0]
        row["max_quantity"], row["max_value"], row["max_open_orders"], row["collar"] = (
            value if rng.random() < 0.2 else 0 for value in (25, 2500, 8, 4)
        )
        if rng.random() < 0.03:
            row["collar"] = -1
        row["max_messages"], row["window_ns"] = (9, 40) if rng.random() < 0.3 else (0, 0)
        row["flags"] = rng.choice([0, 1, 2, 3], p=[0.85, 0.06, 0.03, 0.06])
        for name in LIMITS_RECORD.names:
            if name.startswith("reserved"):
                row[name] = rng.random() < 0.01
        row["account"], row["instrument"] = account, instrument if rng.random() < 0.5 else 0


def _make_extreme(rng: np.random.Generator, rows: NDArray) -> None:
    """Prices and quantities from everywhere in 64 bits."""
    count = len(rows)
    edges = np.array([INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX, 2**40], "i8")
    spread = rng.integers(INT64_MIN, INT64_MAX, count, dtype="i8", endpoint=True)
    shift = rng.integers(0, 64, count)
    price = np.where(rng.random(count) < 0.4, rng.choice(edges, count), spread >> shift)
    rows["price"] = np.where(unpriced(rows), 0, price)
    large = np.array([1, INT64_MAX, INT64_MAX - 5, 2**62, 2**62 + 1, 10**18], "i8")
    rows["quantity"] = rng.choice(large, count)
    ids = np.array([1, 2, 2**64 - 1, 2**63, 1 << 10, 1 << 11, 3 << 10], "u8")
    rows["order_id"] = np.where(
        rng.random(count) < 0.5,
        rng.choice(ids, count),
        rng.integers(0, 40, count).astype("u8") << 10,
    )


def _spoil(rng: np.random.Generator, rows: NDArray) -> None:
    """Now and then one field is wrong."""
    wrong: dict[str, list[int]] = {
        "instrument": [0, 3, 2**32 - 1],
        "side": [0, 3, 255],
        "order_type": [0, max(OrderType) + 1],
        "time_in_force": [0, max(TimeInForce) + 1],
        "flags": [1, 2, 6, 8, 65535],
        "quantity": [0, -1, INT64_MIN, INT64_MAX],
        "price": [0, 5, INT64_MAX],
        **{name: [1] for name in LATER_FIELDS | FOLLOWER_FIELDS},
        "display_quantity": [-1],
        "client_order_tail": [2**63],
    }
    for name, values in wrong.items():
        hit = rng.random(len(rows)) < 0.004
        rows[name][hit] = rng.choice(np.array(values, rows[name].dtype), int(hit.sum()))
