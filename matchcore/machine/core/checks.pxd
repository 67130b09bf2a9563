# What forbids a new order, in the order of the rule book; what a sweep is about.  Nothing here
# changes anything.
from ..._book cimport Book, Core, Pending
from .ladder cimport Ladder
from .pool cimport Order
from .records cimport *
from .resting cimport overflows

cdef inline Field unsupported(const Core* core, const mc_command* command) noexcept nogil:
    """The first field for later use that is not zero, or F_NONE."""
    if command.stop_price:
        return F_STOP_PRICE
    if command.display_quantity:
        return F_DISPLAY_QUANTITY
    if command.expiry:
        return F_EXPIRY
    if command.self_trade:
        return F_SELF_TRADE
    if command.reserved or (command.session | command.client_order_tail) & core.unused:
        return F_RESERVED
    return F_NONE

cdef inline bint is_plain(const Core* core, const mc_command* command) noexcept nogil:
    """True for a NEW limit order of known side and time in force, all else zero: almost all are.

    Kind, side, order type and time in force lie side by side, as do the small fields after
    them, so each group is one comparison.
    """
    return ((mc_word32(&command.kind) - <u32>PLAIN_BASE) & <u32>PLAIN_MASK
            | mc_word32(&command.self_trade) | <u64>command.stop_price
            | <u64>command.display_quantity | <u64>command.expiry
            | (command.session | command.client_order_tail) & core.unused) == 0

cdef inline bint is_resting(const mc_command* command) noexcept nogil:
    """True for an order whose rest stays in the book."""
    return has(RESTING_TYPES, command.order_type) and has(RESTING_TIFS, command.time_in_force)

cdef inline Reason wrong_fields(const Core* core, const mc_command* command,
                                Field* field) noexcept nogil:
    """What forbids a NEW whatever the book, in the order of the rule book, or R_NONE."""
    if not in_set(EVERY_SIDE, command.side):
        field[0] = F_SIDE
        return R_BAD_SIDE
    if not in_set(PLAIN_TYPES, command.order_type):
        field[0] = F_ORDER_TYPE
        return R_BAD_ORDER_TYPE
    if not in_set(PLAIN_TIFS, command.time_in_force):
        field[0] = F_TIME_IN_FORCE
        return R_BAD_TIME_IN_FORCE
    if command.flags != 0 and not (command.flags == POST_ONLY and is_resting(command)):
        field[0] = F_FLAGS
        return R_BAD_FLAGS
    field[0] = unsupported(core, command)
    if field[0] != F_NONE:
        return R_UNSUPPORTED
    if has(UNPRICED_TYPES, command.order_type) and command.price != 0:
        field[0] = F_PRICE
        return R_PRICE_NOT_ALLOWED
    return R_NONE

cdef inline Reason wrong_quantity(const Book* book, i64 quantity) noexcept nogil:
    if mc_unlikely(<u64>quantity - 1 >= <u64>book.quantity_max):
        return R_QUANTITY_NOT_POSITIVE if quantity <= 0 else R_QUANTITY_TOO_LARGE
    if book.lot != 1 and quantity % book.lot:
        return R_OFF_LOT
    return R_NONE

cdef inline Reason wrong_resting(const Book* book, Ladder* ladder, const mc_command* command,
                                 u64 key, bint crossing, Field* field) noexcept nogil:
    """What forbids a NEW to rest, in the order of the rule book, or R_NONE."""
    if mc_unlikely(book.orders >= book.orders_max):
        field[0] = F_MAX_ORDERS
        return R_TOO_MANY_ORDERS
    if mc_unlikely(crossing) and command.flags == POST_ONLY:
        field[0] = F_PRICE
        return R_WOULD_TRADE
    if mc_unlikely(overflows(ladder, key, command.quantity, 0)):
        field[0] = F_QUANTITY
        return R_LEVEL_OVERFLOW
    return R_NONE

cdef inline bint is_swept(const Pending* pending, const Order* order) noexcept nogil:
    """True if a mass cancel or the kill switch is about an order of its side."""
    if pending.command.account not in (0, order.account):
        return False
    if mc_likely(pending.command.kind != MASS_CANCEL or pending.command.flags == 0):
        return True
    if (pending.command.flags & RANGE
            and not pending.command.price <= order.price <= pending.command.stop_price):
        return False
    return not pending.command.flags & OF_SESSION       # which an order here does not know
