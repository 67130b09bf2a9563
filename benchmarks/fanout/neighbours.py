"""Bad neighbours of good subscribers.

`python -m benchmarks.fanout.neighbours PORT PID WAIT PAIRS SECONDS`: after WAIT seconds, so many
times there is nobody for some seconds, and then for as long a subscriber that never reads, one that
reads little, and one that breaks the protocol and comes again, 50 times a second.  At the end the
slices are printed: begin and end in monotonic nanoseconds, and how much of a core the feed of this
PID took.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

from .market import CLIENT_CORE, HANDSHAKE, subscription

HOSTILE_SECONDS = 0.02  # between two of its connections
SETTLE_SECONDS = 0.25  # at the begin of a slice that belong to neither
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
        while time.monotonic() < until:
            with connected(port, GARBAGE):
                time.sleep(HOSTILE_SECONDS)
            slow.recv(1024)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(port: str, pid: str, wait: str, pairs: str, seconds: str) -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})
    time.sleep(float(wait))
    slices = []
    for at in range(2 * int(pairs)):
        begin, there, before = time.monotonic(), at % 2 == 1, cpu_seconds(int(pid))
        if there:
            disturb(int(port), begin + float(seconds))
        else:
            time.sleep(float(seconds))
        end = time.monotonic()
        used = (cpu_seconds(int(pid)) - before) / (end - begin)
        slices.append([int((begin + SETTLE_SECONDS) * 1e9), int(end * 1e9), used])
    print(json.dumps(slices))


if __name__ == "__main__":
    main(*sys.argv[1:])
