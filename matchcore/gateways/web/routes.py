"""What HTTP answers about orders; each answer is what the log says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from ...records.ids import text_of
from ...records.reports import ReportKind
from ...records.schema import Kind
from ..logins import Action, Forbidden, Login
from .asked import (
    Asked,
    Commands,
    Id,
    account,
    client_order_id,
    number,
    of_query,
    parse,
    unknown_order,
)
from .refusals import Refused
from .texts import (
    REFUSALS,
    Row,
    instrument_said,
    login_said,
    order_said,
    report_said,
    row_of,
)

if TYPE_CHECKING:
    from .door import WebDoor

LOOK_BACK = 10_000  # reports that are looked through for the first answer to a request
READING = Action.READ


class Routes:
    """The handlers, and their paths."""

    def __init__(self, door: WebDoor) -> None:
        self._door, self._desk, self._limits = door, door.desk, door.limits

    def table(self) -> list[web.RouteDef]:
        order = "/orders/{client_order_id}"
        return [
            web.get("/me", self.me),
            web.get("/instruments", self.instruments),
            web.get("/orders", self.open_orders),
            web.post("/orders", self.enter),
            web.get(order, self.order),
            web.patch(order, self.amend),
            web.delete(order, self.cancel),
            web.post("/cancel-all", self.cancel_all),
            web.post("/quotes", self.quote),
            web.get("/reports", self.reports),
            web.get("/fills", self.fills),
        ]

    # -- questions

    async def me(self, request: web.Request) -> web.Response:
        return web.json_response(login_said(await self._login(request)))

    async def instruments(self, request: web.Request) -> web.Response:
        await self._login(request)
        found = enumerate(self._desk.instruments, 1)
        return web.json_response({"instruments": [instrument_said(*one) for one in found]})

    async def open_orders(self, request: web.Request) -> web.Response:
        login = await self._login(request)
        asked = Asked(of_query(request.query))
        owner = asked.take("account", account, login.account)
        asked.done()
        _may_read(login, owner)
        rows = self._desk.reports.open_orders(owner)
        if login.grants or login.instruments is not None:
            numbers = np.unique(rows["instrument"]).tolist()
            seen = [one for one in numbers if login.allows(READING, owner, one)]
            rows = rows[np.isin(rows["instrument"], seen)]
        most = self._limits.orders
        orders = [order_said(row_of(row), self._desk.instruments) for row in rows[:most]]
        return web.json_response({"orders": orders, "more": len(rows) > most})

    async def order(self, request: web.Request) -> web.Response:
        login = await self._login(request)
        asked = Asked(_of_path(request, of_query(request.query)))
        name = asked.take("client_order_id", client_order_id)
        owner = asked.take("account", account, login.account)
        asked.done()
        _may_read(login, owner)
        row = self._status(login, owner, name)
        if row is None:
            if self._desk.reports.find(owner, *name) is not None:
                return web.json_response({"pending": True}, status=202)
            raise unknown_order(owner)
        return web.json_response(order_said(row, self._desk.instruments))

    async def reports(self, request: web.Request) -> web.Response:
        return await self._numbered(request, None)

    async def fills(self, request: web.Request) -> web.Response:
        return await self._numbered(request, ReportKind.TRADE)

    async def _numbered(self, request: web.Request, kind: ReportKind | None) -> web.Response:
        """The login's reports of the day behind a number; ``last``: where to go on."""
        login = await self._login(request)
        if not login.may & READING:
            raise Forbidden(f"{login.user} may not read reports")
        asked = Asked(of_query(request.query))
        after = asked.take("after", number, 0)
        limit = min(asked.take("limit", number, self._limits.reports), self._limits.reports)
        asked.done()
        store = self._desk.reports
        last = store.last(login.session)
        rows = store.read(login.session, min(after, last) + 1, limit)
        read = int(rows["number"][-1]) if len(rows) else min(after, last)
        if kind is not None and len(rows):
            rows = rows[rows["kind"] == kind]
        said = [report_said(row_of(row), self._desk.instruments) for row in rows]
        return web.json_response(
            {"day": store.day, "reports": said, "last": read, "more": read < last}
        )

    # -- commands

    async def enter(self, request: web.Request) -> web.Response:
        login, commands = await self._commands(request)
        command = commands.new(parse(await self._door.body(request)))
        return await self._send(login, command, 201)

    async def amend(self, request: web.Request) -> web.Response:
        login, commands = await self._commands(request)
        body = _of_path(request, parse(await self._door.body(request)))
        return await self._send(login, commands.amend(body), 200)

    async def cancel(self, request: web.Request) -> web.Response:
        login, commands = await self._commands(request)
        command = commands.cancel(_of_path(request, of_query(request.query)))
        return await self._send(login, command, 200)

    async def cancel_all(self, request: web.Request) -> web.Response:
        login, commands = await self._commands(request)
        body = await self._door.body(request)
        return await self._send(login, commands.cancel_all(parse(body) if body else {}), 200)

    async def quote(self, request: web.Request) -> web.Response:
        login, commands = await self._commands(request)
        command = commands.quote(parse(await self._door.body(request)))
        return await self._send(login, command, 200)

    async def _login(self, request: web.Request) -> Login:
        return await self._door.login(request)

    async def _commands(self, request: web.Request) -> tuple[Login, Commands]:
        login = await self._login(request)
        return login, Commands(self._desk.instruments, self._desk.reports, login)

    async def _send(self, login: Login, command: NDArray[np.void], done: int) -> web.Response:
        """Sends a command, and answers with what the log says of it."""
        door = self._door
        there = door.sessions.of(login)
        if login.cancel_on_disconnect and not (there and there.listeners):
            message = "this login cancels on disconnect: open a stream, and keep it, to trade"
            raise Refused(409, "stream_needed", message)
        if there is not None and there.requests >= self._limits.waiting:
            message = f"{self._limits.waiting} requests wait for an answer"
            raise Refused(429, "throttled", message, after_ns=100_000_000)
        owner = int(command["account"][0])
        name = int(command["client_order_id"][0]), int(command["client_order_tail"][0])
        with door.sessions.using(login) as session, session.waiting(owner, name) as answer:
            self._desk.send(session, command)
            try:
                rows = await asyncio.wait_for(answer, self._limits.answer_seconds)
            except asyncio.TimeoutError:
                return self._later(command, name)
        return self._answered(login, [row_of(row) for row in rows], name, done)

    def _later(self, command: NDArray[np.void], name: Id) -> web.Response:
        """It is on its way, and not in the log yet."""
        ask = "/reports"
        if command["kind"][0] == Kind.NEW:
            ask = f"/orders/{_quoted(name)}?account={command['account'][0]}"
        return web.json_response({"pending": True, "ask": ask}, status=202)

    def _answered(self, login: Login, rows: list[Row], name: Id, done: int) -> web.Response:
        instruments = self._desk.instruments
        first = next(row for row in rows if row["number"] == 0
                     or (row["client_order_id"], row["client_order_tail"]) == name)  # fmt: skip
        if first["kind"] == ReportKind.REPEATED:
            return self._repeated(login, first, name)
        said: dict[str, Any] = {"reports": [report_said(row, instruments) for row in rows]}
        if first["kind"] in REFUSALS:
            refused = _refused(first, instruments)
            return web.json_response({"error": refused.said(), **said}, status=refused.status)
        for row in rows:
            if row["kind"] in (ReportKind.MASS_CANCELLED, ReportKind.QUOTE_SET):
                said["cancelled"] = row["last_quantity"]
                return web.json_response(said, status=done)
        last = [row for row in rows if row["order_id"] == first["order_id"]][-1]
        said["order"] = order_said(last, instruments)
        return web.json_response(said, status=done)

    def _repeated(self, login: Login, asked: Row, name: Id) -> web.Response:
        """The request was done before: what it led to, as far as that is known."""
        instruments, store = self._desk.instruments, self._desk.reports
        said: dict[str, Any] = {"repeated": True, "sequence": asked["trade_id"]}
        last = store.last(login.session)
        back = store.read(login.session, max(1, last - LOOK_BACK + 1), LOOK_BACK)
        rows = [row_of(row) for row in back[back["sequence"] == asked["trade_id"]]]
        if rows:
            said["reports"] = [report_said(row, instruments) for row in rows]
        refusals = [row for row in rows if row["kind"] in REFUSALS]
        if refusals:
            refused = _refused(refusals[0], instruments)
            return web.json_response({"error": refused.said(), **said}, status=refused.status)
        row = self._status(login, asked["account"], name)
        if row is not None:
            said["order"] = order_said(row, instruments)
        return web.json_response(said)

    def _status(self, login: Login, owner: int, name: Id) -> Row | None:
        """What an order is now, if the login may see it."""
        found = self._desk.reports.status(owner, *name)
        row = None if found is None else row_of(found[0])
        if row is None or not login.allows(READING, owner, row["instrument"]):
            return None
        return row


def _may_read(login: Login, owner: int) -> None:
    if not login.reads(owner):
        raise Forbidden(f"{login.user} may not read orders of account {owner}")


def _of_path(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    if "client_order_id" in body:
        raise Refused(400, "malformed", "client_order_id: it is in the path", "client_order_id")
    return {**body, **request.match_info}


def _quoted(name: Id) -> str:
    return quote(text_of(*name), safe="")


def _refused(row: Row, instruments: Any) -> Refused:
    said = report_said(row, instruments)
    reason, field = str(said.get("reason", "rejected")), str(said.get("field", ""))
    about = f" ({field})" if field else ""
    return Refused(422, reason, f"the exchange refuses this: {reason}{about}", field)
