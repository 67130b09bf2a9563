# How each public change is written as an ITCH message behind its length; docs/feeds/itch.md.
from libc.string cimport memcpy, memset

from ...machine.core.records cimport (BUY, C_ADDED, C_CROSS, C_DELETED, C_EXECUTED, C_HALT,
                                      C_INDICATIVE, C_PHASE, C_REDUCED, PHASE_CONTINUOUS,
                                      PHASE_QUIET, PHASE_VOLATILITY_CALL, SELL, i64, mc_change, u8,
                                      u16, u32, u64)
from ...serving._words cimport put16, put32, put64

cdef enum:
    MARKET_BYTES = 43       # of m

cdef struct Listed:
    i64 scale               # units of 0.0001 in a tick
    u64 price_max           # in ticks; 0: everything is said in our own messages
    u64 stock


cdef inline u8* put_head(u8* at, u16 size, u8 letter, u32 instrument, u16 tracking,
                         i64 time) noexcept nogil:
    """Length of the message, and what all of them begin with."""
    time %= <i64>86_400_000_000_000    # of a day
    if time < 0:
        time += <i64>86_400_000_000_000
    at = put16(at, size)
    at[0] = letter
    at = put16(at + 1, <u16>instrument if instrument <= 0xffff else 0)
    at = put16(at, tracking)
    at = put16(at, <u16>(time >> 32))
    return put32(at, <u32>time)


cdef inline bint is_standard(const mc_change* change, const Listed* listed) noexcept nogil:
    """True if the standard can say that an order was added."""
    return (<u64>change.price - 1 < listed.price_max and <u64>change.quantity <= <u64>0xffffffff)


cdef inline u8* put_standard(u8* at, const mc_change* change, u64 reference,
                             const Listed* listed) noexcept nogil:
    """As one of A, E, X, D."""
    if change.kind == C_ADDED:
        at = put_head(at, 36, b'A', change.instrument, change.flags, change.time)
        at = put64(at, reference)
        at[0] = b'B' if change.side == BUY else b'S'
        at = put32(at + 1, <u32>change.quantity)
        memcpy(at, &listed.stock, 8)
        return put32(at + 8, <u32>(change.price * listed.scale))
    if change.kind == C_EXECUTED:
        at = put_head(at, 31, b'E', change.instrument, change.flags, change.time)
        at = put64(at, reference)
        at = put32(at, <u32>change.quantity)
        return put64(at, change.trade_id)
    if change.kind == C_REDUCED:
        at = put_head(at, 23, b'X', change.instrument, change.flags, change.time)
        at = put64(at, reference)
        return put32(at, <u32>change.quantity)
    at = put_head(at, 19, b'D', change.instrument, change.flags, change.time)
    return put64(at, reference)


cdef inline u8* put_wide(u8* at, const mc_change* change, u64 reference) noexcept nogil:
    """As one of our own a, e, x, d."""
    cdef u16 size = 31
    cdef u8 letter = b'x'
    if change.kind == C_ADDED:
        size, letter = 40, b'a'
    elif change.kind == C_EXECUTED:
        size, letter = 39, b'e'
    elif change.kind == C_DELETED:
        size, letter = 31, b'd'
    at = put_head(at, size, letter, change.instrument, change.flags, change.time)
    at = put64(at, reference)
    at = put32(at, change.instrument)
    at = put64(at, <u64>change.quantity)
    if change.kind == C_ADDED:
        at = put64(at, <u64>change.price)
        at[0] = b'B' if change.side == BUY else b'S'
        return at + 1
    if change.kind == C_EXECUTED:
        return put64(at, change.trade_id)
    return at


