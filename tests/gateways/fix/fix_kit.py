"""A FIX door in a thread, and a client that says what it is told to, byte by byte."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from matchcore import Engine, Instrument, Kind
from matchcore.gateways.desk import Desk, room
from matchcore.gateways.fix import FixDoor, Settings
from matchcore.gateways.fix.plain import MESSAGE, build, find, split, time_text
from matchcore.gateways.logins import FixedUsers, Login
from matchcore.gateways.ways import Direct

INSTRUMENTS = [Instrument("ANA", tick="0.05"), Instrument("BBVA", tick="0.001", lot=10)]
WAIT_SECONDS = 20.0
USERS = ("ALICE", "BOB", "CAROL")
SECOND = 10**9


def users(**more: Any) -> FixedUsers:
    """ALICE with session and account 1, and so on; the secret is ``secret``."""
    known = {}
    for number, user in enumerate(USERS, 1):
        rights = {"accounts": frozenset({number}), **more}
        known[user, "secret"] = Login(number, user, account=number, **rights)
    return FixedUsers(known)


class Serving:
    """An engine in memory, a desk and a FIX door, in a thread of their own."""

    def __init__(
        self,
        state: Path,
        settings: Settings | None = None,
        *,
        engine: Engine | None = None,
        known: FixedUsers | None = None,
        tls: Any = None,
    ) -> None:
        self.engine = engine or Engine.memory(instruments=INSTRUMENTS)
        self.door = FixDoor("127.0.0.1", 0, state, settings, tls=tls)
        self.way = Direct(self.engine)
        self.desk = Desk(self.way, known or users())
        self.later_s = 0.0  # what the door's clock is ahead
        self.door.clock = lambda: self._now() + int(self.later_s * SECOND)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._failed: BaseException | None = None

    @staticmethod
    def _now() -> int:
        import time

        return time.time_ns()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            running = asyncio.ensure_future(self.desk.run([self.door], self._stop))
            while self.door._listening is None and not running.done():
                await asyncio.sleep(0.001)
            self._ready.set()
            await running
        except BaseException as error:
            self._failed = error
            raise
        finally:
            self._ready.set()

    def call(self, function: Callable[[], Any]) -> Any:
        """Calls it in the loop of the desk."""

        async def called() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(WAIT_SECONDS)

    def end_day(self) -> None:
        """Ends the trading day, as the gateway hears it."""
        command = room(1)
        command["kind"] = Kind.END_DAY
        self.call(lambda: self.way.send(command))

    @property
    def port(self) -> int:
        return self.door.address[1]

    def __enter__(self) -> Serving:
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS)
        assert self._failed is None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
        if kind is None:
            assert self._failed is None


Said = dict[int, str]


class Client:
    """Sends messages with any number and any header; nothing is answered by itself."""

    def __init__(
        self, port: int, user: str = "ALICE", *, begin: str = "FIX.4.4", ours: str = "MATCHCORE"
    ) -> None:
        self.user, self.begin, self.ours = user, begin, ours
        self.number = 1  # of the next message
        self._data = b""
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)

    def message(self, kind: str, fields: dict[int, Any] | None = None, **header: Any) -> bytes:
        """A message; ``header``: number, sender, target, sent, begin, again, original, resent."""
        number = header.get("number")
        if number is None:
            number, self.number = self.number, self.number + 1
        sent = header.get("sent") or time_text(Serving._now(), 3).decode()
        values: list[tuple[int, Any]] = [(35, kind), (49, header.get("sender", self.user))]
        values += [(56, header.get("target", self.ours)), (34, number)]
        if header.get("again"):
            values.append((43, "Y"))
        if header.get("resent"):
            values.append((97, "Y"))
        values.append((52, sent))
        if header.get("original"):
            values.append((122, header["original"]))
        values += list((fields or {}).items())
        body = "".join(f"{tag}={value}\x01" for tag, value in values if value is not None)
        return build(header.get("begin", self.begin).encode(), body.encode("latin-1"))

    def send(self, kind: str, fields: dict[int, Any] | None = None, **header: Any) -> None:
        self.socket.sendall(self.message(kind, fields, **header))

    def receive(self) -> Said:
        """The next message; EOFError if the other side closes."""
        while True:
            what, begin, end = find(self._data, 0)
            assert begin == 0, self._data
            if what == MESSAGE:
                message = split(self._data[:end])
                assert message.fault is None, self._data[:end]
                self._data = self._data[end:]
                return {tag: value.decode("latin-1") for tag, value in message.fields.items()}
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError
            self._data += more

    def next(self, kind: str) -> Said:
        """The next message, which has this type."""
        said = self.receive()
        assert said[35] == kind, said
        return said

    def ends(self) -> bool:
        """True if the other side closes without another message."""
        try:
            said = self.receive()
        except (EOFError, ConnectionError):
            return True
        raise AssertionError(said)

    def log_on(self, number: int | None = None, heartbeat: int = 30, **fields: Any) -> Said:
        """Sends a Logon, and returns its answer; ``fields`` as ``_789=1``."""
        self.send_logon(number, heartbeat, **fields)
        return self.next("A")

    def send_logon(self, number: int | None = None, heartbeat: int = 30, **fields: Any) -> None:
        more = {int(name[1:]): value for name, value in fields.items()}
        if self.begin == "FIXT.1.1":
            more = {1137: 9, **more}
        if number is not None:
            self.number = number + 1
        self.send("A", {98: 0, 108: heartbeat, 554: "secret", **more}, number=number)

    def order(
        self, id: str, side: int = 1, quantity: int = 10, price: str = "1.00", **f: Any
    ) -> None:
        self.send("D", self.order_fields(id, side, quantity, price, **f))

    @staticmethod
    def order_fields(
        id: str, side: int = 1, quantity: int = 10, price: str = "1.00", **fields: Any
    ) -> dict[int, Any]:
        more = {int(name[1:]): value for name, value in fields.items()}
        return {11: id, 55: "ANA", 54: side, 38: quantity, 40: 2, 44: price, 59: 1,
                60: time_text(Serving._now(), 3).decode(), **more}  # fmt: skip

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
