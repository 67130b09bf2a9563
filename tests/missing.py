"""What becomes of a test whose database server is not installed here."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(server: str, package: str) -> NoReturn:
    """Skips the test and names the package; CI must have every server, so there the test fails."""
    if os.environ.get("MATCHCORE_SKIP_SERVERS"):
        pytest.skip(f"no {server}: MATCHCORE_SKIP_SERVERS is set")
    reason = f"no {server} here: apt-get install -y --no-install-recommends {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
