"""`matchcore info`: what a directory holds."""

from __future__ import annotations

import click

from ..journal import Keys, Place
from .options import json_option, place_argument
from .output import failing_kindly, show, show_rows


@click.command()
@place_argument
@json_option
def info(directory: Place, as_json: bool) -> None:
    """Show an exchange's identity, sequence, instruments, segments, snapshots and digest.

    \b
    Example:  matchcore info exchange.d --json
    """
    from ..operations import describe

    with failing_kindly(as_json):
        result = describe(directory, keys=Keys.from_environment())
    show(result, as_json, title=str(directory))
    if not as_json:
        show(result["opening"], False, title="The next open would")
        rows = [list(row.values()) for row in result["instruments"]]
        show_rows(["symbol", "tick", "lot", "orders", "best bid", "best ask"], rows)
