# Reports as packets: the messages that a session hears.
from libc.string cimport memcpy, memset

from ...machine.core.records cimport (AT_CLOSE, AT_OPEN, AUCTION, BUY, DAY, FOK, GTC, GTD, IOC,
                                      MARKET, REPORT_AUCTION, REPORT_BUSTED, REPORT_CANCELLED,
                                      REPORT_CANCEL_REJECTED, REPORT_DECREMENTED, REPORT_MAKER,
                                      REPORT_MASS_CANCELLED, REPORT_MASS_CANCEL_REJECTED,
                                      REPORT_QUOTE_REJECTED,
                                      REPORT_QUOTE_SET, REPORT_REPRICED, REPORT_TRIGGERED,
                                      REPORT_NEW, REPORT_POST_ONLY, REPORT_REJECTED,
                                      REPORT_REPLACED, REPORT_REPLACE_REJECTED, REPORT_TRADE,
                                      REPORT_UNSOLICITED, SELL, i64, mc_report, u8, u16, u32, u64)
from ...serving._words cimport put16, put32, put64
from ._listing cimport Listed
from ._texts cimport FORMS, Form, put_text

cdef extern from "gateways/ouch/_wire.h" nogil:
    bint mc_wire_price(i64 ticks, u64 multiplier, u64 divisor, u64* price)

cdef struct Answers:
    Form forms[FORMS]
    u8 rejects[256]         # reason of a refused NEW -> that of J
    u8 replace_rejects[256]
    u8 cancels[256]         # reason of a cancelled order -> that of C

cdef enum:
    SWEEP = 5               # an operation beside those of `names`: a mass cancel

cdef struct Said:
    # What the messages of one report are made of.
    const mc_report* report
    const Listed* listed    # NULL: no such instrument
    const Form* forms
    int operation
    u32 ref
    u64 quantity
    u64 price
    bint is_priced          # the price has room


cdef inline int read_id(u64 name, u64 scope, u32* ref) noexcept nogil:
    """Operation and UserRefNum of a client order id; 4 and 0 if OUCH did not give it."""
    cdef u64 operation = name >> 61
    ref[0] = 0
    if operation > 3 or (operation < 2 and (name >> 32 & 0x1fffffff) != scope):
        return 4
    ref[0] = <u32>name
    return <int>operation


cdef inline int named_of(const mc_report* report, u64 scope, u32* ref) noexcept nogil:
    """The same of a report; the number before, or the first, if another door gave the name."""
    cdef int operation = read_id(report.client_order_id, scope, ref)
    if operation == 4 and read_id(report.original_id, scope, ref) == 4:
        ref[0] = <u32>report.order_id
    return operation


cdef inline bint is_swept(const mc_report* report, u64 scope) noexcept nogil:
    """Whether it answers a request C of this session on this day."""
    cdef u64 name = report.client_order_id
    return (report.client_order_tail == (1ull << 63 | name) and name >> 32 == scope
            and (report.kind == REPORT_MASS_CANCELLED
                 or report.kind == REPORT_MASS_CANCEL_REJECTED))


cdef inline u8* put_head(u8* at, const Said* said, u8 letter) noexcept nogil:
    """Type, time and, but for S, UserRefNum."""
    cdef i64 time = said.report.time % 86400000000000ll
    at[0] = letter
    at = put64(at + 1, <u64>(time + 86400000000000ll if time < 0 else time))
    return at if letter == b'S' else put32(at, said.ref)


cdef inline u8 side_letter(u8 side) noexcept nogil:
    return b'B' if side == BUY else b'S' if side == SELL else b' '


cdef inline u8 time_letter(u8 time) noexcept nogil:
    if time == DAY: return b'0'
    if time == IOC or time == FOK: return b'3'
    if time == GTD: return b'6'
    if time == AT_OPEN: return b'o'
    if time == AT_CLOSE: return b'c'
    if time == AUCTION: return b'a'
    return b'G' if time == GTC else b' '


cdef inline u32 small(u64 quantity) noexcept nogil:
    return <u32>quantity if quantity <= 0xffffffffull else <u32>0xffffffffull


cdef inline u8* put_symbol(u8* at, const Said* said) noexcept nogil:
    if said.listed != NULL:
        memcpy(at, &said.listed.symbol, 8)
    else:
        memset(at, b' ', 8)
    return at + 8


cdef inline u8* put_order(u8* at, const Said* said) noexcept nogil:
    """What A and U say of the order."""
    at[0] = side_letter(said.report.side)
    at = put32(at + 1, small(said.quantity))
    at = put64(put_symbol(at, said), said.price)
    at[0], at[1] = time_letter(said.report.time_in_force), b'Y'
    at = put64(at + 2, said.report.order_id)
    at[0], at[1], at[2], at[3] = b'O', b'N', b'N', b'L'
    return put_text(at + 4, said.forms, said.report.client_order_tail if said.operation == 0 else <u64>0)


