"""`matchcore load`: many orders to a running gateway, and how long their answers take."""

from __future__ import annotations

import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InvalidArgument
from .options import address, json_option
from .output import DAMAGED, failing_kindly, progress_bar, show

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..bench.load import Account

UNITS = 10_000  # in a price of 1


def _price(_: object, option: click.Parameter, text: str) -> int:
    try:
        units = Decimal(text) * UNITS
        if units != int(units) or units <= 0:
            raise InvalidOperation
    except (InvalidOperation, OverflowError, ValueError):
        raise click.BadParameter(f"{text!r}: a price above 0 with up to 4 decimals") from None
    return int(units)


@click.command()
@click.argument("gateway", metavar="[HOST:]PORT", callback=address)
@click.option(
    "--logins",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a user and its password in each line; every line is a session.",
)
@click.option("--symbol", "symbols", multiple=True, required=True, help="Can be repeated.")
@click.option("--low", required=True, callback=_price, help="Lowest price.")
@click.option("--high", required=True, callback=_price, help="Highest price.")
@click.option("--tick", required=True, callback=_price, help="Step of prices.")
@click.option(
    "--quantity",
    type=click.IntRange(1, 2**32 - 1),
    default=100,
    show_default=True,
    help="Largest quantity.",
)
@click.option(
    "--open",
    "kept",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Newest orders of a session that are not cancelled.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=1000.0,
    show_default=True,
    help="Orders a second of all sessions together.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="How long.",
)
@json_option
def load(
    gateway: tuple[str, int], logins: Path, symbols: tuple[str, ...], low: int, high: int,
    tick: int, quantity: int, kept: int, rate: float, seconds: float, as_json: bool,
) -> None:  # fmt: skip
    """Send orders over OUCH to a gateway at a fixed rate, and measure the answers.

    \b
    Example:  matchcore load 127.0.0.1:27000 --logins users.txt --symbol ANA --low 95 --high 96
              --tick 0.05 --rate 20000 --seconds 30

    An order's latency counts from the time at which it was due, also if it could only be sent
    later.  Exit code 1: an order has no answer, or two.  The orders are real: use an exchange for
    tests.
    """
    from ..bench.load import Flow, run_load

    with failing_kindly(as_json):
        flow = Flow(symbols, low, high, tick, quantity, kept)
        accounts = _accounts(logins)
        with progress_bar("sending", int(seconds)) as progress:
            outcome = run_load(gateway, accounts, flow, rate=rate, seconds=seconds,
                               progress=progress)  # fmt: skip
    result = {"sessions": len(accounts), "asked_per_second": rate, **outcome.as_dict()}
    if not as_json:
        latency = result.pop("latency_us")
        result |= {f"latency {name}, us": value for name, value in latency.items()}
    show(result, as_json, title="Load")
    if not outcome.fine:
        sys.exit(DAMAGED)


def _accounts(path: Path) -> list[Account]:
    from ..bench.load import Account

    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if words and len(words) != 2:
            raise InvalidArgument(f"{path}, line {number}: must be a user and a password")
        if words:
            found.append(Account(*words))
    if not found:
        raise InvalidArgument(f"{path}: names no user")
    return found
