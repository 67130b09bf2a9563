"""`matchcore load`: many orders to a running exchange, and how long their answers take."""

from __future__ import annotations

import ssl
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidArgument
from .options import address, json_option
from .output import DAMAGED, INTERRUPTED, err, failing_kindly, out, progress_bar, show, show_rows

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..traffic.running import Result
    from ..traffic.session import Account, Target

UNITS = 10_000  # in a price of 1
NAMES = ("ouch", "fix", "fix44", "fix50", "web")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: Columns of the table: counts, and latencies.
COLUMNS = ("sessions", "orders", "accepted", "refused", "executions", "missing", "twice", "wrong")
LATENCIES = ("p50", "p99", "max")

#: Counts that are told if there are any.
NOTES = {
    "cancels": "cancels sent", "cancelled": "orders cancelled or expired",
    "reconnects": "times connected again", "again": "requests sent again",
    "turned_away": "requests turned away for a while", "found": "answered by a status only",
    "cancels_missing": "cancels without an answer", "not_sent": "orders not sent",
    "strangers": "reports about other orders",
}  # fmt: skip
GAVE_UP_SHOWN = 5


def _price(_: object, option: click.Parameter, text: str) -> int:
    try:
        units = Decimal(text) * UNITS
        if units != int(units) or units <= 0:
            raise InvalidOperation
    except (InvalidOperation, OverflowError, ValueError):
        raise click.BadParameter(f"{text!r}: a price above 0 with up to 4 decimals") from None
    return int(units)


@click.command()
@click.option("--ouch", metavar="[HOST:]PORT", callback=address, help="OUCH over SoupBinTCP.")
@click.option("--fix", metavar="[HOST:]PORT", callback=address, help="FIX.")
@click.option("--web", metavar="[HOST:]PORT", callback=address, help="HTTP and WebSocket.")
@click.option("--protocol", type=click.Choice(["ouch", "fix", "web", "all"]), default="all",
              show_default=True, help="Only this one of those with an address.")  # fmt: skip
@click.option("--logins", required=True, type=_FILE,
              help="File of users, passwords, and protocols or none.")  # fmt: skip
@click.option("--symbol", "symbols", multiple=True, required=True, help="Can be repeated.")
@click.option("--low", required=True, callback=_price, help="Lowest price.")
@click.option("--high", required=True, callback=_price, help="Highest price.")
@click.option("--tick", required=True, callback=_price, help="Step of prices.")
@click.option("--quantity", type=click.IntRange(1, 2**32 - 1), default=100, show_default=True,
              help="Largest quantity.")  # fmt: skip
@click.option("--lot", type=click.IntRange(1, 2**32 - 1), default=1, show_default=True,
              help="Step of quantities.")  # fmt: skip
@click.option("--open", "kept", type=click.IntRange(0), default=50, show_default=True,
              help="Newest orders of a session that are not cancelled; 0: none is.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=1000.0, show_default=True,
              help="Orders a second of all sessions together.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=10.0,
              show_default=True, help="How long.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True,
              help="Of the orders.")  # fmt: skip
@click.option("--window", type=click.IntRange(1), default=1000, show_default=True,
              help="Requests of a session without an answer; more wait.")  # fmt: skip
@click.option("--patience", type=click.FloatRange(0), default=60.0, show_default=True,
              help="Seconds in which a session that was cut off tries to come back.")  # fmt: skip
@click.option("--silence", type=click.FloatRange(1), default=15.0, show_default=True,
              help="Seconds without a word, until a connection is given up.")  # fmt: skip
@click.option("--fix-version", type=click.Choice(["4.4", "5.0", "both"]), default="4.4",
              show_default=True, help="5.0: FIX 5.0 SP2 over FIXT 1.1.")  # fmt: skip
@click.option("--fix-comp-id", default="MATCHCORE", show_default=True, metavar="NAME",
              help="TargetCompID.")  # fmt: skip
@click.option("--tls-ca", type=_FILE,
              help="Authority (PEM) of the exchange's certificates; turns TLS on.")  # fmt: skip
