# The records and codes of `matchcore/records/schema.py`, as the compiled modules see them.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

ctypedef int64_t i64
ctypedef uint8_t u8
ctypedef uint16_t u16
ctypedef uint32_t u32
ctypedef uint64_t u64

cdef extern from "matchcore.h" nogil:
    # generated: structs from records/schema.py
    ctypedef struct mc_command:
        i64 time
        u64 order_id
        u64 client_order_id
        u64 account
        i64 price
        i64 stop_price
        i64 quantity
        i64 display_quantity
        i64 expiry
        u32 instrument
        u8 kind
        u8 side
        u8 order_type
        u8 time_in_force
        u8 self_trade
        u8 reserved
        u16 flags
        u32 session
        u64 client_order_tail

    ctypedef struct mc_limits:
        i64 time
        i64 max_quantity
        i64 max_value
        u64 account
        i64 max_open_orders
        i64 collar
        i64 max_messages
        i64 window_ns
        u64 reserved_long
        u32 instrument
        u8 kind
        u8 reserved
        u16 reserved_short
        u16 reserved_next
        u16 flags
        u32 session
        u64 reserved_last

    ctypedef struct mc_event:
        u64 sequence
        u64 order_id
        u64 client_order_id
        u64 account
        i64 price
        i64 quantity
        i64 left
        u64 taker_order_id
        u64 taker_account
        i64 taker_left
        u64 trade_id
        u32 instrument
        u8 kind
        u8 side
        u8 reason
        u8 field

    ctypedef struct mc_change:
        u64 sequence
        i64 time
        u64 order_id
        u64 taker_order_id
        u64 trade_id
        i64 price
        i64 quantity
        i64 left
        i64 level_quantity
        u32 level_orders
        u32 instrument
        u8 kind
        u8 side
        u16 flags
        u32 reserved

    ctypedef struct mc_report:
        u64 number
        u64 sequence
        i64 time
        u64 order_id
        u64 client_order_id
        u64 client_order_tail
        u64 original_id
        u64 original_tail
        u64 account
        i64 price
        i64 quantity
        i64 filled
        i64 left
        i64 last_price
        i64 last_quantity
        u64 trade_id
        u64 turnover
        i64 turnover_high
        u32 instrument
        u32 session
        u32 part
        u32 day
        u8 kind
        u8 status
        u8 side
        u8 order_type
        u8 time_in_force
        u8 reason
        u8 field
        u8 flags

    ctypedef struct mc_order:
        u64 order_id
        u64 client_order_id
        u64 account
        i64 price
        i64 quantity
        u8 side
        u8 time_in_force
        u16 flags
        u32 reserved

    ctypedef struct mc_level:
        i64 price
        i64 quantity
        i64 orders

    ctypedef struct mc_account_limits:
        u64 account
        i64 max_quantity
        i64 max_value
        i64 max_open_orders
        i64 collar
        i64 max_messages
        i64 window_ns
        u32 instrument
        u32 flags
        i64 window_start
        i64 messages

    ctypedef struct mc_last:
        i64 price
        u64 traded

    ctypedef struct mc_parameter:
        i64 time
        i64 value1
        i64 value2
        i64 value3
        i64 value4
        i64 value5
        i64 value6
        i64 value7
        i64 value8
        u32 instrument
        u8 kind
        u8 parameter
        u8 index
        u8 reserved
        u32 reserved_long
        u32 session
        u64 reserved_last

    ctypedef struct mc_phase:
        i64 time
        i64 until
        i64 reserved1
        i64 reserved2
        i64 reserved3
        i64 reserved4
        i64 reserved5
        i64 reserved6
        i64 reserved7
        u32 instrument
        u8 kind
        u8 phase
        u16 reserved_short
        u16 reserved_next
        u16 flags
        u32 session
        u32 group
        u32 reserved_last

    ctypedef struct mc_protection:
        i64 time
        i64 max_quantity
        i64 max_fills
        u64 account
        u64 group
        i64 reserved1
        i64 reserved2
        i64 window_ns
        i64 reserved3
        u32 instrument
        u8 kind
        u8 reserved
        u16 reserved_short
        u32 reserved_long
        u32 session
        u64 reserved_last

    ctypedef struct mc_market_state:
        i64 until
        u64 entries
        i64 open_price
        i64 auction_price
        i64 closing_price
        u64 close_turnover
        i64 close_turnover_high
        i64 close_volume
        i64 indicative_price
        i64 indicative_quantity
        i64 indicative_imbalance
        i64 indicative_time
        u32 instrument
        u8 phase
        u8 known
        u8 halts
        u8 reserved

    ctypedef struct mc_market_order:
        u64 entry
        i64 filled
        i64 shown
        i64 display
        i64 stop_price
        i64 limit
        i64 expiry
        u64 link
        u32 session
        u32 instrument
        u16 flags
        u8 order_type
        u8 self_trade
        u8 place
        u8 reserved
        u16 reserved_short

    ctypedef struct mc_protection_state:
        u64 account
        u64 group
        i64 max_quantity
        i64 max_fills
        i64 window_ns
        i64 window_start
        i64 quantity
        i64 fills
        u32 instrument
        u32 reserved

    ctypedef struct mc_market_trades:
        i64 time_ms
        i64 volume
        u64 turnover
        i64 turnover_high
        u32 instrument
        u32 reserved
    # generated: end

    u32 mc_word32(const void* at)
    u64 mc_word64(const void* at)
    void mc_put_word64(void* at, u64 word)
    u32 mc_bytes_equal(u64 word, u8 tag)
    u32 mc_bytes_set(u64 word)
    u32 mc_row_equal(const void* row, u32 tag)
    u32 mc_row_set(const void* row)
    u64 mc_fold(u64 a, u64 b)
    bint mc_product_above(u64 a, u64 b, u64 most)
    u64 mc_part(u64 a, u64 b, u64 c)
    void mc_prefetch(const void* address)
    u32 mc_first_bit(u64 word)      # of a word that is not 0
    u32 mc_last_bit(u64 word)
    bint mc_likely(bint x)
    bint mc_unlikely(bint x)

