"""An exchange as it runs: an engine, lines, two gateways and a balancer, each a process of its own.

The lines and the balancer are haproxy's.  Without it the gateways reach the engine directly, and
clients know the addresses of both gateways.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from .._children import environment
from ..engine.engine import Engine
from ..errors import MatchcoreError
from ..gateways.logins import Action, Grant
from ..gateways.users import Entry, RegisteredUsers, editing
from ..records.codec import encode
from ..records.instruments import Instrument
from ..records.operating import Register

HOST = "127.0.0.1"
BALANCER = "haproxy"
START_SECONDS_MAX = 60.0
END_SECONDS = 10.0
AGAIN_SECONDS = 0.02
DOORS = ("ouch", "fix", "web")
TRADES = Action.TRADE | Action.CANCEL | Action.READ
COPIES = Action.READ | Action.DROP_COPY


class ExchangeFailed(MatchcoreError):
    """A process of the exchange does not do what it is there for; the message says which."""


class User(NamedTuple):
    """A user to make.  ``may``: what, with the accounts from ``first`` to ``last``."""

    name: str
    password: str
    first: int
    last: int
    may: Action = TRADES


class Child:
    """A process that can be killed, frozen, and started again; ``of`` is what it is called."""

    def __init__(self, of: str, *command: str, log: Path | None = None) -> None:
        self.of, self._command, self._log = of, command, log
        self._frozen = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self._log is None:
            self._popen(subprocess.DEVNULL)
        else:
            with self._log.open("ab") as log:
                self._popen(log)

    def _popen(self, log: int | IO[bytes]) -> None:
        self._process = subprocess.Popen(
            self._command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=log,
        )  # fmt: skip

    def say(self, line: str) -> None:
        """Writes a line to its input; one that is gone hears nothing."""
        assert self._process is not None and self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()
            self._frozen = False

    def kill_and_start(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._frozen = True
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT, if it is frozen."""
        if self._frozen:
            self._frozen = False
            os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
            self.kill()


def matchcore(of: str, *arguments: str, log: Path | None = None) -> Child:
    """A `matchcore` command as a child."""
    return Child(of, sys.executable, "-m", "matchcore", *arguments, log=log)


class Exchange:
    """Processes over the exchange in ``place / "exchange.d"``, which is made with these users.

    - ``check_ms``: between two looks of the balancer at a gateway.
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
        self.engine = matchcore("engine", "serve", str(self.path), "--policy", policy, *served,
                                log=place / "engine.log")  # fmt: skip
        ports = free_ports(2 * (len(DOORS) + 1) + len(DOORS))
        of_gateways = [dict(zip((*DOORS, "status"), ports[n::2], strict=False)) for n in (0, 1)]
        self._status = [ports["status"] for ports in of_gateways]
        reached = [part for line in lines for part in ("--engine", f"unix:{line}")]
        self.gateways = [
            matchcore(
                f"gateway {n}", "gateway", *reached, "--state", str(place / "state"),
                *(part for door, port in at.items() for part in (f"--{door}", f"{HOST}:{port}")),
                log=place / f"gateway{n}.log",
            )
            for n, at in enumerate(of_gateways, 1)
        ]  # fmt: skip
        self.lines: list[Child] = []
        self.balancer: Child | None = None
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

    def _proxy(self, program: str, of: str, text: str) -> Child:
        file = self.place / f"{of.replace(' ', '')}.cfg"
        file.write_text(text)
        return Child(of, program, "-db", "-f", str(file))

    @property
    def children(self) -> list[Child]:
        """All of them, in the order in which they are started."""
        balancer = [self.balancer] if self.balancer else []
        return [self.engine, *self.lines, *self.gateways, *balancer]

    def start(self) -> None:
        """Until both gateways are ready; `ExchangeFailed`."""
        for child in self.children:
            child.start()
        for port in self._status:
            until(lambda port=port: ready(port), f"no gateway is ready at port {port}")  # type: ignore[misc]  # it is called at once
        if self.balancer is not None:
            for (port,) in self.ports.values():
                until(lambda port=port: listens(port), f"nothing listens at port {port}")  # type: ignore[misc]  # the same

    @property
    def serving(self) -> Child:
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


def until(condition: Callable[[], bool], failing: str, seconds: float = START_SECONDS_MAX) -> None:
    """Waits for a condition; `ExchangeFailed` says that it is not so after some time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ExchangeFailed(f"{failing}, after {seconds:.0f} s")
        time.sleep(AGAIN_SECONDS)


def ready(port: int) -> bool:
    """Whether the gateway with this status port takes commands."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


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


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    with ExitStack() as stack:
        return [
            stack.enter_context(socket.create_server((HOST, 0))).getsockname()[1]
            for _ in range(count)
        ]


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
    timeout check 500ms
    option httpchk GET /ready
    retries 3
    option redispatch 1
    default-server check inter {}ms fall 2 rise 1 on-marked-down shutdown-sessions
"""
FRONT = """
listen {}
    bind 127.0.0.1:{}
    server a 127.0.0.1:{} port {}
    server b 127.0.0.1:{} port {} backup
"""
