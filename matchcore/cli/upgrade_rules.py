"""`matchcore upgrade-rules`: the newest version of the rules for an exchange."""

from __future__ import annotations

import click

from ..journal import Place
from .alone import administered
from .options import json_option, place_argument
from .output import failing_kindly, out, show


@click.command(name="upgrade-rules")
@place_argument
@json_option
def upgrade_rules_command(directory: Place, as_json: bool) -> None:
    """Upgrade an exchange to the newest version of the rules, permanently.

    \b
    Example:  matchcore upgrade-rules exchange.d
    `info` shows whether a newer version exists; without one nothing is written.  Gateways that do
    not know it are refused from then on.
    """
    with failing_kindly(as_json):
        result = administered(directory, "upgrade_rules")
    show(result, as_json, title=f"Rules of {directory}")
    if not as_json and not result["changed"]:
        out.print("  nothing was written: this matchcore knows no newer version")
