"""The load tool against a door, and against servers that do wrong."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gateway_kit import ANA, Served, until
from hypothesis import given
from hypothesis import strategies as st
from ouch_kit import packet, payloads
from test_door import HOST, PATIENCE, users

from matchcore import Engine, InvalidArgument
from matchcore.bench import load
from matchcore.bench.load import Account, Flow, Histogram, LoadFailed, run_load
from matchcore.cli.app import app
from matchcore.gateways.desk import Desk
from matchcore.gateways.ouch import layout
from matchcore.gateways.ouch._client import heard
from matchcore.gateways.ouch.door import OuchDoor
from matchcore.gateways.ways import Direct

FLOW = Flow(("ANA",), 95_000, 96_000, 500, open=10)


@contextmanager
def in_a_thread(
    serve: Callable[[asyncio.Event, Callable[[tuple[str, int]], None]], Coroutine[Any, Any, None]],
) -> Iterator[tuple[str, int]]:
    """A server in a loop of its own; its address."""
    ready, found, stops = threading.Event(), [], []

    async def run() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))

        def begun(address: tuple[str, int]) -> None:
            found.append(address)
            ready.set()

        await serve(stop, begun)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield found[0]
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
    assert not thread.is_alive()


async def door(stop: asyncio.Event, begun: Callable[[tuple[str, int]], None]) -> None:
    opened = OuchDoor(HOST, 0)
    desk = Desk(Direct(Engine.memory(instruments=[ANA])), users(8))
    async with Served(desk, opened):
        await until(lambda: not opened.closed)
        begun(opened.address)
        await stop.wait()


def accounts(count: int) -> list[Account]:
    return [Account(f"user{n}", "secret") for n in range(1, count + 1)]


def test_every_order_is_answered_once() -> None:
    passed: list[float] = []
    with in_a_thread(door) as address:
        for _ in range(2):  # the second goes on behind the numbers of the first
            outcome = run_load(address, accounts(8), FLOW, rate=4000, seconds=1.0,
                               progress=passed.append)  # fmt: skip
            assert outcome.fine and outcome.sent == outcome.accepted == 4000
            assert outcome.cancels == 8 * (500 - FLOW.open) and outcome.executions > 0
            said = outcome.as_dict()
            assert said["missing"] == said["answered_twice"] == said["not_sent"] == 0
            assert int(outcome.latency.counts.sum()) == 4000
            assert outcome.latency.at(0.5) <= outcome.latency.at(0.999) <= outcome.latency.largest


def answering(times: int) -> Any:
    """A server that answers each order so often."""

    async def serve(stop: asyncio.Event, begun: Callable[[tuple[str, int]], None]) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await reader.read(2):
                body = await reader.readexactly(int.from_bytes(head, "big"))
                if body[:1] == b"L":
                    writer.write(packet(b"A", b"0000000000" + b"1".rjust(20)))
                elif body[1:2] == b"Q":
                    said = layout.ANSWERS[b"Q"].packer.pack(b"Q", 0, 1)
                    writer.write(packet(b"U", said))
                elif body[1:2] == b"O":
                    said = layout.ANSWERS[b"J"].packer
                    ref = int.from_bytes(body[2:6], "big")
                    writer.write(packet(b"S", said.pack(b"J", 0, ref, 15, b" " * 14)) * times)
            writer.close()

        server = await asyncio.start_server(talk, HOST, 0)
        begun(server.sockets[0].getsockname())
        await stop.wait()
        server.close()

    return serve


def test_answers_that_are_missing_or_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "DRAIN_SECONDS", 0.2)
    with in_a_thread(answering(2)) as address:
        outcome = run_load(address, accounts(1), FLOW, rate=1000, seconds=0.05)
        assert outcome.twice and not outcome.fine
    with in_a_thread(answering(0)) as address, pytest.raises(LoadFailed, match="missing"):
        run_load(address, accounts(1), FLOW, rate=1000, seconds=0.05)


def test_logins_and_addresses_that_are_none() -> None:
    with in_a_thread(door) as address, pytest.raises(LoadFailed, match="user9: the login"):
        run_load(address, [Account("user9", "x")], FLOW, rate=10, seconds=1)
    with socket.create_server((HOST, 0)) as taken:
        nobody = taken.getsockname()
    with pytest.raises(ConnectionRefusedError):
        run_load(nobody, accounts(1), FLOW, rate=10, seconds=1)
    for rate, seconds, count in ((0, 1, 1), (1, 0, 1), (1, 1, 0), (1e9, 1e3, 1)):
        with pytest.raises(InvalidArgument):
            run_load(nobody, accounts(count), FLOW, rate=rate, seconds=seconds)
    for wrong in ({"symbols": ()}, {"low": 0}, {"high": 1}, {"tick": 0}, {"quantity": 0},
                  {"open": 0}, {"symbols": ("LONGSYMBOL",)}):  # fmt: skip
        with pytest.raises(InvalidArgument):
            Flow(**{"symbols": ("ANA",), "low": 10, "high": 20, "tick": 1, **wrong})  # type: ignore[arg-type]  # wrong on purpose


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=200), st.floats(0.01, 0.999))
def test_the_histogram_is_near(values: list[int], share: float) -> None:
    histogram = Histogram()
    histogram.add(np.array(values[:50], np.int64))
    histogram.add(np.array(values[50:], np.int64))
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert exact * 0.98 <= histogram.at(share) <= exact * 1.03 + 1
    assert histogram.largest == max(values) and histogram.at(1.0) <= max(values)
    assert Histogram().microseconds()["p50"] == 0.0


def test_the_clock_of_an_order_begins_when_it_is_due() -> None:
    async def test() -> None:
        client = load.Client(Account("a", "b"), FLOW, 200.0, 10.0, 1)
        client._start = 7_000
        assert client._due(np.array([0, 1, 10])).tolist() == [7_000, 5_007_000, 50_007_000]
        client.ready.cancel()

    asyncio.run(test())


@given(st.lists(st.sampled_from([
    packet(b"S", b"A" + bytes(8) + b"\0\0\0\7" + bytes(51)), packet(b"H"), packet(b"Z"),
    packet(b"S", b"U" + bytes(12) + b"\0\0\0\x09" + bytes(51)), packet(b"+", b"text"),
    packet(b"S", b"S" + bytes(8) + b"m"), packet(b"J", b"A"), packet(b"S"),
])).map(b"".join), st.integers(0, 40))  # fmt: skip
def test_what_is_heard(data: bytes, cut: int) -> None:
    size, letters, refs = heard(bytearray(data + packet(b"S", bytes(60))[:cut]))
    assert size == len(data) and len(letters) == len(refs)
    expected = []
    for kind, payload in payloads(data):
        if kind == b"S" and len(payload) >= 10:
            expected.append((payload[0], {b"A": 7, b"U": 9}.get(payload[:1], 0)))
        elif kind in (b"Z", b"J"):
            expected.append((b"Z"[0] if kind == b"Z" else b"L"[0], 0))
    assert list(zip(letters.tolist(), refs.tolist(), strict=True)) == expected


@given(st.binary(max_size=300))
def test_any_bytes_are_heard(data: bytes) -> None:
    assert heard(data)[0] <= len(data)


def test_the_command(tmp_path: Path) -> None:
    logins = tmp_path / "users.txt"
    logins.write_text("user1 secret\n\nuser2 secret\n")
    line = ["load", "", "--logins", str(logins), "--symbol", "ANA", "--low", "9.5", "--high", "9.6",
            "--tick", "0.05", "--rate", "500", "--seconds", "0.2"]  # fmt: skip
    runner = CliRunner()
    with in_a_thread(door) as (host, port):
        line[1] = f"{host}:{port}"
        ran = runner.invoke(app, [*line, "--json"])
        assert ran.exit_code == 0, ran.output
        said = json.loads(ran.output)
        assert (said["sessions"], said["orders"], said["missing"]) == (2, 100, 0)
        assert "Load" in runner.invoke(app, line).output
        logins.write_text("user1\n")
        ran = runner.invoke(app, line)
        assert ran.exit_code == 2 and "line 1" in ran.output
        logins.write_text("")
        assert runner.invoke(app, line).exit_code == 2
        line[line.index("9.5")] = "9.00001"
        assert "4 decimals" in runner.invoke(app, line).output
