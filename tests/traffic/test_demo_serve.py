"""`demo --serve`: orders over all protocols while processes die, with a balancer or without."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from missing import missing

from matchcore._children import environment
from matchcore.cli.demo_serve import run_serve
from matchcore.traffic import processes

ORDERS = 240


def test_the_day_comes_in_over_all_protocols_and_nothing_is_lost(tmp_path: Path) -> None:
    if shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None:
        missing("haproxy", "haproxy")
    line = [sys.executable, "-m", "matchcore", "demo", "--serve", "--orders", str(ORDERS)]
    ran = subprocess.run(
        [*line, "--dir", str(tmp_path / "demo.d"), "--json"],
        env=environment(), capture_output=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    said = json.loads(ran.stdout)
    assert said["nothing_lost_or_doubled"] and said["books_without_gateways_equal"]
    assert said["digests_of_both_machines_equal"] and said["balancer"] == "haproxy"
    assert said["answered"] == ORDERS and said["connected_again"]
    assert sum(count for name, count in said.items() if name.startswith("over ")) == ORDERS


def test_without_a_balancer_clients_know_both_gateways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BALANCER", "no-such-program")
    said: list[str] = []
    result = run_serve(tmp_path, 60, said.append)
    assert result["nothing_lost_or_doubled"] and result["balancer"] is None
    assert [line[:2] for line in said] == ["1.", "2.", "3.", "4."]
