"""The server's end of administration: a Unix socket in the directory of the exchange.

Who may open the directory's log may use it: it is for the user of the engine, and for root.
A request is a line of JSON, ``{"act": name, "with": {…}}``; the answer is one, ``{"done": {…}}`` or
``{"error": text, "kind": class}``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...engine.engine import Engine
from ...errors import InvalidArgument, LogFailed, MatchcoreError
from ...serving.logs import event
from .acts import perform
from .asking import socket_path

LOG = logging.getLogger("matchcore.gateways.administration")
REQUEST_BYTES_MAX = 1 << 16
REQUEST_SECONDS = 5.0  # for one request to come
CONNECTIONS_MAX = 16
_CREDENTIALS = struct.Struct("iII")  # of SO_PEERCRED: process, user, group


class Administration:
    """Of the engine that ``engine`` returns now; it raises `LogError` while there is none."""

    def __init__(self, directory: Path, engine: Callable[[], Engine]) -> None:
        self._directory, self._engine = directory, engine
        self._one_by_one = asyncio.Lock()
        self._connections = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens; `LogFailed` if the system refuses."""
        try:
            with socket_path(self._directory) as path:
                with suppress(FileNotFoundError):
                    if stat.S_ISSOCK(os.lstat(path).st_mode):
                        os.unlink(path)  # of a process before: this one has the log
                before = os.umask(0o177)
                try:
                    self._server = await asyncio.start_unix_server(
                        self._serve, path, limit=REQUEST_BYTES_MAX
                    )
                finally:
                    os.umask(before)
        except OSError as error:
            raise LogFailed(f"{self._directory}: no socket for administration: {error}") from error

    async def close(self) -> None:
        """Listens no more."""
        if self._server is not None:
            self._server.close()
            with suppress(FileNotFoundError), socket_path(self._directory) as path:
                os.unlink(path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                writer.write(json.dumps(await self._answer(reader, writer)).encode() + b"\n")
                await asyncio.wait_for(writer.drain(), REQUEST_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            event(LOG, "administration_cut_off", why=str(error))
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, Any]:
        user = _user_of(writer)
        if user not in (0, os.geteuid()):
            event(LOG, "administration_refused", user=user)
            return _failed(InvalidArgument("only the user of the engine may do this"))
        try:
            line = await asyncio.wait_for(reader.readline(), REQUEST_SECONDS)
            asked = json.loads(line)
            name, arguments = asked["act"], dict(asked["with"])
        except (ValueError, KeyError, TypeError, RecursionError, asyncio.TimeoutError):
            return _failed(InvalidArgument("not a request for an act"))
        async with self._one_by_one:
            try:
                done = await asyncio.to_thread(self._perform, name, arguments)
            except MatchcoreError as error:
                return _failed(error)
            except (TypeError, ValueError, KeyError, AttributeError):
                LOG.exception("administration_fault")
                return _failed(InvalidArgument(f"{name!r}: not with these arguments"))
        event(LOG, "administered", act=name, user=user)
        return {"done": done}

    def _perform(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return perform(self._engine(), name, arguments)


def _failed(error: MatchcoreError) -> dict[str, Any]:
    return {"error": str(error), "kind": type(error).__name__}


def _user_of(writer: asyncio.StreamWriter) -> int:
    """Who has connected, as the system says."""
    line = writer.get_extra_info("socket")
    said = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(said)[1])
