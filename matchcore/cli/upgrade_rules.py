"""`matchcore upgrade-rules`: the newest version of the rules for an exchange."""

from __future__ import annotations

import click

from ..journal import Place
from .alone import alone
from .options import json_option, place_argument
from .output import failing_kindly, out, show


@click.command(name="upgrade-rules")
@place_argument
@json_option
def upgrade_rules_command(directory: Place, as_json: bool) -> None:
    """Upgrade an exchange to the newest version of the rules, permanently.

    \b
    Example:  matchcore upgrade-rules exchange.d
    No engine may have it open.  `info` shows whether a newer version exists; without one nothing
    is written.
    """
    with failing_kindly(as_json), alone(directory) as engine:
        before, answer = engine.rules, engine.upgrade_rules()
        result = {"rules_before": before, "rules": engine.rules, "changed": answer is not None,
                  "sequence": engine.sequence}  # fmt: skip
    show(result, as_json, title=f"Rules of {directory}")
    if not as_json and answer is None:
        out.print("  nothing was written: this matchcore knows no newer version")
