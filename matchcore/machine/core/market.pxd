# The market of an instrument: its orders, parameters and prices, and a command at work in it.
#
# The rules are those of docs/markets/; the files of `reference/market/` say the same in plain
# Python.  Nothing of a market goes on in another buffer: what a command says beyond the caller's
# buffer is spilled and told before anything else happens (spill.pxd).
from ..._book cimport Book, Core, Events
from .ladder cimport Ladder, ladder_price
from .makers cimport MakerTable
from .pool cimport Level, Order, Slots
from .records cimport (AUCTION_TIFS, MARKET, M_TRADING, PEG_MARKET, PEG_MIDPOINT, PEG_TYPES, HIDDEN, R_NONE,
                       PHASE_CONTINUOUS, BUY, has, i64, mc_change, mc_event, mc_market_trades, mc_unlikely,
                       u8, u16, u32, u64)

cdef struct Wide:           # an order of a market, three cache lines
    Order order             # `left`: what a visit of its queue may trade, so shown, or all of a hidden one
    i64 total               # all that is open
    i64 filled
    i64 display             # of an iceberg: what it shows at a time
    i64 expiry
    u64 entry               # orders of a market enter places one after the other
    u64 link                # the id of the other order of a pair
    u32 session
    u16 flags
    u8 order_type
    u8 self_trade
    u8 place                # Place, or PLACE_NOWHERE: it is being executed
    u8 live                 # 1: in the id table, and counted
    u8 touched              # 1: in `Markets.touched`
    i64 stop_price          # the third line: few commands read it
    i64 limit               # the bound of a PROTECTED one; the distance of a trailing stop
    Wide* after             # among the pegs that follow the same, or the quotes
    Wide* before
    u64 apart[4]            # no order lies across more lines than it must

cdef enum:
    PLACE_NOWHERE = 255
    PARAMETERS = 12         # one more than there are
    VALUES = 8
    TICKS_MAX = 16
    PART = 10000            # hundredths of a percent in one
    KNOWN_OPEN = 1          # bits of MARKET_STATE.known
    KNOWN_AUCTION = 2
    KNOWN_CLOSING = 4
    KNOWN_INDICATIVE = 8
    FORCE_SIZES = 1         # bits of Market.force
    FORCE_CAGE = 2
    FORCE_VOLATILITY = 4
    FORCE_HALTS = 8
    FORCE_PRO_RATA = 16

cdef extern from *:
    """
    #define PRICE_MAX ((int64_t)1 << 40)
    #define ANY_BUY INT64_MAX
    #define ANY_SELL INT64_MIN
    """
    const i64 PRICE_MAX     # no price of a market is further from zero
    const i64 ANY_BUY       # the price of an order that trades at any, in a call
    const i64 ANY_SELL

cdef enum:                  # what a peg follows: the best price of buys, of sells, or both
    FOLLOWS_BID = 0
    FOLLOWS_OFFER = 1
    FOLLOWS_BOTH = 2
    FOLLOWED = 3

cdef enum:                  # places of the values of each parameter
    T_ORDER_TYPES = 0       # M_TRADING
    T_CALL_TYPES = 1
    T_TIMES_IN_FORCE = 2
    T_ORDER_FLAGS = 3
    T_ENTRY_PHASES = 4
    T_CANCEL_PHASES = 5
    T_AMENDS = 6
    T_MARKET_GROUP = 7
    ALLOCATION_PRO_RATA = 0
    ALLOCATION_TOP_SHARE = 1
    ALLOCATION_LEAST = 2
    AUCTION_RULE = 0
    AUCTION_INTERVAL = 1
    Q_BUY_LEAST = 0         # M_QUANTITIES
    Q_BUY_STEP = 1
    Q_SELL_LEAST = 2
    Q_SELL_STEP = 3
    Q_LIMIT_MOST = 4
    Q_MARKET_MOST = 5
    Q_VALUE_MOST = 6
    Q_DISPLAY_LEAST = 7
    LIMITS_UP = 0
    LIMITS_DOWN = 1
    LIMITS_SPECIAL_UP = 2
    LIMITS_SPECIAL_DOWN = 3
    LIMITS_FREE_DAYS = 4
    CAGE_MODE = 0
    CAGE_PART = 1
    CAGE_TICKS = 2
    VOLATILITY_STATIC = 0
    VOLATILITY_DYNAMIC = 1
    VOLATILITY_DURATION = 2
    HALTS_FIRST = 0
    HALTS_SECOND = 1
    HALTS_DURATION = 2
    DAY_PREVIOUS_CLOSE = 0
    DAY_REFERENCE = 1
    DAY_LISTED_DAYS = 2
    DAY_SPECIAL = 3
    CLOSING_RULE = 0
    CLOSING_FROM = 1
    CLOSING_WINDOW = 2

