"""`python -m benchmarks.orders.clients WAY PORT SESSIONS COUNT [RATE]`: sessions of COUNT orders.

Each has at most `WINDOW` orders without an answer.  With RATE, over OUCH only, RATE orders a second
are sent by all of them together, whatever is answered.  Prints as JSON how many seconds it took
from the first order to the last answer, and with RATE the milliseconds from the moment at which an
order was due to its answer: `p50`, `p99`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import numpy as np
import uvloop
from numpy.typing import NDArray

from matchcore.gateways.ouch._client import heard

from .flow import HOST, as_lines, login, orders

WINDOW = 500
STEP_SECONDS = 0.0005  # between two looks at what is due
WARM = 0.1  # of the orders, which do not count


class Client(asyncio.Protocol):
    """One session of either way."""

    def __init__(self, way: str, session: int, count: int) -> None:
        self._is_ouch, self._session = way == "ouch", session
        made = orders(session, count)
        data = [one.tobytes() for one in made] if self._is_ouch else as_lines(session, made)
        ends = np.cumsum([len(one) for one in data])
        self._data, self._ends = b"".join(data), [0, *ends.tolist()]
        self._count, self._sent, self._answered = count, 0, 0
        self._heard = bytearray()
        self.ready, self.done = asyncio.Event(), asyncio.Event()
        #: When each order is to be sent, if that is fixed.
        self._due: NDArray[np.float64] = np.zeros(0)
        self.waits = np.zeros(count)  # seconds until its answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no such base
        if self._is_ouch:
            self.transport.write(login(self._session))
        else:
            self.ready.set()

    def data_received(self, data: bytes) -> None:
        if not self.ready.is_set():
            assert data[2:3] == b"A", data
            self.ready.set()
            return
        if self._is_ouch:
            self._heard += data
            size, rows = heard(self._heard)
            del self._heard[:size]
            letters = rows["letter"]
            answers = (letters == ord("A")) | (letters == ord("J"))
            self._answered += int(np.count_nonzero(answers))
            if len(self._due):
                places = rows["ref"][answers].astype(np.int64) - 1
                self.waits[places] = time.perf_counter() - self._due[places]
                if self._answered == self._count:
                    self.done.set()
                return
        else:
            self._answered += data.count(b"\n")
        self.send()

    def send(self) -> None:
        upto = min(self._count, self._answered + WINDOW)
        if self._answered == self._count:
            self.done.set()
        elif upto - self._sent >= WINDOW // 4 or upto == self._count:
            part = self._data[self._ends[self._sent] : self._ends[upto]]
            self._sent = upto
            self.transport.write(part)

    async def pace(self, start: float, each: float) -> None:
        """Sends an order every ``each`` seconds from ``start`` on."""
        self._due = start + each * np.arange(self._count)
        while self._sent < self._count:
            await asyncio.sleep(STEP_SECONDS)
            upto = int(np.searchsorted(self._due, time.perf_counter()))
            if upto > self._sent:
                self.transport.write(self._data[self._ends[self._sent] : self._ends[upto]])
                self._sent = upto


async def run(way: str, port: int, sessions: int, count: int, rate: int = 0) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    clients = [Client(way, session, count) for session in range(1, sessions + 1)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, HOST, port)
        await client.ready.wait()
    start = time.perf_counter()
    paced = [
        asyncio.ensure_future(client.pace(start + at / rate, sessions / rate))
        for at, client in enumerate(clients)
        if rate
    ]
    for client in clients:
        if not rate:
            client.send()
    await asyncio.gather(*(client.done.wait() for client in clients))
    found = {"seconds": time.perf_counter() - start}
    await asyncio.gather(*paced)
    for client in clients:
        client.transport.close()
    if rate:
        waits = 1e3 * np.concatenate([client.waits[int(WARM * count) :] for client in clients])
        found |= {f"p{one}": float(np.percentile(waits, one)) for one in (50, 99)}
    return found


if __name__ == "__main__":
    way, *numbers = sys.argv[1:]
    print(json.dumps(uvloop.run(run(way, *map(int, numbers)))))
