"""Where a server listens or a client connects."""

from __future__ import annotations

from typing import NamedTuple

from ...errors import FeedError

PORT_MAX = 65_535


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str, host: str = "127.0.0.1") -> Address:
        """``HOST:PORT``, ``[V6]:PORT``, or a ``PORT`` of ``host``; `FeedError` for others."""
        named, _, port = text.rpartition(":")
        if named.startswith("[") and named.endswith("]"):
            named = named[1:-1]
        if not (port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
            raise FeedError(f"{text!r}: must be HOST:PORT or PORT")
        return cls(named or host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
