"""`matchcore cluster`: the whole of a small exchange on one machine."""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidArgument
from .options import json_option
from .output import err, failing_kindly, out, show, show_rows

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..drills.cluster import Cluster

LOOK_SECONDS = 0.5  # between two looks at what lives
END_SECONDS_MAX = 60.0
place_argument = click.argument(
    "place", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path),
    default=Path("cluster.d"),
)  # fmt: skip
COLUMNS = ("part", "what", "role", "sequence", "behind", "pid", "where")


@click.group()
def cluster() -> None:
    """Run the whole of a small exchange on this machine, to try it.

    \b
    Example:  matchcore cluster up
    """


@cluster.command()
@place_argument
@click.option("--restart", is_flag=True, help="Start again what has ended.")
@click.option("--followers/--no-followers", default=True, show_default=True,
              help="Run a remote copy, an SQL follower and Redis (if installed).")  # fmt: skip
@json_option
def up(place: Path, restart: bool, followers: bool, as_json: bool) -> None:
    """Start three log servers, a primary, a standby, gateways and followers, until Ctrl-C.

    \b
    Example:  matchcore cluster up --restart
    What it makes stays in DIR (cluster.d); the same command goes on with it.  It says how to send
    an order, and what to kill to see a takeover.  What is killed stays away without --restart.
    With --json it prints one object when orders are taken, and lines of JSON after that.
    """
    from ..drills.cluster import Cluster

    with failing_kindly(as_json):
        say = partial(_say, as_json)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with Cluster(place, followers=followers, say=say) as made:
                _opened(made, as_json)
                _watch(made, restart, as_json)
        except KeyboardInterrupt:
            say("all of it has ended")


def _say(as_json: bool, what: str) -> None:
    if not as_json:
        err.print(f"matchcore: {what}")


def _opened(made: Cluster, as_json: bool) -> None:
    """What runs where, and what to do with it."""
    rows = made.status()
    url, token = made.parts["gateway-1"].where, made.place / "token"
    curl = (
        f'curl -H "Authorization: Bearer $(cat {token})" {url}/orders -d \''
        '{"client_order_id": "try-1", "symbol": "ANA", "side": "buy", "quantity": 10,'
        ' "price": "95.00"}\''
    )
    if as_json:
        show({"address": made.address, "parts": rows, "curl": curl}, True)
        return
    _table(rows, f"An exchange in {made.place}")
    primary = made.primary()
    out.print(f"The log: {made.address}")
    out.print("Send an order:", style="bold")
    out.print(f"  {curl}")
    out.print("See a takeover: kill the primary, and send another one (with the id try-2):")
    out.print(f"  kill -9 {made.pid(primary) if primary else ''}")
    out.print(
        "From another terminal: matchcore cluster status, matchcore cluster down."
        "  Ctrl-C ends all of it."
    )  # fmt: skip


def _watch(made: Cluster, restart: bool, as_json: bool) -> None:
    """Says what ends, what is started again, and who is primary; until it is interrupted."""
    lived = dict.fromkeys(made.names, True)
    primary = made.primary()
    while True:
        time.sleep(LOOK_SECONDS)
        for name in made.names:
            lives = made.lives(name)
            if lived[name] and not lives:
                _tell(as_json, name, "has ended")
                if restart:
                    made.start_parts([name])
                    _tell(as_json, name, "was started again")
            lived[name] = made.lives(name)
        now = made.primary()
        if now is not None and now != primary:
            _tell(as_json, now, "is primary now")
            primary = now
        made.write()


def _tell(as_json: bool, name: str, what: str) -> None:
    if as_json:
        click.echo(f'{{"part": "{name}", "said": "{what}"}}')
    else:
        err.print(f"matchcore: {name} {what}")


@cluster.command()
@place_argument
@json_option
def status(place: Path, as_json: bool) -> None:
    """Show what lives, who is primary, and how far each part is.

    \b
    Example:  matchcore cluster status
    Exit 0 if there are a primary, a standby and all servers, 1 otherwise.
    """
    from ..drills.cluster import ENGINES, noted, status_of

    with failing_kindly(as_json):
        if not noted(place):
            raise InvalidArgument(
                f"{place}: no cluster runs there; matchcore cluster up starts one"
            )
        rows = status_of(place)
        if as_json:
            show({"address": noted(place)["address"], "parts": rows}, True)
        else:
            _table(rows, f"An exchange in {place}")
        roles = sorted(row["role"] or "" for row in rows if row["name"] in ENGINES)
        well = roles == ["primary", "standby"] and all(row["pid"] for row in rows)
    raise SystemExit(0 if well else 1)


@cluster.command()
@place_argument
@json_option
def down(place: Path, as_json: bool) -> None:
    """End a cluster that runs; what it has made stays.

    \b
    Example:  matchcore cluster down
    """
    from ..drills.cluster import end

    with failing_kindly(as_json):
        ended = end(place)
        if not ended:
            raise InvalidArgument(f"{place}: no cluster runs there")
    show({"ended": ended}, as_json, title=f"Ended the cluster in {place}")


def _table(rows: list[dict[str, Any]], title: str) -> None:
    show_rows(COLUMNS, [[row["name"], *(row[name] for name in COLUMNS[1:])] for row in rows], title)
