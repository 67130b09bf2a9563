"""`matchcore shards`: an exchange on several engines, by the file that says what lives where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..engine.engine import Engine
from ..journal import Keys
from ..records.arguments import UINT64_MAX
from ..shards import Outcome, Plan, Shards
from .options import json_option
from .output import DAMAGED, Commands, failing_kindly, out, show, show_rows

plan_argument = click.argument(
    "plan", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="PLAN"
)


@click.group(name="shards", cls=Commands)
def shards_command() -> None:
    """Work with an exchange on several engines.

    \b
    Example:  matchcore shards show shards.toml
    PLAN is a TOML file with a table [shards.NAME] for each engine: number, log and instruments.
    """


@shards_command.command(name="show")
@plan_argument
@json_option
def show_command(plan: Path, as_json: bool) -> None:
    """Show each shard: where its log ends, and what rests in its books.

    \b
    Example:  matchcore shards show shards.toml
    Engines may be running.
    """
    with failing_kindly(as_json):
        found = [_shown(shard) for shard in Plan.read(plan).shards.values()]
    if as_json:
        click.echo(json.dumps({"shards": found}, indent=2))
        return
    columns = ("shard", "number", "log", "instruments", "orders", "sequence")
    show_rows(columns, [[row[name] for name in columns] for row in found], f"Shards of {plan}")


def _shown(shard: Any) -> dict[str, Any]:
    engine = Engine.at(shard.log, keys=Keys.from_environment())
    orders = sum(len(engine.book(one.symbol).orders()) for one in engine.instruments)
    return {
        "shard": shard.name, "number": shard.number, "log": shard.log,
        "instruments": len(engine.instruments), "orders": orders, "sequence": engine.sequence,
        "digest": engine.digest(),
    }  # fmt: skip


@shards_command.command(name="move")
@plan_argument
@click.argument("symbol")
@click.argument("to")
@json_option
def move_command(plan: Path, symbol: str, to: str, as_json: bool) -> None:
    """Move an instrument with its resting orders to another shard, between days.

    \b
    Example:  matchcore shards move shards.toml ANA south
    End the day of the instrument first, and stop both engines.  A move that was cut off is
    finished by the same command.  Afterwards change PLAN as the command says.
    """
    with failing_kindly(as_json), _opened(plan, symbol, to) as shards:
        moved = shards.move(symbol, to)
    result = {
        "symbol": moved.symbol, "from": moved.origin, "to": moved.to, "orders": moved.orders,
        "digest": moved.digest, "moves": moved.moves,
    }  # fmt: skip
    show(result, as_json, title=f"Moved {symbol}")
    if not as_json:
        out.print(f"  Now change {plan}:")
        for name in (moved.origin, moved.to):
            symbols = json.dumps(list(shards.plan[name].instruments))
            out.print(f"    [shards.{name}]\n    instruments = {symbols}")


def _opened(plan: Path, *about: str) -> Shards:
    """The engines of a plan; with a symbol and a shard only those two."""
    said = Plan.read(plan)
    if about:
        symbol, to = about
        said = said.only(said.shard_of(symbol).name, said[to].name)
    keys, engines = Keys.from_environment(), {}
    try:
        for name, shard in said.shards.items():
            Engine.at(shard.log, keys=keys)  # an open would make what is not there
            engines[name] = Engine.open(shard.log, keys=keys)
        return Shards(said, engines, moving=about[0] if about else "")
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise


@shards_command.command(name="end-day")
@plan_argument
@json_option
def end_day_command(plan: Path, as_json: bool) -> None:
    """End the day on every shard.

    \b
    Example:  matchcore shards end-day shards.toml
    No engine may be running.  Exit code 1 if a shard did not do it; run it again then.
    """
    with failing_kindly(as_json), _opened(plan) as shards:
        outcome = shards.end_day()
    _show_outcome(outcome, as_json, f"Day ended in {plan}")


@shards_command.command(name="mass-cancel")
@plan_argument
@click.option("--account", type=click.IntRange(1, UINT64_MAX), required=True, help="Its number.")
@json_option
def mass_cancel_command(plan: Path, account: int, as_json: bool) -> None:
    """Cancel all orders of an account on every shard.

    \b
    Example:  matchcore shards mass-cancel shards.toml --account 7
    No engine may be running.  Exit code 1 if a shard did not do it; run it again then.
    """
    with failing_kindly(as_json), _opened(plan) as shards:
        outcome = shards.mass_cancel(account=account)
    _show_outcome(outcome, as_json, f"Cancelled in {plan}")


def _show_outcome(outcome: Outcome, as_json: bool, title: str) -> None:
    cancelled = {name: len(one.events) - 1 for name, one in outcome.answers.items()}
    failed = {name: str(error) for name, error in outcome.failures.items()}
    if as_json:
        click.echo(json.dumps({"cancelled": cancelled, "failed": failed}, indent=2))
    else:
        rows = {name: f"{count} orders cancelled" for name, count in cancelled.items()}
        show({**rows, **failed}, False, title=title)
    if failed:
        raise SystemExit(DAMAGED)
