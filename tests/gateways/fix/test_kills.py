"""`matchcore serve --fix` is killed in the middle of traffic; QuickFIX comes back by itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quickfix_kit import Trader, trading

import matchcore as mc
from matchcore._children import environment

ROUNDS = int(os.environ.get("MATCHCORE_FIX_ROUNDS", "3"))
ORDERS = 60  # of a round
WAIT_SECONDS = 60.0


def cli(*arguments: object, **more: str) -> None:
    line = [sys.executable, "-m", "matchcore", *map(str, arguments)]
    subprocess.run(line, check=True, env=environment(**more), stdout=subprocess.DEVNULL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def served(exchange: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command, once its door is open; killed at the end."""
    line = [sys.executable, "-m", "matchcore", "serve", str(exchange), "--fix", str(port)]
    line += ["--state", str(exchange.parent / "gateway.d")]
    process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for told in process.stderr:
            if "open; Ctrl-C" in told:
                break
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(WAIT_SECONDS)
        assert process.stderr is not None
        process.stderr.close()


def test_every_order_is_answered_once_whenever_the_gateway_is_killed(tmp_path: Path) -> None:
    exchange, port = tmp_path / "exchange.d", free_port()
    with mc.Engine.open(exchange, instruments=[mc.Instrument("ANA", tick="0.05")]):
        pass
    cli("user", "add", exchange, "ALICE", "--account", 7)
    cli("user", "password", exchange, "ALICE", MATCHCORE_PASSWORD="secret word")
    told: dict[str, set[str]] = {}
    asked: list[str] = []
    with served(exchange, port) as first:
        server: subprocess.Popen[str] | None = first
        with trading(port, tmp_path / "a", password="secret word") as alice:
            for number in range(ROUNDS):
                for at in range(ORDERS):
                    asked.append(f"{number}-{at}")
                    alice.order(asked[-1])
                    if at == ORDERS // 2 and server is not None:
                        server.send_signal(signal.SIGKILL)
                        server.wait(WAIT_SECONDS)
                with served(exchange, port) as server:
                    take(alice, told, len(asked))
                    if number < ROUNDS - 1:
                        for at in range(ORDERS // 2):
                            asked.append(f"{number}+{at}")
                            alice.order(asked[-1])
                server = None
    assert sorted(told) == sorted(asked)
    assert all(len(reports) == 1 for reports in told.values())


def take(trader: Trader, told: dict[str, set[str]], count: int) -> None:
    """Until so many orders have been told of; what is possibly resent has the same ExecID."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(told) < count:
        assert time.monotonic() < deadline, sorted(told)
        said = trader.next()
        assert (said[35], said[150]) == ("8", "0"), said
        told.setdefault(said[11], set()).add(said[17])
