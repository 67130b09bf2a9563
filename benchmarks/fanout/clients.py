"""Many clients in one process: `python -m benchmarks.fanout.clients PORT COUNT ASK`.

Each reads until its connection ends; then the moment of the last end and all bytes are printed.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
import time

from .market import CHANNELS, CLIENT_CORE, HANDSHAKE, subscription

READ_BYTES = 1 << 18


def main(port: str, count: str, ask: str) -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    poll, known = select.epoll(), dict[int, socket.socket]()
    for _ in range(int(count)):
        one = socket.create_connection(("127.0.0.1", int(port)))
        one.sendall(HANDSHAKE + (subscription(CHANNELS) if ask == "ask" else b""))
        known[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    total, room = 0, bytearray(READ_BYTES)
    while known:
        for number, _ in poll.poll():
            size = known[number].recv_into(room)
            total += size
            if not size:
                poll.unregister(number)
                known.pop(number).close()
    print(json.dumps({"ended": time.monotonic(), "bytes": total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
