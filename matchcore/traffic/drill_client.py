"""Clients of a drill, in a process that may be killed: `python -m matchcore.traffic.drill_client`.

Its argument is JSON.  They keep nothing: orders follow from the seed, and what has become of them
is heard again from the first report of the day.  A file says two numbers: how many orders of each
session were due before, and how many are now.  Every report goes to the session's record, which
begins anew with the process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .flow import Flow
from .ledger import Ledger
from .running import session_class
from .session import Account, Session, Target

TOTAL_MAX = 1 << 30
LOOK_SECONDS = 0.02  # between two looks at what is due


class Pieces:
    """Orders up to a number that is raised, at a rate."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._from = self._to = self._start = 0

    def raise_to(self, before: int, now: int) -> None:
        self._from, self._to, self._start = before, now, time.perf_counter_ns()

    def due(self, now: int) -> int:
        return min(self._to, self._from + int((now - self._start) * self._rate / 1e9) + 1)

    def moments(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._start + ((places - self._from) * (1e9 / self._rate)).astype(np.int64)


async def main(said: dict[str, Any]) -> None:
    """Until it is killed."""
    pace = Pieces(said["rate"])
    low, high, tick = said["prices"]
    flow = Flow((said["symbol"],), low, high, tick, said["quantity"], said["open"], said["seed"])
    sessions = [_session(one, flow) for one in said["sessions"]]
    for session in sessions:
        session.pace = pace
    running = asyncio.gather(*(session.run() for session in sessions))
    due = ""
    while not running.done():
        found = Path(said["due"]).read_text()
        if found != due:
            due = found
            pace.raise_to(*map(int, due.split()))
            for session in sessions:
                session.wake.set()
        await asyncio.sleep(LOOK_SECONDS)
    await running


def _session(said: dict[str, Any], flow: Flow) -> Session:
    record = os.open(said["record"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    target = Target("127.0.0.1", said["port"], patience_seconds=600, silence_seconds=3.0,
                    resume=True, tag=said["tag"])  # fmt: skip
    account = Account(said["user"], said["password"], said["protocol"])
    total = TOTAL_MAX if said["trades"] else 0
    ledger = Ledger(flow, said["place"], total, record)
    return session_class(said["protocol"])(target, account, ledger)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(main(json.loads(sys.argv[1])))