# generated: codes from records/schema.py
cdef enum:
    RULES_LATEST = 3

cdef enum:
    NEW = 1, CANCEL = 2, AMEND = 3, REDUCE = 4, MASS_CANCEL = 5, END_DAY = 6, ADD_INSTRUMENT = 7
    CHANGE_INSTRUMENT = 8, REGISTER = 9, NOTICE = 10, SET_LIMITS = 11, SET_MARKET = 12
    SET_PHASE = 13, CLOCK = 14, QUOTE = 15, SET_PROTECTION = 16, BUST = 17, UPGRADE_RULES = 31

cdef enum:
    BUY = 1, SELL = 2

cdef enum:
    LIMIT = 1, MARKET = 2, MARKET_TO_LIMIT = 3, STOP = 4, STOP_LIMIT = 5, TRAILING_STOP = 6
    PEG_PRIMARY = 7, PEG_MARKET = 8, PEG_MIDPOINT = 9, BEST_FIVE = 10, BEST_FIVE_LIMIT = 11
    OWN_BEST = 12, COUNTERPARTY_BEST = 13

cdef enum:
    GTC = 1, DAY = 2, IOC = 3, FOK = 4, GTD = 5, AT_OPEN = 6, AT_CLOSE = 7, AUCTION = 8

cdef enum:
    POST_ONLY = 1, KEEP_PRICE = 2, KEEP_QUANTITY = 4, PROTECTED = 8, HIDDEN = 16, SLIDE = 32
    MINIMUM = 64, PERCENT = 128, LINKED = 256, TOTAL = 512, NEW_STOP = 1024, NEW_DISPLAY = 2048
    RANGE = 4096, OF_SESSION = 8192, QUOTED = 16384

cdef enum:
    ACCEPTED = 1, TRADED = 2, CANCELLED = 3, AMENDED = 4, REJECTED = 5, MASS_CANCELLED = 6
    DAY_ENDED = 7, INSTRUMENT_ADDED = 8, INSTRUMENT_CHANGED = 9, REPEATED = 10, RULES_CHANGED = 11
    REGISTERED = 12, NOTICED = 13, LIMITS_SET = 14, MARKET_SET = 15, PHASE_CHANGED = 16
    INDICATIVE = 17, CLOCKED = 18, TRIGGERED = 19, REPRICED = 20, DECREMENTED = 21, QUOTE_SET = 22
    PROTECTION_SET = 23, BUSTED = 24

