"""Execution reports: what a session is told of its orders, as 168-byte records."""

from __future__ import annotations

import numpy as np

from .schema import REPORT_RECORD, OrderStatus, ReportFlag, ReportKind

__all__ = ["REPORT", "OrderStatus", "ReportFlag", "ReportKind", "report_bytes"]

#: One report.  ``number`` counts the reports of ``session`` in the trading day ``day`` from 1.
#: ``sequence`` and ``time`` (nanoseconds) are of the command, ``part`` is the place of the event
#: among those of the command: with the flag MAKER they name a report of an exchange.
#: ``client_order_id`` and its ``tail``: of the request that is answered, or what the order is
#: called; ``original_id`` and its tail: what it was called before.  ``price``: the order's limit,
#: in ticks.  ``quantity``: ``filled`` and ``left``, or what a cancelled order had; in
#: MASS_CANCELLED ``last_quantity`` is the number of orders.  ``turnover`` with ``turnover_high``,
#: 128 bits: ticks times units of all its fills.  REPEATED has number 0, and in ``trade_id`` the
#: sequence of the first command.
REPORT = np.dtype(REPORT_RECORD.dtype_spec())

_ROW = REPORT_RECORD.packer()


def report_bytes(values: dict[str, int]) -> bytes:
    """One `REPORT` as its bytes; fields that are not given are zero."""
    return _ROW.pack(*(values.get(name, 0) for name in REPORT_RECORD.names))
