"""Where the engine's end of a line is."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ...errors import InvalidArgument

PORT_MAX = 65_535
BACKLOG = 128
UNIX = "unix:"


class Address(NamedTuple):
    """A host and a port, or with port -1 the path of a Unix socket."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Address:
        """``unix:PATH``, ``HOST:PORT``, ``[V6]:PORT`` or a ``PORT`` of this machine."""
        if text.startswith(UNIX) and len(text) > len(UNIX):
            return cls(text[len(UNIX) :], -1)
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        if not (port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
            raise InvalidArgument(f"{text!r}: must be unix:PATH, HOST:PORT or PORT")
        return cls(host or "127.0.0.1", int(port))

    def __str__(self) -> str:
        if self.port < 0:
            return UNIX + self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def connect(
        self, made: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        """Opens a connection; OSError."""
        loop = asyncio.get_running_loop()
        if self.port < 0:
            await loop.create_unix_connection(made, self.host)
        else:
            await loop.create_connection(made, self.host, self.port, ssl=tls)

    async def serve(
        self, made: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> asyncio.Server:
        """Listens.  A Unix socket is for this user alone, and takes the place of a dead one."""
        loop = asyncio.get_running_loop()
        if self.port >= 0:
            return await loop.create_server(made, self.host, self.port, ssl=tls, backlog=BACKLOG)
        await self._make_way()
        before = os.umask(0o177)
        try:
            return await loop.create_unix_server(made, self.host, backlog=BACKLOG)
        finally:
            os.umask(before)

    async def _make_way(self) -> None:
        """Removes the socket of a process that is gone; OSError if one listens there."""
        try:
            is_socket = stat.S_ISSOCK(os.stat(self.host).st_mode)
        except FileNotFoundError:
            return
        if not is_socket:
            raise InvalidArgument(f"{self}: a file that is no socket is there")
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_unix_connection(self.host)
            writer.close()
            raise InvalidArgument(f"{self}: another process listens there")
        os.unlink(self.host)

    def remove(self) -> None:
        """Removes the file of a Unix socket."""
        if self.port < 0:
            with suppress(OSError):
                os.unlink(self.host)
