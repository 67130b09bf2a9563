"""A session over HTTP and WebSocket: most orders over the stream, some by POST."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from contextlib import suppress
from typing import Any

import numpy as np
from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ServerDisconnectedError,
    TCPConnector,
    WSMsgType,
)
from numpy.typing import NDArray

from ..records.schema import ReportKind, Side
from .fix import price_text
from .flow import UNITS
from .ledger import HEARD, MAKER, Ledger
from .session import Account, Cut, Refused, Session, Target

POST_EVERY = 10  # orders, one of which goes by HTTP
POSTS_MAX = 8  # connections for them
ANSWER_SECONDS = 10.0  # that HTTP has
CLOSE_SECONDS = 0.2  # for the other side to answer the end of the stream
WAITING_MAX = 10_000  # messages that wait for the connection
LATER = frozenset({"throttled", "unavailable", "too_many", "busy"})
_KINDS = {kind.name.lower(): int(kind) for kind in ReportKind}
_SIDES = {int(side): side.name.lower() for side in Side}
_CODES = {name: side for side, name in _SIDES.items()}


class WebSession(Session):
    """Hears its reports from `/stream`, also those of its HTTP requests."""

    protocol = "web"

    def __init__(self, target: Target, account: Account, ledger: Ledger) -> None:
        super().__init__(target, account, ledger)
        self._http: ClientSession | None = None
        self._stream: ClientWebSocketResponse[Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._posts: asyncio.Semaphore
        self._day, self._number = 0, -1  # of the last report; -1: not known yet
        self._pongs = asyncio.Event()
        self._over = False
        self._bye = ""
        self._rows: list[tuple[Any, ...]] = []  # that are not in the ledger yet
        self._symbols = {name: place for place, name in enumerate(ledger.source.symbols)}
        self._secret = b64encode(f"{account.user}:{account.password}".encode()).decode()

    # ------------------------------------------------------------------ the connection

    async def connect(self) -> None:
        target = self.target
        scheme, host = ("https" if target.tls else "http"), target.host
        host = f"[{host}]" if ":" in host else host
        self._over, self._waiting, self._bye = False, asyncio.Queue(), ""
        self._posts = asyncio.Semaphore(POSTS_MAX)
        self._http = ClientSession(
            f"{scheme}://{host}:{self.port}",
            headers={"Authorization": f"Basic {self._secret}"},
            connector=TCPConnector(limit=POSTS_MAX + 1, ssl=target.tls or True),
            timeout=ClientTimeout(total=ANSWER_SECONDS),
        )
        where = "/stream"
        if self._number >= 0:
            where = f"/stream?after={self._number}&day={self._day}"
        elif self._resume:
            where = "/stream?after=0"
        try:
            stream = await self._http.ws_connect(where, max_msg_size=1 << 20)
            self._stream = stream
            welcome = await stream.receive_json()
        except (
            ServerDisconnectedError,
            ConnectionResetError,
        ) as error:  # it ended instead of an answer
            raise Cut(f"no stream: {error}") from None
        except (ClientError, ValueError, TypeError) as error:
            raise Refused(f"no stream: {error}") from None
        if welcome.get("type") != "welcome":
            raise Refused(f"no welcome: {welcome.get('reason', welcome)}")
        if self._number >= 0 and not welcome["resumed"]:
            raise Refused("the stream cannot be resumed")
        self._day, self._number = int(welcome["day"]), int(welcome["after"])
        self._resume = False
        self._pongs.clear()
        self._begin(self._read(stream))
        self._begin(self._write(stream))
        self.alive()  # its answer comes behind everything that was missed
        while not self._pongs.is_set():
            if self.gone:
                raise Cut(self._bye or "the stream ended")
            self.wake.clear()
            await asyncio.wait_for(self.wake.wait(), ANSWER_SECONDS)

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def disconnect(self) -> None:
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._stream is not None and not self._stream.closed:
            with suppress(asyncio.TimeoutError, ClientError, ConnectionError):
                await asyncio.wait_for(self._stream.close(), CLOSE_SECONDS)
        self._hear_rows()
        if self._http is not None:
            await self._http.close()
        self._http = self._stream = None

    @property
    def gone(self) -> bool:
        return self._over or self._stream is None

    @property
    def full(self) -> bool:
        return self._waiting.qsize() > WAITING_MAX

    def alive(self) -> None:
        self._say({"op": "ping"})

    def _say(self, message: dict[str, Any]) -> None:
        self._waiting.put_nowait(json.dumps(message, separators=(",", ":")))

    async def _write(self, stream: ClientWebSocketResponse[Any]) -> None:
        try:
            while True:
                await stream.send_str(await self._waiting.get())
        except (ConnectionError, ClientError, RuntimeError):
            self._ended()

    def _ended(self) -> None:
        self._over = True
        self.wake.set()

    # ------------------------------------------------------------------ requests

    def orders(self, first: int, rows: NDArray[np.void], *, again: bool) -> None:
        for place, row in enumerate(rows.tolist(), first):
            order = self._order(place, row)
            if place % POST_EVERY == 0:
                self._begin(self._post(place, order))
            else:
                self._say({"op": "order", "id": place, **order})

    def _order(self, place: int, row: tuple[int, int, int, int]) -> dict[str, Any]:
        side, symbol, quantity, price = row
        return {
            "client_order_id": f"{self.target.tag}{place}",
            "symbol": self.ledger.source.symbols[symbol], "side": _SIDES[side],
            "quantity": quantity, "price": price_text(price).decode(), "time_in_force": "day",
        }  # fmt: skip

    def cancels(self, places: NDArray[np.int64], *, again: bool) -> None:
        for place in places.tolist():
            self._say({"op": "cancel", "id": ~place, "request_id": f"{self.target.tag}x{place}",
                       "client_order_id": f"{self.target.tag}{place}"})  # fmt: skip

    async def _post(self, place: int, order: dict[str, Any]) -> None:
        """Over HTTP; its reports come with the stream."""
        http = self._http
        if http is None:
            return
        try:
            async with self._posts, http.post("/orders", json=order) as answer:
                said = await answer.json()
        except (ClientError, OSError, ValueError, asyncio.TimeoutError):
            if not self.gone:  # else all that has no answer is sent again
                self.turn_away(place, False)
            return
        if answer.status >= 400 and self.ledger.states["answers"][place] == 0:
            self._refused(place, said.get("error", {}))

    # ------------------------------------------------------------------ what it is told

    async def _read(self, stream: ClientWebSocketResponse[Any]) -> None:
        async for message in stream:
            self.heard_at = time.perf_counter_ns()
            if message.type is not WSMsgType.TEXT:
                break
            try:
                self._take(json.loads(message.data))
            except (ValueError, KeyError, TypeError) as error:
                self._bye = f"a message that makes no sense: {error!r}"
                break
        self._ended()

    def _hear_rows(self) -> None:
        """All reports that came in one turn of the loop together: one by one they cost more."""
        rows, self._rows = self._rows, []
        if rows:
            self.hear(np.array(rows, HEARD), self.heard_at)

    def _take(self, said: dict[str, Any]) -> None:
        kind = said["type"]
        if kind == "report":
            self._report(said)
        elif kind == "error":
            self._refused(said.get("id"), said["error"])
        elif kind == "pong":
            self._hear_rows()
            self._pongs.set()
            self.wake.set()
        elif kind == "day_ended":
            self._day, self._number = int(said["day"]), 0
        elif kind == "bye":
            self._bye = str(said.get("reason", ""))

    def _report(self, said: dict[str, Any]) -> None:
        number, kind = int(said["number"]), _KINDS[said["kind"]]
        if not number:
            return  # of a request that was done before; its reports have their numbers
        if number != self._number + 1:
            raise ValueError(f"report {number} follows report {self._number}")
        self._number = number
        trades = kind == ReportKind.TRADE
        id = said.get("original_client_order_id") or said["client_order_id"]
        place = self._place(id)
        if place >= self.ledger.sent and self.target.resume:
            self.ledger.heard_of(place + 1)
        sequence, part, maker = said["exec_id"].split("-")
        if not self._rows:
            asyncio.get_running_loop().call_soon(self._hear_rows)
        self._rows.append((
            number, kind, MAKER if maker == "1" else 0, _CODES.get(said["side"], 0), int(part),
            self._symbols.get(said["symbol"], -1), place,
            int(said["last_quantity"] if trades else said["quantity"]),
            _units(said["last_price"] if trades else said["price"]),
            int(said["filled"]), int(sequence), int(said.get("trade_id", 0)),
        ))  # fmt: skip

    def _place(self, id: str) -> int:
        tag = self.target.tag
        rest = id[len(tag) :].removeprefix("x") if id.startswith(tag) else ""
        return int(rest) if rest.isdigit() else -1

    def _refused(self, id: Any, error: dict[str, Any]) -> None:
        """``id``: the place of an order, or that of a cancel's, inverted."""
        if not isinstance(id, int):
            return
        place, is_cancel = (id, False) if id >= 0 else (~id, True)
        if error.get("code") in LATER:
            self.turn_away(place, is_cancel)
        elif is_cancel:
            self.ledger.settle(place)
        else:
            self.ledger.refuse(place, self.age(place))


def _units(text: str | None) -> int:
    return round(float(text) * UNITS) if text else 0
