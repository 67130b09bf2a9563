"""The rules in plain Python: the oracle of the compiled machine, one file a subject."""

from __future__ import annotations

from .machine import Machine
from .order_book import OrderBook

__all__ = ["Machine", "OrderBook"]
