"""`matchcore instrument` and `end-day`: what changes an exchange as a whole."""

from __future__ import annotations

from pathlib import Path

import click

from .options import directory_argument, json_option
from .output import failing_kindly, show


@click.command(name="instrument")
@directory_argument
@click.argument("symbol")
@click.option("--tick", help="Smallest price step, such as 0.05; a new instrument needs it.")
@click.option("--change", is_flag=True, help="Change what is named of an instrument that exists.")
@click.option("--lot", type=click.IntRange(1), help="Quantities are multiples of it.")
@click.option("--max-quantity", type=click.IntRange(1), help="Of an order, in units.")
@click.option("--max-orders", type=click.IntRange(1), help="That rest at most.")
@json_option
def instrument_command(
    directory: Path,
    symbol: str,
    tick: str | None,
    change: bool,
    as_json: bool,
    **given: int | None,
) -> None:
    """Add an instrument to an exchange, or change one.

    \b
    Example:  matchcore instrument exchange.d BBVA --tick 0.001
              matchcore instrument exchange.d BBVA --change --max-orders 50000
    Its server changes an exchange that is being served.  Another tick is refused while orders of
    the instrument rest.
    """
    from ..gateways.administration import administered

    more = {name: value for name, value in given.items() if value is not None}
    with failing_kindly(as_json):
        result = administered(directory, "instrument", symbol=symbol, tick=tick, change=change,
                              more=more)  # fmt: skip
    show(result, as_json, title=f"Instrument in {directory}")


@click.command(name="end-day")
@directory_argument
@click.option("--symbol", help="One instrument; without it, all, and a new trading day begins.")
@json_option
def end_day_command(directory: Path, symbol: str | None, as_json: bool) -> None:
    """End the trading day: cancel what is good for the day.

    \b
    Example:  matchcore end-day exchange.d
    Its server changes an exchange that is being served.  Reports of sessions are numbered from 1
    again.
    """
    from ..gateways.administration import administered

    with failing_kindly(as_json):
        result = administered(directory, "end_day", symbol=symbol)
    show(result, as_json, title=f"Day ended in {directory}")
