"""A server that is not installed skips its tests, and fails them where it had to be installed."""

from __future__ import annotations

import pytest
from missing import missing

NAMED = r"no Nosuch here: apt-get install .* nosuch-server"


@pytest.mark.parametrize(
    ("set_to", "outcome", "said"),
    [
        ({}, pytest.skip.Exception, NAMED),
        ({"CI": "true"}, pytest.fail.Exception, NAMED),
        ({"CI": "true", "MATCHCORE_SKIP_SERVERS": "1"}, pytest.skip.Exception, "is set"),
    ],
)
def test_a_missing_server(
    set_to: dict[str, str], outcome: type[BaseException], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "MATCHCORE_SKIP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(outcome, match=said):
        missing("Nosuch", "nosuch-server")
