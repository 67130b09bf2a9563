#!/usr/bin/env bash
# PyPI's uvloop 0.23.0: the transport that a protocol gets is of no class of asyncio's.
# isinstance(transport, asyncio.Transport) is false under uvloop and true under asyncio, although
# the transport has all its methods.  An assertion of it in connection_made ends the connection
# without a word to the client, and works in every test that runs in asyncio's own loop.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
"$place/venv/bin/python" - <<'PYTHON'
import asyncio
import inspect
from importlib.metadata import version

import uvloop

print("uvloop", version("uvloop"))


async def seen():
    found = asyncio.get_running_loop().create_future()

    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            public = [name for name, value in inspect.getmembers(asyncio.Transport)
                      if callable(value) and not name.startswith("_")]
            found.set_result((isinstance(transport, asyncio.Transport),
                              [name for name in public if not hasattr(transport, name)]))
            transport.close()

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    answer = await found
    writer.close()
    server.close()
    return answer


for name, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
    is_one, missing = run(seen())
    print(name, "isinstance of asyncio.Transport:", is_one, "methods missing:", missing)
    assert is_one == (name == "asyncio") and not missing
PYTHON
echo "as described"
