"""Market data: what everybody may know of an exchange, from its log to everyone at once.

`Stream` derives the numbered changes and `Books` keeps the books by them; everything else in this
room publishes them, or follows what is published.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .books import Books
from .stream import Changes, Mark, Stream

if TYPE_CHECKING:
    from .client import AsyncClient, Client, HistoryChanged, HistoryRefused, LineHealth, Snapshot

#: Imported on first use: they need asyncio, which takes its time.
_OF_CLIENT = frozenset(
    {"AsyncClient", "Client", "HistoryChanged", "HistoryRefused", "LineHealth", "Snapshot"}
)


def __getattr__(name: str) -> Any:
    if name not in _OF_CLIENT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".client", __name__), name)


__all__ = [
    "AsyncClient",
    "Books",
    "Changes",
    "Client",
    "HistoryChanged",
    "HistoryRefused",
    "LineHealth",
    "Mark",
    "Snapshot",
    "Stream",
]
