"""`matchcore notice`, `limits` and `kill`: commands of those who operate an exchange."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import LogError
from ..journal import Keys, Place
from ..records.arguments import INT64_MAX, UINT64_MAX
from ..records.limits import VALUES
from ..records.operating import SetLimits
from ..records.schema import EventKind, Field, Reason
from ..records.typed import as_plain
from .alone import alone
from .options import json_option, place_argument
from .output import failing_kindly, show

SECOND_NS = 10**9
account_option = click.option(
    "--account", type=click.IntRange(1, UINT64_MAX), required=True, help="Number of the account."
)
symbol_option = click.option("--symbol", help="One instrument; without it, all.")


def accepted(events: NDArray[np.void]) -> None:
    """LogError for a refusal."""
    for event in events[events["kind"] == EventKind.REJECTED]:
        reason, field = Reason(int(event["reason"])), Field(int(event["field"]))
        hint = ": run `matchcore upgrade-rules`" if reason == Reason.UNKNOWN_KIND else ""
        raise LogError(f"refused: {reason.name}, {field.name}{hint}")


def shown(limits: Iterable[SetLimits]) -> list[dict[str, Any]]:
    """Limits for `--json`."""
    wanted = ("account", "symbol", *VALUES, "blocked")
    return [{name: as_plain(one)[name] for name in wanted} for one in limits]


def show_limits(limits: list[SetLimits], as_json: bool, title: str, **more: Any) -> None:
    if as_json:
        show({**more, "limits": shown(limits)}, True)
        return
    said = {
        f"account {one['account']}, {one.pop('symbol') or 'all'}": ", ".join(
            f"{name} {value}" for name, value in one.items() if value and name != "account"
        )
        for one in shown(limits)
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
    No engine may have it open.  TEXT has up to 1,024 bytes in UTF-8, without control characters.
    """
    with failing_kindly(as_json):
        with alone(directory) as engine:
            events = engine.notify(text, symbol)
            sequence = engine.sequence
        accepted(events)
    show({"parts": len(events), "sequence": sequence}, as_json, title=f"Notice in {directory}")


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
    0 removes a limit.  No engine may have the exchange open while limits are changed.
    """
    changes: dict[str, Any] = {name: n for name, n in given.items() if n is not None}
    if "max_messages" in changes:
        changes["window_ns"] = SECOND_NS if changes["max_messages"] else 0
    with failing_kindly(as_json):
        if changes:
            with alone(directory) as engine:
                answer = engine.submit(replace(_now(engine, account, symbol), **changes))
                accepted(answer.events)
                limits = engine.limits(account)
        else:
            limits = Engine.at(directory, keys=Keys.from_environment()).limits(account)
    show_limits(limits, as_json, f"Limits in {directory}")


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
    No engine may have the exchange open.
    """
    with failing_kindly(as_json):
        with alone(directory) as engine:
            before, cancel = _now(engine, account, symbol), not (undo or keep_orders)
            answer = engine.submit(replace(before, blocked=not undo, cancel=cancel))
            accepted(answer.events)
            limits = engine.limits(account)
        cancelled = int((answer.events["kind"] == EventKind.CANCELLED).sum())
    show_limits(limits, as_json, f"Limits in {directory}", cancelled=cancelled)


def _now(engine: Engine, account: int, symbol: str | None) -> SetLimits:
    """What an account has there."""
    found = [one for one in engine.limits(account) if one.symbol == symbol]
    return found[0] if found else SetLimits(account, symbol)
