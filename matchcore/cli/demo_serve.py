"""`matchcore demo --serve`: the sample day's orders, through gateways that are killed meanwhile."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..drills.clients import AGAIN_SECONDS, Client, Request, register
from ..drills.processes import (
    HOST,
    START_SECONDS_MAX,
    Child,
    free_ports,
    matchcore,
    ready,
    wait_until,
)
from ..engine.engine import Engine
from ..engine.recovery import apply
from ..errors import FeedError
from ..importers import sample_day, source_of
from ..journal import LogReader, batches
from ..machine import machine_class
from ..records.instruments import Instrument
from ..records.reports import ReportKind
from ..records.schema import Kind, OrderType, Side

USERS = 3
#: A program that it uses if it is there, in front of the gateways.
BALANCER = "haproxy"


def run_serve(place: Path, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything; ``count``: of orders.  Every claim in the result is computed from the log."""
    from ..gateways.lines.address import Address

    exchange, source = place / "exchange.d", source_of("bme", sample_day())
    orders = _orders(source.instruments, count)
    tokens = _made(exchange, source.instruments)
    say(f"1. an exchange with {USERS} users; an engine, two gateways with two lines each")
    lines = [str(Address.of(f"unix:{place}/line{n}")) for n in (1, 2)]
    with ExitStack() as stack:
        engine = Child(matchcore("serve", str(exchange), "--lines", lines[0], "--lines", lines[1]))
        stack.callback(engine.end)
        ports, status = free_ports(2), free_ports(2)
        gateways = [
            Child(matchcore("gateway", "--engine", lines[0], "--engine", lines[1],
                            "--web", f"{HOST}:{web}", "--status", f"{HOST}:{look}"))
            for web, look in zip(ports, status, strict=True)
        ]  # fmt: skip
        for gateway in gateways:
            stack.callback(gateway.end)
        for port in status:
            wait_until(f"a gateway at port {port}", partial(ready, f"{HOST}:{port}"))
        front = stack.enter_context(_balancer(place, ports, status))
        say(
            f"2. {count:,} orders of the sample day over HTTP, "
            + (f"through {BALANCER}" if front else f"without {BALANCER}, which is not installed")
        )
        places = [(HOST, port) for port in ([front] if front else ports)]
        clients = [Client(token, places, orders[n::USERS]) for n, token in enumerate(tokens)]
        for client in clients:
            client.start()
        _wait_for(clients, count // 3)
        say("3. SIGKILL to the gateway that serves; clients come back at the other one")
        gateways[0].kill()
        _wait_for(clients, 2 * count // 3)
        say("4. SIGKILL to the engine; gateways wait, and send again what its log does not have")
        engine.kill()
        engine.start()
        _wait_for(clients, count)
        for client in clients:
            client.join()
    return _checked(exchange, clients, orders, front is not None)


def _orders(instruments: list[Instrument], count: int) -> list[Request]:
    """The first limit orders of the day."""
    source = source_of("bme", sample_day())
    rows = np.concatenate([rows for rows, _ in source.rows(source.instruments)])
    rows = rows[(rows["kind"] == Kind.NEW) & (rows["order_type"] == OrderType.LIMIT)][:count]
    found = []
    for number, row in enumerate(rows, 1):
        instrument = instruments[int(row["instrument"]) - 1]
        found.append(Request(f"o{number}", "POST", "/orders", {
            "client_order_id": f"o{number}", "symbol": instrument.symbol,
            "side": Side(row["side"]).name.lower(), "quantity": int(row["quantity"]),
            "price": str(instrument.tick * int(row["price"])),
        }))  # fmt: skip
    return found


def _made(exchange: Path, instruments: list[Instrument]) -> list[str]:
    """A new exchange with users; their tokens."""
    with Engine.open(exchange, instruments=instruments) as engine:
        return register(engine, USERS)


@contextmanager
def _balancer(place: Path, ports: list[int], status: list[int]) -> Iterator[int | None]:
    """The port of a balancer in front of the gateways; None without one."""
    program = shutil.which(BALANCER, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    (front,) = free_ports(1)
    file = place / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(
        front=front, a=ports[0], b=ports[1], status_a=status[0], status_b=status[1]
    ))  # fmt: skip
    with subprocess.Popen(
        [program, "-db", "-f", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + START_SECONDS_MAX
            while time.monotonic() < until:
                with suppress(OSError):
                    socket.create_connection((HOST, front), 1).close()
                    break
                time.sleep(AGAIN_SECONDS)
            yield front
        finally:
            process.terminate()


#: examples/haproxy-gateways.cfg explains it.
CONFIGURATION = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout check 500ms
    option httpchk GET /ready
    retries 3
    option redispatch 1
    default-server check inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions

listen web
    bind 127.0.0.1:{front}
    server a 127.0.0.1:{a} port {status_a}
    server b 127.0.0.1:{b} port {status_b} backup
"""


def _wait_for(clients: list[Client], count: int) -> None:
    while sum(client.answered for client in clients) < count:
        if not any(client.is_alive() for client in clients):
            raise FeedError("the clients ended before their orders were answered")
        time.sleep(AGAIN_SECONDS)


def _checked(
    exchange: Path, clients: list[Client], orders: list[Request], balanced: bool
) -> dict[str, Any]:
    from ..gateways.reports import Reports

    machine, told = machine_class("cython")(), []
    reports = Reports()
    with LogReader(exchange) as reader:
        for batch in batches(reader.read(), 8192):
            told.append(reports.apply(batch.commands, apply(machine, batch)))
    rows = np.concatenate(told)
    answers = rows[np.isin(rows["kind"], (ReportKind.NEW, ReportKind.REJECTED))]
    names = np.stack([answers["client_order_id"], answers["client_order_tail"]], axis=1)
    once = len(answers) == len(np.unique(names, axis=0)) == len(orders)
    return {
        "orders": len(orders),
        "answered": sum(client.answered for client in clients),
        "sent_again": sum(client.again for client in clients),
        "fills_told": int(np.count_nonzero(rows["kind"] == ReportKind.TRADE)),
        "repeats_in_the_log": int(np.count_nonzero(rows["kind"] == ReportKind.REPEATED)),
        "balancer": BALANCER if balanced else None,
        "sequence": machine.sequence,
        "digest": machine.digest(),
        "nothing_lost_or_doubled": once and sum(c.answered for c in clients) == len(orders),
    }
