"""Reports and orders as JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from ...records.ids import text_of
from ...records.instruments import EXACT, Directory, Instrument, price_text
from ...records.reports import OrderStatus, ReportFlag, ReportKind
from ...records.schema import Field, OrderType, Reason, Side, TimeInForce
from ..logins import Action, Login

SAFE_MAX = 2**53  # what every reader of JSON takes as an exact number
AVERAGE_DECIMALS = 4  # behind those of the tick


def whole(value: int) -> int | str:
    """An integer; as a string where a reader might round it."""
    return value if -SAFE_MAX <= value <= SAFE_MAX else str(value)


def _names(codes: Any) -> dict[int, str]:
    return {int(code): code.name.lower() for code in codes}


KINDS, STATUSES = _names(ReportKind), _names(OrderStatus)
SIDES, TYPES, TIMES = _names(Side), _names(OrderType), _names(TimeInForce)
REASONS, FIELDS = _names(Reason), _names(Field)
#: Kinds of reports about a request that was refused.
REFUSALS = frozenset({int(ReportKind.REJECTED), int(ReportKind.CANCEL_REJECTED),
                      int(ReportKind.REPLACE_REJECTED), int(ReportKind.QUOTE_REJECTED),
                      int(ReportKind.MASS_CANCEL_REJECTED)})  # fmt: skip

#: Kinds of reports about a trade.
TRADES = frozenset({int(ReportKind.TRADE), int(ReportKind.BUSTED)})
Row = dict[str, int]


def row_of(report: np.void) -> Row:
    """A `REPORT` as a mapping."""
    return dict(zip(report.dtype.names or (), report.tolist(), strict=True))


def _instrument(row: Row, instruments: Directory) -> Instrument | None:
    """With the tick that it had then; None: the request names none that there is."""
    number = row["instrument"]
    known = instruments.then.with_ticks_of(row["sequence"] or 2**64)
    return known[number - 1] if 0 < number <= len(known) else None


def order_said(row: Row, instruments: Directory) -> dict[str, Any]:
    """What an order is after a report."""
    instrument = _instrument(row, instruments)
    said = {
        "client_order_id": text_of(row["client_order_id"], row["client_order_tail"]),
        "order_id": str(row["order_id"]),
        "account": whole(row["account"]),
        "symbol": instrument.symbol if instrument else None,
        "side": SIDES.get(row["side"]),
        "order_type": TYPES.get(row["order_type"]),
        "time_in_force": TIMES.get(row["time_in_force"]),
        "post_only": bool(row["flags"] & ReportFlag.POST_ONLY),
        "price": None,
        "quantity": whole(row["quantity"]),
        "filled": whole(row["filled"]),
        "left": whole(row["left"]),
        "average_price": None,
        "status": STATUSES[row["status"]],
    }
    if instrument and (row["order_type"] == OrderType.LIMIT or row["price"]):
        said["price"] = price_text(instrument.price(row["price"]))
    if instrument and row["filled"]:
        turnover = row["turnover_high"] << 64 | row["turnover"]
        said["average_price"] = _average(turnover, row["filled"], instrument)
    return said


def _average(turnover: int, filled: int, instrument: Instrument) -> str:
    mantissa, exponent = instrument.tick_parts
    places = AVERAGE_DECIMALS - exponent
    scaled, rest = divmod(turnover * mantissa * 10**AVERAGE_DECIMALS, filled)
    scaled += 2 * rest >= filled  # half a step up
    return price_text(Decimal(scaled).scaleb(-places, EXACT))


def report_said(row: Row, instruments: Directory) -> dict[str, Any]:
    """A report, and the order after it."""
    kind, flags = row["kind"], row["flags"]
    said: dict[str, Any] = {
        "number": row["number"],
        "day": row["day"],
        "kind": KINDS[kind],
        "exec_id": f"{row['sequence']}-{row['part']}-{flags & ReportFlag.MAKER:d}",
        "time": str(row["time"]),
        **order_said(row, instruments),
    }
    if row["original_id"]:
        said["original_client_order_id"] = text_of(row["original_id"], row["original_tail"])
    if kind in TRADES:
        instrument = _instrument(row, instruments)
        price = price_text(instrument.price(row["last_price"])) if instrument else None
        said |= {
            "last_price": price,
            "last_quantity": whole(row["last_quantity"]),
            "trade_id": whole(row["trade_id"]),
            "maker": bool(flags & ReportFlag.MAKER),
        }
        if flags & ReportFlag.AUCTION:
            said["auction"] = True  # in which both orders rested
    if kind == ReportKind.DECREMENTED:
        said["last_quantity"] = whole(row["last_quantity"])  # what was taken off
    if kind in (ReportKind.MASS_CANCELLED, ReportKind.QUOTE_SET):
        said["cancelled"] = row["last_quantity"]
    if flags & ReportFlag.UNSOLICITED:
        said["unsolicited"] = True
    if flags & ReportFlag.COPY:
        said["copy"] = True  # of an order of another login
    if row["reason"]:
        said["reason"] = REASONS.get(row["reason"], str(row["reason"]))
    if row["field"]:
        said["field"] = FIELDS.get(row["field"], str(row["field"]))
    return said


def _words(actions: Action) -> list[str]:
    return [str(action.name).lower() for action in Action if action & actions]


def instrument_said(number: int, instrument: Instrument) -> dict[str, Any]:
    """An instrument."""
    return {
        "number": number,
        "symbol": instrument.symbol,
        "tick": price_text(instrument.tick),
        "lot": whole(instrument.lot),
        "max_quantity": whole(instrument.max_quantity),
    }


def login_said(login: Login) -> dict[str, Any]:
    """Who somebody is, and what he may do."""
    grants = [
        {
            "may": _words(grant.actions),
            "first_account": whole(grant.first),
            "last_account": whole(grant.last),
            "instrument": grant.instrument or None,
        }
        for grant in login.grants
    ]
    limits = login.limits
    return {
        "user": login.user,
        "session": login.session,
        "account": whole(login.account),
        "may": _words(login.may),
        "grants": grants,
        "cancel_on_disconnect": login.cancel_on_disconnect,
        "grace_ms": login.grace_ns // 1_000_000,
        "limits": {
            "messages_per_second": limits.messages_per_second,
            "burst": limits.burst,
            "under_way": limits.under_way,
            "connections": limits.connections,
        },
    }
