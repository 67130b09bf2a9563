"""kill -9 of followers and servers at random moments; reconcile says equal each time."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from sink_kit import contents, expected, filled, followed, logged, sink_of

import matchcore as mc
from matchcore.sinks.sql.reconcile import reconcile

ROUNDS = int(os.environ.get("MATCHCORE_KILL_ROUNDS", "3"))  # 100 in the long run
COMMANDS = 3000  # a round, in transactions of 60: about half a second's work
FOLLOW = """
import sys
from matchcore.engine import follower
from matchcore.cli.app import app
follower.BUNDLE_COMMANDS = 60
print("begins", flush=True)
app(["follow", sys.argv[1], "--forever"])
"""


class Server(Protocol):
    def kill(self) -> None: ...
    def start(self) -> None: ...


def kill_rounds(exchange: Path, url: str, server: Server) -> None:
    """By turns the follower alone, and the server before it; each time reconcile says equal."""
    seed = random.randrange(2**32)
    rng, halfway = random.Random(seed), 0
    with mc.Engine.open(exchange, policy="os"):
        pass
    for turn in range(ROUNDS):
        filled(exchange, turn, COMMANDS, 50)
        environment = {**os.environ, "MATCHCORE_SINK_URL": url}
        command = [sys.executable, "-c", FOLLOW, str(exchange)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            try:
                assert child.stdout is not None and child.stdout.readline()
                time.sleep(rng.uniform(0.1, 0.7))
                if turn % 2:
                    server.kill()
                    server.start()
                    time.sleep(rng.uniform(0.0, 0.3))
            finally:
                child.kill()
        halfway += standing(exchange, url) < (turn + 1) * COMMANDS + 2
        followed(exchange, url, patience=60.0)
        report = reconcile(exchange, url)
        assert report.equal and report.behind == 0, (seed, turn, report.differences)
    assert contents(exchange, url) == expected(*logged(exchange)), seed
    print(f"seed {seed}: {ROUNDS} rounds, {halfway} of them cut short, all equal")


def standing(exchange: Path, url: str) -> int:
    sink = sink_of(exchange, url, patience=60.0)
    position = sink.position()
    sink.close()
    return position.sequence if position else 0
