"""Flows of sessions for reports, and both implementations beside each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flows import definitions, flow
from numpy.typing import NDArray

from matchcore import Instrument, Kind, Machine
from matchcore.reports import REPORT, Reports
from matchcore.reports.reference import Reports as Reference

WORLD = (Instrument("ONE", "0.01"), Instrument("TWO", "0.5", lot=3, max_quantity=999))
SESSIONS = 5


def session_flow(seed: int, count: int, *, extreme: bool = False) -> NDArray[np.void]:
    """As `flow`, by sessions that name their orders; ids come again when the window forgot them."""
    rows = flow(seed, count, extreme=extreme, again=0.1)
    rng = np.random.default_rng(seed)
    rows["account"] = rng.integers(0, 3, count)
    session = rows["account"] + rng.choice([0, 1, 2], count, p=[0.8, 0.1, 0.1])
    rows["session"] = session % SESSIONS
    named = rng.random(count) < 0.85
    rows["client_order_id"] = np.where(named, 1 + np.arange(count) % 1100, 0)
    rows["client_order_tail"] = rng.choice([0, 0, 0, 7], count)
    ends = (rows["kind"] == Kind.END_DAY) & (rng.random(count) < 0.5)
    rows["instrument"][ends] = 0
    return rows


def world() -> tuple[Machine, NDArray[np.void]]:
    """A machine, and the commands that make its instruments."""
    return Machine(), definitions(*WORLD)


def cuts(seed: int, rows: NDArray[np.void], longest: int = 300) -> Iterator[NDArray[np.void]]:
    rng, at = np.random.default_rng(seed), 0
    while at < len(rows):
        step = int(rng.integers(1, longest))
        yield rows[at : at + step]
        at += step


class Pair:
    """The compiled one and the oracle; every call compares them."""

    def __init__(self, remembered: int) -> None:
        self.fast = Reports(remembered=remembered)
        self.slow = Reference(remembered=remembered)

    def apply(self, commands: NDArray[np.void], events: NDArray[np.void]) -> NDArray[np.void]:
        said, expected = self.fast.apply(commands, events), self.slow.apply(commands, events)
        if said.tobytes() != expected.tobytes():
            shorter = min(len(said), len(expected))
            at = next((i for i in range(shorter) if said[i] != expected[i]), shorter)
            raise AssertionError(
                f"report {at}: {REPORT.names}\n{said[at : at + 1]}\n{expected[at : at + 1]}"
            )
        assert (self.fast.sequence, self.fast.day) == (self.slow.sequence, self.slow.day)
        return said

    def look(self, commands: NDArray[np.void]) -> None:
        """Compares what they know of the orders that these commands name."""
        for row in commands:
            name = int(row["account"]), int(row["client_order_id"]), int(row["client_order_tail"])
            assert self.fast.find(*name) == self.slow.find(*name)
            assert same(self.fast.status(*name), self.slow.status(*name))
            place = int(row["instrument"]), int(row["order_id"])
            assert same(self.fast.order(*place), self.slow.order(*place))
        for account in range(4):
            found, expected = (one.open_orders(account) for one in (self.fast, self.slow))
            assert found.tobytes() == expected.tobytes()
        for session in range(SESSIONS + 1):
            assert self.fast.last(session) == self.slow.last(session)


def same(one: NDArray[np.void] | None, other: NDArray[np.void] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.tobytes() == other.tobytes()
