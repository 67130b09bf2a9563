"""`matchcore schedule`: the timetable on paper, and a server that carries it out."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_kit import apart, run, run_json

import matchcore as mc
from matchcore._children import environment
from matchcore.gateways.administration import Administration, asked, perform
from matchcore.gateways.administration import scheduling as scheduling_acts
from matchcore.operations.scheduling.looking import markets_of
from matchcore.records.times import parse, zone_of

STOCK = mc.Instrument("600519", "0.01")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with mc.Engine.open(tmp_path / "e", instruments=[STOCK], policy="os"):
        pass
    return tmp_path / "e"


def test_the_timetable_is_printed(path: Path) -> None:
    result = run("schedule", path, "--venue", "sse", "--on", "2026-11-27")
    assert result.exit_code == 0
    assert "sse main on 2026-11-27" in result.stdout and "OPENING_CALL_LOCKED" in result.stdout
    code, found = run_json("schedule", path, "--venue", "sse", "--on", "2026-11-27")
    assert (code, found["open"], found["done_until"], found["group"]) == (0, True, None, 1)
    closing = next(row for row in found["timetable"] if row["phase"] == "CLOSING_CALL")
    assert closing == {
        "time": "2026-11-27T06:57:00.000000000Z", "local": "14:57:00", "action": "phase",
        "phase": "CLOSING_CALL", "ends_halts": True, "cancel_orders": False, "window_seconds": 0,
    }  # fmt: skip
    code, found = run_json("schedule", path, "--venue", "sse", "--on", "2026-11-28")
    assert (code, found["open"], found["timetable"]) == (0, False, [])
    assert "no" in run("schedule", path, "--venue", "sse", "--on", "2026-11-28").stdout


def test_boards_zones_and_seeds(path: Path) -> None:
    fund = ("schedule", path, "--venue", "sse", "--board", "fund", "--on")
    assert len(run_json(*fund, "2026-07-03")[1]["timetable"]) == 9
    assert len(run_json(*fund, "2026-07-06")[1]["timetable"]) == 12
    generic = ("schedule", path, "--venue", "generic", "--on", "2026-11-26", "--seed")
    said = [run_json(*generic, seed)[1]["timetable"] for seed in ("a", "a", "b")]
    assert said[0] == said[1] != said[2]
    more = ("--timezone", "America/New_York", "--calendar", "XNYS")
    assert not run_json(*generic, "a", *more)[1]["open"]  # Thanksgiving


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--venue", "sse", "--board", "none"], "sse has main, star, fund"),
        (["--venue", "sse", "--on", "2014-01-02"], "begins on 2014-11-17"),
        (["--venue", "sse", "--on", "2100-01-04"], "XSHG in 2100"),
        (["--venue", "sse", "--timezone", "UTC"], "only the generic venue"),
        (["--venue", "generic", "--calendar", "XNONE"], "XNONE"),
        (["--venue", "sse", "--once", "--run"], "not both"),
    ],
)
def test_wrong_wishes_are_named(path: Path, arguments: list[str], said: str) -> None:
    result = run("schedule", path, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    code, found = run_json("schedule", path, *arguments)
    assert code == 2 and said in found["error"]


def test_day_data_is_checked_before_anything_is_sent(path: Path) -> None:
    for wrong in ("[", '{"today": {}}', '{"2026-11-27": {"600519": {"price": 1}}}', "[1]"):
        file = path.parent / "news.json"
        file.write_text(wrong)
        result = run("schedule", path, "--venue", "sse", "--once", "--day-data", file)
        assert (result.exit_code, "day data" in result.stderr) == (2, True), wrong
    assert mc.Engine.at(path).sequence == 1


def test_nobody_runs_what_nobody_serves(path: Path) -> None:
    done = apart("schedule", path, "--venue", "sse", "--run")
    assert done.returncode == 1
    assert "nobody serves it; --once does one step" in done.stderr


@contextmanager
def serving(path: Path, moments: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[mc.Engine]:
    """The administration of an engine with the reference machine, whose server has this clock."""
    monkeypatch.setattr(scheduling_acts, "time_ns", lambda: moments[0])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    with mc.Engine.open(path, machine="reference", policy="os") as engine:
        administration = Administration(path, lambda: engine)
        thread.start()
        asyncio.run_coroutine_threadsafe(administration.start(), loop).result(60)
        try:
            yield engine
        finally:
            asyncio.run_coroutine_threadsafe(administration.close(), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(60)
            loop.close()


def at(text: str) -> int:
    return parse(f"2026-11-27T{text}", zone_of("Asia/Shanghai"))


def test_a_server_carries_it_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    news = path.parent / "news.json"
    news.write_text(json.dumps({"2026-11-27": {"600519": {"previous_close": "10.00"}}}))
    options = ("--venue", "sse", "--symbol", "600519", "--day-data", news, "--once")
    moments = [at("08:00")]
    with serving(path, moments, monkeypatch) as engine:
        code, found = run_json("schedule", path, *options)
        assert (code, found["served"], found["next"]) == (0, True, at("09:00"))
        assert [one["phase"] for one in found["done"]] == [None, "CLOSED"]
        moments[0] = at("09:31")
        code, found = run_json("schedule", path, *options)
        assert [one["phase"] for one in found["done"]] == [
            None, "OPENING_CALL", "OPENING_CALL_LOCKED", "QUIET", "CONTINUOUS",
        ]  # fmt: skip
        assert found["next"] == at("09:31:01")  # a CLOCK
        market = markets_of(engine, ["600519"])["600519"]
        assert (market.phase, market.group) == (mc.Phase.CONTINUOUS, 1)
        said = run("schedule", path, "--venue", "sse", "--on", "2026-11-27", "--json").stdout
        assert json.loads(said)["done_until"] == "2026-11-27T01:30:00.000000000Z"
        moments[0] = parse("2100-01-04T10:00", zone_of("Asia/Shanghai"))
        result = run("schedule", path, *options)
        assert result.exit_code == 2 and "XSHG in 20" in result.stderr


def test_a_run_goes_on_until_it_is_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own asks the server again and again, and prints what was done."""
    moments = [at("09:15")]
    line = [sys.executable, "-m", "matchcore", "schedule", str(path), "--venue", "sse",
            "--symbol", "600519", "--run", "--json"]  # fmt: skip
    with serving(path, moments, monkeypatch) as engine:
        child = subprocess.Popen(line, env=environment(), text=True, stdout=subprocess.PIPE)
        assert child.stdout is not None
        seen = [json.loads(child.stdout.readline()) for _ in range(2)]
        moments[0] = at("09:20")
        seen.append(json.loads(child.stdout.readline()))
        assert [one["phase"] for one in seen] == [None, "OPENING_CALL", "OPENING_CALL_LOCKED"]
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
        child.stdout.close()
        assert markets_of(engine, ["600519"])["600519"].phase == mc.Phase.OPENING_CALL_LOCKED


def test_the_act_names_what_is_wrong(path: Path) -> None:
    with mc.Engine.open(path, machine="reference", policy="os") as engine:
        given: dict[str, Any] = {"board": "main", "symbols": None, "day_data": None, "options": {}}
        with pytest.raises(mc.InvalidArgument, match="venue"):
            perform(engine, "schedule", {"venue": "nyse", **given})
    assert asked(path, "schedule", {}) is None  # nobody serves it
