"""What became of each order: reports numbered by session, as a function of the log."""

from __future__ import annotations

from ..records.reports import REPORT, OrderStatus, ReportFlag, ReportKind
from .stored import InUse, Reports

__all__ = ["REPORT", "InUse", "OrderStatus", "ReportFlag", "ReportKind", "Reports"]
