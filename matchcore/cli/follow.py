"""`matchcore follow`: a database kept equal to the log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..engine.follower import Follower, Sink, set_back
from ..journal import Keys, Position, identity_of
from ..records.arguments import SHARD_MAX
from ..sinks import SinkAway, open_sink
from ..sinks.urls import shown
from .options import directory_argument, json_option
from .output import err, failing_kindly, progress_bar, show


@click.command()
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
    with failing_kindly(as_json), progress_bar("following", None) as progress:
        result = _follow_into(directory, url, shard=shard, forever=forever, progress=progress)
    show(result, as_json, title=f"Followed {directory}")


def _follow_into(
    directory: Path, url: str, *, shard: int, forever: bool, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Runs a follower from a log into the sink of a URL, until the log's end or an interrupt."""
    started = time.perf_counter()
    patience = math.inf if forever else 0.0
    waiting = _Waiting()
    sink_of = partial(
        open_sink, url, identity_of(directory), shard=shard, patience=patience, waiting=waiting
    )

    def stepped(count: int) -> None:
        waiting.passed()
        progress(count)

    with closing(sink_of()) as sink, ExitStack() as followers:
        before = _position(sink)
        try:
            follower = followers.enter_context(
                Follower(directory, sink, keys=Keys.from_environment(), went_back=_say_set_back)
            )
            follower.run(forever=forever, progress=stepped)
        except KeyboardInterrupt:
            pass  # the sink has whole transactions only, and knows better than anyone how many
        sink.patience = 0.0
        position = _position(sink)
    return {
        "delivered": position.sequence - before.sequence,
        "last_sequence": position.sequence,
        "epoch": position.epoch,
        "seconds": round(time.perf_counter() - started, 3),
        "to": shown(url),
    }


class _Waiting:
    """Says why a database is asked again: once for each reason, and when that has passed."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, error: SinkAway) -> None:
        if str(error) != self._said:
            self._said = str(error)
            err.print(f"matchcore: {error}; asking again")

    def passed(self) -> None:
        if self._said:
            self._said = ""
            err.print("matchcore: the database takes it again")


def _say_set_back(before: Position, now: Position) -> None:
    err.print(f"matchcore: {set_back(before, now)}")


def _position(sink: Sink) -> Position:
    return sink.position() or Position(0, 0)
