"""Programs that follow a feed over two lines or more, and miss nothing."""

from .arbiter import Arbiter, HistoryChanged, HistoryRefused, LineHealth

__all__ = ["Arbiter", "HistoryChanged", "HistoryRefused", "LineHealth"]
