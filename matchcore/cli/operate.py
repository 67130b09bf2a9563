"""`matchcore notice`, `limits` and `kill`: commands of those who operate an exchange."""

from __future__ import annotations

from typing import Any

import click

from ..engine.engine import Engine
from ..journal import Keys, Place
from ..records.arguments import INT64_MAX, UINT64_MAX
from .alone import administered
from .options import json_option, place_argument
from .output import failing_kindly, show

SECOND_NS = 10**9
account_option = click.option(
    "--account", type=click.IntRange(1, UINT64_MAX), required=True, help="Number of the account."
)
symbol_option = click.option("--symbol", help="One instrument; without it, all.")


def show_limits(limits: list[dict[str, Any]], as_json: bool, title: str, **more: Any) -> None:
    if as_json:
        show({**more, "limits": limits}, True)
        return
    said = {
        f"account {one['account']}, {one['symbol'] or 'all'}": ", ".join(
            f"{name} {value}"
            for name, value in one.items()
            if value and name not in ("account", "symbol")
        )
        for one in limits
    }
    show({**more, **(said or {"limits": "none"})}, False, title=title)


@click.command(name="notice")
@place_argument
@click.argument("text")
@symbol_option
@json_option
def notice_command(directory: Place, text: str, symbol: str | None, as_json: bool) -> None:
    """Write a notice to the log, which feeds pass on.

    \b
    Example:  matchcore notice exchange.d "Trading in ANA is halted" --symbol ANA
    TEXT has up to 1,024 bytes in UTF-8, without control characters.
    """
    with failing_kindly(as_json):
        result = administered(directory, "notice", text=text, symbol=symbol)
    show(result, as_json, title=f"Notice in {directory}")


@click.command(name="limits")
@place_argument
@account_option
@symbol_option
@click.option("--max-quantity", type=click.IntRange(0, INT64_MAX), help="Of an order, in units.")
@click.option("--max-value", type=click.IntRange(0, INT64_MAX), help="In ticks times units.")
@click.option("--max-open-orders", type=click.IntRange(0, INT64_MAX), help="That rest.")
@click.option("--collar", type=click.IntRange(0, INT64_MAX), help="In ticks.")
@click.option("--max-messages", type=click.IntRange(0, INT64_MAX), help="In a second.")
@json_option
def limits_command(
    directory: Place, account: int, symbol: str | None, as_json: bool, **given: int | None
) -> None:
    """Show the limits of an account, or change those that are named.

    \b
    Example:  matchcore limits exchange.d --account 7 --max-quantity 1000 --collar 50
    0 removes a limit.  Its server changes an exchange that is being served.
    """
    changes: dict[str, Any] = {name: n for name, n in given.items() if n is not None}
    if "max_messages" in changes:
        changes["window_ns"] = SECOND_NS if changes["max_messages"] else 0
    with failing_kindly(as_json):
        if changes:
            result = administered(directory, "limits", account=account, symbol=symbol,
                                  changes=changes)  # fmt: skip
        else:
            from ..gateways.administration.acts import said

            limits = Engine.at(directory, keys=Keys.from_environment()).limits(account)
            result = {"limits": said(limits)}
    show_limits(as_json=as_json, title=f"Limits in {directory}", **result)


@click.command(name="kill")
@place_argument
@account_option
@symbol_option
@click.option("--keep-orders", is_flag=True, help="Leave the orders that rest.")
@click.option("--undo", is_flag=True, help="Let the account trade again.")
@json_option
def kill_command(
    directory: Place,
    account: int,
    symbol: str | None,
    keep_orders: bool,
    undo: bool,
    as_json: bool,
) -> None:
    """Block an account and cancel its orders.

    \b
    Example:  matchcore kill exchange.d --account 7
    New orders and amendments of a blocked account are refused, cancels are not.  Other limits stay.
    Its server changes an exchange that is being served.
    """
    with failing_kindly(as_json):
        result = administered(directory, "kill", account=account, symbol=symbol,
                              keep_orders=keep_orders, undo=undo)  # fmt: skip
    show_limits(as_json=as_json, title=f"Limits in {directory}", **result)
