"""An exchange as it runs: an engine, lines, two gateways and a balancer, each a process of its own.

The lines and the balancer are haproxy's.  Without it the gateways reach the engine directly, and
clients know the addresses of both gateways.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..drills.processes import HOST, Child, free_ports, matchcore, ready, wait_until
from ..engine.engine import Engine
from ..gateways.logins import Action, Grant
from ..gateways.users import Entry, RegisteredUsers, editing
from ..records.codec import encode
from ..records.instruments import Instrument
from ..records.operating import Register

BALANCER = "haproxy"
DOORS = ("ouch", "fix", "web")
TRADES = Action.TRADE | Action.CANCEL | Action.READ
COPIES = Action.READ | Action.DROP_COPY


class User(NamedTuple):
    """A user to make.  ``may``: what, with the accounts from ``first`` to ``last``."""

    name: str
    password: str
    first: int
    last: int
    may: Action = TRADES


class Part:
    """A process of the exchange or of its clients; ``of``: what it is called."""

    def __init__(self, of: str, command: list[str], log: Path | None = None) -> None:
        self.of, self._command, self._log = of, command, log
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def lives(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.lives

    def start(self) -> None:
        if self._child is None:
            self._child = Child(self._command, log=self._log)
        else:
            self._child.start()

    def kill(self) -> None:
        """SIGKILL."""
        if self._child is not None:
            self._child.kill()

    def kill_and_start(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._child is not None:
            self._child.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        if self._child is not None:
            self._child.thaw()

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if self._child is not None:
            self._child.end()


class Exchange:
    """Processes over the exchange in ``place / "exchange.d"``, which is made with these users.

    - ``check_ms``: between two looks of the balancer at a gateway, which has as long to answer.
    - ``engine``, ``lines``, ``gateways``, ``balancer``: its children; ``balancer`` is None without
      haproxy, and there are no ``lines`` then.
    - ``ports``: of each door, where clients connect: the balancer's, or those of both gateways.
    """

    def __init__(
        self, place: Path, instruments: list[Instrument], users: list[User], *,
        check_ms: int = 500, policy: str = "sync",
    ) -> None:  # fmt: skip
        self.place, self.path = place, place / "exchange.d"
        make(self.path, instruments, users)
        program = shutil.which(BALANCER, path=f"{os.environ['PATH']}:/usr/sbin")
        engine_lines = [f"{place}/e{n}" for n in (1, 2)]
        lines = [f"{place}/l{n}" for n in (1, 2)] if program else engine_lines
        served = [part for line in engine_lines for part in ("--lines", f"unix:{line}")]
        command = matchcore("serve", str(self.path), "--policy", policy, *served)
        self.engine = Part("engine", command, place / "engine.log")
        ports = free_ports(2 * (len(DOORS) + 1) + len(DOORS))
        of_gateways = [dict(zip((*DOORS, "status"), ports[n::2], strict=False)) for n in (0, 1)]
        self._status = [ports["status"] for ports in of_gateways]
        reached = [part for line in lines for part in ("--engine", f"unix:{line}")]
        self.gateways = [
            Part(f"gateway {n}", matchcore(
                "gateway", *reached, "--state", str(place / "state"),
                *(part for door, port in at.items() for part in (f"--{door}", f"{HOST}:{port}")),
            ), place / f"gateway{n}.log")
            for n, at in enumerate(of_gateways, 1)
        ]  # fmt: skip
        self.lines: list[Part] = []
        self.balancer: Part | None = None
        self.ports = {door: [at[door] for at in of_gateways] for door in DOORS}
        if program:
            for n, (here, there) in enumerate(zip(lines, engine_lines, strict=True), 1):
                self.lines.append(self._proxy(program, f"line {n}", LINE.format(here, there)))
            fronts = dict(zip(DOORS, ports[-len(DOORS) :], strict=True))
            text = GATEWAYS.format(check_ms) + "".join(
                FRONT.format(door, fronts[door], *(
                    number for at in of_gateways for number in (at[door], at["status"])
                ))
                for door in DOORS
            )  # fmt: skip
            self.balancer = self._proxy(program, "balancer", text)
            self.ports = {door: [port] for door, port in fronts.items()}

    def _proxy(self, program: str, of: str, text: str) -> Part:
        file = self.place / f"{of.replace(' ', '')}.cfg"
        file.write_text(text)
        return Part(of, [program, "-db", "-f", str(file)])

    @property
    def children(self) -> list[Part]:
        """All of them, in the order in which they are started."""
        balancer = [self.balancer] if self.balancer else []
        return [self.engine, *self.lines, *self.gateways, *balancer]

    def start(self) -> None:
        """Until both gateways are ready; `LogFailed`."""
        for child in [self.engine, *self.lines, *self.gateways]:
            child.start()
        for port in self._status:
            wait_until(f"the gateway with status port {port}", partial(ready, f"{HOST}:{port}"))
        if self.balancer is not None:  # not before: it would take them for dead, and look later
            self.balancer.start()
            for (port,) in self.ports.values():
                wait_until(f"the balancer's port {port}", partial(listens, port))

    @property
    def serving(self) -> Part:
        """The gateway that has the most sessions."""
        counts = [sessions(port) for port in self._status]
        return self.gateways[counts.index(max(counts))]

    def end(self) -> None:
        """Ends everything."""
        for child in reversed(self.children):
            child.end()


def make(path: Path, instruments: list[Instrument], users: list[User]) -> None:
    """A new exchange with these users."""
    known, entries = RegisteredUsers(), list[Entry]()

    def take(some: list[Entry]) -> None:
        for entry in some:
            known.take(entry)
        entries.extend(some)

    for user in users:
        take(editing.add(known, user.name, account=user.first, messages_per_second=10**6,
                         burst=10**5, under_way=10**5))  # fmt: skip
        take(editing.grant(known, user.name, Grant(user.may, user.first, user.last, 0)))
        take(editing.password(known, user.name, user.password, time.time_ns()))
    with Engine.open(path, instruments=instruments) as engine:
        directory = engine.instruments
        engine.submit_batch(np.concatenate(
            [encode(Register(one.topic, one.key, one.data), directory) for one in entries]
        ))  # fmt: skip


def sessions(port: int) -> int:
    """How many logins are connected at the gateway with this status port; 0 if it does not say."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    said = re.search(rb"^matchcore_gateway_sessions (\d+)", metrics, re.MULTILINE)
    return int(said[1]) if said else 0


def listens(port: int) -> bool:
    """Whether a port takes connections."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


LINE = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h

listen line
    bind unix@{}
    server engine unix@{}
"""

#: examples/haproxy-gateways.cfg explains it.
GATEWAYS = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout check {0}ms
    option httpchk GET /ready
    retries 3
    option redispatch 1
    default-server check inter {0}ms fall 2 rise 1 on-marked-down shutdown-sessions
"""
FRONT = """
listen {}
    bind 127.0.0.1:{}
    server a 127.0.0.1:{} port {}
    server b 127.0.0.1:{} port {} backup
"""
