"""Servers of a replicated log, once for a module, and engines that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from regions_kit import ANA, flow
from standby_kit import Command, EngineProcess

import matchcore as mc
from matchcore.journal.stream import Servers

_names = count(1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Three servers; each test has a log of its own there."""
    with Servers(tmp_path_factory.mktemp("servers"), 3) as running:
        yield running


@pytest.fixture
def where(servers: Servers) -> str:
    """The address of a log that is not there yet."""
    return servers.address(f"test-{next(_names)}")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts gateways to engines."""
    started: list[Command] = []

    def start(*engines: EngineProcess) -> Command:
        lines = [word for one in engines for word in ("--engine", f"unix:{one.line}")]
        state = str(tmp_path / "gateway.d")
        started.append(
            Command(
                tmp_path, "gateway", "gateway", *lines, "--web", "127.0.0.1:0", "--state", state
            )
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[..., EngineProcess]]:
    """Starts engines, which are killed at the end."""
    started: list[EngineProcess] = []

    def start(*arguments: str) -> EngineProcess:
        started.append(EngineProcess(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def city(where: str) -> Iterator[str]:
    """The address of a log with four writers and some commands."""
    mc.Engine.open(where, instruments=[ANA]).close()
    for commands in (100, 0, 150):
        with mc.Engine.open(where) as engine:
            if commands:
                flow(engine, commands)
    yield where
