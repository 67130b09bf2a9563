"""The status port, and what a gateway counts."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from pathlib import Path

import aiohttp
import pytest
from gateway_kit import ANA, Frozen, Heard, Served, desk, login, order, until
from prometheus_client.parser import text_string_to_metric_families

from matchcore import Engine, Side
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import FixedUsers, Forbidden, Limits, Throttled
from matchcore.gateways.status import StatusDoor
from matchcore.gateways.web.door import WebDoor
from matchcore.serving.logs import JsonLines, event


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.text()


async def metrics(door: StatusDoor) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and labels."""
    status, text = await get(door.url + "/metrics")
    assert status == 200
    return {(sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples}  # fmt: skip


async def started(served: Desk) -> None:
    await until(lambda: served.watch.turned > 0 and served._live)


def test_what_happens_is_counted(tmp_path: Path) -> None:
    async def test() -> None:
        with Engine.open(tmp_path / "e", instruments=[ANA], policy="os") as engine:
            engine.snapshot()
            ready = asyncio.Event()
            web = WebDoor("127.0.0.1", 0)
            door = StatusDoor("127.0.0.1", 0, directory=tmp_path / "e",
                              started=lambda _: ready.set())  # fmt: skip
            async with Served(desk(engine), web, door) as served:
                await asyncio.wait_for(ready.wait(), 10)
                heard = Heard(login(1, accounts=frozenset({1})))
                served.attach(heard)
                served.send(heard, order(7, Side.SELL, 30, 1914, account=1))
                served.send(heard, order(8, Side.SELL, -1, 1914, account=1))
                with pytest.raises(Forbidden):
                    served.send(heard, order(9, Side.SELL, 1, 1914, account=2))
                await until(lambda: len(heard.reports) == 2)
                found = await metrics(door)
                name = "matchcore_gateway_"
                assert found[name + "sessions", ()] == 1
                assert found[name + "engine_up", ()] == 1
                assert found[name + "under_way", ()] == found[name + "queue", ()] == 0
                last = heard.reports[-1]["sequence"]  # what it says of itself may stand behind it
                assert last <= found[name + "sequence", ()] <= served.sequence
                assert found[name + "commands_total", ()] == 2
                assert found[name + "reports_total", ()] == 2
                assert found[name + "refusals_total", ("quantity_not_positive",)] == 1
                assert found[name + "turned_away_total", ("forbidden",)] == 1
                assert found[name + "answer_seconds_count", ()] == 2
                assert found[name + "figure", ("web", "streams")] == 0
                assert 0 <= found["matchcore_snapshot_age_seconds", ()] < 600

    asyncio.run(test())


def test_health_is_of_the_loop_and_readiness_of_the_engine() -> None:
    async def test() -> None:
        engine, ready = Engine.memory(instruments=[ANA]), asyncio.Event()
        door = StatusDoor("127.0.0.1", 0, started=lambda _: ready.set())
        async with Served(desk(engine), door) as served:
            await asyncio.wait_for(ready.wait(), 10)
            for path in ("/health", "/ready"):
                assert (await get(door.url + path))[0] == 200
            served.watch.turned = time.monotonic() - 4
            for path in ("/health", "/ready"):
                status, text = await get(door.url + path)
                assert (status, json.loads(text)["status"]) == (503, "late")
            served.watch.turned = time.monotonic()
            served._is_down("the disk is full")
            status, text = await get(door.url + "/ready")
            assert (status, json.loads(text)["why"]) == (503, "the disk is full")
            assert (await get(door.url + "/health"))[0] == 200
            assert (await metrics(door))["matchcore_gateway_engine_up", ()] == 0
            served._down = ""
            await door.drain()
            assert json.loads((await get(door.url + "/ready"))[1])["status"] == "closing"

    asyncio.run(test())


def test_an_engine_that_answers_nothing_is_not_ready() -> None:
    async def test() -> None:
        ready = asyncio.Event()
        door = StatusDoor("127.0.0.1", 0, started=lambda _: ready.set())
        frozen = Desk(Frozen(), FixedUsers({}))
        async with Served(frozen, door):
            await asyncio.wait_for(ready.wait(), 10)
            heard = Heard(login(1, limits=Limits(100, 100, 2)))
            frozen.attach(heard)
            for number in (7, 8):
                frozen.send(heard, order(number, Side.SELL, 30, 1914, account=1))
            with pytest.raises(Throttled, match="wait for an answer"):
                frozen.send(heard, order(9, Side.SELL, 30, 1914, account=1))
            assert frozen.silent_seconds() < 3 and frozen.under_way == 2
            assert (await get(door.url + "/ready"))[0] == 200
            frozen._asked -= 4
            status, text = await get(door.url + "/ready")
            assert (status, json.loads(text)["status"]) == (503, "engine silent")

    asyncio.run(test())


def test_a_gateway_that_is_behind_the_log_is_not_ready() -> None:
    async def test() -> None:
        ready, way = asyncio.Event(), Frozen()
        door = StatusDoor("127.0.0.1", 0, started=lambda _: ready.set())
        behind = Desk(way, FixedUsers({}))
        async with Served(behind, door):
            await asyncio.wait_for(ready.wait(), 10)
            way.durable = 5
            behind._beat([])
            assert behind.behind_seconds() < 3 and (await get(door.url + "/ready"))[0] == 200
            behind._mark = behind._mark[0], behind._mark[1] - 4
            behind._beat([])
            status, text = await get(door.url + "/ready")
            assert (status, json.loads(text)["status"]) == (503, "behind")
            assert (await metrics(door))["matchcore_gateway_behind_seconds", ()] > 3
            behind.sequence = 5
            assert (await get(door.url + "/ready"))[0] == 200

    asyncio.run(test())


def test_a_line_of_the_log_is_json_whatever_a_client_says() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("matchcore.test_logs")
    log.propagate = False
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    event(log, "login_refused", user='x"\n{"event":"fine"}' + "y" * 1000, host="10.0.0.1")
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("fault")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["level"], first["host"]) == ("login_refused", "info", "10.0.0.1")
    assert first["user"].startswith('x"\n') and len(first["user"]) == 200
    assert second["error"].endswith("ValueError: no")
