#!/usr/bin/env bash
# fixcore-engine 0.15.0, a FIX engine in plain Python: if an application's `from_app` raises an
# exception, the message counts as received, its sender is told nothing, and the session goes on.
# One would expect a reject or the end of the session, so that the sender knows: an order whose
# handler failed stays without an answer, and is not sent again after a reconnect.
# A handler has to catch everything itself, and answer.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check fixcore-engine==0.15.0
"$place/venv/bin/pip" list 2>/dev/null | grep fixcore
"$place/venv/bin/python" - <<'PYTHON'
import asyncio
import logging
import socket
from datetime import datetime, timezone

from fixcore.application import Application
from fixcore.session.session_settings import SessionSettings
from fixcore.store import MemoryStoreFactory
from fixcore.transport.acceptor import SocketAcceptor

logging.disable(logging.CRITICAL)
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
SETTINGS = f"""[DEFAULT]
ConnectionType=acceptor
HeartBtInt=30
[SESSION]
BeginString=FIX.4.4
SenderCompID=EXCHANGE
TargetCompID=CLIENT
SocketAcceptPort={port}
"""


class Failing(Application):
    seen = 0

    def from_app(self, message, session_id):
        self.seen += 1
        raise RuntimeError("the handler has failed")


def message(kind, number, fields):
    now = datetime.now(timezone.utc).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]
    head = [(35, kind), (49, "CLIENT"), (56, "EXCHANGE"), (34, number), (52, now)]
    body = "".join(f"{tag}={value}\x01" for tag, value in head + fields)
    text = f"8=FIX.4.4\x019={len(body)}\x01{body}".encode()
    return text + b"10=%03d\x01" % (sum(text) % 256)


async def heard(reader):
    data = await asyncio.wait_for(reader.readuntil(b"\x0110="), 10)
    await reader.readuntil(b"\x01")
    return dict(part.split("=", 1) for part in data.decode().split("\x01") if "=" in part)


async def main():
    failing = Failing()
    acceptor = SocketAcceptor(SessionSettings.from_string(SETTINGS), failing, MemoryStoreFactory())
    await acceptor.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message("A", 1, [(98, 0), (108, 30)]))
    assert (await heard(reader))["35"] == "A"
    order = [(11, "1"), (55, "ANA"), (54, 1), (38, 10), (40, 1), (60, "20300101-00:00:00")]
    writer.write(message("D", 2, order))
    writer.write(message("1", 3, [(112, "still here")]))
    answer = await heard(reader)
    print("orders that the handler saw:", failing.seen)
    print("first answer:", answer["35"], answer.get("112"))
    assert failing.seen == 1 and (answer["35"], answer.get("112")) == ("0", "still here")
    writer.close()
    await acceptor.stop()


asyncio.run(main())
PYTHON
echo "as described"
