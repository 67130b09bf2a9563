"""The rows that databases hold, made from commands and events with NumPy alone."""

from __future__ import annotations

from .rows import Rows
from .tables import TABLES

__all__ = ["TABLES", "Rows"]
