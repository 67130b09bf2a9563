"""`REPORT` rows as messages, in plain Python: what `_reports.Reports` is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...records.ids import text_of
from ...records.schema import OrderStatus, OrderType, ReportFlag, ReportKind
from .layout import (
    CANCEL_REJECT_REASON,
    DONE,
    FIX_EXEC_TYPE,
    FIX_ORDER_TYPE,
    FIX_RESTATED,
    FIX_STATUS,
    FIX_TIME_IN_FORCE,
    ORDER_REJECT_REASON,
    OTHER,
    QUOTE_REJECT_REASON,
    TIMES_IN_FORCE_44,
    TOO_LATE,
    TRIGGERED_44,
    TRIGGERED_WHY_44,
    reason_text,
)
from .plain import average, build, price_text, time_text

CANCEL_REFUSALS = (ReportKind.CANCEL_REJECTED, ReportKind.REPLACE_REJECTED)
TRADES = (ReportKind.TRADE, ReportKind.BUSTED)
QUOTE_REPORTS = (ReportKind.QUOTE_SET, ReportKind.QUOTE_REJECTED)
MASS_REPORTS = (ReportKind.MASS_CANCELLED, ReportKind.MASS_CANCEL_REJECTED)
Fields = list[tuple[int, bytes]]
NO_SYMBOL = b"[N/A]"


class Plain:
    """As `_reports.Reports`."""

    def __init__(
        self,
        begin: bytes,
        sender: bytes,
        target: bytes,
        time_digits: int,
        modern: bool,
        instruments: list[tuple[bytes, int, int]],
    ) -> None:
        self._begin, self._sender, self._target = begin, sender, target
        self._digits, self._modern, self.instruments = time_digits, modern, instruments

    def write(
        self,
        reports: NDArray[np.void],
        first: int,
        now: int,
        *,
        again: bool = False,
        perhaps: bool = False,
        status: bool = False,
        extra: bytes = b"",
    ) -> bytes:
        """As `_reports.Reports.write`."""
        out = b""
        for place, row in enumerate(reports):
            report = {name: row[name].item() for name in row.dtype.names}
            kind, body = self._body(report, status)
            head: Fields = [(35, kind), (49, self._sender), (56, self._target)]
            head.append((34, b"%d" % (first + place)))
            head += [(43, b"Y")] * again + [(97, b"Y")] * perhaps
            head.append((52, self._time(now)))
            if again:
                head.append((122, self._time(report["time"] if report["time"] <= now else now)))
            text = b"\x01".join(b"%d=%b" % pair for pair in head + body)
            out += build(self._begin, text + extra + b"\x01")
        return out

    def _time(self, time: int) -> bytes:
        return time_text(time, self._digits)

    def _body(self, report: dict[str, Any], status: bool) -> tuple[bytes, Fields]:
        if not status and report["kind"] in CANCEL_REFUSALS:
            return b"9", self._cancel_reject(report) + self._ending(report, status)
        if not status and report["kind"] in MASS_REPORTS:
            return b"r", self._mass_report(report) + self._ending(report, status)
        if not status and report["kind"] in QUOTE_REPORTS:
            return b"AI", self._quote_status(report) + self._ending(report, status)
        return b"8", self._execution(report, status) + self._ending(report, status)

    def _execution(self, report: dict[str, Any], status: bool) -> Fields:
        kind, number = report["kind"], report["instrument"]
        known = 1 <= number <= len(self.instruments)
        symbol, mantissa, decimals = self.instruments[number - 1] if known else (NO_SYMBOL, 1, 0)
        code = FIX_EXEC_TYPE.get(kind, b"I")
        if kind == ReportKind.CANCELLED and report["status"] == OrderStatus.EXPIRED:
            code = b"C"
        why = FIX_RESTATED.get(kind, b"")
        if kind == ReportKind.TRIGGERED and not self._modern:
            code, why = TRIGGERED_44, TRIGGERED_WHY_44
        code = b"I" if status else code
        fields: Fields = [(37, b"%d" % report["order_id"]), *_ids(report)]
        fields += [(17, b"0" if status else _exec_id(report)), (150, code)]
        fields.append((39, FIX_STATUS.get(report["status"], b"8")))
        if code == b"8":
            fields.append((103, ORDER_REJECT_REASON.get(report["reason"], OTHER)))
        fields += [(1, b"%d" % report["account"]), (55, symbol)]
        fields += _side(report)
        fields.append((38, b"%d" % report["quantity"]))
        fields += _coded(40, FIX_ORDER_TYPE, report["order_type"])
        if report["order_type"] == OrderType.LIMIT or report["price"]:
            fields.append((44, price_text(report["price"], mantissa, decimals)))
        if self._modern or report["time_in_force"] < TIMES_IN_FORCE_44:
            fields += _coded(59, FIX_TIME_IN_FORCE, report["time_in_force"])
        if report["flags"] & ReportFlag.POST_ONLY:
            fields.append((18, b"6"))
        if why and not status:
            fields.append((378, why))
        if kind in TRADES and not status:
            fields += self._trade(report, mantissa, decimals)
        fields += [(151, b"%d" % report["left"]), (14, b"%d" % report["filled"])]
        turnover = (report["turnover_high"] << 64) + report["turnover"]
        fields.append((6, average(turnover, max(report["filled"], 0), mantissa, decimals)))
        return fields

    def _trade(self, report: dict[str, Any], mantissa: int, decimals: int) -> Fields:
        made = bool(report["flags"] & ReportFlag.MAKER)
        price = price_text(report["last_price"], mantissa, decimals)
        trade = b"%d" % report["trade_id"]
        fields = [(32, b"%d" % report["last_quantity"]), (31, price)]
        crossed = report["flags"] & ReportFlag.AUCTION
        liquidity = b"4" if crossed else b"1" if made else b"2"
        fields += [(851, liquidity)] * (self._modern or not crossed) + [(527, trade)]
        return fields + [(1057, b"N" if made or crossed else b"Y"), (880, trade)] * self._modern

    def _cancel_reject(self, report: dict[str, Any]) -> Fields:
        order = b"%d" % report["order_id"] if report["order_id"] else b"NONE"
        answered = b"1" if report["kind"] == ReportKind.CANCEL_REJECTED else b"2"
        fields: Fields = [(37, order), *_ids(report)]
        if not (report["original_id"] or report["original_tail"]):
            fields.append((41, b"NONE"))
        fields.append((39, FIX_STATUS.get(report["status"], b"8")))
        fields += [(1, b"%d" % report["account"]), (434, answered)]
        why = CANCEL_REJECT_REASON.get(report["reason"], OTHER)
        return [*fields, (102, TOO_LATE if report["status"] in DONE else why)]

    def _mass_report(self, report: dict[str, Any]) -> Fields:
        refused = report["kind"] == ReportKind.MASS_CANCEL_REJECTED
        number = report["instrument"]
        what = b"1" if number else b"7"
        asked = text_of(report["client_order_id"], report["client_order_tail"]).encode()
        fields: Fields = [(11, asked), (37, _exec_id(report))]
        fields += [(1369, _exec_id(report))] * self._modern
        fields += [(530, what), (531, b"0" if refused else what)]
        fields.append((532, OTHER) if refused else (533, b"%d" % report["last_quantity"]))
        if 1 <= number <= len(self.instruments):
            fields.append((55, self.instruments[number - 1][0]))
        return fields + _side(report)

    def _quote_status(self, report: dict[str, Any]) -> Fields:
        refused = report["kind"] == ReportKind.QUOTE_REJECTED
        number = report["instrument"]
        known = 1 <= number <= len(self.instruments)
        asked = text_of(report["client_order_id"], report["client_order_tail"]).encode()
        fields: Fields = [(117, asked or b"NONE")]
        fields.append((55, self.instruments[number - 1][0] if known else NO_SYMBOL))
        fields.append((1, b"%d" % report["account"]))
        fields.append((297, b"5" if refused else b"0" if report["left"] else b"1"))
        why = QUOTE_REJECT_REASON.get(report["reason"], OTHER)
        return fields + [(300, why)] * (refused and self._modern)

    def _ending(self, report: dict[str, Any], status: bool) -> Fields:
        if status:
            return []
        fields = [(60, self._time(max(report["time"], 0)))]
        if report["reason"]:
            fields.append((58, reason_text(report["reason"], report["field"])))
        return fields


def _ids(report: dict[str, Any]) -> Fields:
    pairs = ((11, "client_order_id", "client_order_tail"), (41, "original_id", "original_tail"))
    return [
        (tag, text_of(report[name], report[tail]).encode())
        for tag, name, tail in pairs
        if report[name] or report[tail]
    ]


def _exec_id(report: dict[str, Any]) -> bytes:
    made = report["kind"] in TRADES and report["flags"] & ReportFlag.MAKER
    return b"%d-%d%b" % (report["sequence"], report["part"], b"M" if made else b"")


def _side(report: dict[str, Any]) -> Fields:
    return [(54, b"%d" % report["side"])] if 1 <= report["side"] <= 2 else []


def _coded(tag: int, codes: bytes, code: int) -> Fields:
    return [(tag, codes[code : code + 1])] if 0 < code < len(codes) else []
