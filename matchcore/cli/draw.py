"""`matchcore draw`: a symbol's trading as a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from ..analysis import LEVELS, draw
from ..errors import InvalidCommand
from ..journal import Keys, last_sequence
from ..records.times import parse, zone_of
from .options import directory_argument, json_option, zone_name
from .output import failing_kindly, progress_bar, show


@click.command(name="draw")
@directory_argument
@click.argument("symbol")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="File; its suffix selects PNG, SVG or PDF (default: SYMBOL.png).")  # fmt: skip
@click.option("--from", "first", metavar="TIME", help="Draw commands from this time on.")
@click.option("--to", "end", metavar="TIME", help="Draw commands before this time.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, callback=zone_name,
              help="Zone of the time axis, and of --from and --to without an offset.")  # fmt: skip
@click.option("--levels", type=click.IntRange(1, 1000), default=LEVELS, show_default=True,
              help="Price levels per side in the depth panel.")  # fmt: skip
@json_option
def draw_command(
    directory: Path,
    symbol: str,
    out: Path | None,
    first: str | None,
    end: str | None,
    timezone: str,
    levels: int,
    as_json: bool,
) -> None:
    """Draw best bid and ask, trades, volume and depth of a symbol.

    \b
    Example:  matchcore draw exchange.d ANA --timezone Europe/Madrid
              matchcore draw exchange.d ANA --from 2019-05-21 --to 2019-05-22 --out day.svg
    Works while an engine has the exchange open.  Needs the extra `plot`.
    """
    with failing_kindly(as_json):
        result = _drawn(directory, symbol, out, first, end, timezone, levels)
    show(result, as_json, title=f"Picture of {symbol}")


def _drawn(
    directory: Path,
    symbol: str,
    out: Path | None,
    first: str | None,
    end: str | None,
    timezone: str,
    levels: int,
) -> dict[str, Any]:
    zone = zone_of(timezone)
    try:
        begin, before = (text if text is None else parse(text, zone) for text in (first, end))
    except ValueError as error:
        raise InvalidCommand(str(error)) from None
    if begin is not None and before is not None and begin >= before:
        raise InvalidCommand(f"from {first} to {end}: the end must be after the beginning")
    picture = out or Path(re.sub(r"[^A-Za-z0-9._-]", "-", symbol) + ".png")
    with progress_bar("drawing", 2 * last_sequence(directory)) as progress:
        counts = draw(
            picture, directory, symbol, first=begin, end=before, levels=levels,
            timezone=timezone, keys=Keys.from_environment(), progress=progress,
        )  # fmt: skip
    return {"picture": str(picture), "timezone": timezone, **counts}
