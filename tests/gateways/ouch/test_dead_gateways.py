"""kill -9 of a gateway: who comes back elsewhere keeps his orders, the others' are cancelled."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gateway_kit import ANA
from ouch_kit import packet, payloads, request

from matchcore import Engine, Kind
from matchcore._children import environment
from matchcore.gateways.logins import Grant
from matchcore.gateways.presence import commands_of
from matchcore.gateways.users import RegisteredUsers, editing
from matchcore.journal import LogReader

WAIT_SECONDS = 60.0
GRACE_MS = 3000
PASSWORD = "secretword"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Processes:
    """Commands of the exchange; killed at the end."""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Returns once it is open."""
        line = [sys.executable, "-m", "matchcore", *map(str, arguments)]
        child = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
        self._all.append(child)
        assert child.stderr is not None
        for said in child.stderr:
            if "Ctrl-C" in said:
                return child
        raise AssertionError(f"{arguments[0]} did not start")

    def kill(self, child: subprocess.Popen[str]) -> None:
        child.kill()
        child.wait(WAIT_SECONDS)
        assert child.stderr is not None
        child.stderr.close()
        self._all.remove(child)

    def end(self) -> None:
        for child in list(self._all):
            self.kill(child)


@pytest.fixture
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.end()


def made(path: Path) -> None:
    """An exchange with the users u1 and u2, whose orders are cancelled when they are away."""
    users = RegisteredUsers()

    def put(entries: list) -> None:  # type: ignore[type-arg]  # of `Entry`
        engine.submit_batch(commands_of(entries))
        for entry in entries:
            users.take(entry)

    with Engine.open(path, instruments=[ANA]) as engine:
        for account, name in enumerate(("u1", "u2"), 1):
            put(editing.add(users, name, account=account, cancel_on_disconnect=True,
                            grace_ms=GRACE_MS))  # fmt: skip
            put(editing.password(users, name, PASSWORD, time.time_ns()))
            put(editing.grant(users, name, Grant(first=account, last=account)))
    users.close()


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
        self._data = b""

    def packet(self) -> tuple[bytes, bytes]:
        """The next one that is no heartbeat."""
        while True:
            size = 2 + int.from_bytes(self._data[:2], "big")
            if len(self._data) >= max(3, size):
                ((kind, payload),) = payloads(self._data[:size])
                self._data = self._data[size:]
                if kind not in (b"H", b"+"):
                    return kind, payload
                continue
            more = self._socket.recv(4096)
            if not more:
                return b"", b""
            self._data += more

    def login(self, user: str) -> bool:
        fields = user.ljust(6) + PASSWORD.ljust(10) + " " * 10 + "1".rjust(20)
        self._socket.sendall(packet(b"L", fields.encode()))
        return self.packet()[0] == b"A"

    def enter(self) -> None:
        self._socket.sendall(request(b"O", user_ref=1))
        kind, payload = self.packet()
        assert (kind, payload[:1]) == (b"S", b"A")

    def close(self) -> None:
        self._socket.close()


@contextmanager
def logged_in(port: int, user: str) -> Iterator[Client]:
    """As a client does: again, until it is let in."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        client = Client(port)
        if client.login(user):
            break
        client.close()
        assert time.monotonic() < until, "not let in"
        time.sleep(0.1)
    yield client
    client.close()


def cancels(path: Path) -> list[int]:
    """Accounts of the cancels that the log has."""
    found = []
    with LogReader(path) as reader:
        for frame in reader.read():
            rows = frame.commands
            found += rows["account"][rows["kind"] == Kind.CANCEL].tolist()
    return found


@pytest.mark.parametrize("engine_dies", [False, True])
def test_who_comes_back_at_the_other_gateway_keeps_his_orders(
    tmp_path: Path, processes: Processes, engine_dies: bool
) -> None:
    path, line = tmp_path / "x", f"unix:{tmp_path}/line"
    made(path)
    serve = ("serve", path, "--lines", line)
    engine = processes.start(*serve)
    ports = free_port(), free_port()
    first, _ = [
        processes.start("gateway", "--engine", line, "--ouch", port, "--state", tmp_path / "state")
        for port in ports
    ]
    with logged_in(ports[0], "u1") as one, logged_in(ports[0], "u2") as two:
        one.enter()
        two.enter()
        if engine_dies:
            processes.kill(engine)
        processes.kill(first)
        if engine_dies:
            processes.start(*serve)
    with logged_in(ports[1], "u1"):
        until = time.monotonic() + WAIT_SECONDS
        while Engine.at(path).open_orders(2):
            assert time.monotonic() < until, "not cancelled"
            time.sleep(0.2)
        assert len(Engine.at(path).open_orders(1)) == 1
        with logged_in(ports[1], "u2") as two:
            told = [two.packet()[1][:1] for _ in range(2)]
            assert told == [b"A", b"C"]
    assert cancels(path) == [2]
