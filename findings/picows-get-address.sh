#!/usr/bin/env bash
# PyPI's picows 2.3.1: what answers a plain GET is not told who asks.
# The factory of listeners gets a request with method, path, version and headers, and returns the
# answer; a transport, which knows the address, comes only to a listener of a WebSocket.  So a
# server cannot limit plain GETs by address: only in all, or in a proxy in front.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check picows==2.3.1
"$place/venv/bin/python" - <<'PYTHON'
import asyncio
from importlib.metadata import version

from picows import WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

print("picows", version("picows"))
seen = []


def factory(request):
    seen.append(request)
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"here", {}), None)


async def main():
    server = await ws_create_server(factory, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    answer = await reader.read()
    writer.close()
    server.close()
    return answer


answer = asyncio.run(main())
fields = sorted(name for name in dir(seen[0]) if not name.startswith("_"))
print("answer:", answer.split(b"\r\n")[0].decode(), "request:", fields)
assert answer.endswith(b"here") and fields == ["headers", "method", "path", "version"]
PYTHON
echo "as described"
