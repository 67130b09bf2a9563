"""`matchcore follow`: a database kept equal to the log."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, TypeVar

import click

from ..engine.follower import Follower, Sink, set_back
from ..errors import LogFailed
from ..journal import Keys, Place, Position, identity_of
from ..records.arguments import SHARD_MAX
from ..sinks import SinkAway, open_sink
from ..sinks.opening import patiently
from ..sinks.urls import shown
from .options import json_option, place_argument
from .output import err, failing_kindly, progress_bar, show

T = TypeVar("T")


@click.command()
@place_argument
@click.option("--to", "url", required=True, envvar="MATCHCORE_SINK_URL",
              help="Database URL, e.g. sqlite:///exchange.db.")  # fmt: skip
@click.option("--shard", type=click.IntRange(0, SHARD_MAX), default=0, show_default=True,
              help="Number of this log if several share the database.")  # fmt: skip
@click.option("--forever", is_flag=True, help="Continue as the log grows, until Ctrl-C or SIGTERM.")
@json_option
def follow(directory: Place, url: str, shard: int, forever: bool, as_json: bool) -> None:
    """Write the log's orders and trades into a database, each row exactly once.

    \b
    Example:  matchcore follow exchange.d --to sqlite:///exchange.db
    Other URLs: mysql://user@host/database, postgresql://user@host/database, redis://host.  Put a
    URL with a password into the environment variable MATCHCORE_SINK_URL, so that no list of
    processes shows it.  Ctrl-C or SIGTERM ends with exit 0 and prints the position; the next run
    continues there.

    Permanent errors end it with exit 2: a wrong password, missing rights, an unknown database,
    foreign tables, another exchange, damage, a bad certificate.  With --forever all other errors
    are retried on a new connection, with growing pauses; stderr shows the reason.  If the database
    goes back to an earlier position (a backup, a standby), following continues from there.
    """
    with _sigterm_as_ctrl_c(), failing_kindly(as_json), progress_bar("following", None) as progress:
        result = _follow_into(directory, url, shard=shard, forever=forever, progress=progress)
    show(result, as_json, title=f"Followed {directory}")


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """The first process of a container would not see a SIGTERM that nothing handles."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _follow_into(
    directory: Place, url: str, *, shard: int, forever: bool, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Runs a follower from a log into the sink of a URL, until the log's end or an interrupt."""
    started = time.perf_counter()
    patience = math.inf if forever else 0.0
    waiting = _Waiting()
    sink_of = partial(
        open_sink, url, identity_of(directory), shard=shard, patience=patience, waiting=waiting
    )

    def read_log(read: Callable[[], T]) -> T:
        return patiently(read, patience, waiting, LogFailed)

    def stepped(count: int) -> None:
        waiting.passed()
        progress(count)

    with closing(sink_of()) as sink, ExitStack() as followers:
        before = _position(sink)
        try:
            keys = Keys.from_environment()
            follower = followers.enter_context(
                read_log(lambda: Follower(directory, sink, keys=keys, went_back=_say_set_back))
            )
            while (count := read_log(follower.step)) or forever:
                stepped(count)
                if not count:
                    follower.wait()
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
        self._passed = ""

    def __call__(self, error: SinkAway | LogFailed) -> None:
        if str(error) != self._said:
            self._said = str(error)
            of_log = isinstance(error, LogFailed)
            self._passed = "the log is read" if of_log else "the database accepts rows"
            err.print(f"matchcore: {error}; retrying")

    def passed(self) -> None:
        if self._said:
            self._said = ""
            err.print(f"matchcore: {self._passed} again")


def _say_set_back(before: Position, now: Position) -> None:
    err.print(f"matchcore: {set_back(before, now)}")


def _position(sink: Sink) -> Position:
    return sink.position() or Position(0, 0)
