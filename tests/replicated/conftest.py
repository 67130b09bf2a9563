"""Three servers for all tests of replicated logs, and a fresh address for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from matchcore.journal.stream import Servers, StreamLog

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("servers"), monitoring=True) as running:
        StreamLog.open(running.address("first")).close()  # they have elected their leaders
        yield running


@pytest.fixture
def address(servers: Servers) -> str:
    """Of a log that is not there yet."""
    return servers.address(f"log-{next(_numbers)}")


@pytest.fixture
def addresses(servers: Servers) -> Callable[[], str]:
    return lambda: servers.address(f"log-{next(_numbers)}")
