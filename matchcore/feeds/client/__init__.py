"""Programs that follow a feed over two lines or more, and miss nothing."""

from .arbiter import Arbiter, Ask, HistoryChanged, HistoryRefused, LineHealth
from .blocking import Client
from .following import AsyncClient
from .view import Item, Snapshot

__all__ = [
    "Arbiter",
    "Ask",
    "AsyncClient",
    "Client",
    "HistoryChanged",
    "HistoryRefused",
    "Item",
    "LineHealth",
    "Snapshot",
]
