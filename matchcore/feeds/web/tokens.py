"""Tokens with rights by channel and symbol.  The file holds their hashes, never the tokens.

{"tokens": [{"name": "desk", "sha256": "...", "channels": ["book.l2"], "symbols": ["*"],
             "expires": "2027-01-01T00:00:00Z"}]}
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import FeedError
from ...records.times import parse
from ...serving.secrets import new_token, token_hash

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rights:
    """What the bearer of a token may see.  None: everything.  ``expires``: nanoseconds, or None."""

    name: str = ""
    channels: frozenset[str] | None = None
    symbols: frozenset[str] | None = None
    expires: int | None = None

    def allow(self, channel: str, symbol: str | None) -> bool:
        """``symbol``: None for a channel that is of no symbol."""
        return (self.channels is None or channel in self.channels) and (
            self.symbols is None or symbol is None or symbol in self.symbols
        )

    @property
    def expired(self) -> bool:
        return self.expires is not None and time.time_ns() >= self.expires


EVERYTHING = Rights()


class Tokens:
    """The tokens of a file, which is read again when it has changed.

    `FeedError` for a file that holds none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._rights: dict[str, Rights] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Whether the file had changed.  One that cannot be read gives nobody a right."""
        stamp = self._now()
        if stamp == self._stamp:
            return False
        self._stamp, self._rights = stamp, {}
        self._rights = read(self._path)
        return True

    def _now(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def rights(self, digest: str) -> Rights | None:
        """Of the token with this `digest_of`; None if it is unknown or has expired."""
        rights = self._rights.get(digest)
        return None if rights is None or rights.expired else rights


def digest_of(token: str) -> str:
    """As the file has it."""
    return token_hash(token).hex()


def read(path: Path) -> dict[str, Rights]:
    """Digests and their rights.  `FeedError` names the entry at fault."""
    try:
        said = json.loads(path.read_text())
        entries = said["tokens"]
        return {_digest(entry): _rights(entry) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FeedError(f"{path}: not a file of tokens ({type(error).__name__}: {error})") from None


def _digest(entry: dict[str, Any]) -> str:
    digest = entry["sha256"]
    if not isinstance(digest, str) or len(bytes.fromhex(digest)) != 32:
        raise ValueError(f"token {entry.get('name')!r}: sha256: 64 hexadecimal digits")
    return digest.lower()


def _rights(entry: dict[str, Any]) -> Rights:
    expires = entry.get("expires")
    return Rights(
        str(entry["name"]),
        _set(entry["channels"]),
        _set(entry["symbols"]),
        None if expires is None else parse(expires),
    )


def _set(names: list[str]) -> frozenset[str] | None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("channels and symbols: lists of texts")
    return None if ALL in names else frozenset(names)


def add_token(
    path: Path, name: str, channels: Sequence[str], symbols: Sequence[str], expires: str | None
) -> str:
    """Makes a token and adds it to the file ``path``, which is made if it is missing.

    Returns the token: it is written down nowhere.  Empty ``channels`` and ``symbols``: all.
    """
    entries: list[dict[str, Any]] = []
    if path.exists():
        read(path)
        entries = json.loads(path.read_text())["tokens"]
    token = new_token()
    entry = {"name": name, "sha256": digest_of(token), "channels": [*channels] or [ALL],
             "symbols": [*symbols] or [ALL], "expires": expires}  # fmt: skip
    _rights(entry)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"tokens": [*entries, entry]}, file, indent=2)
    fresh.replace(path)
    return token
