"""Tags, codes and limits of the messages: data that the compiled and the plain readers share."""

from __future__ import annotations

import numpy as np

from ...records.schema import (
    CANCEL_REASONS,
    Field,
    OrderStatus,
    OrderType,
    Reason,
    ReportKind,
    TimeInForce,
)

COMP_ID_CHARACTERS_MAX = 32
QUANTITY_DIGITS_MAX = 18
TEXT_CHARACTERS_MAX = 200

#: Client order id of the order that a cancel or replace is about.
ORIGINAL = np.dtype([("id", "<u8"), ("tail", "<u8")])

#: Tag of a length -> tag of the data, which may contain the separator.
DATA_TAGS = {90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357,
             358: 359, 360: 361, 362: 363, 364: 365, 445: 446, 618: 619, 621: 622}  # fmt: skip

#: Tags that change what an order means, and that no order here can have.
UNSUPPORTED_TAGS = {
    152: "CashOrderQty", 168: "EffectiveTime", 210: "MaxShow", 388: "DiscretionInst",
    389: "DiscretionOffsetValue", 432: "ExpireDate", 555: "NoLegs", 1084: "DisplayMethod",
    1090: "MaxPriceLevels", 1100: "TriggerType",
}  # fmt: skip
#: Tags of orders that only instruments with a market take: StopPx, MinQty, MaxFloor, ExpireTime,
#: PegOffsetValue, PegOffsetType, PegPriceType, DisplayQty, SelfMatchPreventionInstruction.
MARKET_TAGS = frozenset({99, 110, 111, 126, 211, 836, 1094, 1138, 2964})

#: Tags that the reader of plain orders leaves to the general one.
REFUSED_TAGS = frozenset(
    {8, 9, 10, 43, 97, 122, 1128, *DATA_TAGS, *DATA_TAGS.values(), *UNSUPPORTED_TAGS, *MARKET_TAGS}
)

#: Tags of which a message has one at most.
SINGLE_TAGS = frozenset(
    {7, 16, 34, 35, 36, 43, 49, 52, 56, 97, 98, 108, 112, 122, 123, 141, 553, 554, 789, 1137,
     1, 11, 18, 21, 37, 38, 40, 41, 44, 54, 55, 59, 60, 530, 584, 585, 790, *UNSUPPORTED_TAGS,
     *MARKET_TAGS}
)  # fmt: skip

#: NoOrders, NoQuoteEntries and NoQuoteSets: groups that are read.
LIST_ORDERS, QUOTE_ENTRIES, QUOTE_SETS = 73, 295, 296
#: Messages with such groups: what their entries may have is single within each of them only.
GROUPED_TYPES = frozenset({b"E", b"Z", b"i"})
REPEATED_TAGS = frozenset(
    {1, 11, 18, 21, 38, 40, 44, 54, 55, 59, 60, *UNSUPPORTED_TAGS, *MARKET_TAGS}
)
#: Tags that change what a quote means, and that no quote here can have.
QUOTE_UNSUPPORTED = {
    38: "OrderQty", 54: "Side", 62: "ValidUntilTime", 110: "MinQty", 555: "NoLegs",
    645: "MktBidPx", 646: "MktOfferPx", 647: "MinBidSize", 648: "MinOfferSize",
}  # fmt: skip

#: Messages that are defined, but not for this door.
OTHER_TYPES = frozenset("6789BCEJKLMNPQRSTVWXYZabcdefghijklmnoprstuvwxyz") | {
    first + second for first in "ABC" for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
}

SIDES = {b"1": 1, b"2": 2}
#: P: what ExecInst or PegPriceType says then.
ORDER_TYPES = {
    b"1": OrderType.MARKET, b"2": OrderType.LIMIT, b"3": OrderType.STOP,
    b"4": OrderType.STOP_LIMIT, b"K": OrderType.MARKET_TO_LIMIT, b"P": OrderType.PEG_PRIMARY,
}  # fmt: skip
TIMES_IN_FORCE = {
    b"0": TimeInForce.DAY, b"1": TimeInForce.GTC, b"2": TimeInForce.AT_OPEN, b"3": TimeInForce.IOC,
    b"4": TimeInForce.FOK, b"6": TimeInForce.GTD, b"7": TimeInForce.AT_CLOSE,
    b"9": TimeInForce.AUCTION, b"B": TimeInForce.AUCTION,
}  # fmt: skip

