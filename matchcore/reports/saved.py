"""The file from which reports go on after a restart.

One line of JSON, then the parts that it names, one behind the other.  It may be deleted at any
time: everything in it follows from the log.  A file that is not exactly what was written, or of
another exchange, is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ReportsError

NAME = "state"
UNUSED = "unused"  # directory of a state that did not fit
FORMAT = 1
HEAD_MAX = 1 << 24  # bytes of the line


class Saved(NamedTuple):
    """``head``: what the line says; ``parts``: by name."""

    head: dict[str, Any]
    parts: dict[str, bytes]


def write(directory: Path, head: dict[str, Any], parts: dict[str, bytes]) -> None:
    """Replaces the file, so that a crash leaves the former or the new one."""
    digest = hashlib.blake2b(digest_size=32)
    for data in parts.values():
        digest.update(data)
    sizes = [[name, len(data)] for name, data in parts.items()]
    head = {"format": FORMAT, **head, "parts": sizes, "blake2b": digest.hexdigest()}
    line = json.dumps(head).encode()
    line += b" " + hashlib.blake2b(line, digest_size=16).hexdigest().encode() + b"\n"
    unborn = directory / f"{NAME}.unborn"
    with open(unborn, "wb", opener=private) as file:
        file.write(line)
        for data in parts.values():
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unborn, directory / NAME)


def private(path: str, flags: int) -> int:
    """Opens a file that no other user reads."""
    return os.open(path, flags, 0o600)


def read(directory: Path) -> Saved | str:
    """The file of a directory; if it cannot be used, why."""
    try:
        with open(directory / NAME, "rb") as file:
            line = file.readline(HEAD_MAX)
            body = file.read()
    except FileNotFoundError:
        return "there is none"
    except OSError as error:
        return str(error)
    text, _, digest = line.rstrip(b"\n").rpartition(b" ")
    if hashlib.blake2b(text, digest_size=16).hexdigest().encode() != digest:
        return "its first line is damaged"
    head = json.loads(text)
    if head["format"] != FORMAT:
        return f"it has format {head['format']}, not {FORMAT}"
    if hashlib.blake2b(body, digest_size=32).hexdigest() != head["blake2b"]:
        return "it is damaged or cut off"
    parts, at = {}, 0
    for name, size in head["parts"]:
        parts[name] = body[at : at + size]
        at += size
    return Saved(head, parts)


def put_aside(directory: Path, names: list[str]) -> None:
    """Moves the file and others that it needs to `UNUSED`; without it, those are of no use."""
    if not (directory / NAME).exists():
        discard(directory, names)
        return
    unused = directory / UNUSED
    try:
        unused.mkdir(mode=0o700, exist_ok=True)
        discard(unused, [path.name for path in unused.iterdir()])
        for name in (NAME, *names):
            os.replace(directory / name, unused / name)
    except OSError as error:
        raise ReportsError(f"{directory}: {error}") from error


def discard(directory: Path, names: list[str]) -> None:
    """Removes files that are of no use any more; `ReportsError` if the system refuses."""
    try:
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(directory / name)
    except OSError as error:
        raise ReportsError(f"{directory}: {error}") from error