cdef enum Reason:
    R_NONE = 0, R_UNKNOWN_KIND = 1, R_UNKNOWN_INSTRUMENT = 2, R_UNKNOWN_ORDER = 3
    R_DUPLICATE_ORDER = 4, R_BAD_SIDE = 5, R_BAD_ORDER_TYPE = 6, R_BAD_TIME_IN_FORCE = 7
    R_BAD_FLAGS = 8, R_UNSUPPORTED = 9, R_PRICE_NOT_ALLOWED = 10, R_QUANTITY_NOT_POSITIVE = 11
    R_QUANTITY_TOO_LARGE = 12, R_OFF_LOT = 13, R_NOT_OWNER = 14, R_TOO_MANY_ORDERS = 15
    R_WOULD_TRADE = 16, R_LEVEL_OVERFLOW = 17, R_BAD_SYMBOL = 18, R_DUPLICATE_SYMBOL = 19
    R_BAD_TICK = 20, R_BAD_LOT = 21, R_BAD_LIMIT = 22, R_BOOK_NOT_EMPTY = 23
    R_TOO_MANY_INSTRUMENTS = 24, R_BAD_VALUE = 25, R_TOO_MANY_ENTRIES = 26, R_ACCOUNT_BLOCKED = 27
    R_LIMIT_EXCEEDED = 28, R_REQUESTED = 32, R_IMMEDIATE_OR_CANCEL = 33, R_FILL_OR_KILL = 34
    R_MARKET_REMAINDER = 35, R_REDUCED_TO_NOTHING = 36, R_MASS_CANCEL = 37, R_END_OF_DAY = 38
    R_KILL_SWITCH = 39, R_EXPIRED = 40, R_SELF_TRADE = 41, R_ONE_CANCELS_OTHER = 42
    R_QUOTE_REPLACED = 43, R_PROTECTION = 44, R_MINIMUM_NOT_MET = 45, R_REFERENCE_GONE = 46
    R_AUCTION_OVER = 47, R_AMENDED_TO_FILLED = 48, R_LEVELS_TAKEN = 49, R_NO_OPPOSITE = 50
    R_PHASE = 51, R_VOLATILITY = 52, R_BAD_PHASE = 64, R_PHASE_OUT_OF_ORDER = 65, R_NO_MARKET = 66
    R_NO_REFERENCE = 67, R_BAD_DISPLAY = 68, R_BAD_STOP = 69, R_BAD_MINIMUM = 70, R_BAD_EXPIRY = 71
    R_BAD_SELF_TRADE = 72, R_BAD_LINK = 73, R_BAD_PARAMETER = 74, R_OFF_TICK = 75
    R_OUTSIDE_LIMITS = 76, R_OUTSIDE_CAGE = 77, R_QUANTITY_TOO_SMALL = 78, R_VALUE_TOO_LARGE = 79
    R_ALREADY_TRIGGERED = 80, R_QUOTE_CROSSED = 81, R_UNKNOWN_TRADE = 82, R_NOTHING_TO_CHANGE = 83

cdef enum Field:
    F_NONE = 0, F_KIND = 1, F_INSTRUMENT = 2, F_ORDER_ID = 3, F_SIDE = 4, F_ORDER_TYPE = 5
    F_TIME_IN_FORCE = 6, F_FLAGS = 7, F_PRICE = 8, F_QUANTITY = 9, F_ACCOUNT = 10, F_STOP_PRICE = 11
    F_DISPLAY_QUANTITY = 12, F_EXPIRY = 13, F_SELF_TRADE = 14, F_RESERVED = 15, F_SYMBOL = 16
    F_TICK = 17, F_LOT = 18, F_MAX_QUANTITY = 19, F_MAX_ORDERS = 20, F_KEY = 21, F_TOPIC = 22
    F_PART = 23, F_PARTS = 24, F_DATA = 25, F_MAX_VALUE = 26, F_MAX_OPEN_ORDERS = 27, F_COLLAR = 28
    F_MAX_MESSAGES = 29, F_WINDOW = 30, F_MINIMUM = 31, F_LINK = 32, F_PHASE = 33, F_PARAMETER = 34
    F_INDEX = 35, F_VALUE = 36, F_TRADE = 37, F_GROUP = 38, F_MAX_FILLS = 39, F_UNTIL = 40

cdef enum ChangeKind:
    C_ADDED = 1, C_EXECUTED = 2, C_REDUCED = 3, C_DELETED = 4, C_DEFINED = 5, C_DAY_ENDED = 6
    C_NOTICE = 7, C_PHASE = 8, C_HALT = 9, C_REFERENCE = 10, C_INDICATIVE = 11

cdef enum ChangeFlag:
    C_REPLACING = 1, C_LARGE = 2, C_CROSS = 4, C_UNSEEN = 8

cdef enum Phase:
    PHASE_PRE_OPEN = 1, PHASE_OPENING_CALL = 2, PHASE_OPENING_CALL_LOCKED = 3, PHASE_QUIET = 4
    PHASE_CONTINUOUS = 5, PHASE_BREAK = 6, PHASE_CLOSING_CALL = 7, PHASE_AT_CLOSING_PRICE = 8
    PHASE_CLOSED = 9, PHASE_VOLATILITY_CALL = 10, PHASE_CANCEL_ONLY = 11, PHASE_HALTED = 12

