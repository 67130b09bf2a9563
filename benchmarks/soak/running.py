"""One run: an engine, its feed, and those who follow it; each in a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.feeds import Client, Stream

from ..fanout.market import CHECKOUT, INSTRUMENTS

PATIENCE_SECONDS = 300.0  # for what must come at the end
LOOK_SECONDS = 0.5


class Served:
    """A feed of an exchange, with its state; it can be killed and started again."""

    def __init__(self, directory: Path, subscribers: int) -> None:
        self.exchange, self._state = directory / "exchange", directory / "state"
        self._subscribers = subscribers
        self.web = self.line = 0
        self.start()

    def start(self) -> None:
        """Waits until it serves."""
        command = [sys.executable, "-m", "matchcore", "feed", self.exchange,
                   "--state", self._state, "--web", self.web, "--line", self.line or free_port(),
                   "--connections", 4 * self._subscribers + 100]  # fmt: skip
        self.line = self.line or int(command[-3])
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)  # fmt: skip
        assert self.process.stderr is not None
        self.process.stderr.readline()
        self.web = int(self.process.stderr.readline().rstrip("/\n").rpartition(":")[2])

    def restart(self) -> None:
        """As after a crash."""
        self.process.kill()
        self.process.communicate()
        self.start()

    def memory_mib(self) -> float:
        """What it has in memory."""
        said = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(said.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE_SECONDS)


class Following:
    """A client of the line, in a thread, with books."""

    def __init__(self, port: int) -> None:
        self.client = Client(f"127.0.0.1:{port}")
        self.snapshots, self.error, self._over = 0, "", False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over:
                item = self.client.next(LOOK_SECONDS)
                self.snapshots += isinstance(item, mc.feeds.Snapshot)
        except Exception as error:  # said in the report
            self.error = str(error)

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self.client.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def module(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", f"benchmarks.soak.{name}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def asked(watch: subprocess.Popen[str], file: str = "") -> dict[str, Any]:
    """What the subscribers have seen; ``file``: where to write what one of them got when."""
    assert watch.stdin is not None and watch.stdout is not None
    watch.stdin.write(f"{file}\n")
    watch.stdin.flush()
    found: dict[str, Any] = json.loads(watch.stdout.readline())
    return found


def until(true: Callable[[], bool]) -> float:
    """Seconds until it is so; TimeoutError."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"not so after {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def run(
    directory: Path,
    *,
    seconds: float,
    rate: float,
    subscribers: int,
    restart: bool,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """What happened.  ``restart``: the feed is killed and started again in the middle."""
    instruments = [mc.Instrument(f"SYM{at}", "0.005") for at in range(1, INSTRUMENTS + 1)]
    with mc.Engine.open(directory / "exchange", instruments=instruments):
        pass
    served = Served(directory, subscribers)
    following = Following(served.line)
    try:
        with module("watch", served.web, subscribers, INSTRUMENTS) as watch:
            until(lambda: asked(watch)["whole_seconds"] is not None)
            memory = []
            with module("trader", served.exchange, rate, seconds) as trader:
                again = time.monotonic() + seconds / 2 if restart else np.inf
                while trader.poll() is None:
                    if time.monotonic() >= again:
                        served.restart()
                        again = np.inf
                    memory.append(served.memory_mib())
                    progress(LOOK_SECONDS)
                    time.sleep(LOOK_SECONDS)
                assert trader.stdout is not None
                traded = json.loads(trader.stdout.readline())
            return _report(served, following, watch, traded, memory)
    finally:
        following.close()
        served.stop()


def _public(orders: NDArray[np.void]) -> bytes:
    """What a machine knows, too: not how the orders were added."""
    orders["sequence"] = orders["flags"] = 0
    return orders.tobytes()


def _have(seen: dict[str, Any], last: int) -> bool:
    """Whether all subscribers are there and have the last number."""
    return seen["whole_seconds"] is not None and int(seen["least_number"]) >= last


def _report(
    served: Served,
    following: Following,
    watch: subprocess.Popen[str],
    traded: dict[str, Any],
    memory: list[float],
) -> dict[str, Any]:
    with Stream(served.exchange) as stream:
        for _ in stream.poll():
            pass
        last, books = stream.number - 1, stream.books().snapshot()
    behind = until(lambda: following.client.number >= last or bool(following.error))
    behind += until(lambda: _have(asked(watch), last))
    came = served.exchange.with_name("came.npy")
    seen, equal = asked(watch, str(came)), not following.error
    delays = milliseconds(np.load(f"{served.exchange}.npy"), np.load(came))
    equal = equal and _public(following.client.books.snapshot()) == _public(books)
    return {
        "commands": traded["commands"],
        "commands_a_second": round(traded["commands"] / traded["seconds"]),
        "messages": seen["messages"],
        "gaps": seen["gaps"],
        "snapshots": seen["snapshots"],
        "connections_ended": seen["ends"],
        "seconds_until_all_were_back": seen["whole_seconds"] if seen["ends"] else None,
        "seconds_behind_at_the_end": round(behind, 3),
        "delay_ms_p50": round(float(np.percentile(delays, 50)), 2),
        "delay_ms_p99": round(float(np.percentile(delays, 99)), 2),
        "delay_ms_most": round(float(delays.max()), 1),
        "delay_ms_p99_by_tenths": by_tenths(delays, lambda part: np.percentile(part, 99)),
        "line_error": following.error or None,
        "line_books_equal": equal,
        "memory_mib_at_half": round(memory[len(memory) // 2], 1),
        "memory_mib_at_the_end": round(memory[-1], 1),
        "memory_mib_most": round(max(memory), 1),
        "memory_mib_by_tenths": by_tenths(np.array(memory), np.median),
    }


def milliseconds(answered: NDArray[np.int64], came: NDArray[np.int64]) -> NDArray[np.float64]:
    """From the answers, (sequence, time), to the messages at a subscriber, (number, time).

    Each order makes one change, so a change's number is its command's sequence.  Below 0 where a
    message came before the engine's process went on: the feed follows the log, not the answer.
    """
    numbers = np.maximum.accumulate(came[:, 0])  # a snapshot may repeat one
    at = np.searchsorted(numbers, answered[:, 0])
    return np.asarray((came[at, 1] - answered[:, 1]) / 1e6)


def by_tenths(values: NDArray[Any], of: Callable[[Any], Any]) -> list[float]:
    """A figure of each tenth of the run."""
    return [round(float(of(part)), 2) for part in np.array_split(values, 10) if len(part)]
