#!/usr/bin/env bash
# PyPI's uvloop 0.23.0: what it gives to `connection_made` is no instance of `asyncio.Transport`, nor
# of any class of asyncio, though it has all of its methods.  A protocol that asserts the class, so
# that type checkers know the methods, works with asyncio's own loop and fails with uvloop's.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
"$place/venv/bin/python" - <<'PYTHON'
import asyncio
from importlib.metadata import version

import uvloop


class Seen(asyncio.Protocol):
    def connection_made(self, transport):
        self.is_one = isinstance(transport, asyncio.BaseTransport)
        names = ("write", "abort", "pause_reading", "get_extra_info")
        self.has_methods = all(hasattr(transport, name) for name in names)
        transport.close()


async def connected():
    loop, seen = asyncio.get_running_loop(), Seen()
    server = await loop.create_server(lambda: seen, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    await asyncio.sleep(0.1)
    writer.close()
    server.close()
    return seen.is_one, seen.has_methods


plain, quick = asyncio.run(connected()), uvloop.run(connected())
print("uvloop", version("uvloop"), "(class, methods): asyncio", plain, "uvloop", quick)
assert plain == (True, True) and quick == (False, True)
PYTHON
echo "as described"
