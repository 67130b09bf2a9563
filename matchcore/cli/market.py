"""`matchcore market`: how an instrument trades, and the phases of its day."""

from __future__ import annotations

from typing import Any

import click

from ..engine.engine import Engine
from ..errors import InvalidCommand
from ..journal import Keys, Place
from ..records.market import Market
from ..records.schema import Phase
from .alone import administered
from .options import json_option, place_argument
from .output import Commands, failing_kindly, out, show

PHASES = [one.name for one in Phase]
symbol_argument = click.argument("symbol")


@click.group(cls=Commands)
def market() -> None:
    """Say how an instrument trades, and set the phases of its day.

    \b
    Example:  matchcore market set exchange.d ANA limit_up=10 limit_down=10
    An instrument without a market trades continuously, with limit and market orders only.
    """


@market.command(name="show")
@place_argument
@symbol_argument
@json_option
def show_command(directory: Place, symbol: str, as_json: bool) -> None:
    """Show the phase of a market, its prices of today and its parameters.

    \b
    Example:  matchcore market show exchange.d ANA
    Without --json: the parameters that are not as in a market of which nothing is set.
    """
    from ..gateways.administration.markets import shown

    with failing_kindly(as_json):
        found = shown(Engine.at(directory, keys=Keys.from_environment()), symbol)
    _show({"symbol": symbol, **found}, as_json, f"Market of {symbol} in {directory}")


@market.command(name="set")
@place_argument
@symbol_argument
@click.argument("parameters", nargs=-1, metavar="NAME=VALUE...")
@json_option
def set_command(directory: Place, symbol: str, parameters: tuple[str, ...], as_json: bool) -> None:
    """Change what is named of a market; the rest stays.  The first time makes the market.

    \b
    Example:  matchcore market set exchange.d ANA order_types=LIMIT,MARKET limit_up=10 cage=REFUSE
    Prices as 95.70 or none, percent as 10, codes by name and several with commas, yes or no, and
    tick_table=0:0.01,10:0.05.  An instrument with resting orders gets no market.
    """
    with failing_kindly(as_json):
        changes = _pairs(parameters)
        said = administered(directory, "market_set", symbol=symbol, changes=changes)
    _show(said, as_json, f"Market of {symbol} in {directory}")


@market.command(name="phase")
@place_argument
@click.argument("phase", metavar="PHASE", type=click.Choice(PHASES, case_sensitive=False))
@click.option("--symbol", help="One market; without it and --group, all.")
@click.option("--group", type=click.IntRange(0, 2**32 - 1), default=0, help="Of these markets.")
@click.option(
    "--until",
    metavar="TIME",
    default="",
    help="When a clock ends HALTED or VOLATILITY_CALL, as 2026-11-27T10:30+08:00.",
)
@click.option("--cancel-orders", is_flag=True, help="Cancel every order before.")
@json_option
def phase_command(
    directory: Place,
    phase: str,
    symbol: str | None,
    group: int,
    until: str,
    cancel_orders: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Set the phase of a market, of a group of markets, or of all.

    \b
    Example:  matchcore market phase exchange.d OPENING_CALL --symbol ANA
    PHASE is one of PRE_OPEN, OPENING_CALL, OPENING_CALL_LOCKED, QUIET, CONTINUOUS, BREAK,
    CLOSING_CALL, AT_CLOSING_PRICE, CLOSED, VOLATILITY_CALL, CANCEL_ONLY and HALTED.  A call that
    ends with it trades at its price.
    """
    with failing_kindly(as_json):
        said = administered(directory, "market_phase", symbol=symbol, phase=phase, group=group,
                            until=until, cancel_orders=cancel_orders)  # fmt: skip
    _show(said, as_json, f"Phase in {directory}")


def _pairs(parameters: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE by name."""
    found: dict[str, str] = {}
    for one in parameters:
        name, equals, value = one.partition("=")
        if not equals:
            raise InvalidCommand(f"{one!r}: NAME=VALUE, as limit_up=10")
        found[name.strip()] = value.strip()
    return found


def _show(said: dict[str, Any], as_json: bool, title: str) -> None:
    """All of it as JSON, or for people what says something."""
    if as_json:
        show(said, True)
        return
    told = {name: _text(value) for name, value in said.items() if name != "market"}
    if said.get("market"):
        usual = Market().as_plain()
        told |= {name: _text(value) for name, value in said["market"].items()
                 if value != usual[name]}  # fmt: skip
    show({name: value for name, value in told.items() if value is not None}, False, title=title)
    if "market" in said and said["market"] is None:
        out.print("  no market: it trades continuously")


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(":".join(one) if isinstance(one, list) else one for one in value) or "none"
    return value
