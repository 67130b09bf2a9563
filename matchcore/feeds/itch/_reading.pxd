# What messages of trades that no book shows say; docs/feeds/itch.md.
from ...machine.core.records cimport BUY, C_EXECUTED, SELL, i64, mc_change, u8, u32, u64
from ...serving._words cimport word_of
from ._writing cimport Listed

cdef enum:
    HEAD_BYTES = 11         # of type, stock locate, tracking number and time

cdef inline bint get_trade(const u8* message, mc_change* change, u32 locate, const Listed* listed,
                           size_t count) noexcept nogil:
    """What one of P, p says; false if it makes no sense."""
    cdef u8 side = message[19] if message[0] == b'P' else message[39]
    cdef u64 price
    change.kind = C_EXECUTED
    change.side = BUY if side == b'B' else SELL
    if message[0] == b'P':
        if not 1 <= locate <= count or not listed[locate - 1].price_max:
            return False
        price = word_of(message + 32, 4)
        change.instrument = locate
        change.quantity = <i64>word_of(message + 20, 4)
        change.price = <i64>(price // <u64>listed[locate - 1].scale)
        change.trade_id = word_of(message + 36, 8)
        return price % <u64>listed[locate - 1].scale == 0 and (side == b'B' or side == b'S')
    change.instrument = <u32>word_of(message + HEAD_BYTES, 4)
    change.quantity = <i64>word_of(message + HEAD_BYTES + 4, 8)
    change.price = <i64>word_of(message + HEAD_BYTES + 12, 8)
    change.trade_id = word_of(message + HEAD_BYTES + 20, 8)
    return (side == b'B' or side == b'S') and 1 <= change.instrument <= count
