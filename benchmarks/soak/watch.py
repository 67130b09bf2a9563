"""Many subscribers in one process: `python -m benchmarks.soak.watch PORT COUNT INSTRUMENTS`.

Each takes book.l2 of everything and checks that no update is missing; one whose connection ends
comes again at once.  It prints what they have seen at each line of its input, and ends with it.
If the line names a file, that gets the numbers of one symbol's messages at the first of them, and
when they came, in monotonic nanoseconds.
"""

from __future__ import annotations

import json
import re
import resource
import select
import socket
import sys
import time
from array import array
from contextlib import suppress

import numpy as np

from ..fanout.market import ALIVE, HANDSHAKE, subscription

READ_BYTES = 1 << 18
#: Symbol and number, and of an update the number before it.
SAID = re.compile(
    rb'"channel":"book.l2","symbol":"([^"]*)","number":(\d+),"(?:prev":(\d+),|time":)'
)
PROBE = b"SYM1"
ALIVE_SECONDS = 5.0  # between two signs of life: a feed drops who is silent
HEAD_BYTES = 200  # that a match may be cut in


class Subscriber:
    """One connection at a time."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}  # of the last message, by symbol
        self.messages = self.gaps = self.snapshots = 0
        self.rest = b""
        self.came: array[int] | None = None  # numbers of the probe's messages and times, in turn

    def connect(self, port: int) -> socket.socket:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(HANDSHAKE + subscription(["book.l2"]))
        self.numbers, self.rest = {}, b""
        return self.socket

    def take(self, data: bytes) -> None:
        """Counts the messages, and those that do not follow the ones before."""
        data = self.rest + data
        end = 0
        for said in SAID.finditer(data):
            symbol, number, before = said.groups()
            end = said.end()
            self.messages += 1
            if before is None:
                self.snapshots += 1
            elif self.numbers.get(symbol) != int(before):
                self.gaps += 1
            self.numbers[symbol] = int(number)
            if self.came is not None and symbol == PROBE:
                self.came.extend((int(number), time.monotonic_ns()))
        self.rest = data[max(end, len(data) - HEAD_BYTES) :]


class Crowd:
    """All of them.  ``whole``: when each of them had every book, after all had to come again."""

    def __init__(self, port: int, count: int, instruments: int) -> None:
        self._port, self._instruments = port, instruments
        self.poll = select.epoll()
        self.here: dict[int, Subscriber] = {}
        self.gone = [Subscriber() for _ in range(count)]
        self.everybody = [*self.gone]
        self.everybody[0].came = array("q")
        self.ends, self.whole, self.began = 0, 0.0, time.monotonic()
        self._alive = 0.0
        self._room = bytearray(READ_BYTES)

    def come(self) -> None:
        """Those that are gone, as far as somebody listens."""
        while self.gone:
            try:
                one = self.gone[-1].connect(self._port)
            except OSError:
                return
            self.here[one.fileno()] = self.gone.pop()
            self.poll.register(one, select.EPOLLIN)

    def read(self) -> None:
        for number, _ in self.poll.poll(0.05):
            if number in self.here:
                self._read(number, self.here[number])
        if not self.whole:
            self._look()
        if time.monotonic() - self._alive > ALIVE_SECONDS:
            self._alive = time.monotonic()
            for one in self.here.values():
                with suppress(OSError):  # gone, and soon to be noticed
                    one.socket.sendall(ALIVE)

    def _read(self, number: int, one: Subscriber) -> None:
        try:
            size = one.socket.recv_into(self._room)
        except OSError:
            size = 0
        if size:
            one.take(bytes(self._room[:size]))
            return
        self.poll.unregister(number)
        one.socket.close()
        self.gone.append(self.here.pop(number))
        if not self.ends or self.whole:
            self.began = time.monotonic()  # the first one of a new restart
        self.ends, self.whole = self.ends + 1, 0.0

    def _look(self) -> None:
        if not self.gone and all(len(one.numbers) == self._instruments for one in self.everybody):
            self.whole = time.monotonic()

    def said(self) -> dict[str, object]:
        """What they have seen so far."""
        numbers = [max(one.numbers.values(), default=0) for one in self.everybody]
        return {
            "messages": sum(one.messages for one in self.everybody),
            "gaps": sum(one.gaps for one in self.everybody),
            "snapshots": sum(one.snapshots for one in self.everybody),
            "ends": self.ends,
            "whole_seconds": round(self.whole - self.began, 3) if self.whole else None,
            "least_number": min(numbers),
        }


def main(port: str, count: str, instruments: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(int(port), int(count), int(instruments))
    while True:
        crowd.come()
        crowd.read()
        if select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            if line.strip():
                np.save(line.strip(), np.array(crowd.everybody[0].came, np.int64).reshape(-1, 2))
            print(json.dumps(crowd.said()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
