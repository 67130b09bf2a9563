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

from enum import Enum, IntEnum, IntFlag

if __package__:
    from .layouts import Record
    from .report_codes import OPEN_STATUSES as OPEN_STATUSES
    from .report_codes import OrderStatus as OrderStatus
    from .report_codes import ReportFlag as ReportFlag
    from .report_codes import ReportKind as ReportKind
else:  # for the generator, which is run as a file
    from layouts import Record  # type: ignore[import-not-found, no-redef]
    from report_codes import (  # type: ignore[import-not-found, no-redef]
        OPEN_STATUSES,
        OrderStatus,
        ReportFlag,
        ReportKind,
    )

#: The newest version of the rules that this matchcore knows; 1 is the first.  New behaviour is a
#: new version, and every version before it stays as it was (docs/compatibility.md).
RULES_LATEST = 2

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
    UPGRADE_RULES = 31


#: Kinds that concern one order of one instrument.
ORDER_KINDS = frozenset({Kind.NEW, Kind.CANCEL, Kind.AMEND, Kind.REDUCE})
#: Kinds that may be sent again under their client order id (docs/idempotence.md).
REPEATABLE_KINDS = ORDER_KINDS | {Kind.MASS_CANCEL}
#: Kinds whose client order id later requests may name their order by.
NAMING_KINDS = frozenset({Kind.NEW, Kind.AMEND, Kind.REDUCE})
#: Kinds that concern every order that matches, of one instrument or of all.
SWEEP_KINDS = frozenset({Kind.MASS_CANCEL, Kind.END_DAY})
#: Kinds in the layout `INSTRUMENT`.
INSTRUMENT_KINDS = frozenset({Kind.ADD_INSTRUMENT, Kind.CHANGE_INSTRUMENT})
#: Kinds in the layout `TEXT`.
TEXT_KINDS = frozenset({Kind.REGISTER, Kind.NOTICE})
#: Kinds that the compiled machine leaves to Python.
ASIDE_KINDS = INSTRUMENT_KINDS | TEXT_KINDS
#: Kinds that there are since version 2 of the rules; unknown under version 1.
KINDS_OF_2 = TEXT_KINDS | {Kind.SET_LIMITS}
#: Kinds that only the engine writes, in a frame of their own that is marked as such; sent like any
#: other command they are unknown.
ENGINE_KINDS = frozenset({Kind.UPGRADE_RULES})


