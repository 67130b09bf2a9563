"""Reports of a flow of 64 sessions: derived only, and kept for resend; beside the matching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore.records.instruments import write_instrument
from matchcore.reports import Reports
from matchcore.reports._reports import Derivation

from .conftest import BATCH

COUNT, SESSIONS, INSTRUMENTS = 500_000, 64, 8
Part = tuple[NDArray[np.void], NDArray[np.void]]


@pytest.fixture(scope="module")
def commands() -> NDArray[np.void]:
    """Orders near a price that is crossed now and then, 2 of 5 cancelled by name a while later."""
    rng = np.random.default_rng(1)
    rows = np.zeros(COUNT, mc.COMMAND)
    ids = np.arange(1, COUNT + 1)
    rows["kind"], rows["order_type"], rows["time_in_force"] = mc.Kind.NEW, 1, 1
    rows["time"], rows["client_order_id"], rows["order_id"] = ids, ids, (1 << 62) + ids
    rows["session"] = rows["account"] = rng.integers(1, SESSIONS + 1, COUNT)
    rows["instrument"] = rng.integers(1, INSTRUMENTS + 1, COUNT)
    rows["side"], rows["quantity"] = rng.integers(1, 3, COUNT), rng.integers(1, 100, COUNT)
    rows["price"] = 10_000 + rng.integers(-20, 20, COUNT) + np.where(rows["side"] == 1, -8, 8)
    back = rng.integers(1, 20_000, COUNT)
    cancels = np.flatnonzero((rng.random(COUNT) < 0.4) & (ids > back))
    orders = cancels - back[cancels]
    rows["kind"][cancels] = mc.Kind.CANCEL
    for name in ("order_id", "instrument", "account", "session"):
        rows[name][cancels] = rows[name][orders]
    return rows


def definitions() -> NDArray[np.void]:
    rows = np.zeros(INSTRUMENTS, mc.INSTRUMENT)
    for at, row in enumerate(rows):
        write_instrument(row, mc.Instrument(f"I{at}", "0.01"))
    rows["kind"] = mc.Kind.ADD_INSTRUMENT
    return rows.view(mc.COMMAND)


@pytest.fixture(scope="module")
def parts(commands: NDArray[np.void]) -> list[Part]:
    machine = mc.Machine()
    cut = [definitions(), *(commands[at : at + BATCH] for at in range(0, COUNT, BATCH))]
    return [(part, machine.apply(part)) for part in cut]


def test_matching(rate: Callable[..., Any], parts: list[Part]) -> None:
    def work(machine: mc.Machine) -> None:
        for sent, _ in parts:
            machine.apply(sent)

    rate(COUNT, lambda: (mc.Machine(),), work)


@pytest.mark.parametrize("made", [Derivation, Reports], ids=["derived", "kept"])
def test_reports(rate: Callable[..., Any], parts: list[Part], made: Callable[[], Any]) -> None:
    told = sum(len(Derivation.apply(one, *part)) for one in [Derivation()] for part in parts)

    def work(reports: Any) -> None:
        for part in parts:
            reports.apply(*part)

    rate(told, lambda: (made(),), work)
