"""`matchcore book`: an instrument's book as a depth table."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import click

from ..journal import Keys, Place
from .options import Moment, json_option, moment, place_argument
from .output import failing_kindly, out, show, show_rows


@click.command()
@place_argument
@click.argument("symbol")
@click.option(
    "--depth", type=click.IntRange(1), default=10, show_default=True, help="Levels per side."
)
@click.option(
    "--at", type=moment, metavar="SEQUENCE|TIME", help="Place in the log (default: its end)."
)
@json_option
def book(directory: Place, symbol: str, depth: int, at: Moment | None, as_json: bool) -> None:
    """Show an instrument's book at the end of the log or at an earlier place.

    \b
    Example:  matchcore book exchange.d ANA --depth 5
              matchcore book exchange.d ANA --at 120000
              matchcore book exchange.d ANA --at 2019-05-21T09:00:00.123456
    A time selects the last command at or before it; it is UTC without an offset.
    """
    from ..operations.describe import book as book_at

    where = at or Moment()
    with failing_kindly(as_json):
        view, sequence = book_at(
            directory, symbol, sequence=where.sequence, time=where.time,
            keys=Keys.from_environment(),
        )  # fmt: skip
    if as_json:
        show({**view.as_plain(depth), "sequence": sequence}, True)
        return
    rows: list[list[Any]] = []
    for bid, ask in zip_longest(*view.depth(depth)):
        rows.append(
            [
                bid.orders if bid else "",
                bid.quantity if bid else "",
                bid.price_text if bid else "",
                ask.price_text if ask else "",
                ask.quantity if ask else "",
                ask.orders if ask else "",
            ]
        )
    columns = ["orders", "bid quantity", "bid", "ask", "ask quantity", "orders"]
    show_rows(columns, rows, f"{symbol}, sequence {sequence:,}")
    if not rows:
        out.print("  (no orders rest)")
