"""`matchcore notice`: a text to everybody who follows the exchange."""

from __future__ import annotations

from pathlib import Path

import click

from ..engine.engine import Engine
from ..errors import LogError
from ..journal import Keys, identity_of
from ..records.schema import EventKind, Field, Reason
from .options import directory_argument, json_option
from .output import failing_kindly, show


@click.command(name="notice")
@directory_argument
@click.argument("text")
@click.option("--symbol", help="The instrument that it is about; without it, all.")
@json_option
def notice_command(directory: Path, text: str, symbol: str | None, as_json: bool) -> None:
    """Write a notice to the log, which feeds pass on.

    \b
    Example:  matchcore notice exchange.d "Trading in ANA is halted" --symbol ANA
    No engine may have it open.  TEXT has up to 1,024 bytes in UTF-8, without control characters.
    """
    with failing_kindly(as_json):
        identity_of(directory)  # an open would make what is not there
        with Engine.open(directory, keys=Keys.from_environment()) as engine:
            events = engine.notify(text, symbol)
            sequence = engine.sequence
        wrong = events[events["kind"] != EventKind.NOTICED]
        if len(wrong):
            reason, field = Reason(int(wrong[0]["reason"])), Field(int(wrong[0]["field"]))
            hint = "; run upgrade-rules" if reason == Reason.UNKNOWN_KIND else ""
            raise LogError(f"refused: {reason.name}, {field.name}{hint}")
    show({"parts": len(events), "sequence": sequence}, as_json, title=f"Notice in {directory}")
