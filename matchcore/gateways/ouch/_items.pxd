# What a request appends: items of a length, a tag and a value.
from libc.stdint cimport INT64_MAX
from libc.string cimport memcpy, memset

from ...machine.core.records cimport (BUY, DAY, GTD, HIDDEN, IOC, MARKET, SELL, STOP, STOP_LIMIT,
                                      i64, mc_command, u8, u64)
from ...serving._words cimport word_of

cdef enum:
    T_MIN_QUANTITY = 3
    T_POST_ONLY = 12
    T_SIDE = 27
    T_QUANTITY = 129
    T_PRICE = 130
    T_INSTRUMENT = 131
    T_STOP_PRICE = 133
    T_EXPIRY = 134
    T_DISPLAY_QUANTITY = 135
    T_SELF_TRADE = 136

cdef struct Items:
    bint wrong
    bint has_quantity, has_price, has_instrument, has_smallest, has_post_only, has_side
    u64 quantity, price, instrument, smallest, post_only, side
    bint has_terms          # one or more of those below
    bint has_stop, has_expiry, has_shown, has_mode
    u64 stop, expiry, shown, mode


cdef inline bint get_term(Items* items, u8 tag, size_t size, const u8* at) noexcept nogil:
    """One item of an order of a market; false if it is wrong."""
    if tag == T_STOP_PRICE and size == 9 and not items.has_stop:
        items.has_stop, items.stop = True, word_of(at + 2, 8)
    elif tag == T_EXPIRY and size == 9 and not items.has_expiry:
        items.has_expiry, items.expiry = True, word_of(at + 2, 8)
    elif tag == T_DISPLAY_QUANTITY and size == 9 and not items.has_shown:
        items.has_shown, items.shown = True, word_of(at + 2, 8)
    elif tag == T_SELF_TRADE and size == 2 and not items.has_mode:
        items.has_mode, items.mode = True, at[2]
    else:
        return False
    items.has_terms = True
    return True


cdef inline void put_terms(const Items* items, mc_command* command) noexcept nogil:
    """What only an order of a market has, into its NEW."""
    cdef u64 top = <u64>INT64_MAX
    if items.has_stop:
        command.stop_price = <i64>items.stop
        command.order_type = STOP if command.order_type == MARKET else STOP_LIMIT
    if items.has_expiry:
        command.expiry = <i64>(items.expiry if items.expiry <= top else top)
    if items.has_shown:
        command.display_quantity = <i64>(items.shown if items.shown <= top else top)
        if items.shown == 0:
            command.flags |= HIDDEN
    command.self_trade = <u8>items.mode


cdef inline void get_items(Items* items, const u8* at, const u8* end) noexcept nogil:
    """What is appended; `wrong` and nothing else if a tag is unknown, of another size, or twice."""
    cdef size_t size
    cdef u8 tag
    memset(items, 0, sizeof(Items))
    while at < end:
        size = at[0]
        if size == 0 or at + 1 + size > end:
            break
        tag = at[1]
        if tag == T_MIN_QUANTITY and size == 5 and not items.has_smallest:
            items.has_smallest, items.smallest = True, word_of(at + 2, 4)
        elif tag == T_POST_ONLY and size == 2 and not items.has_post_only:
            items.has_post_only, items.post_only = True, at[2]
        elif tag == T_SIDE and size == 2 and not items.has_side:
            items.has_side, items.side = True, at[2]
        elif tag == T_QUANTITY and size == 9 and not items.has_quantity:
            items.has_quantity, items.quantity = True, word_of(at + 2, 8)
        elif tag == T_PRICE and size == 9 and not items.has_price:
            items.has_price, items.price = True, word_of(at + 2, 8)
        elif tag == T_INSTRUMENT and size == 5 and not items.has_instrument:
            items.has_instrument, items.instrument = True, word_of(at + 2, 4)
        elif tag >= T_STOP_PRICE:
            if not get_term(items, tag, size, at):
                break
        elif tag != 2 and tag != 4:
            break
        at += 1 + size
    if at != end:
        memset(items, 0, sizeof(Items))
        items.wrong = True


cdef inline bint appended(const u8* message, size_t size, size_t fields, bint always,
                          Items* items) noexcept nogil:
    """Reads what is appended; false if the size of the message is wrong."""
    cdef size_t rest = size - fields
    if size < fields or rest == 1 or (always and rest == 0):
        return False
    if rest == 0:
        get_items(items, message, message)
        return True
    if word_of(message + fields, 2) != rest - 2:
        return False
    get_items(items, message + fields + 2, message + size)
    return True


cdef inline bint is_sweep(const Items* items) noexcept nogil:
    """Whether there is nothing that a mass cancel does not have."""
    return not (items.wrong or items.has_quantity or items.has_price or items.has_smallest
                or items.has_post_only or items.has_terms)


cdef inline u8 time_of(u8 said, bint expires) noexcept nogil:
    """The time in force of a request; 0: none that it can have."""
    if expires:
        return GTD if said == b'6' else 0
    return DAY if said == b'0' else IOC if said == b'3' else 0


cdef inline u8 side_of(u8 letter) noexcept nogil:
    return BUY if letter == b'B' else SELL if letter == b'S' else 0


cdef inline bint is_shown(u8 display) noexcept nogil:
    return display == b'Y' or display == b'A'


cdef inline u64 symbol_word(const u8* text) noexcept nogil:
    """Eight characters as they lie in memory, padded with blanks."""
    cdef u8 said[8]
    cdef u64 word
    cdef int size = 8
    memcpy(said, text, 8)
    while size and (said[size - 1] == b' ' or said[size - 1] == 0):
        size -= 1
        said[size] = b' '
    memcpy(&word, said, 8)
    return word
