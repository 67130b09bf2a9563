"""Databases that follow a log.  A sink keeps its position in the same transaction as its rows."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import SinkError
from ..follower import Sink
from .sqlite import SqliteSink

#: URL scheme -> what opens such a sink for an exchange (its 16-byte identity).
SCHEMES: dict[str, Callable[[str, bytes], Sink]] = {"sqlite": SqliteSink.from_url}


def open_sink(url: str, identity: bytes) -> Sink:
    """The sink of a URL, e.g. ``sqlite:///exchange.db``; `SinkError` says what is wrong."""
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise SinkError(f"{url!r}: a URL with one of these schemes: {known}")
    return SCHEMES[scheme](url, identity)


__all__ = ["SCHEMES", "Sink", "SqliteSink", "open_sink"]
