"""Two networks between a gateway and an engine, one of which fails without a word."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lines_kit import ANA, Taken, orders, until

import matchcore as mc
from matchcore._children import environment
from matchcore.gateways.lines import Lines
from matchcore.gateways.lines.address import Address
from matchcore.journal import LogReader

NAME = f"mc{os.getpid() % 100_000}"
NETS = ("10.231.77", "10.231.78")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture
def networks() -> Iterator[None]:
    """A namespace that two pairs of interfaces lead to."""
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    try:
        ip("netns", "add", NAME)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system allows no network namespaces: {error.stderr.decode()}")
    try:
        for n, net in enumerate(NETS):
            near, far = f"{NAME}a{n}", f"{NAME}b{n}"
            ip("link", "add", near, "type", "veth", "peer", "name", far)
            ip("link", "set", far, "netns", NAME)
            ip("addr", "add", f"{net}.1/24", "dev", near)
            ip("link", "set", near, "up")
            ip("netns", "exec", NAME, "ip", "addr", "add", f"{net}.2/24", "dev", far)
            ip("netns", "exec", NAME, "ip", "link", "set", far, "up")
        yield
    finally:
        ip("netns", "del", NAME)  # and so the interfaces


@pytest.mark.parametrize("both", [False, True])
def test_a_network_that_fails_silently_costs_a_second(
    tmp_path: Path, networks: None, both: bool
) -> None:
    async def work() -> None:
        taken, sent = Taken(), 0
        way = Lines([Address(f"{net}.2", 7100) for net in NETS], both=both)
        await way.start(taken.take, taken.is_down)
        await until(lambda: way.counts["lines_up"] == 2)
        for _ in range(3):
            assert way.active is not None
            n = way.lines.index(way.active.line)
            way.send(orders(sent + 1, 20))
            ip("link", "set", f"{NAME}a{n}", "down")  # nothing comes through, and nobody is told
            way.send(orders(sent + 21, 20))
            sent += 40
            await until(lambda n=n: way.lines[n].link is None)  # type: ignore[misc]  # no default
            await until(lambda sent=sent: taken.count == sent + 1)  # type: ignore[misc]  # as above
            ip("link", "set", f"{NAME}a{n}", "up")
            await until(lambda: way.counts["lines_up"] == 2)
        assert taken.ids() == [*range(1, sent + 1)]
        await way.close()

    exchange = tmp_path / "x"
    mc.Engine.open(exchange, instruments=[ANA]).close()
    lines = [part for net in NETS for part in ("--lines", f"{net}.2:7100")]
    command = [sys.executable, "-m", "matchcore", "serve", str(exchange), *lines]
    with subprocess.Popen(
        ["ip", "netns", "exec", NAME, *command],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as engine:  # fmt: skip
        try:
            asyncio.run(asyncio.wait_for(work(), 100))
        finally:
            engine.terminate()
    assert engine.returncode == 0
    with LogReader(exchange) as reader:
        rows = np.concatenate([frame.commands for frame in reader.read()])
    assert len(rows) == 1 + 120
