"""Databases of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from matchcore.sinks.opening import built_in
from matchcore.sinks.sql.access import transaction
from matchcore.sinks.sql.schema import METADATA

KINDS = ["sqlite", "postgres_url", "mariadb_url"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    from postgres_server import PostgresServer  # needs a driver

    with closing(PostgresServer(durable=False)) as server:
        server.start()
        yield server.url()


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    from mariadb_server import MariadbServer

    with closing(MariadbServer()) as server:
        server.start()
        yield server.url()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn; a server has one, cleared every time."""
    return _emptied(request, tmp_path)


@pytest.fixture(scope="module", params=KINDS)
def kept_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same for all tests of a module, none of which takes `database`."""
    return _emptied(request, tmp_path_factory.mktemp("kept"))


def _emptied(request: pytest.FixtureRequest, place: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{place}/exchange.db"
    url: str = request.getfixturevalue(request.param)
    with closing(built_in(url)) as store, transaction(store) as connection:
        METADATA.drop_all(connection)
    return url
