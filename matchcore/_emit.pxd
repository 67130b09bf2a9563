# Writing events.  The caller has made sure of room.
from ._book cimport Core, Events
from ._pool cimport Order
from ._records cimport (REJECTED, R_NONE, TRADED, i64, mc_command, mc_event, u8, u32)

cdef inline void emit(Core* core, Events* events, u8 kind, u8 reason, u32 instrument,
                      const Order* order, i64 price, i64 quantity, i64 left) noexcept nogil:
    """An event about one order, resting or just taken off."""
    cdef mc_event* event = events.at
    events.at += 1
    event.sequence = core.sequence
    event.order_id = order.order_id
    event.client_order_id = order.client_order_id
    event.account = order.account
    event.price = price
    event.quantity = quantity
    event.left = left
    event.taker_order_id = 0
    event.taker_account = 0
    event.taker_left = 0
    event.trade_id = 0
    event.instrument = instrument
    event.kind = kind
    event.side = order.side
    event.reason = reason
    event.field = 0


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
    cdef Order order
    order.order_id = taker.order_id
    order.client_order_id = taker.client_order_id
    order.account = taker.account
    order.side = taker.side
    emit(core, events, kind, reason, taker.instrument, &order, taker.price, quantity, left)


cdef inline void emit_refusal(Core* core, const mc_command* command, u8 reason, u8 field,
                       Events* events) noexcept nogil:
    cdef mc_event* event = events.at
    emit_taker(core, events, REJECTED, reason, command, command.quantity, 0)
    event.field = field
