"""The whole of a small exchange on one machine: servers of the log, two engines, and followers."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._closing import Closing
from ..engine.engine import Engine
from ..errors import InvalidArgument, LogFailed
from ..journal import published
from ..journal.stream import Address, Servers, StreamReader
from ..operations import replay
from ..records.instruments import Instrument
from .clients import register
from .clocks import Clocks
from .network import Network
from .processes import (
    HOST,
    START_SECONDS_MAX,
    Child,
    asked,
    beginning,
    exists,
    free_ports,
    matchcore,
    ready,
    send,
    wait_until,
)

NAME = "exchange"  # of the stream
SERVERS = 3
CLIENTS = 3
SYMBOL, TICK = "ANA", "0.05"
STATE_FILE, TOKENS_FILE = "cluster.json", "tokens.json"
LOG_FILE = "log"  # the name of the stream, once it is another than `NAME`
ENGINES = ("engine-a", "engine-b")
GATEWAYS = ("gateway-1", "gateway-2")
REDIS = "redis-server"
DIGEST_SECONDS_MAX = 60.0
ENGINE_TOKEN = "MATCHCORE_ENGINE_TOKEN"
OPEN_SECONDS_MAX = 60.0  # until the servers have elected a leader


@dataclass(slots=True)
class Part:
    """A process of the cluster, or one to start.

    ``what``: for people; ``where``: what it serves, or writes; ``status``: HOST:PORT of its /ready.
    """

    name: str
    what: str
    command: list[str]
    where: str = ""
    status: str = ""
    more: dict[str, str] = field(default_factory=dict)


class Cluster(Closing):
    """A cluster in a folder, which goes on with what is there; closing it ends all processes.

    - ``place``: the folder.
    - ``followers``: whether a remote copy, an SQL follower and a cache run, too.
    - ``network``: its nodes, servers and engines, are where these run; None: all are here.
    - ``clocks``: those of engines, gateways and emulated servers, by their names; None: the
      machine's.
    - ``say``: called with what is being done.

    Servers are ``server-1`` and so on; engines are those of `ENGINES`.  Not for two threads.
    """

    def __init__(
        self,
        place: Path,
        *,
        followers: bool = True,
        network: Network | None = None,
        clocks: Clocks | None = None,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.place, self._say = place.resolve(), say
        if running(self.place):
            raise InvalidArgument(f"{place}: a cluster runs there; matchcore cluster down ends it")
        self.place.mkdir(parents=True, exist_ok=True)
        self._children: dict[str, Child] = {}
        self._stack = ExitStack()
        self._network, self._clocks, self._followers = network, clocks, followers
        servers = [f"server-{number}" for number in range(1, SERVERS + 1)]
        self.servers = Servers(
            self.place / "servers", SERVERS, monitoring=True,
            hosts=[self._host(name) for name in servers],
            within=lambda at: self._within(servers[at]) + self._emulated(servers[at]),
        )  # fmt: skip
        self.address = self.servers.address(self._log_name())
        self._ports = self._kept_ports()
        #: What gateways say to engines; each start has another.
        self._lines = {ENGINE_TOKEN: secrets.token_urlsafe(32)}
        self.parts = {part.name: part for part in self._made()}
        self.tokens: list[str] = []

    # ------------------------------------------------------------------ starting and ending

    def start(self) -> Cluster:
        """Starts everything, and returns when orders are taken."""
        with ExitStack() as undone:
            undone.callback(self.close)
            self._say(f"{SERVERS} log servers")
            self.servers.start()
            self._say("the exchange in their log")
            self.tokens = self._exchange()
            self._say("a primary, a standby, and followers")
            self.start_parts(self.parts)
            self.wait_until_well()
            self.write()
            undone.pop_all()
        return self

    def __enter__(self) -> Cluster:
        return self.start()

    def _exchange(self) -> list[str]:
        """Makes the exchange and its users, if that has not been done; the tokens of the users."""
        file = self.place / TOKENS_FILE
        with suppress(FileNotFoundError):
            return [str(token) for token in json.loads(file.read_text())]
        with self._opened() as engine:
            tokens = register(engine, CLIENTS)
        for path, text in ((file, json.dumps(tokens)), (self.place / "token", tokens[0])):
            path.touch(0o600)
            path.write_text(text)
        return tokens

    def _log_name(self) -> str:
        with suppress(FileNotFoundError):
            return (self.place / LOG_FILE).read_text()
        return NAME

    def move(self, name: str) -> None:
        """Has all parts use the log of another name, from their next start on."""
        (self.place / LOG_FILE).write_text(name)
        self.address = self.servers.address(name)
        for part in self._made():
            self.parts[part.name] = part
            if part.name in self._children:
                self._children[part.name].command = part.command

    def _opened(self) -> Engine:
        """Once the servers agree: the first answers after a start are that nobody leads."""
        until = time.monotonic() + OPEN_SECONDS_MAX
        while True:
            try:
                return Engine.open(
                    self.address, state=self.place / ENGINES[0], policy="replicated",
                    instruments=[Instrument(SYMBOL, TICK)],
                )  # fmt: skip
            except LogFailed:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _kept_ports(self) -> dict[str, int]:
        """The same at each start, as far as they are free."""
        names = [f"{engine} {door}" for engine in ENGINES for door in ("lines", "status")]
        names += [f"{gateway} {door}" for gateway in GATEWAYS for door in ("web", "status")]
        names += ["copy status", "redis"]
        file = self.place / "ports.json"
        with suppress(FileNotFoundError, ValueError):
            kept = json.loads(file.read_text())
            if set(kept) == set(names):
                return {name: int(port) for name, port in kept.items()}
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        file.write_text(json.dumps(ports))
        return ports

    def _made(self) -> Iterator[Part]:
        yield from map(self._engine, ENGINES)
        yield from map(self._gateway, GATEWAYS)
        if not self._followers:
            return
        copy, base = self.place / "copy", self.place / "exchange.db"
        status = self._place("copy", "status")
        command = matchcore("copy", self.address, str(copy), "--status", status)
        yield Part("copy", "copy of the log, as of another city", command, str(copy), status)
        yield Part("sql", "SQL follower", matchcore("follow", self.address, "--to",
                   f"sqlite:///{base}", "--forever"), f"sqlite:///{base}")  # fmt: skip
        program = shutil.which(REDIS)
        if program is not None:
            port, store = self._ports["redis"], self.place / "redis"
            store.mkdir(exist_ok=True)
            yield Part("redis", "Redis", [program, "--bind", HOST, "--port", str(port), "--dir",
                       str(store), "--save", ""], f"redis://{HOST}:{port}/0")  # fmt: skip
            yield Part("feed", "cache in Redis", matchcore("feed", self.address),
                       more={"MATCHCORE_REDIS_URL": f"redis://{HOST}:{port}/0"})  # fmt: skip

    def _engine(self, name: str) -> Part:
        lines, status = (self._place(name, door) for door in ("lines", "status"))
        command = [*self._within(name), *self._clocked(
            name, "standby", self.address, "--name", name, "--state", str(self.place / name),
            "--lines", lines, "--status", status,
        )]  # fmt: skip
        return Part(name, "engine", command, f"lines at {lines}", status, self._lines)

    def _gateway(self, name: str) -> Part:
        web, status = (self._place(name, door) for door in ("web", "status"))
        engines = [word for one in ENGINES for word in ("--engine", self._place(one, "lines"))]
        command = self._clocked(name, "gateway", *engines, "--web", web, "--status", status,
                            "--state", str(self.place / name))  # fmt: skip
        return Part(name, "gateway with an HTTP door", command, f"http://{web}", status,
                    self._lines)  # fmt: skip

    def _host(self, name: str) -> str:
        network = self._network
        return network.address(name) if network is not None and name in network.nodes else HOST

    def _within(self, name: str) -> list[str]:
        network = self._network
        return network.inside(name) if network is not None and name in network.nodes else []

    def _emulated(self, name: str) -> list[str]:
        return self._clocks.emulated(name) if self._clocks else []

    def _clocked(self, name: str, *arguments: str) -> list[str]:
        return self._clocks.command(name, *arguments) if self._clocks else matchcore(*arguments)

    def _place(self, name: str, door: str) -> str:
        return f"{self._host(name)}:{self._ports[f'{name} {door}']}"

    def close(self) -> None:
        """Ends everything, the servers last, so that nobody waits for them."""
        for name in reversed(list(self._children)):
            self._children.pop(name).end()
        self.servers.close()
        (self.place / STATE_FILE).unlink(missing_ok=True)

    # ------------------------------------------------------------------ one part

    def start_parts(self, names: Iterable[str]) -> None:
        """Starts those that do not run, servers first and together."""
        servers = [at for at in map(self._server, names) if at is not None]
        if servers:
            self.servers.start(*servers)
        for name in names:
            if self._server(name) is None:
                self.start_part(name)

    def start_part(self, name: str) -> None:
        """Starts a part that does not run; no server."""
        part = self.parts[name]
        child = self._children.get(name)
        if child is None:
            log = self.place / f"{name}.log"
            self._children[name] = Child(part.command, log=log, **part.more)
        elif not child.lives:
            child.start()

    def lives(self, name: str) -> bool:
        """Whether its process is there; a frozen one is."""
        at = self._server(name)
        if at is not None:
            return self.servers.pid(at) is not None
        return name in self._children and self._children[name].lives

    def pid(self, name: str) -> int | None:
        """Of its process, if it lives."""
        at = self._server(name)
        if at is not None:
            return self.servers.pid(at)
        return self._children[name].pid if self.lives(name) else None

    def kill(self, *names: str) -> None:
        """SIGKILL, to all of them at once."""
        servers = [at for at in map(self._server, names) if at is not None]
        for name in names:
            if self._server(name) is None:
                self._children[name].kill()
        if servers:
            self.servers.kill(*servers)

    def freeze(self, *names: str) -> None:
        """SIGSTOP."""
        for name in names:
            at = self._server(name)
            if at is not None:
                self.servers.pause(at)
            else:
                self._children[name].freeze()

    def thaw(self, *names: str) -> None:
        """SIGCONT."""
        for name in names:
            at = self._server(name)
            if at is not None:
                self.servers.resume(at)
            else:
                self._children[name].thaw()

    @property
    def names(self) -> list[str]:
        """Of all parts, servers first."""
        return [f"server-{number}" for number in range(1, SERVERS + 1)] + list(self.parts)

    @staticmethod
    def _server(name: str) -> int | None:
        kind, _, number = name.partition("-")
        return int(number) - 1 if kind == "server" else None

    # ------------------------------------------------------------------ what is going on

    @property
    def doors(self) -> list[tuple[str, int]]:
        """Host and port of each HTTP door."""
        return [(HOST, self._ports[f"{name} web"]) for name in GATEWAYS]

    @property
    def copy(self) -> Path | None:
        """The folder of the remote copy; None without one."""
        return self.place / "copy" if "copy" in self.parts else None

    def state(self, name: str) -> dict[str, Any]:
        """What an engine says of itself; empty if it says nothing."""
        return asked(self.parts[name].status, "/standby")[1]

    def primary(self) -> str | None:
        """The engine that takes commands now, as it says itself."""
        found = [name for name in ENGINES if self.state(name).get("role") == "primary"]
        return found[0] if found else None

    def sequence(self) -> int:
        """Of the last command that an engine has."""
        return max(int(self.state(name).get("sequence", 0)) for name in ENGINES)

    def epoch(self) -> int:
        """Of the writer of the log, as far as an engine knows."""
        return max(int(self.state(name).get("epoch", 0)) for name in ENGINES)

    def leader(self) -> str | None:
        """The server that leads the log; None if most do not agree on one."""
        votes = Counter(filter(None, self._leaders()))
        ((found, count),) = votes.most_common(1) or [("", 0)]
        return f"server-{int(found.rpartition('-')[2]) + 1}" if count > SERVERS // 2 else None

    def _leaders(self) -> list[str]:
        address = Address.of(self.address)
        return [_leader_at(monitor, address.name) for monitor in address.monitors]

    def digest(self, name: str) -> tuple[int, str]:
        """Sequence and digest of the state of an engine; -1 if it says nothing."""
        said = asked(self.parts[name].status, "/digest", DIGEST_SECONDS_MAX)[1]
        return int(said.get("sequence", -1)), str(said.get("digest", ""))

    def is_well(self) -> bool:
        """Whether one engine is primary, the other one follows, and all doors are open."""
        roles = sorted(str(self.state(name).get("role")) for name in ENGINES)
        return roles == ["primary", "standby"] and all(
            ready(self.parts[name].status) for name in GATEWAYS
        )

    def wait_until_well(self, seconds: float = START_SECONDS_MAX) -> None:
        """Returns when it is; engines that have ended, as one that lost its lease, are started."""

        def well() -> bool:
            self.start_parts(self.parts)
            return self.is_well()

        wait_until("a primary, a standby and open doors", well, seconds)

    def reader(self, after: int) -> StreamReader:
        """What the log has behind a sequence."""
        return StreamReader(self.address, after=after)

    def digests_at(self, sequence: int, seconds: float = START_SECONDS_MAX) -> dict[str, str]:
        """Of both engines and the copy, once all of them have come that far.

        Empty if one is further by then: a request that was under way has come in.
        """
        found: dict[str, tuple[int, str]] = {}

        def there() -> bool:
            self.start_parts(self.parts)  # one may have found out just now that it is no primary
            found.update((name, self.digest(name)) for name in ENGINES)
            copied = published(self.copy).durable if self.copy else sequence
            all_at = [at for at, _ in found.values()] + [copied]
            return max(all_at) > sequence or all(at == sequence for at in all_at)

        wait_until(f"engines and copy at sequence {sequence}", there, seconds)
        if self.copy is not None:
            said = replay(self.copy)
            found["copy"] = int(said["commands"]), str(said["digest"])
        if any(at > sequence for at, _ in found.values()):
            return {}
        return {name: digest for name, (_, digest) in found.items()}

    def status(self) -> list[dict[str, Any]]:
        """As `status_of`."""
        self.write()
        return status_of(self.place)

    def write(self) -> None:
        """Notes what runs, for `status_of` and `down`."""
        parts = []
        for name in self.names:
            part = self.parts.get(name)
            pid = self.pid(name)
            parts.append({
                "name": name, "pid": pid, "began": beginning(pid) if pid else 0,
                "what": part.what if part else "log server",
                "where": part.where if part else self.servers.urls[self._server(name) or 0],
                "status": part.status if part else "",
                "command": part.command if part else [],
            })  # fmt: skip
        said = {"pid": os.getpid(), "began": beginning(os.getpid()), "address": self.address,
                "parts": parts}  # fmt: skip
        file = self.place / STATE_FILE
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(said, indent=1))
        fresh.replace(file)


def _leader_at(monitor: str, log: str) -> str:
    """The name of the server that leads a log, as one of them says."""
    said = asked(monitor, "/jsz?accounts=true&streams=true")[1]
    for account in said.get("account_details", ()):
        for stream in account.get("stream_detail", ()):
            if stream["name"] == log:
                return str(stream.get("cluster", {}).get("leader", ""))
    return ""


def status_of(place: Path) -> list[dict[str, Any]]:
    """What the parts of a cluster say now, from any process."""
    rows = []
    for part in noted(place).get("parts", []):
        lives = exists(int(part["pid"] or 0), int(part["began"]))
        said = asked(part["status"], "/standby")[1] if part["status"] and lives else {}
        rows.append({
            "name": part["name"], "what": part["what"], "role": said.get("role"),
            "sequence": said.get("sequence"), "behind": said.get("lag_commands"),
            "pid": part["pid"] if lives else None, "where": part["where"],
        })  # fmt: skip
    return rows


def end(place: Path) -> list[str]:
    """Ends a cluster that another process runs, or has left behind; names of what has ended."""
    said = noted(place)
    if not said:
        return []
    pid, began = int(said["pid"]), int(said["began"])
    parts = [part for part in said["parts"] if exists(int(part["pid"] or 0), int(part["began"]))]
    if send(pid, began, signal.SIGTERM):
        wait_until("the cluster's end", lambda: not exists(pid, began))
    for part in parts:
        send(int(part["pid"]), int(part["began"]), signal.SIGKILL)  # nobody has ended it
    (place / STATE_FILE).unlink(missing_ok=True)
    return [str(part["name"]) for part in parts]


def noted(place: Path) -> dict[str, Any]:
    """What `Cluster.write` noted; empty without a cluster."""
    try:
        said = json.loads((place / STATE_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def running(place: Path) -> bool:
    """Whether somebody runs a cluster in this folder."""
    said = noted(place)
    return bool(said) and exists(int(said["pid"]), int(said["began"]))
