"""`matchcore demo --web`: the sample day, replayed into a page that a browser shows."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import FeedError
from ..importers import sample_day, source_of

HOST = "127.0.0.1"
STEP_SECONDS = 0.02  # between two looks at the clock
START_SECONDS_MAX = 30.0
END_SECONDS_MAX = 10.0  # then the feed is killed


def run_web(
    exchange: Path, port: int, speed: float, *, ready: Callable[[dict[str, Any]], None]
) -> None:
    """Replays the day into a new exchange with a feed beside it, until Ctrl-C or SIGTERM.

    ``speed``: seconds of the day in a second.  ``ready`` gets the page's address and the day's
    size when the page can be opened.  `MissingExtra` and `FeedError` as the feed says them.
    """
    source = source_of("bme", sample_day())
    commands = np.concatenate([commands for commands, _ in source.rows(source.instruments)])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        Engine.open(exchange, instruments=source.instruments) as engine,
        _feed(exchange, port) as feed,
    ):
        url = f"http://{HOST}:{port}/?zone={source.importer.timezone}"
        ready({"url": url, "commands": len(commands), "speed": speed})
        for part in _paced(commands, speed):
            if feed.poll() is not None:
                raise FeedError(f"the feed ended with {feed.returncode}")
            if len(part):
                engine.submit_batch(part)


def _paced(commands: NDArray[np.void], speed: float) -> Iterator[NDArray[np.void]]:
    """The commands that are due, again and again; nothing any more when the day is over."""
    times = np.maximum.accumulate(commands["time"])
    began, done = time.monotonic(), 0
    while True:
        now = times[0] + np.int64((time.monotonic() - began) * speed * 1e9)
        due = int(np.searchsorted(times, now, "right"))
        yield commands[done:due]
        done = due
        time.sleep(STEP_SECONDS)


@contextmanager
def _feed(exchange: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A feed in a process of its own, which serves when this begins and is gone when it ends."""
    command = [sys.executable, "-m", "matchcore", "feed", str(exchange), "--web", str(port)]
    socket.create_server((HOST, port)).close()  # OSError if somebody else has it
    with subprocess.Popen(command) as child:
        try:
            _wait_until_it_serves(child, port)
            yield child
        finally:
            child.terminate()
            try:
                child.wait(END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                child.kill()


def _wait_until_it_serves(child: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and child.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(STEP_SECONDS)
    raise FeedError(f"the feed does not serve on port {port}: see what it said")
