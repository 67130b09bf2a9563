"""The page on sizing says what the script computes from what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sizing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`benchmarks.sizing`, which the checkout only has."""
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("benchmarks are in the checkout only")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import sizing

    return sizing


def test_the_tables_on_the_page_are_those_of_the_script(sizing: Any) -> None:
    page = (ROOT / "docs" / "availability" / "sizing.md").read_text()
    assert sizing.sizes() in page
    assert sizing.bytes_by_frame() in page


def test_what_was_recorded_is_what_the_log_stores_today(sizing: Any) -> None:
    now, then = sizing.measured(), sizing.recorded("sizing")
    assert now["commands"] == then["commands"]
    for size, value in then["bytes_a_command"].items():  # versions of LZ4 differ a little
        assert now["bytes_a_command"][size] == pytest.approx(value, rel=0.1)


def test_more_commands_need_no_less_of_anything(sizing: Any) -> None:
    small, large = (sizing.sized(profile) for profile in (sizing.PROFILES[0], sizing.PROFILES[-1]))
    assert small["engines"] == "1"
    assert int(large["FIX gateways, of a core each"]) > int(small["FIX gateways, of a core each"])
    assert small["log a day"].endswith("MB") and large["log a day"].endswith("GB")