cdef inline u8* put_trade(u8* at, const mc_change* change, const Listed* listed) noexcept nogil:
    """A trade that no book shows as P; one of an auction, which Q counts, and others as our own p."""
    cdef u8 side = b'B' if change.side == BUY else b'S'
    if not change.flags & C_CROSS and is_standard(change, listed):
        at = put_head(at, 44, b'P', change.instrument, change.flags, change.time)
        at = put64(at, 0)
        at[0] = side
        at = put32(at + 1, <u32>change.quantity)
        memcpy(at, &listed.stock, 8)
        return put64(put32(at + 8, <u32>(change.price * listed.scale)), change.trade_id)
    at = put_head(at, 40, b'p', change.instrument, change.flags, change.time)
    at = put32(at, change.instrument)
    at = put64(put64(put64(at, <u64>change.quantity), <u64>change.price), change.trade_id)
    at[0] = side
    return at + 1


cdef inline u8* put_halt(u8* at, const mc_change* change, const Listed* listed) noexcept nogil:
    """As H."""
    at = put_head(at, 25, b'H', change.instrument, 0, change.time)
    memcpy(at, &listed.stock, 8)
    at[8] = b'H' if change.flags else b'T'
    memset(at + 9, b' ', 5)
    return at + 14


cdef inline u8 cross_type(u32 phase) noexcept nogil:
    """Of an auction."""
    if phase <= PHASE_QUIET:
        return b'O'
    return b'H' if phase == PHASE_VOLATILITY_CALL else b'C'


cdef inline u8* put_cross(u8* at, const mc_change* change, const Listed* listed) noexcept nogil:
    """A phase that begins with an auction as Q, with the phase in the tracking number."""
    at = put_head(at, 40, b'Q', change.instrument, <u16>change.level_orders, change.time)
    at = put64(at, <u64>change.quantity)
    memcpy(at, &listed.stock, 8)
    at = put64(put32(at + 8, <u32>(change.price * listed.scale)), 0)
    at[0] = (b'O' if change.level_orders == PHASE_QUIET or change.level_orders == PHASE_CONTINUOUS
             else b'C')
    return at + 1


cdef inline u8* put_indicative(u8* at, const mc_change* change, const Listed* listed) noexcept nogil:
    """As I, with the phase in the tracking number."""
    cdef u32 price = <u32>(change.price * listed.scale)
    at = put_head(at, 50, b'I', change.instrument, <u16>change.level_orders, change.time)
    at = put64(put64(at, <u64>change.quantity), <u64>change.left)
    at[0] = b'N' if change.side == 0 else b'B' if change.side == BUY else b'S'
    memcpy(at + 1, &listed.stock, 8)
    at = put32(put32(put32(at + 9, price), price), price)
    at[0], at[1] = cross_type(change.level_orders), b' '
    return at + 2


cdef inline bint is_indicative(const mc_change* change, const Listed* listed) noexcept nogil:
    """True if the standard can say it."""
    if change.side > SELL or change.quantity < 0 or change.left < 0:
        return False
    if change.quantity == 0:
        return change.price == 0
    return <u64>change.price - 1 < listed.price_max


cdef inline u8* put_market(u8* at, const mc_change* change, const Listed* listed) noexcept nogil:
    """Phase, halt, reference or indicative price."""
    if (change.kind == C_PHASE and change.quantity > 0
            and <u64>change.price - 1 < listed.price_max):
        return put_cross(at, change, listed)
    if listed.price_max and change.kind == C_HALT:
        return put_halt(at, change, listed)
    if listed.price_max and change.kind == C_INDICATIVE and is_indicative(change, listed):
        return put_indicative(at, change, listed)
    at = put_head(at, MARKET_BYTES, b'm', change.instrument, 0, change.time)
    at = put32(at, change.instrument)
    at[0], at[1], at[2] = change.kind, <u8>change.level_orders, change.side
    at[3] = <u8>change.flags
    at = put64(put64(at + 4, <u64>change.price), <u64>change.quantity)
    return put64(at, <u64>change.left)


cdef inline u8* put_day_ended(u8* at, const mc_change* change) noexcept nogil:
    if change.instrument == 0:
        at = put_head(at, 12, b'S', 0, 0, change.time)
        at[0] = b'M'
        return at + 1
    at = put_head(at, 15, b's', change.instrument, 0, change.time)
    return put32(at, change.instrument)
