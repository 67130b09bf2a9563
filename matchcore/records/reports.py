"""Reports: what a session is told of its orders and requests, as 168-byte records."""

from __future__ import annotations

import numpy as np

from .schema import REPORT_RECORD, OrderStatus, ReportFlag, ReportKind

__all__ = ["REPORT", "OrderStatus", "ReportFlag", "ReportKind", "report_bytes"]

#: One report.  ``number`` counts from 1 in (``session``, ``day``), without gaps.  ``sequence`` and
#: ``time`` (nanoseconds) are of the command that caused it; ``part``: which of the events of that
#: command, from 0.  ``client_order_id`` and ``client_order_tail``: of the request that it answers;
#: of a fill, and of a cancel that nobody asked for, the order's present one.  ``original_id`` and
#: ``original_tail``: the order's id before a cancel or an amend, or of the order that a refused one
#: names.  ``price``: the order's limit in ticks.  ``quantity``: in units, what is filled and what
#: is ``left``; of a cancelled order also what was taken off it. ``last_price``, ``last_quantity``,
#: ``trade_id``: of a TRADE or BUSTED; ``last_quantity`` of DECREMENTED: what was taken off, of
#: MASS_CANCELLED: the number of orders, of QUOTE_SET: that of former orders, ``left``: of new ones.
#: ``turnover`` and, its upper 64 bits, ``turnover_high``: the sum of price times quantity of the
#: order's fills, signed 128-bit. REPEATED: the request was done before, as sequence ``trade_id``;
#: it has no number (0).
REPORT = np.dtype(REPORT_RECORD.dtype_spec())

_ROW = REPORT_RECORD.packer()


def report_bytes(values: dict[str, int]) -> bytes:
    """One `REPORT` as its bytes; fields that are not given are zero."""
    return _ROW.pack(*(values.get(name, 0) for name in REPORT_RECORD.names))