# ---------------------------------------------------------------------- reports

#: By the code of matchcore: what FIX calls it.
#: The best-price types have no name of their own there: they are what comes next to it.
FIX_ORDER_TYPE = b"?21K343PPP1K21"
FIX_TIME_IN_FORCE = b"?1034627B"
#: FIX 4.4 has no good for auction (59=B), no auction (851=4) and no triggered (150=L): the first
#: two are left out, and a stop that is triggered is restated, for 378=8 (market option).
TIMES_IN_FORCE_44 = 8  # codes that FIX 4.4 has, 0 included
TRIGGERED_44, TRIGGERED_WHY_44 = b"D", b"8"
FIX_STATUS = {
    0: b"8", OrderStatus.NEW: b"0", OrderStatus.PARTLY_FILLED: b"1", OrderStatus.FILLED: b"2",
    OrderStatus.CANCELLED: b"4", OrderStatus.REJECTED: b"8", OrderStatus.EXPIRED: b"C",
}  # fmt: skip
FIX_EXEC_TYPE = {
    ReportKind.NEW: b"0", ReportKind.TRADE: b"F", ReportKind.CANCELLED: b"4",
    ReportKind.REPLACED: b"5", ReportKind.REJECTED: b"8", ReportKind.TRIGGERED: b"L",
    ReportKind.REPRICED: b"D", ReportKind.DECREMENTED: b"D", ReportKind.BUSTED: b"H",
}  # fmt: skip
#: ExecRestatementReason (378).
FIX_RESTATED = {ReportKind.REPRICED: b"3", ReportKind.DECREMENTED: b"5"}
OTHER = b"99"
#: Reason -> OrdRejReason (103); 99 for all others.
ORDER_REJECT_REASON = {
    Reason.UNKNOWN_INSTRUMENT: b"1", Reason.TOO_MANY_ORDERS: b"3", Reason.DUPLICATE_ORDER: b"6",
    Reason.BAD_ORDER_TYPE: b"11", Reason.BAD_TIME_IN_FORCE: b"11", Reason.BAD_FLAGS: b"11",
    Reason.UNSUPPORTED: b"11", Reason.QUANTITY_NOT_POSITIVE: b"13", Reason.QUANTITY_TOO_LARGE: b"3",
    Reason.OFF_LOT: b"13", Reason.NOT_OWNER: b"15",
}  # fmt: skip
#: Reason -> CxlRejReason (102); 99 for all others.
CANCEL_REJECT_REASON = {Reason.UNKNOWN_ORDER: b"1", Reason.DUPLICATE_ORDER: b"6"}
#: Reason -> QuoteRejectReason (300); 99 for all others.
QUOTE_REJECT_REASON = {
    Reason.UNKNOWN_INSTRUMENT: b"1", Reason.BAD_PHASE: b"2", Reason.LIMIT_EXCEEDED: b"3",
    Reason.DUPLICATE_ORDER: b"6", Reason.QUOTE_CROSSED: b"7", Reason.OFF_TICK: b"8",
    Reason.OUTSIDE_LIMITS: b"8", Reason.OUTSIDE_CAGE: b"8", Reason.ACCOUNT_BLOCKED: b"9",
}  # fmt: skip
#: CxlRejReason of a request that came after the end of its order.
TOO_LATE = b"0"
DONE = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED})


def reason_text(reason: int, field: int) -> bytes:
    """Text (58) of a reason: empty for none."""
    if not reason:
        return b""
    try:
        words = Reason(reason).name.lower().replace("_", " ")
    except ValueError:  # of a later version of the rules
        words = f"reason {reason}"
    if reason in CANCEL_REASONS or not field:
        return words.encode()
    try:
        return f"{words} ({Field(field).name.lower().replace('_', ' ')})".encode()
    except ValueError:
        return words.encode()
