"""A desk over an engine in memory, and sessions that keep what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, Engine, Instrument, Kind, OrderType, Side, TimeInForce
from matchcore.errors import QueueFull
from matchcore.gateways.desk import Desk, Door
from matchcore.gateways.logins import FixedUsers, Login
from matchcore.gateways.ways import Direct

ANA = Instrument("ANA", tick="0.05")
WAIT_SECONDS = 10.0


def order(client_order_id: int, side: Side, quantity: int, price: int, **more: int) -> Any:
    """One NEW, as a `COMMAND` array."""
    commands = np.zeros(1, COMMAND)
    fields = {"kind": Kind.NEW, "instrument": 1, "side": side, "quantity": quantity, "price": price,
              "client_order_id": client_order_id, "order_type": OrderType.LIMIT,
              "time_in_force": TimeInForce.GTC, **more}  # fmt: skip
    for name, value in fields.items():
        commands[name] = value
    return commands


class Heard:
    """A session that keeps its reports."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.reports: list[np.void] = []
        self.days = 0
        self.dropped = ""

    def take(self, reports: NDArray[np.void]) -> None:
        self.reports.extend(reports)

    def day_ended(self) -> None:
        self.days += 1

    def drop(self, why: str) -> None:
        self.dropped = why

    def kinds(self) -> list[int]:
        return [int(report["kind"]) for report in self.reports]


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition; TimeoutError if it does not come true."""

    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), WAIT_SECONDS)


def login(session: int, **more: Any) -> Login:
    return Login(session, f"user{session}", account=session, **more)


def desk(engine: Engine | None = None, users: int = 4) -> Desk:
    """A desk whose users are user1, user2, …, each with the secret ``secret``."""
    engine = engine or Engine.memory(instruments=[ANA])
    known = {(f"user{n}", "secret"): login(n) for n in range(1, users + 1)}
    return Desk(Direct(engine), FixedUsers(known))


class Served:
    """A desk that runs while the block does."""

    def __init__(self, desk: Desk, *doors: Door) -> None:
        self.desk, self._doors, self._stop = desk, doors, asyncio.Event()

    async def __aenter__(self) -> Desk:
        self._running = asyncio.ensure_future(self.desk.run(self._doors, self._stop))
        await asyncio.sleep(0)
        return self.desk

    async def __aexit__(self, *error: object) -> None:
        self._stop.set()
        await self._running


class Frozen:
    """A way whose engine answers nothing; ``full``: it takes nothing either."""

    instruments: Any = None
    incarnation = 1
    durable = 0

    def __init__(self, *, full: bool = False) -> None:
        self._full = full

    async def start(self, *_: Any) -> None: ...
    async def close(self) -> None: ...
    def send(self, commands: Any) -> None:
        if self._full:
            raise QueueFull("full")
