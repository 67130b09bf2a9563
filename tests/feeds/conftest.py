"""What the tests of feeds share."""

from __future__ import annotations

import pytest
from certificates import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "c")


@pytest.fixture(autouse=True)
def clients_try_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds of a test are there within a second."""
    monkeypatch.setattr("matchcore.feeds.client.line.PAUSE_SECONDS_MAX", 0.2)
