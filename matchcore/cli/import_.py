"""`matchcore import`: a file of real orders through a durable exchange."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from ..journal import Keys
from .options import json_option, zone_name
from .output import failing_kindly, out, progress_bar, show


@click.command(name="import")
@click.argument("form", metavar="FORMAT")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--symbol", help="Symbol of the instrument (default: from the file name).")
@click.option("--tick", help="Smallest price step, e.g. 0.05 (default: the format's).")
@click.option("--batch", type=click.IntRange(1, 65536), default=4096, show_default=True,
              help="Commands per sync.")  # fmt: skip
@click.option("--timezone", metavar="ZONE", callback=zone_name,
              help="Zone of times without an offset (default: the market's).")  # fmt: skip
@click.option("--append", is_flag=True, help="Add to a log that holds other commands.")
@click.option("--allow-earlier", is_flag=True,
              help="Allow commands earlier than the log's last.")  # fmt: skip
@click.option("--echo", is_flag=True, hidden=True)
@json_option
def import_(
    form: str,
    file: Path,
    directory: Path,
    symbol: str | None,
    tick: str | None,
    batch: int,
    timezone: str | None,
    append: bool,
    allow_earlier: bool,
    echo: bool,
    as_json: bool,
) -> None:
    """Import a file of orders into an exchange.

    The whole file is checked before the first command is sent.  Commands of the file that the log
    has are not sent again: after an interruption run the import again.

    \b
    Example:  matchcore import bme orders-ana-2019-5-21.csv exchange.d
              matchcore import bme orders-ana-2019-5-22.csv exchange.d --append
    Formats: bme (CSV with new, modif and cancel rows, plain or gzipped, times of Madrid).
    """
    from ..importers import import_file, source_of

    say: Callable[[int], None] = partial(print, flush=True) if echo else lambda sequence: None
    with failing_kindly(as_json), progress_bar("importing", None) as progress:
        source = source_of(form, file, symbol=symbol, tick=tick, timezone=timezone)
        result = import_file(
            source, directory, batch=batch, append=append, allow_earlier=allow_earlier,
            keys=Keys.from_environment(), expect=progress.expect, progress=progress, sent=say,
        )  # fmt: skip
    show(result, as_json, title=f"Import of {file.name}")
    if not as_json and result["already_there"] and not result["sent"]:
        out.print("  nothing was sent: the log has the whole file")