cdef inline u8* put_items(u8* at, const Said* said, bint quantity, bint price, bint order,
                          bint always) noexcept nogil:
    """What is appended, with its length; nothing but 0 or nothing at all if there is nothing.

    `quantity`, `price`, `order`: the message has such fields.
    """
    cdef u8* start = at
    at += 2
    if quantity and said.quantity > 0xffffffffull:
        at[0], at[1] = 9, 129
        at = put64(at + 2, said.quantity)
    if price and not said.is_priced:
        at[0], at[1] = 9, 130
        at = put64(at + 2, <u64>(said.report.last_price if said.report.kind == REPORT_TRADE
                                 else said.report.price))
    if order:
        if said.listed == NULL or not said.listed.named:
            at[0], at[1] = 5, 131
            at = put32(at + 2, said.report.instrument)
        if said.report.time_in_force == FOK:
            at[0], at[1] = 5, 3
            at = put32(at + 2, small(said.quantity))
        if said.report.flags & REPORT_POST_ONLY:
            at[0], at[1], at[2] = 2, 12, b'P'
            at += 3
    if said.operation == 4:
        at[0], at[1] = 17, 132
        at = put64(put64(at + 2, said.report.client_order_id), said.report.client_order_tail)
    if at == start + 2 and not always:
        return start
    put16(start, <u16>(at - start - 2))
    return at


cdef inline u8* put_accepted(u8* at, const Said* said, u32 original, bint replaced) noexcept nogil:
    """A, or U with the number before."""
    at = put_head(at, said, b'U' if replaced else b'A')
    if replaced:
        put32(at - 4, original)
        at = put32(at, said.ref)
    return put_items(put_order(at, said), said, True, True, True, True)


cdef inline u8 liquidity_letter(u8 flags) noexcept nogil:
    if flags & REPORT_AUCTION: return b'c'
    return b'A' if flags & REPORT_MAKER else b'R'


cdef inline u8* put_busted(u8* at, const Said* said) noexcept nogil:
    at = put64(put_head(at, said, b'B'), said.report.trade_id)
    at[0] = b'S'
    at = put_text(at + 1, said.forms, said.report.client_order_tail if said.operation == 0 else <u64>0)
    return put_items(at, said, False, False, False, False)


cdef inline u8* put_restated(u8* at, const Said* said) noexcept nogil:
    """R: another price, or a stop that was reached; the price is appended in ticks."""
    cdef Said ticks = said[0]
    at = put_head(at, said, b'R')
    at[0] = b'P' if said.report.kind == REPORT_REPRICED else b'T'
    ticks.is_priced = False
    return put_items(at + 1, &ticks, False, True, False, True)


cdef inline u8* put_decremented(u8* at, const Said* said) noexcept nogil:
    at = put32(put_head(at, said, b'D'), small(said.quantity))
    at[0] = b'D'
    at = put64(put32(at + 1, small(said.quantity)), said.price)
    at[0], at[1] = liquidity_letter(said.report.flags), b'D'
    return put_items(at + 2, said, True, True, False, True)


cdef inline u8* put_executed(u8* at, const Said* said) noexcept nogil:
    at = put32(put_head(at, said, b'E'), small(said.quantity))
    at = put64(at, said.price)
    at[0] = liquidity_letter(said.report.flags)
    at = put64(at + 1, said.report.trade_id)
    return put_items(at, said, True, True, False, True)


cdef inline u8* put_cancelled(u8* at, const Said* said, const Answers* answers) noexcept nogil:
    cdef u8 reason = answers.cancels[said.report.reason]
    if said.report.kind == REPORT_REPLACED and reason == b'Z':
        reason = b'U'
    if reason == b'U' and said.report.flags & REPORT_UNSOLICITED:
        reason = b'S'
    at = put32(put_head(at, said, b'C'), small(said.quantity))
    at[0] = reason
    return put_items(at + 1, said, True, False, False, False)


cdef inline u8* put_rejected(u8* at, const Said* said, const Answers* answers) noexcept nogil:
    cdef u16 reason = answers.rejects[said.report.reason]
    if said.report.kind == REPORT_REPLACE_REJECTED:
        reason = answers.replace_rejects[said.report.reason]
    elif said.report.order_type >= 128:
        reason = said.report.order_type - 128
    at = put16(put_head(at, said, b'J'), reason)
    at = put_text(at, said.forms, said.report.client_order_tail if said.operation == 0 else <u64>0)
    return put_items(at, said, False, False, False, False)


