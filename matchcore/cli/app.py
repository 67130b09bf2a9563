"""The commands, one function each; what they do is in the rooms they call."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..machine import MACHINES
from ..records.arguments import SHARD_MAX
from ..records.instruments import price_text
from . import output
from .asking import query
from .bench import bench
from .databases import ddl_command, rebuild, reconcile
from .demo import demo
from .drawing import draw_command
from .keeping import archive_command, repair_command
from .output import (
    Commands,
    Moment,
    directory_argument,
    failing_kindly,
    json_option,
    moment,
    progress_bar,
    show,
    show_rows,
    zone_name,
)
from .tail import tail
from .torture import torture

machine_option = click.option(
    "--machine", type=click.Choice(list(MACHINES)), default="cython", show_default=True,
    help="Which implementation of the rules runs.",
)  # fmt: skip


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="matchcore")
def app() -> None:
    """An exchange core: look into exchange directories, feed them, follow them.

    \b
    Example:  matchcore demo
    Exit codes: 0 good, 1 damaged or refused data, 2 wrong usage, 3 a database or the machine
    failed, 4 an error that nothing expects, 130 stopped.
    """


app.add_command(demo)
app.add_command(draw_command)
app.add_command(bench)
app.add_command(reconcile)
app.add_command(rebuild)
app.add_command(query)
app.add_command(ddl_command)
app.add_command(archive_command)
app.add_command(repair_command)
app.add_command(tail)
app.add_command(torture)


@app.command()
@directory_argument
@machine_option
@json_option
def replay(directory: Path, machine: str, as_json: bool) -> None:
    """Replay a whole log from its first command, and compare with its snapshots.

    \b
    Example:  matchcore replay exchange.d
    Exit 1 if the log is damaged, or a snapshot differs from the replay or is not of this log.
    """
    from ..operations.verify import replay_all

    with failing_kindly(as_json):
        result = replay_all(directory, machine)
    show(result, as_json, title=f"Replay of {directory}")
    if not as_json:
        for one in result["snapshots_that_differ"]:
            output.out.print(f"  differs from the replay: {one}")
    if result["snapshots_that_differ"]:
        raise SystemExit(output.DAMAGED)


@app.command()
@directory_argument
@click.option("--replay", "replaying", is_flag=True,
              help="Then replay the log and compare the state at each snapshot.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N",
              help="Processes that read at once (default: as many as are worth it).")  # fmt: skip
@json_option
def verify(directory: Path, replaying: bool, jobs: int | None, as_json: bool) -> None:
    """Check every byte of a log and its snapshots, without changing any.

    \b
    Example:  matchcore verify exchange.d && echo good
              matchcore verify exchange.d --replay --jobs 4
    A log whose beginning is archived is replayed from its oldest snapshot on.
    Exit 0 good (a torn tail is good: it was never acknowledged), 1 damaged, 2 wrong usage.
    """
    from ..operations.verify import replayed, verify_all

    with failing_kindly(as_json):
        result = verify_all(directory, jobs or 0)
        if replaying:
            result = replayed(directory, result)
    show(result, as_json, title=f"Verification of {directory}")
    if not as_json:
        if result["structure_only"]:
            output.out.print(
                f"  encrypted, no keys: {result['structure_only']} segments checked in structure"
                " and chain only (MATCHCORE_KEYS names a file of keys)"
            )
        if result["not_there"] and result["good"]:
            output.out.print(
                f"  missing: {result['not_there']:,} commands more were answered, and not synced:"
                " a power cut took them under os or interval"
            )
        for finding in result["findings"]:
            place = f"{finding['path']} at byte {finding['offset']}, sequence {finding['sequence']}"
            output.out.print(f"  damaged: {finding['what']}: {place}")
    raise SystemExit(output.GOOD if result["good"] else output.DAMAGED)


@app.command()
@directory_argument
@json_option
def info(directory: Path, as_json: bool) -> None:
    """Say what a directory holds: identity, sequence, instruments, segments, snapshots.

    \b
    Example:  matchcore info exchange.d --json
    """
    from ..operations.verify import describe

    with failing_kindly(as_json):
        result = describe(directory)
    show(result, as_json, title=str(directory))
    if not as_json:
        show(result["opening"], False, title="An open now would")
        rows = [list(row.values()) for row in result["instruments"]]
        show_rows(["symbol", "tick", "lot", "orders", "best bid", "best ask"], rows)


@app.command()
@directory_argument
@click.argument("symbol")
@click.option(
    "--depth", type=click.IntRange(1), default=10, show_default=True, help="Levels a side."
)
@click.option(
    "--at", type=moment, metavar="SEQUENCE|TIME", help="Where in the log (default: its end)."
)
@json_option
def book(directory: Path, symbol: str, depth: int, at: Moment | None, as_json: bool) -> None:
    """Show an instrument's book as a depth table, at the end of the log or as it once was.

    \b
    Example:  matchcore book exchange.d ANA --depth 5
              matchcore book exchange.d ANA --at 120000
              matchcore book exchange.d ANA --at 2019-05-21T09:00:00.123456
    A time stands for the last command whose time is at or before it; UTC without an offset.
    """
    from ..operations.verify import book_of

    with failing_kindly(as_json):
        view, sequence = book_of(directory, symbol, at)
    if as_json:
        show({**view.as_plain(depth), "sequence": sequence}, True)
        return
    rows: list[list[Any]] = []
    for bid, ask in zip_longest(*view.depth(depth)):
        rows.append(
            [
                bid.orders if bid else "",
                bid.quantity if bid else "",
                price_text(bid.price) if bid else "",
                price_text(ask.price) if ask else "",
                ask.quantity if ask else "",
                ask.orders if ask else "",
            ]
        )
    columns = ["orders", "bid quantity", "bid", "ask", "ask quantity", "orders"]
    show_rows(columns, rows, f"{symbol}, sequence {sequence:,}")
    if not rows:
        output.out.print("  (no orders rest)")


@app.command()
@directory_argument
@click.option("--at", "sequence", type=click.IntRange(0), metavar="SEQUENCE",
              help="Behind the last batch up to this command (default: the end).")  # fmt: skip
@json_option
def snapshot(directory: Path, sequence: int | None, as_json: bool) -> None:
    """Write a snapshot from the log, also while an engine has it open.

    \b
    Example:  matchcore snapshot exchange.d
    The engine is not stopped: this follows the log from the newest snapshot on.
    """
    from ..engine.snapshotting import take
    from ..journal import Keys
    from ..journal.snapshots import sequence_of

    with failing_kindly(as_json), progress_bar("following", None) as progress:
        file = take(directory, sequence=sequence, keys=Keys.from_environment(), progress=progress)
    show({"sequence": sequence_of(file), "path": str(file), "bytes": file.stat().st_size}, as_json,
         title=f"Snapshot of {directory}")  # fmt: skip


@app.command(name="import")
@click.argument("form", metavar="FORMAT")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--symbol", help="Symbol of the instrument (default: from the file's name).")
@click.option("--tick", help="Smallest price step, e.g. 0.05 (default: the format's).")
@click.option("--batch", type=click.IntRange(1, 65536), default=4096, show_default=True,
              help="Commands made durable together.")  # fmt: skip
@click.option("--timezone", metavar="ZONE", callback=zone_name,
              help="Of times without an offset, e.g. UTC (default: the market's).")  # fmt: skip
@click.option("--append", is_flag=True, help="Add to a log that holds something else already.")
@click.option("--allow-earlier", is_flag=True,
              help="Add commands that are earlier than the log's last.")  # fmt: skip
@click.option("--echo", is_flag=True, hidden=True)
@json_option
def import_(
    form: str,
    file: Path,
    directory: Path,
    symbol: str | None,
    tick: str | None,
    batch: int,
    timezone: str | None,
    append: bool,
    allow_earlier: bool,
    echo: bool,
    as_json: bool,
) -> None:
    """Send a file of real orders through a durable exchange.

    The whole file is checked first: a wrong row stops everything before anything is sent.
    What the log holds of the file already is not sent again: an import that was killed is
    simply started again, and one that is complete adds nothing.

    \b
    Example:  matchcore import bme orders-ana-2019-5-21.csv exchange.d
              matchcore import bme orders-ana-2019-5-22.csv exchange.d --append
    Formats: bme (one CSV of new / modif / cancel rows, plain or gzipped, times of Madrid).
    """
    from ..importers.loading import import_file, source_of

    with failing_kindly(as_json):
        source = source_of(form, file, symbol=symbol, tick=tick, timezone=timezone)
        result = import_file(
            source, directory, batch=batch, append=append, allow_earlier=allow_earlier, echo=echo
        )
    show(result, as_json, title=f"Import of {file.name}")
    if not as_json and result["already_there"] and not result["sent"]:
        output.out.print("  nothing was sent: the log holds the whole file already")


@app.command()
@directory_argument
@click.option("--to", "url", required=True, envvar="MATCHCORE_SINK_URL",
              help="Where to, e.g. sqlite:///exchange.db.")  # fmt: skip
@click.option("--shard", type=click.IntRange(0, SHARD_MAX), default=0, show_default=True,
              help="Number of this log, where several share a database.")  # fmt: skip
@click.option("--forever", is_flag=True, help="Go on as the log grows, until interrupted.")
@json_option
def follow(directory: Path, url: str, shard: int, forever: bool, as_json: bool) -> None:
    """Keep a database equal to the log; each row is written once, whatever dies when.

    \b
    Example:  matchcore follow exchange.d --to sqlite:///exchange.db
    Also mysql://user@host/database and postgresql://user@host/database; the URL may be in the
    environment, as MATCHCORE_SINK_URL, where no list of processes shows its password.
    Ctrl-C ends it well: what was delivered is said, and the next one goes on from there.

    What is known to last ends it with exit 2: a wrong password, missing rights, an unknown
    database, foreign tables, another exchange, damage, a certificate.  Everything else is tried
    again with --forever, on a new connection and with growing pauses, and the reason is printed to
    stderr.  A database that stands earlier than before (a backup, a standby) is followed from its
    position again.
    """
    from .sql import follow_into

    with failing_kindly(as_json), progress_bar("following", None) as progress:
        result = follow_into(directory, url, shard=shard, forever=forever, progress=progress)
    show(result, as_json, title=f"Followed {directory}")