@json_option
def load(**options: Any) -> None:
    """Send orders to an exchange at a fixed rate, over any protocols, and measure the answers.

    \b
    Example:  matchcore load --ouch 27000 --fix 9880 --web 8080 --logins users.txt --symbol ANA
              --low 95 --high 96 --tick 0.05 --rate 20000 --seconds 30

    Each line of --logins is a session; those that name no protocol take turns.  An order's latency
    counts from the time at which it was due, also if it could only be sent later.  A session that
    is cut off comes back, and sends again what has no answer.  Ctrl-C shows what there is.  Exit
    code 1: an order has no answer, or two, or an answer does not fit.  The orders are real: use an
    exchange for tests.
    """
    as_json = options["as_json"]
    from ..traffic.flow import Flow
    from ..traffic.running import run_load

    with failing_kindly(as_json):
        names = ("symbols", "low", "high", "tick", "quantity", "kept", "seed", "lot")
        flow = Flow(*(options[name] for name in names))
        targets = _targets(options)
        accounts = _accounts(options["logins"], list(targets))
        rate, seconds = options["rate"], options["seconds"]
        with progress_bar("sending", int(seconds)) as progress:
            result = run_load(targets, accounts, flow, rate=rate, seconds=seconds,
                              progress=progress)  # fmt: skip
    _show(result, rate, as_json)
    sys.exit(INTERRUPTED if result.interrupted else 0 if result.fine else DAMAGED)


def _targets(options: dict[str, Any]) -> dict[str, Target]:
    """Where each protocol is served; FIX in the versions that are asked for."""
    from ..traffic.session import Target

    tls = ssl.create_default_context(cafile=options["tls_ca"]) if options["tls_ca"] else None
    fix = {"4.4": ["fix44"], "5.0": ["fix50"], "both": ["fix44", "fix50"]}[options["fix_version"]]
    names = {"ouch": ["ouch"], "fix": fix, "web": ["web"]}
    found: dict[str, Target] = {}
    for option, protocols in names.items():
        if options[option] is not None and options["protocol"] in (option, "all"):
            host, port = options[option]
            target = Target(
                host, port, tls=tls, window=options["window"],
                patience_seconds=options["patience"], silence_seconds=options["silence"],
                comp_id=options["fix_comp_id"],
            )  # fmt: skip
            found |= dict.fromkeys(protocols, target)
    if not found:
        wanted = options["protocol"]
        said = "--ouch, --fix or --web" if wanted == "all" else f"--{wanted}"
        raise InvalidArgument(f"no address: say {said}")
    return found


def _accounts(path: Path, protocols: list[str]) -> list[Account]:
    from ..traffic.session import Account

    found = []
    fix = next((name for name in protocols if name.startswith("fix")), "fix44")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) not in (2, 3) or (words[2:3] and words[2] not in NAMES):
            raise InvalidArgument(
                f"{path}, line {number}: must be a user, a password, and a protocol or none: "
                f"{', '.join(NAMES)}"
            )
        protocol = fix if words[2:] == ["fix"] else "".join(words[2:])
        if not protocol or protocol in protocols:
            found.append(Account(words[0], words[1], protocol))
    if not found:
        raise InvalidArgument(f"{path}: names no user for {', '.join(protocols)}")
    return found


def _show(result: Result, rate: float, as_json: bool) -> None:
    whole = result.whole.as_dict()
    parts = {name: part.as_dict() for name, part in result.by_protocol.items()}
    if as_json:
        said = {"asked_per_second": rate, **whole, "by_protocol": parts,
                "gave_up": result.whole.gave_up, "first_wrong": result.whole.first_wrong or None,
                "interrupted": result.interrupted, "fine": result.fine}  # fmt: skip
        show(said, True)
        return
    rows = parts if len(parts) == 1 else {**parts, "all": whole}
    show_rows(
        ("protocol", *COLUMNS, *(f"{name}, ms" for name in LATENCIES)),
        [(name, *(row[key] for key in COLUMNS),
          *(row["latency_us"][one] / 1000 for one in LATENCIES)) for name, row in rows.items()],
        f"Load: {rate:,.0f} orders a second asked, {whole['answers_per_second']:,} answered",
    )  # fmt: skip
    notes = [f"{whole[key]:,} {text}" for key, text in NOTES.items() if whole[key]]
    out.print("; ".join([f"{whole['seconds']:,.1f} s", *notes]))
    for why in result.whole.gave_up[:GAVE_UP_SHOWN]:
        err.print(f"gave up: {why}")
    if result.whole.first_wrong:
        err.print(f"first wrong answer: {result.whole.first_wrong}")
    if result.interrupted:
        err.print("interrupted: this is what there was")
