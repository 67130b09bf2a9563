"""`python -m benchmarks.orders.paced PORT SESSIONS COUNT RATE`: sessions of COUNT orders each.

All together send RATE orders a second, whatever is answered, in turns and `BURST` at a time.
Prints as JSON the milliseconds from the moment at which an order is due to its answer: `p50`,
`p99`, `max`.  Answers are read when all is over, so that this process does not measure itself.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import cast

import numpy as np
import uvloop
from numpy.typing import NDArray

from matchcore.gateways.ouch._client import heard

from .flow import HOST, login, orders

BURST = 8
STEP_SECONDS = 0.0002  # between two looks at what is due
QUIET_SECONDS = 1.0  # without a word: all is answered
WARM = 0.6  # of the orders, which do not count: tables grow


class Client(asyncio.Protocol):
    """One session."""

    def __init__(self, session: int, count: int) -> None:
        self._session = session
        made = orders(session, count)
        self.bursts = [made[at : at + BURST].tobytes() for at in range(0, count, BURST)]
        self.came: list[tuple[float, bytes]] = []  # when, and what
        self.ready = asyncio.Event()

    def itself(self) -> Client:
        """What the loop asks for a protocol."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no such base
        self.transport.write(login(self._session))

    def data_received(self, data: bytes) -> None:
        if self.ready.is_set():
            self.came.append((time.perf_counter(), data))
        else:
            assert data[2:3] == b"A", data
            self.ready.set()

    def answered(self, count: int) -> NDArray[np.float64]:
        """When each order was."""
        found = np.zeros(count)
        rest = b""
        for moment, data in self.came:
            size, rows = heard(rest + data)
            rest = (rest + data)[size:]
            letters = rows["letter"]
            refs = rows["ref"][(letters == ord("A")) | (letters == ord("J"))]
            found[refs.astype(np.int64) - 1] = moment
        assert found.all(), f"session {self._session}: orders without an answer"
        return found


async def run(port: int, sessions: int, count: int, rate: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    clients = [Client(session, count) for session in range(1, sessions + 1)]
    for client in clients:
        await loop.create_connection(client.itself, HOST, port)
        await client.ready.wait()
    turns = [
        (client, burst)
        for at in range(len(clients[0].bursts))
        for client in clients
        for burst in (client.bursts[at],)
    ]
    each, sent, start = BURST / rate, 0, time.perf_counter()
    while sent < len(turns):
        await asyncio.sleep(STEP_SECONDS)
        due = min(len(turns), int((time.perf_counter() - start) / each))
        for client, burst in turns[sent:due]:
            client.transport.write(burst)
        sent = due
    while any(time.perf_counter() - client.came[-1][0] < QUIET_SECONDS for client in clients):
        await asyncio.sleep(QUIET_SECONDS / 4)
    waits = []
    for at, client in enumerate(clients):
        moments = start + each * (np.arange(count) // BURST * sessions + at + 1)
        waits.append((client.answered(count) - moments)[int(WARM * count) :])
        client.transport.close()
    found = 1e3 * np.concatenate(waits)
    return {"p50": float(np.percentile(found, 50)), "p99": float(np.percentile(found, 99)),
            "max": float(found.max())}  # fmt: skip


if __name__ == "__main__":
    gc.disable()  # what is kept here grows, and no cycles are made
    print(json.dumps(uvloop.run(run(*map(int, sys.argv[1:])))))