cdef enum ReportKind:
    REPORT_NEW = 1, REPORT_TRADE = 2, REPORT_CANCELLED = 3, REPORT_REPLACED = 4, REPORT_REJECTED = 5
    REPORT_CANCEL_REJECTED = 6, REPORT_REPLACE_REJECTED = 7, REPORT_MASS_CANCELLED = 8
    REPORT_MASS_CANCEL_REJECTED = 9, REPORT_REPEATED = 10, REPORT_TRIGGERED = 11
    REPORT_REPRICED = 12, REPORT_DECREMENTED = 13, REPORT_BUSTED = 14, REPORT_QUOTE_SET = 15
    REPORT_QUOTE_REJECTED = 16

cdef enum OrderStatus:
    STATUS_NONE = 0, STATUS_NEW = 1, STATUS_PARTLY_FILLED = 2, STATUS_FILLED = 3
    STATUS_CANCELLED = 4, STATUS_REJECTED = 5, STATUS_EXPIRED = 6

cdef enum ReportFlag:
    REPORT_MAKER = 1, REPORT_POST_ONLY = 2, REPORT_UNSOLICITED = 4, REPORT_COPY = 8
    REPORT_AUCTION = 16

cdef enum Topic:
    T_USER = 1, T_SECRET = 2, T_GRANT = 3, T_GATEWAY = 4, T_DAY = 5, T_PRESENCE = 6, T_SHARD = 7
    T_SCHEDULE = 8

cdef enum LimitFlag:
    L_BLOCKED = 1, L_CANCEL = 2

cdef enum SelfTrade:
    SELF_ALLOWED = 0, SELF_CANCEL_NEWEST = 1, SELF_CANCEL_OLDEST = 2, SELF_CANCEL_BOTH = 3
    SELF_DECREMENT = 4

cdef enum PhaseFlag:
    P_CANCEL_ORDERS = 1

cdef enum Parameter:
    M_TRADING = 1, M_ALLOCATION = 2, M_AUCTION = 3, M_QUANTITIES = 4, M_LIMITS = 5, M_CAGE = 6
    M_VOLATILITY = 7, M_HALTS = 8, M_DAY = 9, M_TICKS = 10, M_CLOSING = 11

cdef enum AuctionRule:
    A_GENERIC = 0, A_SSE = 1, A_SZSE = 2

cdef enum CageMode:
    CAGE_OFF = 0, CAGE_REFUSE = 1, CAGE_PARK = 2

cdef enum ClosingRule:
    CLOSE_AUCTION = 0, CLOSE_AVERAGE = 1, CLOSE_LAST = 2

cdef enum Place:
    PLACE_BOOK = 0, PLACE_STOPS = 1, PLACE_TRAILING = 2, PLACE_WAITING = 3, PLACE_CAGED = 4

# Sets of codes: bit n stands for code n.
cdef enum:
    ORDER_KINDS = 0x1e
    REPEATABLE_KINDS = 0x803e
    NAMING_KINDS = 0x1a
    SWEEP_KINDS = 0x60
    INSTRUMENT_KINDS = 0x180
    ASIDE_KINDS = 0x1780
    KINDS_OF_2 = 0xe00
    KINDS_OF_3 = 0x3f000
    PLAIN_TYPES = 0x6
    STOP_TYPES = 0x70
    PEG_TYPES = 0x380
    PLAIN_TIFS = 0x1e
    LASTING_TIFS = 0x26
    AUCTION_TIFS = 0x1c0
    MARKET_DAY_TIFS = 0x1c4
    CALL_PHASES = 0x48c
    MATCHING_PHASES = 0x120
    UNCROSS_PHASES = 0x370
    TIMED_PHASES = 0x1400
    RESTING_TYPES = 0x2
    UNPRICED_TYPES = 0x3fdc
    RESTING_TIFS = 0x6
    DAY_TIFS = 0x4
    ORDER_EVENTS = 0x38003e
    OPEN_STATUSES = 0x6
    LIVE_EVENTS = 0x38001c
    EVERY_SIDE = 0x6
    EVERY_ORDERTYPE = 0x3ffe
    EVERY_TIMEINFORCE = 0x1fe

# Of kind, side, order type and time in force as one word: a plain NEW limit order.
cdef enum:
    PLAIN_BASE = 0x01010101
    PLAIN_MASK = 0xfcfffeff
# generated: end

cdef inline bint in_set(u32 codes, u8 code) noexcept nogil:
    """True if a code, of whatever number, is in a set."""
    return code < 32 and codes >> code & 1

cdef inline bint has(u32 codes, u8 code) noexcept nogil:
    """As `in_set`, for a code that is known to be one."""
    return codes >> (code & 31) & 1
