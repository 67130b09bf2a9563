"""A web door as it runs, and a client of other people's making: aiohttp's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import uvloop
from gateway_kit import ANA, WAIT_SECONDS, Heard, Served, until

from matchcore import COMMAND, Engine, Kind
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import FixedUsers, Login, Users
from matchcore.gateways.ways import Direct
from matchcore.gateways.web.door import WebDoor
from matchcore.gateways.web.limits import WebLimits


def run(test: Coroutine[Any, Any, None], seconds: float = 3 * WAIT_SECONDS) -> None:
    """Runs an asynchronous test in the loop that a gateway has."""
    uvloop.run(asyncio.wait_for(test, seconds))


def users(**more: Login) -> FixedUsers:
    """alice and bob, whose word is ``secret`` and whose tokens are their names; and others."""
    logins = {"alice": Login(1, "alice", account=1), "bob": Login(2, "bob", account=2), **more}
    known = {(name, "secret"): login for name, login in logins.items()}
    return FixedUsers(known | {("", name): login for name, login in logins.items()})


class Gate:
    """A running gateway with a web door, and whom a test asks it as."""

    def __init__(self, desk: Desk, door: WebDoor, http: aiohttp.ClientSession) -> None:
        self.desk, self.door, self._http = desk, door, http

    async def ask(
        self, method: str, path: str, body: Any = None, *, user: str = "alice", **more: Any
    ) -> tuple[int, Any]:
        """Status and JSON of one request."""
        if user:
            more["headers"] = {"Authorization": f"Bearer {user}", **more.get("headers", {})}
        async with self._http.request(method, self.door.url + path, json=body, **more) as answer:
            return answer.status, await answer.json()

    async def enter(self, client_order_id: str, side: str, quantity: int, price: str | None,
                    user: str = "alice", **more: Any) -> tuple[int, Any]:  # fmt: skip
        """One order in ANA."""
        body = {"client_order_id": client_order_id, "symbol": "ANA", "side": side,
                "quantity": quantity, "price": price, **more}  # fmt: skip
        return await self.ask("POST", "/orders", body, user=user)

    @asynccontextmanager
    async def stream(self, user: str = "alice", query: str = "") -> AsyncIterator[Listener]:
        """A WebSocket that has logged in; without a user, one that has not."""
        headers = {"Authorization": f"Bearer {user}"} if user else {}
        url = f"{self.door.url}/stream{query}"
        async with self._http.ws_connect(url, headers=headers) as socket:
            yield Listener(socket)


class Listener:
    """A client of a stream."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, op: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"op": op, **fields}))

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        message = await self.socket.receive(WAIT_SECONDS)
        assert message.type == aiohttp.WSMsgType.TEXT, message
        said: dict[str, Any] = json.loads(message.data)
        return said

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """All messages up to the first one of a type."""
        heard = [await self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(await self.hear())
        return heard


@asynccontextmanager
async def gate(
    engine: Engine | None = None, known: Users | None = None, **limits: Any
) -> AsyncIterator[Gate]:
    engine = engine or Engine.memory(instruments=[ANA])
    desk, ready = Desk(Direct(engine), known or users()), asyncio.Event()
    door = WebDoor("127.0.0.1", 0, limits=WebLimits(**limits), started=lambda _: ready.set())
    async with Served(desk, door), aiohttp.ClientSession() as http:
        await asyncio.wait_for(ready.wait(), WAIT_SECONDS)
        yield Gate(desk, door, http)


async def end_day(desk: Desk) -> None:
    """Ends the day of all instruments, and waits until the desk has it."""
    operator, day = Heard(Login(99, "operator")), desk.day
    desk.attach(operator)
    commands = np.zeros(1, COMMAND)
    commands["kind"] = Kind.END_DAY
    desk.send(operator, commands)
    await until(lambda: desk.day > day)
    desk.detach(operator)
