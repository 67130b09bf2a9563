"""`matchcore serve --fix` is killed in the middle of traffic; QuickFIX comes back by itself."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

from quickfix_kit import Trader, trading
from served_kit import WAIT_SECONDS, cli, free_port, served

import matchcore as mc
from matchcore.serving.addresses import FILES_KEPT

ROUNDS = int(os.environ.get("MATCHCORE_FIX_ROUNDS", "3"))
ORDERS = 60  # of a round


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


def test_it_may_open_the_files_that_its_clients_need(tmp_path: Path) -> None:
    exchange, port = tmp_path / "exchange.d", free_port()
    with mc.Engine.open(exchange, instruments=[mc.Instrument("ANA", tick="0.05")]):
        pass
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        with served(exchange, port) as server:
            may, _ = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert may == resource.RLIM_INFINITY or may >= 3000 or may == hard


def test_connections_leave_files_to_the_log(tmp_path: Path) -> None:
    exchange, port = tmp_path / "exchange.d", free_port()
    with mc.Engine.open(exchange, instruments=[mc.Instrument("ANA", tick="0.05")]):
        pass
    cli("user", "add", exchange, "ALICE", "--account", 7)
    cli("user", "password", exchange, "ALICE", MATCHCORE_PASSWORD="secret word")
    with served(exchange, port) as server, contextlib.ExitStack() as stack:
        files = Path(f"/proc/{server.pid}/fd")
        alice = stack.enter_context(trading(port, tmp_path / "a", password="secret word"))
        most = len(list(files.iterdir())) + FILES_KEPT + 20
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, most))
        for _ in range(FILES_KEPT + 40):
            stranger = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
            stack.enter_context(stranger)
        alice.order("a")  # its answer is later than all of them
        assert alice.next()[11] == "a"
        deadline = time.monotonic() + WAIT_SECONDS
        while len(list(files.iterdir())) > most - FILES_KEPT:
            assert time.monotonic() < deadline
            time.sleep(0.01)
