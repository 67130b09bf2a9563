"""One WebSocket: commands in, the login's numbered reports out, from any number."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web
from numpy.typing import NDArray

from ...serving.rates import Bucket
from ...serving.tasks import end
from ..logins import Login
from .asked import Asked, Commands, number, parse, text
from .refusals import Refused, malformed, refusal_of
from .sessions import WebSession
from .texts import report_said, row_of

if TYPE_CHECKING:
    from .door import WebDoor

READ_COUNT = 500  # reports that are read again at once
LIVE_MAX = 20_000  # reports that wait for a client; then it gets them from the store
OPS_PER_SECOND, OPS_BURST = 20.0, 200  # messages that are no commands
ID_CHARACTERS_MAX = 64
TOO_SLOW = "reports of a day that ended long ago were not read in time"
#: Marks between the reports that wait; the end of a day is the number of the next one.
PONG = -1
LOG = logging.getLogger("matchcore.gateways.web")
FAULT = Refused(500, "fault", "the gateway has failed; its log knows more")


class Stream:
    """A client's WebSocket.

    Reports that it has not taken wait in memory up to `LIVE_MAX`; of what is beyond that only the
    number is kept, and they are read again.  It has a task that writes only while something waits:
    most streams are idle.
    """

    def __init__(self, door: WebDoor, socket: web.WebSocketResponse, host: str) -> None:
        self._door, self._socket, self._host = door, socket, host
        self._desk = door.desk
        self._live: list[NDArray[np.void] | int] = []
        self._live_count = 0
        self._session: WebSession | None = None  # while it may write
        self._writing: asyncio.Task[None] | None = None
        self._day = self._sent = 0  # of the last report that was sent
        self._missing = False  # what follows it is to be read from the store
        self._dropped = ""
        self._rate = Bucket(OPS_PER_SECOND, OPS_BURST, time.monotonic())
        self._after: int | None = None
        self._wanted_day: int | None = None
        self.login: Login  # once it has said one

    # -- of the session

    def take(self, reports: NDArray[np.void]) -> None:
        self._live.append(reports)
        self._live_count += len(reports)
        if self._live_count > LIVE_MAX:
            self._live.clear()
            self._live_count, self._missing = 0, True
        self._stir()

    def day_ended(self) -> None:
        self._live.append(self._desk.day)
        self._stir()

    def drop(self, why: str) -> None:
        self._dropped = self._dropped or why
        self._stir()

    # -- its life

    async def serve(self, login: Login | None) -> None:
        """Until either side ends it."""
        try:
            self.login = login or await self._first()
            await self._serve(self.login)
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                LOG.exception("stream of %s", self._host)
                refused = FAULT
            await self._bye(refused.code, str(refused))

    async def _serve(self, login: Login) -> None:
        with self._door.sessions.using(login, self) as session:
            if len(session.listeners) > login.limits.connections:
                raise Refused(429, "full", f"{login.limits.connections} streams are open")
            try:
                await self._welcome(session)
                self._session = session  # what came meanwhile is told now
                self._stir()
                await self._read(session)
            except ConnectionError:  # it is closed
                return
            finally:
                self._session = None
                if self._writing is not None:
                    await end([self._writing])

    async def _first(self) -> Login:
        """The login that the first message says."""
        try:
            message = await self._socket.receive(self._door.limits.first_seconds)
        except asyncio.TimeoutError:
            raise Refused(408, "idle", "no login came in time") from None
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise Refused(400, "closed", "no login came")
        asked = Asked(parse(_bytes(message.data)))
        if asked.take("op", text) != "login":
            raise Refused(401, "login", "the first message must be a login", "op")
        user, token = asked.take("user", text, ""), asked.take("token", text, None)
        secret = token if token is not None else asked.take("password", text)
        self._resume(asked)
        asked.done()
        return await self._desk.login(user, secret, self._host)

    def resume_from(self, query: dict[str, str]) -> None:
        """Where to begin, as the address says it."""
        asked = Asked(query)
        self._resume(asked)
        asked.done()

    def _resume(self, asked: Asked) -> None:
        self._after = asked.take("after", number, self._after)
        self._wanted_day = asked.take("day", number, self._wanted_day)

    async def _read(self, session: WebSession) -> None:
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            asked: dict[str, Any] = {}
            try:
                asked = parse(_bytes(message.data))
                self._do(session, dict(asked))
            except Exception as error:
                refused = refusal_of(error)
                if refused is None:
                    raise
                await self._say("error", id=_id(asked), error=refused.said())
                if refused.code == "too_many":
                    raise refused from None

    def _do(self, session: WebSession, body: dict[str, Any]) -> None:
        op = body.pop("op", None)
        body.pop("id", None)
        commands = Commands(self._desk.instruments, self._desk.reports, session.login)
        if op == "order":
            command = commands.new(body)
        elif op == "cancel":
            command = commands.cancel(body)
        elif op == "amend":
            command = commands.amend(body)
        elif op == "cancel_all":
            command = commands.cancel_all(body)
        elif op == "quote":
            command = commands.quote(body)
        else:
            return self._other(op, body)
        self._desk.send(session, command)

    def _other(self, op: Any, body: dict[str, Any]) -> None:
        if not self._rate.take(1, time.monotonic()):
            raise Refused(429, "too_many", "too many messages")
        if op != "ping":
            raise malformed("op", "one of order, cancel, amend, cancel_all, quote, ping")
        Asked(body).done()
        self._live.append(PONG)
        self._stir()

    # -- writing

    def _stir(self) -> None:
        """There is something to write."""
        if self._session is not None and self._writing is None:
            self._writing = asyncio.ensure_future(self._write(self._session))

    async def _write(self, session: WebSession) -> None:
        """Sends what waits; the connection says when it can take more.  Its end is that of reading,
        because it closes the socket."""
        try:
            while not self._dropped and (self._missing or self._live):
                if self._missing:
                    await self._again(session)
                else:
                    await self._waiting()
            if self._dropped:
                self._session = None
                await self._bye("dropped", self._dropped)
        except (ConnectionError, RuntimeError):  # it is closed
            self._session = None
        except Exception:
            LOG.exception("stream of %s", self._host)
            self._session = None
            await self._bye(FAULT.code, str(FAULT))
        finally:
            self._writing = None

    async def _welcome(self, session: WebSession) -> None:
        """Says where the stream begins: behind ``after`` of today or of the day before."""
        login, day = session.login, self._desk.day
        self._day, self._sent, resumed = day, self._desk.reports.last(login.session), False
        if self._after is not None:
            wanted = day if self._wanted_day is None else self._wanted_day
            resumed = wanted in (day, day - 1) and self._has(session, wanted, self._after)
            self._day, self._sent = (wanted, self._after) if resumed else (day, 0)
        self._missing = self._after is not None
        self._live.clear()  # the store has it
        self._live_count = 0
        await self._say("welcome", user=login.user, session=login.session, day=self._day,
                        after=self._sent, resumed=resumed)  # fmt: skip

    def _has(self, session: WebSession, day: int, number: int) -> bool:
        """Whether there is a report of this number; there always is a place before the first."""
        store = self._desk.reports
        return number == 0 or len(store.read(session.login.session, number, 1, day=day)) > 0

    async def _again(self, session: WebSession) -> None:
        """The next reports from the store, until it has no more."""
        store, today = self._desk.reports, self._desk.day
        if self._day < today - 1:
            return self.drop(TOO_SLOW)
        number = session.login.session
        rows = store.read(number, self._sent + 1, READ_COUNT, day=self._day)
        if len(rows):
            await self._send(rows)
        elif self._day < today:
            await self._begin(self._day + 1)
        else:
            self._missing = False

    async def _waiting(self) -> None:
        """All that waits now; if it becomes too much meanwhile, the store has the rest."""
        waiting, self._live = self._live, []
        for next_ in waiting:
            if self._dropped or self._missing:
                return
            await self._next(next_)

    async def _next(self, next_: NDArray[np.void] | int) -> None:
        if not isinstance(next_, int):
            self._live_count -= len(next_)
            await self._send(next_)
        elif next_ == PONG:
            await self._say("pong", day=self._day, number=self._sent)
        elif next_ > self._day:
            await self._begin(next_)

    async def _begin(self, day: int) -> None:
        """Reports of this day follow, numbered from 1."""
        self._day, self._sent = day, 0
        await self._say("day_ended", day=day)

    async def _send(self, rows: NDArray[np.void]) -> None:
        """Those that it has not had; one without a number is of a request that was sent again."""
        instruments = self._desk.instruments
        for report in rows:
            row = row_of(report)
            place = row["day"], row["number"]
            if not row["number"] or place > (self._day, self._sent):
                self._sent = row["number"] or self._sent
                await self._say("report", **report_said(row, instruments))

    async def _say(self, kind: str, /, **fields: Any) -> None:
        said = {"type": kind, **fields}
        await self._socket.send_str(json.dumps(said, separators=(",", ":")))

    async def _bye(self, code: str, reason: str) -> None:
        """Ends the connection with a reason."""
        try:
            await self._say("bye", code=code, reason=reason)
            await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=code.encode())
        except (ConnectionError, RuntimeError):
            return


def _bytes(data: str | bytes) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)


def _id(asked: dict[str, Any]) -> Any:
    found = asked.get("id")
    fine = isinstance(found, int) or (isinstance(found, str) and len(found) <= ID_CHARACTERS_MAX)
    return found if fine else None