cdef struct Line:           # orders outside ladders, in the order of their entries: next and prev of Order
    Wide* head
    Wide* tail
    u64 count

cdef struct Pegs:           # in the book, in the order of their entries: through after and before
    Wide* head
    Wide* tail

cdef struct Bests:          # the prices that pegs go by, of buys and of sells
    i64 price[2]
    bint known[2]

cdef struct Lit:            # the best shown order of a side that is no peg, while there are pegs
    u64 key                 # none has a smaller one
    bint exact              # there is one at this key

cdef struct CountedTrades:  # the trades near the last one, by milliseconds: a queue in one piece
    mc_market_trades* rows
    size_t first
    size_t count
    size_t room

cdef struct Market:
    Book* book              # its sides hold the orders that are shown
    Ladder dark[2]          # the hidden ones
    Ladder stops[2]         # by stop price: [0] buys, the lowest first; [1] sells, the highest first
    Line trailing
    Line waiting
    Line caged
    Pegs pegs[FOLLOWED]     # by what they follow: who follows a price that stands is not looked at
    u64 pegs_count          # of all of them
    u64 for_call[2]         # of a side in the book, and not longer than until the auction
    Lit lit[2]
    Bests bests             # when all pegs had their prices last
    bint pegs_stale         # they may have others now even with these
    bint has_followed
    i64 followed            # the last price that trailing stops have followed
    i64 caged_buy           # no caged buy has a lower price, no caged sell a higher one
    i64 caged_sell
    i64 open_quantity[2]    # of all live orders of a side
    u64 icebergs            # in the book: with a display quantity
    u64 entries
    i64 expiry              # of no live order is it earlier; INT64_MAX: none has one
    u64 ticks               # rows of the table
    i64 tick_from[TICKS_MAX]
    i64 tick_step[TICKS_MAX]
    i64 lowest              # the price limits of today, when they are known
    i64 highest
    bint has_lowest
    bint has_highest
    u8 force                # what of the parameters is in force: bits
    u8 ordinary             # times in force of limit orders with nothing special, while continuous
    u8 phase
    u8 known                # bits
    u8 halts                # bits
    i64 until
    i64 open_price
    i64 auction_price
    i64 closing_price
    u64 close_turnover      # 128 bits
    i64 close_turnover_high
    i64 close_volume
    i64 indicative_price
    i64 indicative_quantity
    i64 indicative_imbalance
    i64 indicative_time
    void* call              # what `_auction.pyx` keeps while orders are collected
    i64 value[PARAMETERS][VALUES]
    CountedTrades counted   # what a closing average with a window is of

cdef struct Spill:          # what did not fit in the caller's buffers, in order
    mc_event* events
    size_t count
    size_t told             # of them, to the caller
    size_t room
    mc_change* changes
    size_t changes_count
    size_t changes_told
    size_t changes_room
    mc_event nowhere        # for what is said when there is no memory
    mc_change change_nowhere

cdef struct Touched:        # an order of a pair that traded, was triggered or went
    u64 order_id
    u64 link

cdef struct Markets:        # what the markets of a machine share
    Market** markets        # by number - 1, as many as there are books; NULL: a plain instrument
    u32 count               # that there are
    bint lost               # there was no memory in the middle of a command
    Slots wides
    Spill spill
    Touched* touched        # of the command at work
    size_t touched_count
    size_t touched_room
    u64* pulled             # accounts whose quotes go
    size_t pulled_count
    size_t pulled_room
    i64* shares             # of the orders of a level, pro rata
    size_t shares_room
    Wide** found            # orders of a sweep or a state
    size_t found_room
    MakerTable makers       # groups of accounts, protections and quotes

cdef struct Turn:           # a command at work in one market
    Markets* all
    Core* core
    Market* market
    Book* book
    Events* events
    i64 time
    i64 low                 # of the trades of this command
    i64 high
    bint traded             # there are low and high
    u8 stop                 # why trading is interrupted, or R_NONE
    i64 pause               # for how long, in nanoseconds

