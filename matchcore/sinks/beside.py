"""What a `FollowerProcess` starts: ``python -m matchcore.sinks.beside DIRECTORY SHARD``.

The URL of the database is the first line of its input.  At the second line, or the end of its
input, it delivers what is durable then, and ends.  The line is the seconds that it has for that.
Both are JSON, and so are the lines of its output.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..engine.follower import Follower, set_back
from ..errors import LogFailed, MatchcoreError
from ..journal import Keys, Position, identity_of, place_of
from .interface import SinkAway
from .opening import RowSink, open_store, patiently
from .process import CATCH_UP_SECONDS, REFUSED

T = TypeVar("T")


class TellingSink(RowSink):
    """Says where the database stands whenever it is known."""

    def position(self) -> Position | None:
        at = super().position()
        say(sequence=at.sequence if at else 0)
        return at

    def write(
        self, position: Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        super().write(position, commands, events)
        say(sequence=position.sequence)


def _say_away(error: SinkAway | LogFailed) -> None:
    say(error=str(error))


def _read_log(read: Callable[[], T]) -> T:
    """Reads the log, again and again if the system refuses a file of it."""
    return patiently(read, math.inf, _say_away, LogFailed)


def _say_set_back(before: Position, now: Position) -> None:
    say(sequence=now.sequence, set_back=set_back(before, now))


def say(**what: object) -> None:
    with suppress(BrokenPipeError):  # the process that started this is gone; the work is not
        print(json.dumps(what), flush=True)


def main(arguments: list[str]) -> int:
    name, number = arguments
    place, shard = place_of(name), int(number)
    url: str = json.loads(sys.stdin.readline() or '""')
    ended = threading.Event()
    threading.Thread(target=_until_the_end, args=(ended,), daemon=True).start()
    try:
        identity, keys = _read_log(lambda: identity_of(place)), Keys.from_environment()
        store = patiently(lambda: open_store(url, identity, shard), math.inf, _say_away)
        sink = TellingSink(store, shard, patience=math.inf, waiting=_say_away)
        with _read_log(
            lambda: Follower(place, sink, keys=keys, went_back=_say_set_back)
        ) as follower:
            while True:
                last = ended.is_set()  # before the step: what came until then is delivered
                _read_log(follower.step)
                if last:
                    return 0
                follower.wait()
    except MatchcoreError as error:
        say(error=str(error))
        return REFUSED


def _until_the_end(ended: threading.Event) -> None:
    """Waits for the second line of the input; then this process has so long, and no longer."""
    seconds: float = json.loads(sys.stdin.readline() or str(CATCH_UP_SECONDS))
    ended.set()
    threading.Event().wait(seconds)
    os._exit(3)  # at whatever it waits for: transactions are whole, or not there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
