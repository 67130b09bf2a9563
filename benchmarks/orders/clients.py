"""`python -m benchmarks.orders.clients WAY PORT SESSIONS COUNT`: sessions of COUNT orders each.

Each has at most `WINDOW` orders without an answer.  Prints as JSON how many seconds it took from
the first order to the last answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import numpy as np
import uvloop

from matchcore.gateways.ouch._client import heard

from .flow import HOST, as_lines, login, orders

WINDOW = 500


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
            self._answered += int(np.count_nonzero((letters == ord("A")) | (letters == ord("J"))))
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


async def run(way: str, port: int, sessions: int, count: int) -> float:
    loop = asyncio.get_running_loop()
    clients = [Client(way, session, count) for session in range(1, sessions + 1)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, HOST, port)
        await client.ready.wait()
    start = time.perf_counter()
    for client in clients:
        client.send()
    await asyncio.gather(*(client.done.wait() for client in clients))
    seconds = time.perf_counter() - start
    for client in clients:
        client.transport.close()
    return seconds


if __name__ == "__main__":
    way, *numbers = sys.argv[1:]
    print(json.dumps({"seconds": uvloop.run(run(way, *map(int, numbers)))}))
