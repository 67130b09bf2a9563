"""What the commands about databases do, without click."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from ..engine.follower import Follower, Sink, set_back
from ..journal import Keys, Position, identity_of
from ..sinks import SinkAway, open_sink
from ..sinks.urls import shown
from .output import err


def follow_into(
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
