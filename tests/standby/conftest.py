"""Servers of a replicated log, once for a module, and engines that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from standby_kit import EngineProcess

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
def engine(tmp_path: Path) -> Iterator[Callable[..., EngineProcess]]:
    """Starts engines, which are killed at the end."""
    started: list[EngineProcess] = []

    def start(*arguments: str) -> EngineProcess:
        started.append(EngineProcess(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.kill()
