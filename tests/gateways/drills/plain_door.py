"""A gateway process with the plainest door there is: records in, records out.

A client says (session, number of its last report); it gets the reports behind that, and then sends
`COMMAND` records.  Run as: plain_door.py SOCKET ENGINE...
"""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import cast

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND
from matchcore.cli.serve import serve_doors, stopping
from matchcore.gateways.desk import Desk
from matchcore.gateways.lines import Lines
from matchcore.gateways.lines.address import Address
from matchcore.gateways.logins import FixedUsers, GatewayError, Login

HELLO = struct.Struct("<QQ")
SESSIONS = 8
READ_ROWS = 1000


class Session(asyncio.Protocol):
    """A client that is connected."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._data = desk, b""
        self.login: Login | None = None
        self._has = 0  # number of the last report that the client has

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self.login is None and len(self._data) >= HELLO.size:
            self._hello(*HELLO.unpack_from(self._data))
            self._data = self._data[HELLO.size :]
        whole = len(self._data) // COMMAND.itemsize * COMMAND.itemsize
        if self.login is None or not whole:
            return
        commands = np.frombuffer(self._data[:whole], COMMAND).copy()
        self._data = self._data[whole:]
        try:
            self._desk.send(self, commands)
        except GatewayError:
            self._transport.abort()  # the client sends again

    def _hello(self, session: int, last: int) -> None:
        self.login = Login(session, f"user{session}")
        self._has = last  # another gateway may have been quicker than this one is
        try:
            self._desk.attach(self)
        except GatewayError:
            self._transport.abort()
            return
        reports = self._desk.reports
        while last < reports.last(session):
            rows = reports.read(session, last + 1, READ_ROWS)
            self.take(rows)
            last += len(rows)

    def connection_lost(self, error: Exception | None) -> None:
        if self.login is not None:
            self._desk.detach(self)

    def take(self, reports: NDArray[np.void]) -> None:
        numbers = reports["number"]
        reports = reports[(numbers == 0) | (numbers > self._has)]
        self._transport.write(reports.tobytes())

    def day_ended(self) -> None:
        pass

    def drop(self, why: str) -> None:
        self._transport.abort()


class PlainDoor:
    """Listens at a Unix socket."""

    def __init__(self, path: str) -> None:
        self._address = Address(path, -1)

    async def start(self, desk: Desk) -> None:
        self._server = await self._address.serve(lambda: Session(desk), None)

    def beat(self) -> None:
        pass

    async def drain(self) -> None:
        self._server.close()

    async def close(self) -> None:
        self._address.remove()


async def main(path: str, engines: list[str]) -> None:
    way = Lines([Address.of(engine) for engine in engines])
    desk = Desk(way, FixedUsers({}))
    await serve_doors(desk, [PlainDoor(path)], stopping(), "plain door")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
