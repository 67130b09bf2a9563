"""Bad neighbours of good subscribers.

`python -m benchmarks.fanout.neighbours PORT PID WAIT PAIRS SECONDS`: after WAIT seconds come pairs
of slices.  In one of a pair there are a subscriber that never reads, one that reads little, and one
that breaks the protocol and comes again, 50 times a second.  In the other one they go to a server
that is nobody's: what they take from the core of the good subscribers is no work of the feed.
Which one is first changes from pair to pair.  At the end the slices are printed: whether the feed
had them, begin and end in monotonic nanoseconds, and how much of a core the feed of this PID took.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

from .market import CLIENT_CORE, HANDSHAKE, subscription

HOSTILE_SECONDS = 0.02  # between two of its connections
SETTLE_SECONDS = 0.15  # at the begin of a slice that belong to neither
RECEIVE_BYTES = 4096  # of the system for one who does not read: the server notices it soon
GARBAGE = b"\x81\xfe\xff\xff" + os.urandom(500)


def connected(port: int, frame: bytes, receive_bytes: int = 0) -> socket.socket:
    """A subscriber that sends this frame."""
    one = socket.socket()
    if receive_bytes:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    one.connect(("127.0.0.1", port))
    one.sendall(HANDSHAKE + frame)
    return one


def disturb(port: int, until: float) -> None:
    """All three, up to a moment."""
    asking = subscription(["book.l2"])
    dead, slow = (connected(port, asking, RECEIVE_BYTES) for _ in range(2))
    with dead, slow:
        slow.setblocking(False)
        while time.monotonic() < until:
            with connected(port, GARBAGE):
                time.sleep(HOSTILE_SECONDS)
            try:
                slow.recv(1024)
            except BlockingIOError:
                continue


def decoy() -> int:
    """The port of a server that takes connections and says nothing."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve() -> None:
        kept: list[socket.socket] = []
        while True:
            one, _ = listening.accept()
            kept.append(one)
            if len(kept) > 100:  # more than come in a slice
                kept.pop(0).close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(port: str, pid: str, wait: str, pairs: str, seconds: str) -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})
    nobody = decoy()
    time.sleep(float(wait))
    slices = []
    for at in range(2 * int(pairs)):
        begin, before = time.monotonic(), cpu_seconds(int(pid))
        there = at % 4 in (1, 2)
        disturb(int(port) if there else nobody, begin + float(seconds))
        end = time.monotonic()
        used = (cpu_seconds(int(pid)) - before) / (end - begin)
        slices.append([there, int((begin + SETTLE_SECONDS) * 1e9), int(end * 1e9), used])
    print(json.dumps(slices))


if __name__ == "__main__":
    main(*sys.argv[1:])
