"""A standby beside its primary: how far it is behind, and how long clients wait for it.

Three servers, two engines as processes, and the lines of a gateway in this process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, Kind, Side
from matchcore.bench.neutral import commands, messages
from matchcore.bench.throughput import INSTRUMENT
from matchcore.engine.engine import Engine
from matchcore.gateways.lines import Lines
from matchcore.gateways.lines.address import Address as LineAddress
from matchcore.journal.stream import Servers
from matchcore.standby import Standby

BATCH = 4096
LOAD_SECONDS = 4.0
SHARE = 0.8  # of what the primary can do alone
CALM_SECONDS = 0.5  # between the beginning of a flow and what happens to the primary
WAIT_SECONDS = 60.0
_names = itertools.count(1)


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    place = tempfile.TemporaryDirectory(prefix="matchcore-bench-", dir=os.environ.get("TMPDIR"))
    with place as at, Servers(Path(at)) as servers:
        folder = Path(at)
        waited = partial(_waited, servers, folder)
        yield [
            ("longest wait, primary killed", lambda: waited("kill"), "s"),
            ("longest wait, primary paused", lambda: waited("pause"), "s"),
            ("longest wait, planned switch", lambda: waited("switch"), "s"),
        ]
        flow = commands(messages("normal", count))
        flow["time"] = 0
        lag = partial(behind, servers, flow)
        yield [
            (f"standby behind the answer, {SHARE:g} of the load: median", lambda: lag(50), "ms"),
            (f"standby behind the answer, {SHARE:g} of the load: p99", lambda: lag(99), "ms"),
        ]


# ------------------------------------------------------------------ waits


def _waited(servers: Servers, folder: Path, how: str) -> float:
    """Seconds of the longest wait of one order after another, while the primary goes."""
    address = servers.address(f"bench-{next(_names)}")
    with Engine.open(address, instruments=[INSTRUMENT]):
        pass
    lines = [folder / f"{next(_names)}.sock" for _ in range(2)]
    engines: list[subprocess.Popen[str]] = []
    try:
        for line in lines:
            engines.append(_engine(address, line))
        return asyncio.run(_flow(address, lines, engines[0], how))
    finally:
        for engine in engines:
            engine.kill()
            engine.communicate()


def _engine(address: str, line: Path) -> subprocess.Popen[str]:
    """A standby that follows, or the first one, which is primary."""
    engine = subprocess.Popen(
        [sys.executable, "-m", "matchcore", "standby", address, "--name", line.stem,
         "--lines", f"unix:{line}", "--state", f"{line}.d"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert engine.stderr is not None
    wanted = "is primary" if not _started.get(address) else "follows"
    for said in engine.stderr:
        if wanted in said:
            _started[address] = True
            return engine
    raise RuntimeError(f"the engine at {line} ended")


_started: dict[str, bool] = {}


async def _flow(address: str, lines: list[Path], primary: subprocess.Popen[str], how: str) -> float:
    heard = asyncio.Queue[int]()
    way = Lines([LineAddress(str(line), -1) for line in lines])
    await way.start(partial(_heard, heard), lambda why: None)
    longest, began, number, gone = 0.0, time.monotonic(), 0, False
    while True:
        number += 1
        sent = time.monotonic()
        way.send(_order(number))
        while await asyncio.wait_for(heard.get(), WAIT_SECONDS) != number:
            pass
        if gone:
            longest = max(longest, time.monotonic() - sent)
            if longest > 0.1 and time.monotonic() - began > CALM_SECONDS + 2:
                break
        elif time.monotonic() - began > CALM_SECONDS:
            gone = True
            _end(address, primary, how)
        await asyncio.sleep(0.002)
    await way.close()
    return longest


def _heard(heard: asyncio.Queue[int], rows: NDArray[np.void], events: NDArray[np.void]) -> None:
    for number in rows["client_order_id"].tolist():
        heard.put_nowait(number)


def _order(number: int) -> NDArray[np.void]:
    row = np.zeros(1, COMMAND)
    row["kind"], row["side"], row["instrument"] = Kind.NEW, Side.SELL, 1
    row["quantity"], row["price"], row["account"], row["session"] = 1, 100, 1, 1
    row["client_order_id"], row["order_id"] = number, (1 << 62) + number
    return row


def _end(address: str, primary: subprocess.Popen[str], how: str) -> None:
    if how == "switch":
        command = [sys.executable, "-m", "matchcore", "switch", address]
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        primary.send_signal(signal.SIGKILL if how == "kill" else signal.SIGSTOP)


# ------------------------------------------------------------------ lag


def behind(servers: Servers, flow: NDArray[np.void], percent: float) -> float:
    """Milliseconds from when a command was answered until a standby had applied it."""
    address = servers.address(f"bench-{next(_names)}")
    answered: dict[int, float] = {}
    with Engine.open(address, instruments=[INSTRUMENT]) as engine:
        standby = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__, address], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        rate = _load(engine, flow, 0.0, {})
        _caught_up(standby, engine)
        _load(engine, flow, SHARE * rate, answered)
        said = _caught_up(standby, engine)
        standby.communicate()
    applied = {int(sequence): when for sequence, when in json.loads(said).items()}
    ends = np.array(sorted(applied))
    at = [applied[int(ends[np.searchsorted(ends, one)])] - when for one, when in answered.items()]
    return float(np.percentile(np.maximum(at, 0), percent)) * 1e3


def _caught_up(standby: subprocess.Popen[str], engine: Engine) -> str:
    """What the standby says once it has all."""
    assert standby.stdin is not None and standby.stdout is not None
    standby.stdin.write(f"{engine.sequence}\n")
    standby.stdin.flush()
    return standby.stdout.readline()


def follow(address: str) -> None:
    """In a process of its own: prints when each sequence was applied, as often as it is asked."""
    applied: dict[int, float] = {}
    wanted: deque[int] = deque()
    asking = threading.Thread(target=lambda: wanted.extend(map(int, sys.stdin)))
    asking.start()
    with Standby(address) as standby:
        while asking.is_alive() or wanted:
            if standby.step():
                applied[standby.position.sequence] = time.monotonic()
            else:
                standby.wait()
            if wanted and standby.position.sequence >= wanted[0]:
                wanted.popleft()
                print(json.dumps(applied), flush=True)
                applied.clear()


def _load(engine: Engine, flow: NDArray[np.void], rate: float, answered: dict[int, float]) -> float:
    """Commands a second; ``rate``: at most, 0: as many as it takes."""

    def done(future: Any) -> None:
        answered[int(future.result()["sequence"].max())] = time.monotonic()

    began, sent, future = time.monotonic(), 0, None
    while (now := time.monotonic()) < began + LOAD_SECONDS:
        if rate and sent > rate * (now - began):
            time.sleep(0.001)
            continue
        at = sent % max(1, len(flow) - BATCH)
        future = engine.submit_async(flow[at : at + BATCH])
        future.add_done_callback(done)
        sent += BATCH
    if future is not None:
        future.result()
    return sent / (time.monotonic() - began)


if __name__ == "__main__":
    follow(*sys.argv[1:])
