"""Processes of our own."""

from __future__ import annotations

import os
from pathlib import Path

IMPORTS = str(Path(__file__).parents[1])


def environment(**more: str) -> dict[str, str]:
    """The environment of a child process that imports this very matchcore; with ``more`` in it."""
    paths = [IMPORTS, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(paths)}