cdef inline u8* put_swept(u8* at, const Said* said) noexcept nogil:
    """X: a mass cancel is done, with its side and how many orders it cancelled."""
    cdef const mc_report* report = said.report
    cdef u8* start
    at = put_head(at, said, b'X')
    memset(at, b' ', 4)
    start = at = put_symbol(at + 4, said)
    at += 2
    if report.instrument and (said.listed == NULL or not said.listed.named):
        at[0], at[1] = 5, 131
        at = put32(at + 2, report.instrument)
    if report.side:
        at[0], at[1], at[2] = 2, 27, side_letter(report.side)
        at += 3
    at[0], at[1] = 5, 137
    at = put32(at + 2, small(<u64>report.last_quantity))
    put16(start, <u16>(at - start - 2))
    return at


cdef inline u8* put_sweep_rejected(u8* at, const Said* said, const Answers* answers) noexcept nogil:
    cdef u16 reason = answers.rejects[said.report.reason]
    if said.report.side >= 128:
        reason = said.report.side - 128
    at = put16(put_head(at, said, b'J'), reason)
    memset(at, b' ', 14)
    return at + 14


cdef inline u8* put_replaced(u8* at, Said* said, const Answers* answers, u64 scope) noexcept nogil:
    """U; C for what X has taken off, M for M."""
    cdef const mc_report* report = said.report
    cdef bint unsolicited = report.flags & REPORT_UNSOLICITED
    cdef u32 original = said.ref
    if said.operation == 2 and not unsolicited:
        said.quantity = report.client_order_tail
        return put_cancelled(at, said, answers)
    if said.operation == 3 and not unsolicited:
        at = put_head(at, said, b'M')
        at[0] = side_letter(report.side)
        at = put32(at + 1, small(said.quantity))
        return put_items(at, said, True, False, False, False)
    if said.operation != 4 and not unsolicited and read_id(report.original_id, scope, &original) == 4:
        original = <u32>report.order_id
    return put_accepted(at, said, original, True)


cdef inline u8* put_message(u8* at, Said* said, const Answers* answers, u64 scope) noexcept nogil:
    cdef u8 kind = said.report.kind
    if kind == REPORT_NEW:
        return put_accepted(at, said, 0, False)
    if kind == REPORT_TRADE:
        return put_executed(at, said)
    if kind == REPORT_CANCELLED:
        said.quantity = <u64>(said.report.quantity - said.report.filled)
        return put_cancelled(at, said, answers)
    if kind == REPORT_REPLACED:
        return put_replaced(at, said, answers, scope)
    if kind == REPORT_REJECTED or (
            kind == REPORT_REPLACE_REJECTED and (said.operation == 0 or said.operation == 4)):
        return put_rejected(at, said, answers)
    if kind == REPORT_REPLACE_REJECTED or kind == REPORT_CANCEL_REJECTED:
        return put_items(put_head(at, said, b'I'), said, False, False, False, False)
    if kind == REPORT_BUSTED:
        return put_busted(at, said)
    if kind == REPORT_REPRICED or kind == REPORT_TRIGGERED:
        return put_restated(at, said)
    if kind == REPORT_DECREMENTED:
        return put_decremented(at, said)
    if said.operation == SWEEP:
        if kind == REPORT_MASS_CANCELLED:
            return put_swept(at, said)
        return put_sweep_rejected(at, said, answers)
    at = put_head(at, said, b'S')
    at[0] = (b'm' if kind == REPORT_MASS_CANCELLED else b'q' if kind == REPORT_QUOTE_SET
             else b'k' if kind == REPORT_QUOTE_REJECTED else b'n')
    return at + 1


cdef inline u8* put_answer(u8* start, const Answers* answers, const mc_report* report, u64 scope,
                           const Listed* listed, size_t count) noexcept nogil:
    """A packet of sequenced data."""
    cdef Said said
    cdef u8* at
    cdef bint is_trade = report.kind == REPORT_TRADE
    said.report, said.forms = report, answers.forms
    said.listed = listed + (report.instrument - 1) if 1 <= report.instrument <= count else NULL
    said.operation, said.ref = 4, 0
    if report.order_id >> 32 == (1ull << 31 | scope):
        said.operation = named_of(report, scope, &said.ref)
    if is_swept(report, scope):
        said.operation, said.ref = SWEEP, <u32>report.client_order_id
    said.quantity = <u64>(report.last_quantity if is_trade or report.kind == REPORT_DECREMENTED
                          else report.quantity)
    said.price, said.is_priced = 0, False
    if not is_trade and report.order_type == MARKET:
        said.price, said.is_priced = 0x7fffffff, True
    elif said.listed != NULL:
        said.is_priced = mc_wire_price(report.last_price if is_trade else report.price,
                                       said.listed.multiplier, said.listed.divisor, &said.price)
    at = put_message(start + 3, &said, answers, scope)
    put16(start, <u16>(at - start - 2))
    start[2] = b'S'
    return at
