"""An exchange in a thread with a door of each protocol, and connections to it that can be cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway_kit import ANA, Served, login, until
from lines_kit import Proxy

from matchcore import Engine
from matchcore.gateways.desk import Desk
from matchcore.gateways.fix import FixDoor
from matchcore.gateways.lines.address import Address
from matchcore.gateways.logins import FixedUsers
from matchcore.gateways.ouch.door import OuchDoor
from matchcore.gateways.ways import Direct
from matchcore.gateways.web.door import WebDoor
from matchcore.traffic.flow import Flow
from matchcore.traffic.session import Account, Target

HOST = "127.0.0.1"
PATIENCE = 90.0
FLOW = Flow(("ANA",), 950_000, 960_000, 500, open=10)
Begun = Callable[[tuple[str, int]], None]


@contextmanager
def in_a_thread(
    serve: Callable[[asyncio.Event, Callable[[Any], None]], Coroutine[Any, Any, None]],
) -> Iterator[Any]:
    """A server in a loop of its own; what it has begun with."""
    ready, found, stops = threading.Event(), [], []

    async def run() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))

        def begun(what: Any) -> None:
            found.append(what)
            ready.set()

        await serve(stop, begun)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield found[0]
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
    assert not thread.is_alive()


class Exchange:
    """``targets`` go through proxies, which `cut` cuts."""

    def __init__(self, state: Path, users: int) -> None:
        known = {(f"user{n}", "secret"): login(n) for n in range(1, users + 1)}
        self._state = state
        self.engine = Engine.memory(instruments=[ANA])
        self.desk = Desk(Direct(self.engine), FixedUsers(known))
        self.targets: dict[str, Target] = {}
        self._proxies: list[Proxy] = []

    async def serve(self, stop: asyncio.Event, begun: Callable[[Exchange], None]) -> None:
        self._loop = asyncio.get_running_loop()
        ouch, fix = OuchDoor(HOST, 0), FixDoor(HOST, 0, self._state)
        webs: list[str] = []
        web = WebDoor(HOST, 0, started=webs.append)
        async with Served(self.desk, ouch, fix, web):
            await until(lambda: bool(webs))
            ports = {"ouch": ouch.address[1], "fix": fix.address[1],
                     "web": int(webs[0].rpartition(":")[2])}  # fmt: skip
            async with (
                Proxy(Address(HOST, ports["ouch"])) as a,
                Proxy(Address(HOST, ports["fix"])) as b,
                Proxy(Address(HOST, ports["web"])) as c,
            ):
                self._proxies = [a, b, c]
                self.targets = {
                    "ouch": Target(*a.address), "fix44": Target(*b.address),
                    "fix50": Target(*b.address), "web": Target(*c.address),
                }  # fmt: skip
                begun(self)
                await stop.wait()

    def cut(self) -> None:
        """Cuts every connection."""
        for proxy in self._proxies:
            self._loop.call_soon_threadsafe(proxy.cut)

    def freeze(self, seconds: float) -> None:
        """Nothing passes for a while, and nothing is closed."""
        for proxy in self._proxies:
            self._loop.call_soon_threadsafe(proxy.freeze)
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, proxy.thaw)


@contextmanager
def exchange(state: Path, users: int = 8) -> Iterator[Exchange]:
    made = Exchange(state, users)
    with in_a_thread(made.serve):
        yield made


def accounts(count: int, protocol: str = "") -> list[Account]:
    return [Account(f"user{n}", "secret", protocol) for n in range(1, count + 1)]
