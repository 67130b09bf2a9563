"""The command line to test with: run inside this process or in one of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import matchcore as mc
from matchcore.cli.app import app

ANA = mc.Instrument("ANA", "0.05")
SECOND = 1_558_429_200
HEADER = "ordtype;uid;is_buy;qty;price;timestamp"


def run(*arguments: object) -> Result:
    """One command in this process; an exception that is no exit is raised here."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if it were not installed, whatever earlier tests have imported of it or with it."""
    for name, module in list(sys.modules.items()):
        mine = name.startswith("matchcore.") and any(
            str(getattr(value, "__module__", "")).partition(".")[0] == package
            or getattr(value, "__name__", "") == package
            for value in vars(module).values()
        )
        if mine or name.startswith(f"{package}."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def run_json(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit code and the one JSON object that is all of standard output."""
    result = run(*arguments, "--json")
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return result.exit_code, found


def apart(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, its output in pipes."""
    command = [sys.executable, "-m", "matchcore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def traded(path: Path, count: int = 200) -> Path:
    """An exchange in many frames, with open orders on both sides; closed."""
    with mc.Engine.open(path, instruments=[ANA], policy="os") as engine:
        for at in range(count):
            side = mc.Side.BUY if at % 2 else mc.Side.SELL
            ticks = 1900 + at % 7 * (1 if side == mc.Side.SELL else -1)
            time = (SECOND + at) * 10**9
            engine.submit(
                mc.NewOrder("ANA", side, 1 + at % 9, ANA.price(ticks), account=at % 3, time=time)
            )
    return path


def torn(path: Path) -> Path:
    """An exchange whose last frame is cut off: copied while it was open, then truncated."""
    alive = path.with_name(f"{path.name}.alive")
    traded(alive, 199)
    with mc.Engine.open(alive, policy="os") as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 5, "99.00", time=1))
        shutil.copytree(alive, path)
    shutil.rmtree(alive)
    file = segment(path)
    data = file.read_bytes().rstrip(b"\0")
    file.write_bytes(data[:-60])
    return path


def segment(path: Path) -> Path:
    (file,) = path.glob("journal-*.mcj")
    return file


def flipped(path: Path) -> Path:
    """The same exchange with one bit in the middle changed; its segment."""
    file = segment(path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return file


def contents(path: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {
        str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()
    }
