"""`matchcore instrument` and `matchcore end-day`: what an exchange trades, and the end of a day."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..engine.engine import Engine
from ..errors import InvalidCommand
from ..journal import Keys, Place
from ..records.arguments import INT64_MAX
from ..records.instruments import ORDERS_MAX, Instrument
from .alone import administered
from .options import PlaceType, json_option, place_argument
from .output import Commands, failing_kindly, show, show_rows

_COLUMNS = ("symbol", "tick", "lot", "max_quantity", "max_orders")
symbol_argument = click.argument("symbol")
lot_option = click.option(
    "--lot", type=click.IntRange(1, INT64_MAX), help="Quantities are multiples of it, in units."
)
quantity_option = click.option(
    "--max-quantity", type=click.IntRange(1, INT64_MAX), help="Of an order, in units."
)
orders_option = click.option(
    "--max-orders", type=click.IntRange(1, ORDERS_MAX), help="That rest in the book."
)


@click.group(cls=Commands)
def instrument() -> None:
    """Say what an exchange trades.

    \b
    Example:  matchcore instrument add exchange.d ANA --tick 0.05
    Instruments are a part of the log.
    """


@instrument.command()
@click.argument("directory", metavar="DIRECTORY|ADDRESS", type=PlaceType(exists=False))
@symbol_argument
@click.option("--tick", required=True, metavar="PRICE", help="The smallest price step, as 0.05.")
@lot_option
@quantity_option
@orders_option
@json_option
def add(directory: Place, symbol: str, tick: str, as_json: bool, **limits: int | None) -> None:
    """Add an instrument; the first one makes the exchange.

    \b
    Example:  matchcore instrument add exchange.d ANA --tick 0.05
    DIRECTORY is made if it is not there.
    """
    with failing_kindly(as_json):
        given = {name: value for name, value in limits.items() if value is not None}
        arguments = asdict(Instrument(symbol, tick, **given)) | {"tick": tick}
        said = administered(directory, "instrument_add", make=True, **arguments)
    show(said, as_json, title=f"Added to {directory}")


@instrument.command()
@place_argument
@symbol_argument
@click.option("--tick", metavar="PRICE", help="The smallest price step; no order may rest.")
@lot_option
@quantity_option
@orders_option
@json_option
def change(directory: Place, symbol: str, as_json: bool, **given: Any) -> None:
    """Change what is named of an instrument; the rest stays.

    \b
    Example:  matchcore instrument change exchange.d ANA --lot 10
    Resting orders stay as they are.
    """
    with failing_kindly(as_json):
        changes = {name: value for name, value in given.items() if value is not None}
        if not changes:
            raise InvalidCommand("nothing to change: name --tick, --lot or a limit")
        said = administered(directory, "instrument_change", symbol=symbol, changes=changes)
    show(said, as_json, title=f"Changed in {directory}")


@instrument.command(name="list")
@place_argument
@json_option
def list_command(directory: Place, as_json: bool) -> None:
    """List the instruments of an exchange, by number.

    \b
    Example:  matchcore instrument list exchange.d
    An engine may have the exchange open.
    """
    from ..gateways.administration.acts import plain

    with failing_kindly(as_json):
        found = Engine.at(directory, keys=Keys.from_environment()).instruments
        rows = [{"number": at, **plain(one)} for at, one in enumerate(found, 1)]
    if as_json:
        show({"instruments": rows}, True)
        return
    columns = ("number", *_COLUMNS)
    show_rows(columns, [[row[name] for name in columns] for row in rows], f"Of {directory}")


@click.command(name="end-day")
@place_argument
@click.option("--symbol", help="One instrument; without it, all.")
@json_option
def end_day_command(directory: Place, symbol: str | None, as_json: bool) -> None:
    """End the trading day: orders of the day are cancelled.

    \b
    Example:  matchcore end-day exchange.d
    The numbers of execution reports begin anew.
    """
    with failing_kindly(as_json):
        said = administered(directory, "end_day", symbol=symbol)
    show(said, as_json, title=f"Day ended in {directory}")
