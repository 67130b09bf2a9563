"""Recorded figures, and tables of them in Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict[str, Any]:
    """What a run has recorded under this name."""
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def figure(name: str, what: str) -> float:
    """The median of one recorded figure."""
    (value,) = [one["median"] for one in recorded(name)["figures"] if one["what"] == what]
    return float(value)


def table(columns: list[str], rows: list[list[Any]]) -> str:
    """Columns of numbers, all but the first."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
