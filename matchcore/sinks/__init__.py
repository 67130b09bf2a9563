"""Databases that follow a log.  A sink keeps its position in the same transaction as its rows."""

from __future__ import annotations

from .interface import SinkAway, Store
from .opening import RowSink, open_sink, open_store
from .rows.rows import Rows
from .rows.tables import TABLES

__all__ = ["TABLES", "RowSink", "Rows", "SinkAway", "Store", "open_sink", "open_store"]
