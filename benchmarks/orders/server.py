"""`python -m benchmarks.orders.server WAY SESSIONS`: an exchange with the policy sync, on a port.

Prints the port as JSON; ends when its input does.  WAY is `ouch`, or `json`: one line of JSON for
each order and answer, with asyncio's streams around an `AsyncEngine`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import uvloop

from matchcore import AsyncEngine, Engine, Instrument, NewOrder, Side
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import FixedUsers, Login
from matchcore.gateways.ouch.door import OuchDoor
from matchcore.gateways.ways import Direct

from .flow import HOST, SYMBOL, TICK


async def ouch(engine: Engine, sessions: int) -> None:
    known = {
        (f"user{n}", "secret"): Login(n, f"user{n}", account=n) for n in range(1, sessions + 1)
    }
    door, stop = OuchDoor(HOST, 0), asyncio.Event()
    running = asyncio.ensure_future(Desk(Direct(engine), FixedUsers(known)).run([door], stop))
    while door.closed:
        await asyncio.sleep(0.01)
    print(json.dumps({"port": door.address[1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await running


async def lines(engine: Engine, sessions: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                asked = json.loads(line)
                order = NewOrder(
                    SYMBOL, Side[asked["side"]], asked["quantity"], asked["price"],
                    account=asked["account"], client_order_id=asked["id"],
                )  # fmt: skip
                answer = await shared.submit(order)
                said = {"id": asked["id"], "status": str(answer.status), "left": answer.left}
                writer.write(json.dumps(said).encode() + b"\n")
        writer.close()

    async with AsyncEngine(engine) as shared:
        server = await asyncio.start_server(talk, HOST, 0)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.close()


def main() -> None:
    way, sessions = {"ouch": ouch, "json": lines}[sys.argv[1]], int(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        instruments = [Instrument(SYMBOL, TICK)]
        with Engine.open(Path(place) / "e", policy="sync", instruments=instruments) as engine:
            uvloop.run(way(engine, sessions))


if __name__ == "__main__":
    main()
