"""`matchcore demo --serve`: the sample day's orders, through gateways that are killed meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._children import environment
from ..engine.engine import Engine
from ..engine.recovery import apply
from ..errors import FeedError
from ..importers import sample_day, source_of
from ..journal import LogReader, batches
from ..machine import machine_class
from ..records.codec import encode
from ..records.instruments import Instrument
from ..records.operating import Register
from ..records.reports import ReportKind
from ..records.schema import Kind, OrderType, Side

HOST = "127.0.0.1"
USERS = 3
START_SECONDS_MAX = 60.0
AGAIN_SECONDS = 0.05
ANSWER_SECONDS_MAX = 5.0  # then a client goes to another gateway
#: A program that it uses if it is there, in front of the gateways.
BALANCER = "haproxy"


class Order(NamedTuple):
    """One of the day's orders, as a client says it."""

    name: str
    body: dict[str, Any]


class Client(threading.Thread):
    """Sends its orders one by one, each until it is answered."""

    def __init__(self, token: str, ports: list[int], orders: list[Order]) -> None:
        super().__init__(daemon=True)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ports, self._orders = ports, orders
        self.answered = self.again = 0
        self._at = 0

    def run(self) -> None:
        connection = self._connection()
        for order in self._orders:
            while True:
                try:
                    status = self._sent(connection, order)
                except (OSError, http.client.HTTPException):
                    status = 0
                if status in (200, 201, 400, 409, 422):
                    self.answered += 1
                    break
                self.again += 1
                connection.close()
                self._at += 1
                time.sleep(AGAIN_SECONDS)
                connection = self._connection()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        port = self._ports[self._at % len(self._ports)]
        return http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS_MAX)

    def _sent(self, connection: http.client.HTTPConnection, order: Order) -> int:
        connection.request("POST", "/orders", json.dumps(order.body), self._headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


class Child:
    """A matchcore in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "matchcore", *arguments]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """SIGTERM."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self.kill()


def run_serve(place: Path, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything; ``count``: of orders.  Every claim in the result is computed from the log."""
    from ..gateways.lines.address import Address

    exchange, source = place / "exchange.d", source_of("bme", sample_day())
    orders = _orders(source.instruments, count)
    tokens = _made(exchange, source.instruments)
    say(f"1. an exchange with {USERS} users; an engine, two gateways with two lines each")
    lines = [str(Address.of(f"unix:{place}/line{n}")) for n in (1, 2)]
    with ExitStack() as stack:
        engine = Child("serve", str(exchange), "--lines", lines[0], "--lines", lines[1])
        stack.callback(engine.end)
        ports, status = _free_ports(2), _free_ports(2)
        gateways = [
            Child("gateway", "--engine", lines[0], "--engine", lines[1], "--web", f"{HOST}:{web}",
                  "--status", f"{HOST}:{ready}")
            for web, ready in zip(ports, status, strict=True)
        ]  # fmt: skip
        for gateway in gateways:
            stack.callback(gateway.end)
        for port in status:
            _wait_until_ready(port)
        front = stack.enter_context(_balancer(place, ports, status))
        say(
            f"2. {count:,} orders of the sample day over HTTP, "
            + (f"through {BALANCER}" if front else f"without {BALANCER}, which is not installed")
        )
        clients = [Client(token, [front] if front else ports, orders[n::USERS])
                   for n, token in enumerate(tokens)]  # fmt: skip
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


def _orders(instruments: list[Instrument], count: int) -> list[Order]:
    """The first limit orders of the day."""
    source = source_of("bme", sample_day())
    rows = np.concatenate([rows for rows, _ in source.rows(source.instruments)])
    rows = rows[(rows["kind"] == Kind.NEW) & (rows["order_type"] == OrderType.LIMIT)][:count]
    found = []
    for number, row in enumerate(rows, 1):
        instrument = instruments[int(row["instrument"]) - 1]
        found.append(Order(f"o{number}", {
            "client_order_id": f"o{number}", "symbol": instrument.symbol,
            "side": Side(row["side"]).name.lower(), "quantity": int(row["quantity"]),
            "price": str(instrument.tick * int(row["price"])),
        }))  # fmt: skip
    return found


def _made(exchange: Path, instruments: list[Instrument]) -> list[str]:
    """A new exchange with users; their tokens."""
    from ..gateways.logins import Action, Grant
    from ..gateways.users import Entry, RegisteredUsers, editing

    users, tokens = RegisteredUsers(), []
    entries: list[Entry] = []
    with Engine.open(exchange, instruments=instruments) as engine:
        for number in range(1, USERS + 1):
            name = f"client{number}"
            added = editing.add(users, name, account=number, messages_per_second=10**6)
            for entry in added:
                users.take(entry)
            may = Action.TRADE | Action.CANCEL | Action.READ
            granted = editing.grant(users, name, Grant(may, number, number, 0))
            token, secret = editing.token(users, name, time.time_ns())
            tokens.append(token)
            entries += [*added, *granted, *secret]
        known = engine.instruments
        engine.submit_batch(np.concatenate(
            [encode(Register(one.topic, one.key, one.data), known) for one in entries]
        ))  # fmt: skip
    return tokens


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        return [
            stack.enter_context(socket.create_server((HOST, 0))).getsockname()[1]
            for _ in range(count)
        ]


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_until_ready(port: int) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while not _ready(port):
        if time.monotonic() > until:
            raise FeedError(f"no gateway is ready at port {port} after {START_SECONDS_MAX:.0f} s")
        time.sleep(AGAIN_SECONDS)


@contextmanager
def _balancer(place: Path, ports: list[int], status: list[int]) -> Iterator[int | None]:
    """The port of a balancer in front of the gateways; None without one."""
    program = shutil.which(BALANCER, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    (front,) = _free_ports(1)
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
    exchange: Path, clients: list[Client], orders: list[Order], balanced: bool
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
