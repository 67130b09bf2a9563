"""The command line.  Needs the extra `cli` (click and rich), imported when it is used."""

from __future__ import annotations

import sys

from ..errors import MissingExtra
from .streams import guard

_NEEDS = ("click", "rich")


def main() -> None:
    """Entry point of `matchcore` and `python -m matchcore`."""
    guard()
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _NEEDS:
            raise
        print(f"matchcore: {MissingExtra('the command line', 'cli')}", file=sys.stderr)
        sys.exit(2)
    app(prog_name="matchcore")
