"""The neutral workload: a public, deterministic order flow, its commands and its conformance hash.

A benchmark of matching algorithms (flash1-dev/matching-engine-benchmark, arXiv 2606.01183)
sends one flow through many engines and hashes everything they report.  Here the flow is made
from its published recipe; `WORKLOAD_SHA256` says whether it is the right one, `REPORT_SHA256`
what every conforming engine answers to it.

Everything that could move a price by a tick in the last bit of a float is done as the recipe
says: one Mersenne Twister stream, and the C library's log, cos, exp and pow through `math`.
Only square roots, products and sums are NumPy's: those IEEE 754 rounds the same everywhere.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..commands import COMMAND, Kind, OrderType, TimeInForce
from ..errors import MatchcoreError
from ..events import EVENT, EventKind


class Scenario(NamedTuple):
    """How far the mid price wanders: volatility, and swing as a share of the price."""

    volatility: float
    swing: float


SCENARIOS = {
    "static": Scenario(0.0, 0.0),
    "normal": Scenario(0.15, 0.02),
    "swing-25": Scenario(0.50, 0.25),
    "swing-40": Scenario(0.50, 0.40),
    "flash-crash": Scenario(0.50, 0.60),
}

ORDERS = 1_000_000
SEED = 23
ORDERS_MAX = 10_000_000

#: SHA-256 of `messages(scenario).tobytes()`, as published.
WORKLOAD_SHA256 = {
    "static": "c93cdd71f5fabe750a58ab72af306be5fe4a24f1fd215878120db348b81af89b",
    "normal": "0b12097cabb5902573af2b8ae17c3b0881dc3a18b2cbf36cb3c46eabb468956e",
    "swing-25": "d9d5c4c2a2e451f85ce9a8dba4371f021a8fb4c2ff8d0a214b0caaceda8b6a68",
    "swing-40": "a864928b45723d879474302700de49641dcbb6c10a0b637db79d0a5845d7a422",
    "flash-crash": "5b2ed7ddb5551165801dd5815d6372891d29178351cc1fc5fd10c487517512de",
}

#: The conformance hash of each scenario's answers, as published.
REPORT_SHA256 = {
    "static": "9803843ee404fc29c9a0aa5614f8f0d5a58b5c44fcac9ef89067886fcaaa30d1",
    "normal": "e9b2e3926854410b01a035aeb25dd05f1e597c233be8263de9eb49b6713d367e",
    "swing-25": "61a84be9469661bd039e00dbc9a7c011e70b6ace37aadfe60045ea083b05f4df",
    "swing-40": "3cb0175e7982ff09ea220d1feaee3844cf9116a5ce455757879dea1d880b9b9f",
    "flash-crash": "cff8d3f94b709fc64a8b2058a6ca4fb6920364904796e46906895e362d2bb16b",
}

#: One message of the workload, 40 bytes.  A cancel carries its order's first quantity and price.
MESSAGE = np.dtype(
    [
        ("type", "u1"),
        ("side", "u1"),
        ("ioc", "u1"),
        ("zero", "u1"),
        ("quantity", "<u4"),
        ("sequence", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("reserved", "<i8"),
    ]
)
NEW, CANCEL, MODIFY = 0, 1, 2  # of MESSAGE's type
BUY, SELL = 0, 1  # of MESSAGE's side

TICK = 0.005
START_MID = 167.52
DEPTH = 800
IOC_SHARE, MODIFY_SHARE, CANCEL_SHARE = 0.15, 0.20, 0.95
REPRICE_SHARE = 0.80  # of the modifies
REPEAT_SHARE = 0.02  # of the cancels, and of the modifies of orders that are cancelled

# What happens to an order, one bit each.
_IOC, _MODIFY, _REPRICE, _CANCEL, _CANCEL_AGAIN, _MODIFY_LATE = (1 << bit for bit in range(6))


def messages(scenario: str, count: int = ORDERS, seed: int = SEED) -> NDArray:
    """The workload as a `MESSAGE` array: `count` new orders, and what becomes of them.

    Prices are in ticks of 0.005.  About two seconds and 250 MB for a million orders.
    ValueError for an unknown scenario, a count outside 1 to 10,000,000, or a seed beyond 32 bits.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario {scenario!r}: one of {', '.join(SCENARIOS)}")
    if not 1 <= count <= ORDERS_MAX:
        raise ValueError(f"count {count}: 1 to {ORDERS_MAX:,} new orders")
    random = np.random.RandomState(seed)
    side = np.where(np.arange(count) < count // 2, BUY, SELL).astype(np.int8)
    price, quantity = _orders(random, SCENARIOS[scenario], side)
    arrival = _arrival(random, count)
    lives = _lives(random, count)
    return _messages(arrival, side[arrival], price[arrival], quantity[arrival], lives)


def _orders(
    random: np.random.RandomState, scenario: Scenario, side: NDArray
) -> tuple[NDArray, NDArray]:
    """Price (ticks) and quantity of each order, in the order they are drawn."""
    draws = random.random_sample((len(side), 4)).T
    mid = _mids(draws[0], draws[1], scenario)
    weights = np.cumsum(
        [math.pow(k + 1, -2.23) + 5 * math.exp(-0.5 * (k - 8) ** 2) for k in range(DEPTH)]
    )
    level = np.minimum(np.searchsorted(weights, draws[2] * weights[-1]), DEPTH - 1)
    away = level + 1
    price = np.maximum(np.where(side == BUY, mid - away, mid + away), 1)
    quantity = 1 + np.floor(100 * draws[3]).astype(np.int64)
    return price, quantity


def _mids(u1: NDArray, u2: NDArray, scenario: Scenario) -> NDArray:
    """The mid price at each order, in ticks: a geometric random walk."""
    count = len(u1)
    if not scenario.volatility:
        return np.full(count, math.floor(START_MID / TICK + 0.5))
    step = scenario.volatility * math.sqrt((scenario.swing / scenario.volatility) ** 2 / count)
    logs = _each(math.log, u1)
    normal = np.sqrt(-2 * logs) * _each(math.cos, 2 * math.pi * u2)
    growth = _each(math.exp, -0.5 * step * step + step * normal)
    growth[0] *= START_MID
    return np.floor(np.multiply.accumulate(growth) / TICK + 0.5).astype(np.int64)


def _each(function: Callable[[float], float], values: NDArray) -> NDArray:
    """The C library's function of each value."""
    return np.fromiter(map(function, values.tolist()), np.float64, len(values))


def _arrival(random: np.random.RandomState, count: int) -> NDArray:
    """The orders in the order they arrive: a Fisher-Yates shuffle from the back."""
    last = np.arange(count - 1, 0, -1)
    chosen = (random.random_sample(count - 1) * (last + 1)).astype(np.int64)
    order = list(range(count))
    for i, j in zip(last.tolist(), chosen.tolist(), strict=True):
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def _lives(random: np.random.RandomState, count: int) -> NDArray:
    """What happens to each arriving order, as bits.

    The recipe gives each message a time and sorts by it.  But every message of an order comes
    before the next order's first, so that the sort moves nothing: how long things take is
    drawn, because the stream must go on, and not used.
    """
    draws = iter(lambda: random.random_sample(1 << 16).tolist(), None)
    draw = chain.from_iterable(draws).__next__
    lives = bytearray(count)
    for at in range(count):
        if draw() < IOC_SHARE:
            lives[at] = _IOC
            continue
        life = 0
        if draw() < MODIFY_SHARE:
            draw()  # how long until then
            life |= _MODIFY | (_REPRICE if draw() < REPRICE_SHARE else 0)
        if draw() < CANCEL_SHARE:
            draw()  # how long it rests
            life |= _CANCEL
            if draw() < REPEAT_SHARE:
                draw()  # how long until then
                life |= _CANCEL_AGAIN
            if life & _MODIFY and draw() < REPEAT_SHARE:
                draw()  # how long until then
                life |= _MODIFY_LATE
        lives[at] = life
    return np.frombuffer(lives, np.uint8)


def _messages(
    arrival: NDArray, side: NDArray, price: NDArray, quantity: NDArray, lives: NDArray
) -> NDArray:
    """One to five messages for each arriving order, order after order."""
    step = np.where(lives & _REPRICE, np.where(side == BUY, 1, -1), 0)
    kinds = (
        (NEW, np.ones(len(lives), bool)),
        (MODIFY, lives & _MODIFY != 0),
        (CANCEL, lives & _CANCEL != 0),
        (CANCEL, lives & _CANCEL_AGAIN != 0),
        (MODIFY, lives & _MODIFY_LATE != 0),
    )
    sent = sum(happens.astype(np.int64) for _, happens in kinds)
    ends = np.cumsum(sent)
    out = np.zeros(int(ends[-1]), MESSAGE)
    place = ends - sent
    for kind, happens in kinds:
        at = place[happens]
        out["type"][at] = kind
        out["side"][at] = side[happens]
        out["order_id"][at] = arrival[happens] + 1
        modify = kind == MODIFY
        out["price"][at] = price[happens] + step[happens] * modify
        out["quantity"][at] = quantity[happens] + modify
        place = place + happens
    out["ioc"][ends - sent] = lives & _IOC
    out["sequence"] = np.arange(len(out))
    return out


def commands(messages: NDArray) -> NDArray:
    """The `COMMAND` array that says the same to instrument number 1.

    A modify is an AMEND to its new price and quantity.  Times count up from 1.
    """
    made = np.zeros(len(messages), COMMAND)
    kind, new = messages["type"], messages["type"] == NEW
    made["time"] = np.arange(1, len(messages) + 1)
    made["instrument"] = 1
    made["order_id"] = messages["order_id"]
    made["kind"] = np.array([Kind.NEW, Kind.CANCEL, Kind.AMEND], np.uint8)[kind]
    made["price"] = np.where(kind == CANCEL, 0, messages["price"])
    made["quantity"] = np.where(kind == CANCEL, 0, messages["quantity"])
    made["side"] = np.where(new, messages["side"] + 1, 0)
    made["order_type"] = np.where(new, OrderType.LIMIT, 0)
    in_force = np.where(messages["ioc"], TimeInForce.IOC, TimeInForce.GTC)
    made["time_in_force"] = np.where(new, in_force, 0)
    return made


# The columns of a report line after its type, and for each report type the line and its columns.
_COLUMNS = ("sequence", "side", "order_id", "price", "quantity", "maker", "taker")
_LINES = (
    ("0,%d,%d,%d,%d,%d", ("sequence", "side", "order_id", "price", "quantity")),  # order ack
    ("1,%d,%d,%d,%d,%d", ("sequence", "price", "quantity", "maker", "taker")),  # trade
    ("2,%d,%d,%d,%d", ("sequence", "side", "order_id", "price")),  # cancel ack
    ("3,%d,%d,%d,%d,%d", ("sequence", "side", "order_id", "price", "quantity")),  # modify ack
    ("4,%d,%d", ("sequence", "order_id")),  # cancel reject
    ("5,%d,%d", ("sequence", "order_id")),  # modify reject
)
_FORMATS = [line for line, _ in _LINES]
_USED = np.array([[column in used for column in _COLUMNS] for _, used in _LINES])
_REPORTS = np.full(256, -1, np.int8)  # report type by event kind; a REJECTED depends on the message
_REPORTS[[EventKind.ACCEPTED, EventKind.TRADED, EventKind.CANCELLED, EventKind.AMENDED]] = range(4)
_REJECTS = np.array([-1, 4, 5], np.int8)  # report type of a REJECTED, by message type
_EVENTS_AT_ONCE = 1 << 16


class ReportHash:
    """The conformance hash of what an exchange answers to `messages`, fed batch by batch.

    The first event given answers the first message; an order's events must come together,
    as `Engine.submit_batch` returns them.
    """

    def __init__(self, messages: NDArray) -> None:
        self._types = messages["type"]
        self._first: int | None = None
        self._hash = hashlib.sha256()
        self._started = False

    def update(self, events: NDArray) -> None:
        """Adds an `EVENT` array of whole commands.  ValueError for an event that answers none."""
        if not len(events):
            return
        if self._first is None:
            self._first = int(events["sequence"][0])
        at = events["sequence"].astype(np.int64) - self._first
        if at.min() < 0 or at.max() >= len(self._types):
            raise ValueError(
                f"events of sequences {self._first + at.min()} to {self._first + at.max()}:"
                f" the messages have {self._first} to {self._first + len(self._types) - 1}"
            )
        reports = _REPORTS[events["kind"]]
        rejected = events["kind"] == EventKind.REJECTED
        reports = np.where(rejected, _REJECTS[self._types[at]], reports)
        if reports.min() < 0:
            wrong = events[int(np.argmin(reports))]
            kind, sequence = EventKind(wrong["kind"]).name, wrong["sequence"]
            raise ValueError(f"{kind} at sequence {sequence} is no answer of the workload's")
        order = np.argsort(at * len(_LINES) + reports, kind="stable")
        for start in range(0, len(order), _EVENTS_AT_ONCE):
            chosen = order[start : start + _EVENTS_AT_ONCE]
            self._add(events[chosen], at[chosen], reports[chosen])

    def _add(self, events: NDArray, at: NDArray, reports: NDArray) -> None:
        values = np.empty((len(events), len(_COLUMNS)), np.int64)
        values[:, 0] = at
        values[:, 1] = events["side"].astype(np.int64) - 1
        values[:, 2] = values[:, 5] = events["order_id"]
        values[:, 3] = events["price"]
        values[:, 4] = events["quantity"]
        values[:, 6] = events["taker_order_id"]
        lines = "\n".join(map(_FORMATS.__getitem__, reports.tolist()))
        text = lines % tuple(values[_USED[reports]].tolist())
        self._hash.update(("\n" + text if self._started else text).encode())
        self._started = True

    def hexdigest(self) -> str:
        """SHA-256 of all report lines so far, in hexadecimal."""
        return self._hash.hexdigest()


def report_hash(messages: NDArray, events: NDArray) -> str:
    """The conformance hash of an `EVENT` array with all answers to `messages`, in sequence.

    Compare with `REPORT_SHA256`.  ValueError for an event that answers no message.
    """
    whole = ReportHash(messages)
    whole.update(events)
    return whole.hexdigest()


def cached_messages(scenario: str, directory: Path | None = None) -> NDArray:
    """`messages(scenario)`, kept in a file and checked against `WORKLOAD_SHA256` on every load.

    ``directory``: by default ``matchcore`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.  If it may not
    be written, nothing is kept.  `MatchcoreError` when this machine makes another workload.
    """
    place = directory if directory is not None else _cache_directory()
    path = place / f"neutral-{scenario}.npy"
    kept = _load(path, scenario)
    if kept is not None:
        return kept
    made = messages(scenario)
    if not _is_right(made, scenario):
        raise MatchcoreError(
            f"the workload {scenario!r} made here is not the published one: the C library's"
            " log, cos or exp must differ in a last bit"
        )
    try:
        _store(path, made)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return made


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "matchcore"


def _is_right(made: NDArray, scenario: str) -> bool:
    return hashlib.sha256(made.tobytes()).hexdigest() == WORKLOAD_SHA256[scenario]


def _load(path: Path, scenario: str) -> NDArray | None:
    """The file's messages, or None if there is no file or it is not this workload."""
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):
        return None
    if mapped.dtype != MESSAGE or mapped.ndim != 1:
        return None
    kept = np.array(mapped)  # in memory, so that what was checked is what is used
    return kept if _is_right(kept, scenario) else None


def _store(path: Path, made: NDArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, made)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
