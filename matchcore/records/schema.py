"""The one declaration of matchcore's records, codes and what each code means to the rules.

Everything else that has to know a layout or a number takes it from here: NumPy dtypes, `struct`
formats and event rows at import; the C structs, the constants of the compiled modules and the
code tables of the documentation by `python matchcore/records/generate.py`, which writes them into
their files (a test compares them).  Only the standard library is imported, so that the generator
runs before anything is compiled.

A new code is one line in its enumeration, and a member of the sets below it that it belongs to.
A new field is one line in its record.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from .event_codes import (
    BOOK_EVENTS as BOOK_EVENTS,
    CANCEL_REASONS as CANCEL_REASONS,
    EXPIRY_REASONS as EXPIRY_REASONS,
    INSTRUMENT_EVENTS as INSTRUMENT_EVENTS,
    LIVE_EVENTS as LIVE_EVENTS,
    MARKET_EVENTS as MARKET_EVENTS,
    MOVING_EVENTS as MOVING_EVENTS,
    OPENING_EVENTS as OPENING_EVENTS,
    ORDER_EVENTS as ORDER_EVENTS,
    EventKind as EventKind,
    Field as Field,
    Reason as Reason,
)
from .follower_codes import (
    BOOK_CHANGES as BOOK_CHANGES,
    MARKET_CHANGES as MARKET_CHANGES,
    OPEN_STATUSES as OPEN_STATUSES,
    ChangeFlag as ChangeFlag,
    ChangeKind as ChangeKind,
    OrderStatus as OrderStatus,
    Phase as Phase,
    ReportFlag as ReportFlag,
    ReportKind as ReportKind,
    Status as Status,
    Topic as Topic,
)
from .market_codes import (
    CALL_PHASES as CALL_PHASES,
    MATCHING_PHASES as MATCHING_PHASES,
    NEXT_PHASES as NEXT_PHASES,
    TIMED_PHASES as TIMED_PHASES,
    UNCROSS_PHASES as UNCROSS_PHASES,
    AuctionRule as AuctionRule,
    CageMode as CageMode,
    ClosingRule as ClosingRule,
    Parameter as Parameter,
    Place as Place,
)
from .layouts import Record

#: The newest version of the rules that this matchcore knows; 1 is the first.  New behaviour is a
#: new version, and every version before it stays as it was (docs/compatibility.md).
RULES_LATEST = 3

# ---------------------------------------------------------------------- codes of commands


class Kind(IntEnum):
    """What a command does."""

    NEW = 1
    CANCEL = 2
    AMEND = 3
    REDUCE = 4
    MASS_CANCEL = 5
    END_DAY = 6
    ADD_INSTRUMENT = 7
    CHANGE_INSTRUMENT = 8
    REGISTER = 9
    NOTICE = 10
    SET_LIMITS = 11
    SET_MARKET = 12
    SET_PHASE = 13
    CLOCK = 14
    QUOTE = 15
    SET_PROTECTION = 16
    BUST = 17
    UPGRADE_RULES = 31


#: Kinds that concern one order of one instrument.
ORDER_KINDS = frozenset({Kind.NEW, Kind.CANCEL, Kind.AMEND, Kind.REDUCE})
#: Kinds that may be sent again under their client order id (docs/idempotence.md), under the
#: versions of the rules that know them: a refusal of an unknown kind is not remembered.
REPEATABLE_KINDS = ORDER_KINDS | {Kind.MASS_CANCEL, Kind.QUOTE}
#: Kinds whose client order id later requests may name their order by.
NAMING_KINDS = frozenset({Kind.NEW, Kind.AMEND, Kind.REDUCE})
#: Kinds that concern every order that matches, of one instrument or of all.
SWEEP_KINDS = frozenset({Kind.MASS_CANCEL, Kind.END_DAY})
#: Kinds in the layout `INSTRUMENT`.
INSTRUMENT_KINDS = frozenset({Kind.ADD_INSTRUMENT, Kind.CHANGE_INSTRUMENT})
#: Kinds in the layout `TEXT`.
TEXT_KINDS = frozenset({Kind.REGISTER, Kind.NOTICE})
#: Kinds that the compiled machine leaves to Python.
ASIDE_KINDS = INSTRUMENT_KINDS | TEXT_KINDS | {Kind.SET_MARKET}
#: Kinds that there are since version 2 of the rules; unknown under version 1.
KINDS_OF_2 = TEXT_KINDS | {Kind.SET_LIMITS}
#: Kinds that there are since version 3 of the rules: those of markets.
KINDS_OF_3 = frozenset(
    {Kind.SET_MARKET, Kind.SET_PHASE, Kind.CLOCK, Kind.QUOTE, Kind.SET_PROTECTION, Kind.BUST}
)
#: Kinds in a layout of their own, whose refusals name the instrument only.
OWN_LAYOUT_KINDS = ASIDE_KINDS | {Kind.SET_LIMITS, Kind.SET_PHASE, Kind.SET_PROTECTION}
#: Kinds that only the engine writes, in a frame of their own that is marked as such; sent like any
#: other command they are unknown.
ENGINE_KINDS = frozenset({Kind.UPGRADE_RULES})


class Side(IntEnum):
    """The side of an order."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """What an order trades at, and what becomes of its rest (docs/markets/orders.md).

    A plain instrument takes LIMIT and MARKET; those of a market take what their market allows.
    """

    LIMIT = 1
    MARKET = 2
    MARKET_TO_LIMIT = 3
    STOP = 4
    STOP_LIMIT = 5
    TRAILING_STOP = 6
    PEG_PRIMARY = 7
    PEG_MARKET = 8
    PEG_MIDPOINT = 9
    BEST_FIVE = 10
    BEST_FIVE_LIMIT = 11
    OWN_BEST = 12
    COUNTERPARTY_BEST = 13


#: Types that an instrument without a market takes.
PLAIN_TYPES = frozenset({OrderType.LIMIT, OrderType.MARKET})
#: Types whose remainder may rest in the book.
RESTING_TYPES = frozenset({OrderType.LIMIT})
#: Types whose price must be 0, unless it is a bound (`Flag.PROTECTED`).
UNPRICED_TYPES = frozenset(OrderType) - {OrderType.LIMIT, OrderType.STOP_LIMIT}
#: Types that wait for the last trade to reach a price.
STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
#: Types whose price follows the best prices.
PEG_TYPES = frozenset({OrderType.PEG_PRIMARY, OrderType.PEG_MARKET, OrderType.PEG_MIDPOINT})


class TimeInForce(IntEnum):
    """How long an order may rest: GTC until cancelled, DAY until END_DAY, IOC and FOK never.

    In a market also GTD until its expiry; AT_OPEN, AT_CLOSE and AUCTION until the end of the
    opening, the closing or the next call.
    """

    GTC = 1
    DAY = 2
    IOC = 3
    FOK = 4
    GTD = 5
    AT_OPEN = 6
    AT_CLOSE = 7
    AUCTION = 8


#: Times in force that an instrument without a market takes.
PLAIN_TIFS = frozenset({TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK})
#: Times in force with which an order may rest in the book of an instrument without a market.
RESTING_TIFS = frozenset({TimeInForce.GTC, TimeInForce.DAY})
#: Times in force that end with the call that an order was in.
AUCTION_TIFS = frozenset({TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE, TimeInForce.AUCTION})
#: Times in force with which an order of a market may rest between calls.
LASTING_TIFS = RESTING_TIFS | {TimeInForce.GTD}
#: Times in force that END_DAY ends.
DAY_TIFS = frozenset({TimeInForce.DAY})
#: Times in force that END_DAY ends in a market, beside a GTD that has expired.
MARKET_DAY_TIFS = DAY_TIFS | AUCTION_TIFS


class Flag(IntFlag):
    """Bits of ``flags``: POST_ONLY for NEW; KEEP_PRICE and KEEP_QUANTITY for AMEND.

    In a market also, for NEW: PROTECTED (``price`` is a bound), HIDDEN, SLIDE (post-only at a price
    that does not trade), MINIMUM (``stop_price`` is the least quantity that must trade at once),
    PERCENT (the distance of a trailing stop is in hundredths of a percent), LINKED
    (``display_quantity`` is the id of the order that this one cancels and is cancelled by).  For
    AMEND: TOTAL (``quantity`` counts what is filled), NEW_STOP, NEW_DISPLAY.  For MASS_CANCEL:
    RANGE (from ``price`` to ``stop_price``), OF_SESSION.  QUOTED marks orders that QUOTE made.
    """

    POST_ONLY = 1
    KEEP_PRICE = 2
    KEEP_QUANTITY = 4
    PROTECTED = 8
    HIDDEN = 16
    SLIDE = 32
    MINIMUM = 64
    PERCENT = 128
    LINKED = 256
    TOTAL = 512
    NEW_STOP = 1024
    NEW_DISPLAY = 2048
    RANGE = 4096
    OF_SESSION = 8192
    QUOTED = 16384


#: Flags that a NEW of a market may have.
NEW_FLAGS = (
    Flag.POST_ONLY | Flag.PROTECTED | Flag.HIDDEN | Flag.SLIDE | Flag.MINIMUM | Flag.PERCENT
    | Flag.LINKED
)  # fmt: skip
#: Flags that an AMEND of a market may have.
AMEND_FLAGS = (
    Flag.KEEP_PRICE | Flag.KEEP_QUANTITY | Flag.TOTAL | Flag.NEW_STOP | Flag.NEW_DISPLAY
)  # fmt: skip


class SelfTrade(IntEnum):
    """What happens when an order meets one of the same owner; the incoming order decides."""

    ALLOWED = 0
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    CANCEL_BOTH = 3
    DECREMENT = 4


class PhaseFlag(IntFlag):
    """Bits of ``flags`` of SET_PHASE: CANCEL_ORDERS, every order of the instrument goes."""

    CANCEL_ORDERS = 1


class LimitFlag(IntFlag):
    """Bits of ``flags`` of SET_LIMITS: BLOCKED refuses NEW and AMEND; CANCEL, what rests goes."""

    BLOCKED = 1
    CANCEL = 2


# ---------------------------------------------------------------------- records

COMMAND_RECORD = Record(
    "COMMAND",
    "mc_command",
    96,
    "time:i64 order_id:u64 client_order_id:u64 account:u64 price:i64 stop_price:i64 quantity:i64"
    " display_quantity:i64 expiry:i64 instrument:u32 kind:u8 side:u8 order_type:u8"
    " time_in_force:u8 self_trade:u8 reserved:u8 flags:u16 session:u32"
    " client_order_tail:u64",
)
#: Fields of a command that no rule uses yet -> the field that a refusal of them names.
LATER_FIELDS = {
    "stop_price": Field.STOP_PRICE,
    "display_quantity": Field.DISPLAY_QUANTITY,
    "expiry": Field.EXPIRY,
    "self_trade": Field.SELF_TRADE,
    "reserved": Field.RESERVED,
}
#: Fields that no rule reads since version 2, and that version 1 refuses like those above.
FOLLOWER_FIELDS = {"session": Field.RESERVED, "client_order_tail": Field.RESERVED}
INSTRUMENT_RECORD = Record(
    "INSTRUMENT",
    "",
    96,
    "time:i64 symbol:text24 tick_mantissa:i64 lot:i64 max_quantity:i64 max_orders:i64 -8"
    " instrument:u32 kind:u8 tick_exponent:i8 -18",
)
TEXT_RECORD = Record(
    "TEXT",
    "",
    96,
    "time:i64 key:u64 data:data56 instrument:u32 kind:u8 topic:u8 part:u8 parts:u8 -4 session:u32"
    " -8",
)
LIMITS_RECORD = Record(
    "LIMITS",
    "mc_limits",
    96,
    "time:i64 max_quantity:i64 max_value:i64 account:u64 max_open_orders:i64 collar:i64"
    " max_messages:i64 window_ns:i64 reserved_long:u64 instrument:u32 kind:u8 reserved:u8"
    " reserved_short:u16 reserved_next:u16 flags:u16 session:u32 reserved_last:u64",
)
#: A command SET_MARKET: up to eight values of one parameter (`records/markets.py` names them).
PARAMETER_RECORD = Record(
    "PARAMETER",
    "mc_parameter",
    96,
    "time:i64 value1:i64 value2:i64 value3:i64 value4:i64 value5:i64 value6:i64 value7:i64"
    " value8:i64 instrument:u32 kind:u8 parameter:u8 index:u8 reserved:u8 reserved_long:u32"
    " session:u32 reserved_last:u64",
)
PHASE_RECORD = Record(
    "PHASE",
    "mc_phase",
    96,
    "time:i64 until:i64 reserved1:i64 reserved2:i64 reserved3:i64 reserved4:i64 reserved5:i64"
    " reserved6:i64 reserved7:i64 instrument:u32 kind:u8 phase:u8 reserved_short:u16"
    " reserved_next:u16 flags:u16 session:u32 group:u32 reserved_last:u32",
)
PROTECTION_RECORD = Record(
    "PROTECTION",
    "mc_protection",
    96,
    "time:i64 max_quantity:i64 max_fills:i64 account:u64 group:u64 reserved1:i64 reserved2:i64"
    " window_ns:i64 reserved3:i64 instrument:u32 kind:u8 reserved:u8 reserved_short:u16"
    " reserved_long:u32 session:u32 reserved_last:u64",
)
EVENT_RECORD = Record(
    "EVENT",
    "mc_event",
    96,
    "sequence:u64 order_id:u64 client_order_id:u64 account:u64 price:i64 quantity:i64 left:i64"
    " taker_order_id:u64 taker_account:u64 taker_left:i64 trade_id:u64 instrument:u32 kind:u8"
    " side:u8 reason:u8 field:u8",
)
ORDER_RECORD = Record(
    "ORDER",
    "mc_order",
    48,
    "order_id:u64 client_order_id:u64 account:u64 price:i64 quantity:i64 side:u8 time_in_force:u8"
    " flags:u16 reserved:u32",
)
LEVEL_RECORD = Record("LEVEL", "mc_level", 24, "price:i64 quantity:i64 orders:i64")
CHANGE_RECORD = Record(
    "CHANGE",
    "mc_change",
    88,
    "sequence:u64 time:i64 order_id:u64 taker_order_id:u64 trade_id:u64 price:i64 quantity:i64"
    " left:i64 level_quantity:i64 level_orders:u32 instrument:u32 kind:u8 side:u8 flags:u16"
    " reserved:u32",
)
REPORT_RECORD = Record(
    "REPORT",
    "mc_report",
    168,
    "number:u64 sequence:u64 time:i64 order_id:u64 client_order_id:u64 client_order_tail:u64"
    " original_id:u64 original_tail:u64 account:u64 price:i64 quantity:i64 filled:i64 left:i64"
    " last_price:i64 last_quantity:i64 trade_id:u64 turnover:u64 turnover_high:i64 instrument:u32"
    " session:u32 part:u32 day:u32 kind:u8 status:u8 side:u8 order_type:u8 time_in_force:u8"
    " reason:u8 field:u8 flags:u8",
)
#: A change of the kind NOTICE: the same bytes as `CHANGE`, with a part of a text in them.
NOTICE_RECORD = Record(
    "NOTICE",
    "",
    88,
    "sequence:u64 time:i64 data:data56 key_low:u32 instrument:u32 kind:u8 part:u8 parts:u16 -4",
)
#: A change of one of `MARKET_CHANGES`: the same bytes as `CHANGE`.
MARKET_RECORD = Record(
    "MARKET",
    "",
    88,
    "sequence:u64 time:i64 -24 price:i64 quantity:i64 imbalance:i64 -8 phase:u8 -3"
    " instrument:u32 kind:u8 side:u8 halted:u16 -4",
)
#: An entry of the register, as a state has it.
ENTRY_RECORD = Record("ENTRY", "", 72, "key:u64 data:data56 topic:u8 part:u8 -6")
#: The limits of an account, as a state has them; the last two count messages.
ACCOUNT_LIMITS_RECORD = Record(
    "ACCOUNT_LIMITS",
    "mc_account_limits",
    80,
    "account:u64 max_quantity:i64 max_value:i64 max_open_orders:i64 collar:i64 max_messages:i64"
    " window_ns:i64 instrument:u32 flags:u32 window_start:i64 messages:i64",
)
#: The last trade of an instrument under version 2, as a state has it.
LAST_RECORD = Record("LAST", "mc_last", 16, "price:i64 traded:u64")
#: A parameter of a market as a state has it.
MARKET_VALUE_RECORD = Record(
    "MARKET_VALUE",
    "",
    72,
    "value1:i64 value2:i64 value3:i64 value4:i64 value5:i64 value6:i64 value7:i64 value8:i64"
    " instrument:u32 parameter:u8 index:u8 reserved:u16",
)
#: What changes in a market beside its orders, as a state has it.  ``known``: bits, which of open
#: (1), auction (2), closing (4) and indicative price (8) are known.  ``halts``: steps of `HALTS`
#: that have happened today: 1 and 2 upwards, 4 and 8 downwards.
MARKET_STATE_RECORD = Record(
    "MARKET_STATE",
    "mc_market_state",
    104,
    "until:i64 entries:u64 open_price:i64 auction_price:i64 closing_price:i64 close_turnover:u64"
    " close_turnover_high:i64 close_volume:i64 indicative_price:i64 indicative_quantity:i64"
    " indicative_imbalance:i64 indicative_time:i64 instrument:u32 phase:u8 known:u8 halts:u8"
    " reserved:u8",
)
#: What an order of a market has beside an `ORDER`, in the same order as these.  ``entry``: place in
#: time; ``shown``: the part of the open quantity that the public book shows; ``limit``: the price
#: given, of an order whose price is made; ``link``: id of the other order of a pair.
MARKET_ORDER_RECORD = Record(
    "MARKET_ORDER",
    "mc_market_order",
    80,
    "entry:u64 filled:i64 shown:i64 display:i64 stop_price:i64 limit:i64 expiry:i64 link:u64"
    " session:u32 instrument:u32 flags:u16 order_type:u8 self_trade:u8 place:u8 reserved:u8"
    " reserved_short:u16",
)
#: The group of an account, or its protection in an instrument, as a state has it.
PROTECTION_STATE_RECORD = Record(
    "PROTECTION_STATE",
    "mc_protection_state",
    72,
    "account:u64 group:u64 max_quantity:i64 max_fills:i64 window_ns:i64 window_start:i64"
    " quantity:i64 fills:i64 instrument:u32 reserved:u32",
)
#: What the average of the last minute has counted of one millisecond, as a state has it.
#: ``turnover``: price times quantity, 128 bits; ``time_ms``: in whole milliseconds.
MARKET_TRADES_RECORD = Record(
    "MARKET_TRADES",
    "mc_market_trades",
    40,
    "time_ms:i64 volume:i64 turnover:u64 turnover_high:i64 instrument:u32 reserved:u32",
)
ANSWER_RECORD = Record("ANSWER", "", 32, "account:u64 client_order_id:u64 sequence:u64 events:u64")
RECORDS = (
    COMMAND_RECORD, INSTRUMENT_RECORD, TEXT_RECORD, LIMITS_RECORD, EVENT_RECORD, CHANGE_RECORD,
    NOTICE_RECORD, MARKET_RECORD, REPORT_RECORD, ORDER_RECORD, LEVEL_RECORD, ANSWER_RECORD,
    ENTRY_RECORD, ACCOUNT_LIMITS_RECORD, LAST_RECORD, PARAMETER_RECORD, PHASE_RECORD,
    PROTECTION_RECORD, MARKET_VALUE_RECORD, MARKET_STATE_RECORD, MARKET_ORDER_RECORD,
    PROTECTION_STATE_RECORD, MARKET_TRADES_RECORD,
)  # fmt: skip

#: The enumerations of the records, with the prefix of their names in the compiled modules.
CODES: dict[type[IntEnum] | type[IntFlag], str] = {
    Kind: "",
    Side: "",
    OrderType: "",
    TimeInForce: "",
    Flag: "",
    EventKind: "",
    Reason: "R_",
    Field: "F_",
    ChangeKind: "C_",
    ChangeFlag: "C_",
    Phase: "PHASE_",
    ReportKind: "REPORT_",
    OrderStatus: "STATUS_",
    ReportFlag: "REPORT_",
    Topic: "T_",
    LimitFlag: "L_",
    SelfTrade: "SELF_",
    PhaseFlag: "P_",
    Parameter: "M_",
    AuctionRule: "A_",
    CageMode: "CAGE_",
    ClosingRule: "CLOSE_",
    Place: "PLACE_",
}
#: Sets of codes as the compiled modules have them: bit masks, by name.
SETS = {
    "ORDER_KINDS": ORDER_KINDS,
    "REPEATABLE_KINDS": REPEATABLE_KINDS,
    "NAMING_KINDS": NAMING_KINDS,
    "SWEEP_KINDS": SWEEP_KINDS,
    "INSTRUMENT_KINDS": INSTRUMENT_KINDS,
    "ASIDE_KINDS": ASIDE_KINDS,
    "KINDS_OF_2": KINDS_OF_2,
    "KINDS_OF_3": KINDS_OF_3,
    "PLAIN_TYPES": PLAIN_TYPES,
    "STOP_TYPES": STOP_TYPES,
    "PEG_TYPES": PEG_TYPES,
    "PLAIN_TIFS": PLAIN_TIFS,
    "LASTING_TIFS": LASTING_TIFS,
    "AUCTION_TIFS": AUCTION_TIFS,
    "MARKET_DAY_TIFS": MARKET_DAY_TIFS,
    "CALL_PHASES": CALL_PHASES,
    "MATCHING_PHASES": MATCHING_PHASES,
    "UNCROSS_PHASES": UNCROSS_PHASES,
    "TIMED_PHASES": TIMED_PHASES,
    "RESTING_TYPES": RESTING_TYPES,
    "UNPRICED_TYPES": UNPRICED_TYPES,
    "RESTING_TIFS": RESTING_TIFS,
    "DAY_TIFS": DAY_TIFS,
    "ORDER_EVENTS": ORDER_EVENTS,
    "OPEN_STATUSES": OPEN_STATUSES,
    "LIVE_EVENTS": LIVE_EVENTS,
}
