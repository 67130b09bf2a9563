"""An act on the exchange in a directory, by whoever has it open."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ... import errors
from ...errors import LogError, LogFailed, MatchcoreError

SOCKET_NAME = "administration"
ANSWER_BYTES_MAX = 1 << 26
ANSWER_SECONDS = 60.0


@contextmanager
def socket_path(directory: Path) -> Iterator[str]:
    """The socket of a directory by a short name: one of a socket has 107 bytes at most."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET_NAME}"
    finally:
        os.close(folder)


def asked(directory: Path, name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """What a server answers; None if there is none."""
    with socket.socket(socket.AF_UNIX) as line, socket_path(directory) as path:
        line.settimeout(ANSWER_SECONDS)
        try:
            line.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        try:
            line.sendall(json.dumps({"act": name, "with": arguments}).encode() + b"\n")
            with line.makefile("rb") as file:
                answer = file.readline(ANSWER_BYTES_MAX)
        except OSError as error:
            raise LogFailed(f"{directory}: the server was asked, and did not answer: {error}; look"
                            " whether it was done before you try again") from None  # fmt: skip
    if not answer.endswith(b"\n"):
        raise LogFailed(f"{directory}: the server ended before it answered; look whether it was"
                        " done before you try again")  # fmt: skip
    said = json.loads(answer)
    if "error" in said:
        raise _error(said["kind"], said["error"])
    found: dict[str, Any] = said["done"]
    return found


def _error(kind: str, what: str) -> MatchcoreError:
    """The error that the server has had."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, MatchcoreError):
        error = found.__new__(found)
        error.args = (what,)
        return error
    return LogError(what)
