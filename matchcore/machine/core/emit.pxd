# Writing events.  The caller has made sure of room.
from ..._book cimport Core, Events
from .pool cimport Level, Order
from .records cimport (C_EXECUTED, REJECTED, R_NONE, TRADED, i64, mc_change, mc_command, mc_event,
                        mc_put_word64, mc_unlikely, u8, u16, u32, u64)

from libc.string cimport memcpy, memset

cdef inline void emit_about(Core* core, Events* events, u8 kind, u8 reason, u8 field, u32 instrument,
                            const u64* who, u8 side, i64 price, i64 quantity,
                            i64 left) noexcept nogil:
    """An event of no trade; `who`: order id, client order id and account lie there side by side."""
    cdef mc_event* event = events.at
    events.at += 1
    event.sequence = core.sequence
    memcpy(&event.order_id, who, 3 * sizeof(u64))   # as one: no store hides what is to be read next
    event.price = price
    event.quantity = quantity
    event.left = left
    memset(&event.taker_order_id, 0, 4 * sizeof(u64))
    mc_put_word64(&event.instrument, instrument | <u64>kind << 32 | <u64>side << 40
                  | <u64>reason << 48 | <u64>field << 56)


cdef inline void emit(Core* core, Events* events, u8 kind, u8 reason, u32 instrument,
                      const Order* order, i64 price, i64 quantity, i64 left) noexcept nogil:
    """An event about one order, resting or just taken off."""
    emit_about(core, events, kind, reason, 0, instrument, &order.order_id, order.side, price,
               quantity, left)


cdef inline void emit_trade(Core* core, Events* events, u32 instrument, const Order* maker,
                            const mc_command* taker, i64 quantity, i64 taker_left) noexcept nogil:
    cdef mc_event* event = events.at
    emit(core, events, TRADED, R_NONE, instrument, maker, maker.price, quantity, maker.left)
    event.taker_order_id = taker.order_id
    event.taker_account = taker.account
    event.taker_left = taker_left
    event.trade_id = core.next_trade_id
    core.next_trade_id += 1


cdef inline void emit_taker(Core* core, Events* events, u8 kind, u8 reason,
                            const mc_command* taker, i64 quantity, i64 left) noexcept nogil:
    """An event about an order that does not rest: the one a command carries."""
    emit_about(core, events, kind, reason, 0, taker.instrument, &taker.order_id, taker.side,
               taker.price, quantity, left)


cdef inline void emit_refusal(Core* core, const mc_command* command, u8 reason, u8 field,
                              Events* events) noexcept nogil:
    emit_about(core, events, REJECTED, reason, field, command.instrument, &command.order_id,
               command.side, command.price, command.quantity, 0)


cdef inline mc_change* change_of(Core* core, u8 kind, u32 instrument) noexcept nogil:
    """A new change; its time is for who knows the command."""
    cdef mc_change* change = core.changes
    core.changes += 1
    memset(change, 0, sizeof(mc_change))
    change.sequence = core.sequence
    change.instrument = instrument
    change.kind = kind
    return change


cdef inline mc_change* emit_change(Core* core, u8 kind, u16 flags, const Order* order, i64 quantity,
                                   i64 left, const Level* level) noexcept nogil:
    """A change of an order, which its level knows of already; core.changes is not NULL."""
    cdef mc_change* change = change_of(core, kind, order.instrument)
    change.order_id = order.order_id
    change.price = order.price
    change.quantity = quantity
    change.left = left
    change.level_quantity = level.quantity
    change.level_orders = <u32>level.orders
    change.side = order.side
    change.flags = flags
    return change


cdef inline void emit_execution(Core* core, const Order* maker, const mc_command* taker, i64 fill,
                                const Level* level) noexcept nogil:
    """A change of the trade told last; the level still counts a maker with nothing left."""
    cdef mc_change* change = emit_change(core, C_EXECUTED, 0, maker, fill, maker.left, level)
    change.taker_order_id = taker.order_id
    change.trade_id = core.next_trade_id - 1
    change.level_orders -= maker.left == 0
