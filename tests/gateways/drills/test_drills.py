"""Kill and stop anything amid traffic: every order answered once, every fill told once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
from drill_kit import Exchange, derived

from matchcore.records.schema import Kind, ReportKind

ROUNDS = int(os.environ.get("MATCHCORE_DRILLS", "20"))


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_everybody_hears_what_the_log_has(tmp_path: Path, seed: int) -> None:
    exchange = Exchange(tmp_path, seed)
    asyncio.run(asyncio.wait_for(exchange.run(faults=4), 120))
    reports, commands = derived(tmp_path / "x")
    for client in exchange.clients:
        told = reports.read(client.session, 1, 1 << 20)
        heard = np.array(client.reports)
        assert heard.tobytes() == told.tobytes(), exchange.done
        mine = commands[(commands["session"] == client.session) & (commands["kind"] == Kind.NEW)]
        answers = np.isin(told["kind"], (ReportKind.NEW, ReportKind.REJECTED))
        new = told["client_order_id"][answers].tolist()
        assert sorted(new) == sorted({*mine["client_order_id"].tolist()}), "executed twice"
