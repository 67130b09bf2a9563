"""`matchcore schedule`: the timetable of an exchange, printed or carried out."""

from __future__ import annotations

import json
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from ..engine.engine import Engine
from ..errors import InvalidArgument, LogError
from ..journal import Keys
from ..operations.scheduling import Due, Schedule, read_day_data, schedule_of
from ..records.register import Place
from ..records.schema import Topic
from ..records.times import text_of, zone_of
from ..venues import VENUES
from .alone import administered
from .options import PlaceType, json_option, zone_name
from .output import failing_kindly, show, show_rows

SECOND_NS = 10**9
_WAIT_SECONDS_MAX = 1.0  # so a clock that is set is noticed
_COLUMNS = ("time", "local", "action", "phase", "window_seconds")


def _day(_: object, __: object, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r}: a day like 2026-11-27") from None


@click.command(name="schedule")
@click.argument("directory", type=PlaceType(addresses=False))
@click.option("--venue", type=click.Choice(VENUES), required=True, help="Whose rules.")
@click.option("--board", default="main", show_default=True, help="As main, star, chinext or fund.")
@click.option("--on", callback=_day, metavar="DAY", help="Timetable of this day [default: today].")
@click.option("--symbol", "symbols", multiple=True,
              help="One instrument of the board; can be repeated. Those without a market get one."
              " Without it, all of the board's group.")  # fmt: skip
@click.option("--calendar", metavar="CODE", help="Of exchange-calendars, as XSHG.")
@click.option("--timezone", callback=zone_name, metavar="NAME", help="Of the generic venue.")
@click.option("--seed", default="", help="Of the moments that are drawn within windows.")
@click.option("--clock", "clock_seconds", type=click.IntRange(0), metavar="SECONDS",
              help="Between two CLOCKs, 0: none.")  # fmt: skip
@click.option("--day-data", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="JSON: day, symbol, values; read on each morning.")  # fmt: skip
@click.option("--once", is_flag=True, help="Do what is due now, and end.")
@click.option("--run", "runs", is_flag=True, help="Do what is due, until Ctrl-C.")
@json_option
def schedule_command(
    directory: Path, venue: str, board: str, on: date | None, symbols: tuple[str, ...],
    day_data: Path | None, once: bool, runs: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Print the timetable of a board, or carry it out.

    \b
    Example:  matchcore schedule exchange.d --venue sse
              matchcore schedule exchange.d --venue sse --symbol 600519 --run
    With --once and --run the server of DIRECTORY does it.  --once also works on an exchange that
    nobody serves.  With --run, --json prints one JSON object a line.
    """
    with failing_kindly(as_json):
        if once and runs:
            raise InvalidArgument("--once or --run, not both")
        made = schedule_of(venue, board, **options)
        if not (once or runs):
            _print(directory, made, made.date_of(time.time_ns()) if on is None else on, as_json)
            return
        if day_data is not None:
            read_day_data(day_data)  # says what is wrong
        said = {"venue": venue, "board": board, "symbols": list(symbols) or None,
                "day_data": day_data and str(day_data.resolve()), "options": options}  # fmt: skip
        if once:
            found = _step(directory, said)
            show({**found, "steps": len(found["done"])}, as_json, title=f"Done in {directory}")
            return
        _run(directory, said, as_json)


def _step(directory: Path, said: dict[str, Any]) -> dict[str, Any]:
    return administered(directory, "schedule", **said)


def _run(directory: Path, said: dict[str, Any], as_json: bool) -> None:
    while True:
        found = _step(directory, said)
        if not found.get("served"):
            raise LogError(f"{directory}: nobody serves it; --once does one step")
        for one in found["done"]:
            click.echo(json.dumps(one) if as_json else _line(one))
        wait = (found["next"] - found["now"]) / SECOND_NS
        time.sleep(max(0.0, min(wait, _WAIT_SECONDS_MAX)))


def _line(one: dict[str, Any]) -> str:
    what = one["phase"] or one["action"]
    how = "skipped" if one["skipped"] else f"{one['sent']} commands"
    return "; ".join([f"{one['time']} {what}: {how}", *one["refused"]])


def _print(directory: Path, made: Schedule, on: date, as_json: bool) -> None:
    day, table = made.day(on), made.timetable(on)
    engine = Engine.at(directory, keys=Keys.from_environment())
    mark = engine.register().get(Place(Topic.SCHEDULE, day.group))
    done = None if mark is None else text_of(int.from_bytes(mark[:8], "little", signed=True))
    rows = [_row(due, day.timezone) for due in table]
    if as_json:
        show({"venue": day.venue, "board": day.board, "day": on.isoformat(), "open": bool(table),
              "timezone": day.timezone, "group": day.group, "done_until": done,
              "timetable": rows}, True)  # fmt: skip
        return
    title = f"{day.venue} {day.board} on {on}"
    if not table:
        show({"trading": False, "done_until": done}, False, title=title)
        return
    show_rows(_COLUMNS, [[row[name] for name in _COLUMNS] for row in rows], title)
    show({"done_until": done}, False)


def _row(due: Due, timezone: str) -> dict[str, Any]:
    local = datetime.fromtimestamp(due.time / SECOND_NS, zone_of(timezone))
    return {
        "time": text_of(due.time),
        "local": f"{local:%H:%M:%S}",
        "action": str(due.action),
        "phase": None if due.phase is None else due.phase.name,
        "ends_halts": due.ends_halts,
        "cancel_orders": due.cancel_orders,
        "window_seconds": due.window_ns // SECOND_NS,
    }