class Side(IntEnum):
    """The side of an order."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """Whether an order has a limit price."""

    LIMIT = 1
    MARKET = 2


#: Types whose remainder may rest in the book.
RESTING_TYPES = frozenset({OrderType.LIMIT})
#: Types whose price must be 0.
UNPRICED_TYPES = frozenset({OrderType.MARKET})


class TimeInForce(IntEnum):
    """How long an order may rest: GTC until cancelled, DAY until END_DAY, IOC and FOK never."""

    GTC = 1
    DAY = 2
    IOC = 3
    FOK = 4


#: Times in force with which an order may rest.
RESTING_TIFS = frozenset({TimeInForce.GTC, TimeInForce.DAY})
#: Times in force that END_DAY ends.
DAY_TIFS = frozenset({TimeInForce.DAY})


class Flag(IntFlag):
    """Bits of ``flags``: POST_ONLY for NEW; KEEP_PRICE and KEEP_QUANTITY for AMEND."""

    POST_ONLY = 1
    KEEP_PRICE = 2
    KEEP_QUANTITY = 4


class LimitFlag(IntFlag):
    """Bits of ``flags`` of SET_LIMITS: BLOCKED refuses NEW and AMEND; CANCEL, what rests goes."""

    BLOCKED = 1
    CANCEL = 2


# ---------------------------------------------------------------------- codes of events


class EventKind(IntEnum):
    """What an event reports."""

    ACCEPTED = 1
    TRADED = 2
    CANCELLED = 3
    AMENDED = 4
    REJECTED = 5
    MASS_CANCELLED = 6
    DAY_ENDED = 7
    INSTRUMENT_ADDED = 8
    INSTRUMENT_CHANGED = 9
    REPEATED = 10
    RULES_CHANGED = 11
    REGISTERED = 12
    NOTICED = 13
    LIMITS_SET = 14


#: Events about one order: `price` is a price and `left` is what stays open of the order.
ORDER_EVENTS = frozenset(
    {
        EventKind.ACCEPTED,
        EventKind.TRADED,
        EventKind.CANCELLED,
        EventKind.AMENDED,
        EventKind.REJECTED,
    }
)
#: Events that always name an instrument of the exchange; a refusal may name one that is none.
BOOK_EVENTS = ORDER_EVENTS - {EventKind.REJECTED}
#: Events that say what an order is from now on: `left` is open at `price`.
OPENING_EVENTS = frozenset({EventKind.ACCEPTED, EventKind.AMENDED})
#: Events about an instrument, whose parameters they carry.
INSTRUMENT_EVENTS = frozenset({EventKind.INSTRUMENT_ADDED, EventKind.INSTRUMENT_CHANGED})


class Reason(IntEnum):
    """Why a command was refused (1 to 31) or an order cancelled (32 and up)."""

    NONE = 0
    UNKNOWN_KIND = 1
    UNKNOWN_INSTRUMENT = 2
    UNKNOWN_ORDER = 3
    DUPLICATE_ORDER = 4
    BAD_SIDE = 5
    BAD_ORDER_TYPE = 6
    BAD_TIME_IN_FORCE = 7
    BAD_FLAGS = 8
    UNSUPPORTED = 9
    PRICE_NOT_ALLOWED = 10
    QUANTITY_NOT_POSITIVE = 11
    QUANTITY_TOO_LARGE = 12
    OFF_LOT = 13
    NOT_OWNER = 14
    TOO_MANY_ORDERS = 15
    WOULD_TRADE = 16
    LEVEL_OVERFLOW = 17
    BAD_SYMBOL = 18
    DUPLICATE_SYMBOL = 19
    BAD_TICK = 20
    BAD_LOT = 21
    BAD_LIMIT = 22
    BOOK_NOT_EMPTY = 23
    TOO_MANY_INSTRUMENTS = 24
    BAD_VALUE = 25
    TOO_MANY_ENTRIES = 26
    ACCOUNT_BLOCKED = 27
    LIMIT_EXCEEDED = 28
    REQUESTED = 32
    IMMEDIATE_OR_CANCEL = 33
    FILL_OR_KILL = 34
    MARKET_REMAINDER = 35
    REDUCED_TO_NOTHING = 36
    MASS_CANCEL = 37
    END_OF_DAY = 38
    KILL_SWITCH = 39


#: Why an order was cancelled; all others, but NONE, are why a command was refused.
CANCEL_REASONS = frozenset(
    {
        Reason.REQUESTED,
        Reason.IMMEDIATE_OR_CANCEL,
        Reason.FILL_OR_KILL,
        Reason.MARKET_REMAINDER,
        Reason.REDUCED_TO_NOTHING,
        Reason.MASS_CANCEL,
        Reason.END_OF_DAY,
        Reason.KILL_SWITCH,
    }
)


class Field(IntEnum):
    """The field at fault of a refused command."""

    NONE = 0
    KIND = 1
    INSTRUMENT = 2
    ORDER_ID = 3
    SIDE = 4
    ORDER_TYPE = 5
    TIME_IN_FORCE = 6
    FLAGS = 7
    PRICE = 8
    QUANTITY = 9
    ACCOUNT = 10
    STOP_PRICE = 11
    DISPLAY_QUANTITY = 12
    EXPIRY = 13
    SELF_TRADE = 14
    RESERVED = 15
    SYMBOL = 16
    TICK = 17
    LOT = 18
    MAX_QUANTITY = 19
    MAX_ORDERS = 20
    KEY = 21
    TOPIC = 22
    PART = 23
    PARTS = 24
    DATA = 25
    MAX_VALUE = 26
    MAX_OPEN_ORDERS = 27
    COLLAR = 28
    MAX_MESSAGES = 29
    WINDOW = 30


class ChangeKind(IntEnum):
    """What a public change reports: of an order in the book, of its instrument, or a notice.

    PHASE, HALT, REFERENCE and INDICATIVE are of a later version of the rules: no machine says them
    yet, and every face of a feed carries them.
    """

    ADDED = 1
    EXECUTED = 2
    REDUCED = 3
    DELETED = 4
    DEFINED = 5
    DAY_ENDED = 6
    NOTICE = 7
    PHASE = 8
    HALT = 9
    REFERENCE = 10
    INDICATIVE = 11


#: Changes of one order, which say what is left of it and of its level.
BOOK_CHANGES = frozenset(
    {ChangeKind.ADDED, ChangeKind.EXECUTED, ChangeKind.REDUCED, ChangeKind.DELETED}
)

#: Changes in the layout `MARKET`, which say what the market in an instrument is from now on.
MARKET_CHANGES = frozenset(
    {ChangeKind.PHASE, ChangeKind.HALT, ChangeKind.REFERENCE, ChangeKind.INDICATIVE}
)


class Phase(IntEnum):
    """The phase of a day that an instrument is in; of a later version of the rules."""

    PRE_OPEN = 1
    OPENING_CALL = 2
    OPENING_CALL_LOCKED = 3
    QUIET = 4
    CONTINUOUS = 5
    BREAK = 6
    CLOSING_CALL = 7
    AT_CLOSING_PRICE = 8
    CLOSED = 9
    VOLATILITY_CALL = 10
    CANCEL_ONLY = 11


class ChangeFlag(IntFlag):
    """Bits of a change's ``flags``: REPLACING for an amend that loses its place; LARGE, in a
    snapshot, for an order whose quantity was above 4,294,967,295 when it was added."""

    REPLACING = 1
    LARGE = 2


class Topic(IntEnum):
    """What an entry of the register is about; the machine takes any topic from 1 to 255."""

    USER = 1
    SECRET = 2
    GRANT = 3
    GATEWAY = 4
    DAY = 5
    PRESENCE = 6
    SHARD = 7


class Status(str, Enum):
    """Status of an order after a command; DONE: the command was not about one order."""

    OPEN = "open"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DONE = "done"

    def __str__(self) -> str:
        return self.value


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
ANSWER_RECORD = Record("ANSWER", "", 32, "account:u64 client_order_id:u64 sequence:u64 events:u64")
RECORDS = (
    COMMAND_RECORD, INSTRUMENT_RECORD, TEXT_RECORD, LIMITS_RECORD, EVENT_RECORD, CHANGE_RECORD,
    NOTICE_RECORD, MARKET_RECORD, REPORT_RECORD, ORDER_RECORD, LEVEL_RECORD, ANSWER_RECORD,
    ENTRY_RECORD, ACCOUNT_LIMITS_RECORD, LAST_RECORD,
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
    "RESTING_TYPES": RESTING_TYPES,
    "UNPRICED_TYPES": UNPRICED_TYPES,
    "RESTING_TIFS": RESTING_TIFS,
    "DAY_TIFS": DAY_TIFS,
    "ORDER_EVENTS": ORDER_EVENTS,
    "OPEN_STATUSES": OPEN_STATUSES,
}
