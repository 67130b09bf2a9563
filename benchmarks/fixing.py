"""A FIX client that sends as fast as it is answered, and an acceptor of QuickFIX that answers."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from matchcore.gateways.fix.plain import build, time_text

SECRET = "secret"
ORDERS_AT_ONCE = 100  # of one session that have no answer yet
REPORT = b"\x0135=8\x01"
PRICES = [b"95.70", b"95.75", b"95.80", b"95.85"]


class Client(asyncio.Protocol):
    """Logs on and sends ``count`` limit orders that rest, ``ORDERS_AT_ONCE`` at a time.

    ``done``: set when each order has its execution report.
    """

    transport: asyncio.Transport

    def __init__(self, user: str, count: int) -> None:
        self._user, self._count = user.encode(), count
        self._told = self._sent = 0
        self._rest = b""
        self._messages: list[bytes] = []
        self._number = 1
        self.on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send(b"A", b"98=0\x01108=30\x01554=%b\x01" % SECRET.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in (self.on, self.done):
            if not waiting.done():
                waiting.set_exception(ConnectionError("the other side closed"))

    def _message(self, kind: bytes, body: bytes) -> bytes:
        head = b"35=%b\x0149=%b\x0156=MATCHCORE\x0134=%d\x0152=%b\x01" % (
            kind, self._user, self._number, time_text(time.time_ns(), 3),
        )  # fmt: skip
        self._number += 1
        return build(b"FIX.4.4", head + body)

    def _send(self, kind: bytes, body: bytes) -> None:
        self.transport.write(self._message(kind, body))

    def prepare(self) -> None:
        """Writes all orders, so that they cost nothing while it is measured."""
        stamp = time_text(time.time_ns(), 3)
        for number in range(self._count):
            buys = number % 2
            price = PRICES[number % 4] if buys else b"9" + PRICES[number % 4]
            body = (
                b"11=%d\x0121=1\x0155=ANA\x0154=%d\x0138=100\x0140=2\x0144=%b\x0159=1\x0160=%b\x01"
            )
            body %= number + 1, 1 if buys else 2, price, stamp
            self._messages.append(self._message(b"D", body))

    def begin(self) -> None:
        """Sends the first orders."""
        self._orders(ORDERS_AT_ONCE)

    def _orders(self, count: int) -> None:
        self.transport.write(b"".join(self._messages[self._sent : self._sent + count]))
        self._sent += count

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = data.rfind(b"\x0110=")
        if whole < 0:
            self._rest = data
            return
        self._rest = data[whole:]
        if not self.on.done():
            self.on.set_result(None)
        told = data.count(REPORT, 0, whole)
        self._told += told
        if self._told >= self._count and not self.done.done():
            self.done.set_result(None)
        elif told:
            self._orders(told)


async def rate(port: int, users: list[str], count: int) -> float:
    """Orders a second that ``users`` together get answered, ``count`` each."""
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda user=user: Client(user, count), "127.0.0.1", port))[1]
        for user in users
    ]
    await asyncio.gather(*(client.on for client in clients))
    for client in clients:
        client.prepare()
    started = time.perf_counter()
    for client in clients:
        client.begin()
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - started
    for client in clients:
        client.transport.close()
    return len(users) * count / seconds


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def started(module: str, *arguments: str) -> subprocess.Popen[str]:
    """A server in a process of its own, once it has said that it listens."""
    line = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if "ready" not in process.stdout.readline():
        raise RuntimeError(f"{module} did not start")
    return process


# ---------------------------------------------------------------------- QuickFIX

CONFIG = """[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
FileStorePath={place}
SocketNodelay=Y
ResetOnLogon=Y
"""
SESSION = "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=MATCHCORE\nTargetCompID={user}\n"


def accept(port: int, users: list[str]) -> None:
    """Answers every order with an execution report, until its input ends.  It keeps no book."""
    import quickfix as fix

    class Answering(fix.Application):  # type: ignore[misc]  # the module has no types
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def onCreate(self, session: Any) -> None: ...
        def onLogon(self, session: Any) -> None: ...
        def onLogout(self, session: Any) -> None: ...
        def toAdmin(self, message: Any, session: Any) -> None: ...
        def toApp(self, message: Any, session: Any) -> None: ...
        def fromAdmin(self, message: Any, session: Any) -> None: ...

        def fromApp(self, message: Any, session: Any) -> None:
            self.count += 1
            answer = fix.Message()
            answer.getHeader().setField(35, "8")
            for tag in (11, 55, 54, 38, 44, 40, 59, 60):
                answer.setField(tag, message.getField(tag))
            for tag, value in ((37, str(self.count)), (17, str(self.count)), (150, "0"), (39, "0"),
                               (151, message.getField(38)), (14, "0"), (6, "0")):  # fmt: skip
                answer.setField(tag, value)
            fix.Session.sendToTarget(answer, session)

    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "acceptor.cfg"
        sessions = "".join(SESSION.format(user=user) for user in users)
        config.write_text(CONFIG.format(port=port, place=place) + sessions)
        settings = fix.SessionSettings(str(config))
        answering = Answering()
        acceptor = fix.SocketAcceptor(answering, fix.FileStoreFactory(settings), settings)
        acceptor.start()
        print("ready", flush=True)
        sys.stdin.read()
        acceptor.stop(True)


# ---------------------------------------------------------------------- matchcore


async def _serve(port: int, users: list[str], place: Path, policy: str) -> None:
    import matchcore as mc
    from matchcore.gateways.desk import Desk
    from matchcore.gateways.fix import FixDoor
    from matchcore.gateways.logins import FixedUsers, Login
    from matchcore.gateways.ways import Direct

    known = {
        (user, SECRET): Login(number, user, account=number) for number, user in enumerate(users, 1)
    }
    instruments = [mc.Instrument("ANA", tick="0.05")]
    with mc.Engine.open(place / "exchange.d", instruments=instruments, policy=policy) as engine:
        desk, stop = Desk(Direct(engine), FixedUsers(known)), asyncio.Event()
        door = FixDoor("127.0.0.1", port, place / "fix")
        running = asyncio.ensure_future(desk.run([door], stop))
        while not door.listening and not running.done():
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
        await running


def serve(port: int, users: list[str], policy: str) -> None:
    """A door over an engine whose log is in a temporary folder, until its input ends."""
    try:
        from uvloop import run
    except ImportError:
        run = asyncio.run
    with tempfile.TemporaryDirectory() as place:
        run(_serve(port, users, Path(place), policy))


if __name__ == "__main__":
    what, port, users, *policy = sys.argv[1:]
    if what == "quickfix":
        accept(int(port), users.split(","))
    else:
        serve(int(port), users.split(","), *policy)
