"""What the log says that each session must be told, to compare it with what it was told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engine.recovery import apply
from ..gateways.ouch import names
from ..gateways.reports import Reports
from ..journal import LogReader, batches
from ..machine import machine_class
from ..records.ids import text_of
from ..records.schema import ReportFlag, ReportKind
from .ledger import HEARD, MAKER

READ_COUNT = 1 << 20
#: What FIX tells with an ExecID that names it in the log: not the refusals of cancels.
FIX_KINDS = (ReportKind.NEW, ReportKind.TRADE, ReportKind.CANCELLED, ReportKind.REJECTED,
             ReportKind.REPLACED)  # fmt: skip


class Told:
    """Follows a log, and derives all reports from it; ``commands``: how many it has had."""

    def __init__(self, path: Path, copy: str = "") -> None:
        self._reader = LogReader(path)
        self._machine = machine_class("cython")()
        self.reports = Reports()
        self._copy = copy
        if copy:
            self.reports.copy(copy, None)
        self.sequence = 0

    def follow(self) -> int:
        """Takes what the log has now; the sequence of its last command."""
        for batch in batches(self._reader.read(), 8192):
            self.reports.apply(batch.commands, apply(self._machine, batch))
            self.sequence += len(batch.commands)
        return self.sequence

    def of(self, session: int) -> NDArray[np.void]:
        """All reports of a session."""
        return self.reports.read(session, 1, READ_COUNT)

    def copied(self) -> NDArray[np.void]:
        """All reports of the drop copy."""
        return self.reports.read_copy(self._copy, 1, READ_COUNT)

    def digest(self) -> str:
        """Of the machine that has applied the log."""
        return str(self._machine.digest())

    def close(self) -> None:
        self._reader.close()
        self.reports.close()


def places_of(reports: NDArray[np.void], protocol: str, tag: str) -> NDArray[np.int64]:
    """The places of the orders that reports are about; -1: of no order of the session."""
    if protocol == "ouch":
        refs: NDArray[np.uint64] = reports["client_order_id"] & np.uint64(names.REF_MASK)
        return refs.astype(np.int64) - 1
    ids, tails = reports["client_order_id"].tolist(), reports["client_order_tail"].tolist()
    return np.array([_place(text_of(*one), tag) for one in zip(ids, tails, strict=True)], np.int64)


def _place(text: str, tag: str) -> int:
    rest = text[len(tag) :].removeprefix("x") if text.startswith(tag) else ""
    return int(rest) if rest.isdigit() else -1


def expected(
    reports: NDArray[np.void], protocol: str, places: NDArray[np.int64], units: int
) -> NDArray[np.void]:
    """The `HEARD` rows that a door of ``protocol`` makes of these reports, as far as it tells them.

    ``units``: of 1/10,000 in a tick.
    """
    rows = np.zeros(len(reports), HEARD)
    trades = reports["kind"] == ReportKind.TRADE
    rows["kind"], rows["place"] = reports["kind"], places
    rows["quantity"] = np.where(trades, reports["last_quantity"], 0)
    rows["price"] = np.where(trades, reports["last_price"] * units, 0)
    rows["trade"] = np.where(trades, reports["trade_id"], 0)
    if protocol != "ouch":
        rows["sequence"], rows["part"] = reports["sequence"], reports["part"]
        rows["flags"] = np.where(reports["flags"] & ReportFlag.MAKER, MAKER, 0)
    return _comparable(rows, protocol)


def count_of(reports: NDArray[np.void], protocol: str) -> int:
    """How many of these reports can be compared."""
    if not protocol.startswith("fix"):
        return len(reports)
    return int(np.count_nonzero(np.isin(reports["kind"], FIX_KINDS)))


def heard_rows(data: bytes, protocol: str) -> NDArray[np.void]:
    """Recorded rows, as far as they can be compared."""
    rows = np.frombuffer(data[: len(data) // HEARD.itemsize * HEARD.itemsize], HEARD).copy()
    trades = rows["kind"] == ReportKind.TRADE
    for name in ("quantity", "price", "trade"):
        rows[name][~trades] = 0
    return _comparable(rows, protocol)


def _comparable(rows: NDArray[np.void], protocol: str) -> NDArray[np.void]:
    if protocol.startswith("fix"):
        rows = rows[np.isin(rows["kind"], FIX_KINDS)]
    rows["number"] = 1 + np.arange(len(rows))
    rows["side"], rows["symbol"], rows["filled"] = 0, 0, 0
    return rows


def answered_once(reports: NDArray[np.void], count: int) -> str:
    """Whether each of ``count`` orders has one answer among these reports; why not."""
    answers = reports[np.isin(reports["kind"], (ReportKind.NEW, ReportKind.REJECTED))]
    ids = np.stack([answers["client_order_id"], answers["client_order_tail"]], axis=1)
    distinct = len(np.unique(ids, axis=0)) if len(ids) else 0
    if distinct != len(answers):
        return f"{len(answers) - distinct} orders were answered twice"
    return "" if distinct == count else f"{distinct} of {count} orders are answered"