# A level of a market counts its pegs in the upper half of `Level.orders`.
cdef inline i64 pegs_of(const Level* level) noexcept nogil:
    return level.orders >> 32

cdef inline i64 orders_of_level(const Level* level) noexcept nogil:
    return level.orders & <i64>0xffffffff

cdef inline void count_peg(Level* level, i64 step) noexcept nogil:
    level.orders += step * (<i64>1 << 32)

cdef inline bint is_hidden(const Wide* wide) noexcept nogil:
    return wide.flags & HIDDEN != 0

cdef inline bint is_pegged(const Wide* wide) noexcept nogil:
    return has(PEG_TYPES, wide.order_type)

cdef inline u32 followed_by(const Wide* wide) noexcept nogil:
    """What a peg follows."""
    if wide.order_type == PEG_MIDPOINT:
        return FOLLOWS_BOTH
    return (wide.order.side - 1) ^ (wide.order_type == PEG_MARKET)

cdef inline i64 shown_of(const Wide* wide) noexcept nogil:
    return 0 if wide.flags & HIDDEN else wide.order.left

cdef inline i64 least(i64 a, i64 b) noexcept nogil:
    return a if a < b else b

cdef inline i64 greatest(i64 a, i64 b) noexcept nogil:
    return a if a > b else b

cdef inline bint at_any(i64 price) noexcept nogil:
    return price == ANY_BUY or price == ANY_SELL

cdef inline void count_in_book(Market* market, const Wide* wide, i64 step) noexcept nogil:
    """One order more, or less, in the book, of those that an auction asks for."""
    if mc_unlikely(wide.display != 0):
        market.icebergs += step
    if mc_unlikely(has(AUCTION_TIFS, wide.order.time_in_force) or wide.order_type == MARKET):
        market.for_call[wide.order.side - 1] += step

cdef inline bint allows(const Market* market, u32 mask, u8 code) noexcept nogil:
    """True if a mask of M_TRADING has the bit of a code."""
    return code < 63 and market.value[<u32>M_TRADING][mask] >> code & 1

cdef inline bint is_continuous(const Turn* turn) noexcept nogil:
    return turn.market.phase == PHASE_CONTINUOUS and turn.stop == R_NONE

cdef inline bint pegs_stand(const Market* market, int side) noexcept nogil:
    """True if the price of a side that pegs go by is certain, and the one that they have."""
    if market.book.sides[side].levels == 0:
        return not market.bests.known[side]
    return (market.lit[side].exact and market.bests.known[side] and market.bests.price[side]
            == ladder_price(&market.book.sides[side], market.lit[side].key))

cdef inline bint nothing_follows(const Turn* turn) noexcept nogil:
    """True if `settle` would find nothing to do, as far as can be seen at once."""
    cdef const Market* market = turn.market
    if mc_unlikely((turn.all.touched_count | turn.all.pulled_count | turn.stop) != 0):
        return False
    if market.phase != PHASE_CONTINUOUS:
        return True
    if market.trailing.count | market.caged.count:
        return False
    if turn.traded and market.stops[0].levels | market.stops[1].levels:
        return False
    return market.pegs_count == 0 or (not market.pegs_stale and pegs_stand(market, 0)
                                      and pegs_stand(market, 1))

cdef inline bint is_expired(const Turn* turn, const Wide* wide) noexcept nogil:
    return 0 < wide.expiry <= turn.time

cdef inline bint has_best(const Market* market, u8 side, i64* price) noexcept nogil:
    """The best price of a side, of shown and hidden orders; false without any."""
    cdef const Ladder* lit = &market.book.sides[side - 1]
    cdef const Ladder* dark = &market.dark[side - 1]
    cdef u64 key = lit.best         # all ones without a level
    if lit.levels == 0 and dark.levels == 0:
        return False
    price[0] = ladder_price(lit, key if key < dark.best or dark.levels == 0 else dark.best)
    return True

cdef inline bint book_crosses(const Market* market, u8 side, bint limited, i64 limit) noexcept nogil:
    """True if there is an order that one of this side, up to a limit or not limited, could trade with."""
    cdef i64 best = 0
    if not has_best(market, 3 - side, &best):
        return False
    if not limited:
        return True
    return best <= limit if side == BUY else best >= limit
