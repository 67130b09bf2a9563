"""`REPORT` rows as messages: 8, 9, r and AI.

`plain_reports.Plain` has the same rules in plain Python.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from ...machine.core.records cimport LIMIT, mc_report
from ...records._ids cimport mc_text_of_id
from ._text cimport SOH, digits, mc_wide, put_time

from ...records.reports import REPORT
from ...records.schema import OrderStatus, ReportFlag, ReportKind
from .layout import (
    CANCEL_REJECT_REASON, DONE, FIX_EXEC_TYPE, FIX_ORDER_TYPE, FIX_RESTATED, FIX_STATUS,
    FIX_TIME_IN_FORCE, ORDER_REJECT_REASON, OTHER, QUOTE_REJECT_REASON, TIMES_IN_FORCE_44, TOO_LATE,
    TRIGGERED_44, TRIGGERED_WHY_44, reason_text,
)

cdef enum:
    ROW_BYTES = 1536  # of a message at most, without what is added to each
    LENGTH_ROOM = 4  # digits of BodyLength that are kept free
    AVERAGE_DECIMALS = 4

cdef int K_NEW = ReportKind.NEW, K_TRADE = ReportKind.TRADE, K_CANCELLED = ReportKind.CANCELLED
cdef int K_REJECTED = ReportKind.REJECTED
cdef int K_CANCEL_REJECTED = ReportKind.CANCEL_REJECTED
cdef int K_REPLACE_REJECTED = ReportKind.REPLACE_REJECTED
cdef int K_MASS = ReportKind.MASS_CANCELLED, K_MASS_REJECTED = ReportKind.MASS_CANCEL_REJECTED
cdef int K_QUOTE = ReportKind.QUOTE_SET, K_QUOTE_REJECTED = ReportKind.QUOTE_REJECTED
cdef int S_EXPIRED = OrderStatus.EXPIRED
cdef int MAKER = ReportFlag.MAKER, POST_ONLY = ReportFlag.POST_ONLY
cdef int AUCTION = ReportFlag.AUCTION, K_BUSTED = ReportKind.BUSTED

cdef unsigned char[256] status_code, exec_code, restated
cdef list order_reasons = [ORDER_REJECT_REASON.get(code, OTHER) for code in range(256)]
cdef list cancel_reasons = [CANCEL_REJECT_REASON.get(code, OTHER) for code in range(256)]
cdef list quote_reasons = [QUOTE_REJECT_REASON.get(code, OTHER) for code in range(256)]
cdef int _code
for _code in range(256):
    status_code[_code] = (<bytes>FIX_STATUS.get(_code, b"8"))[0]
    restated[_code] = (<bytes>FIX_RESTATED.get(_code, b"\0"))[0]
    exec_code[_code] = (<bytes>FIX_EXEC_TYPE.get(_code, b"I"))[0]
cdef int K_TRIGGERED = ReportKind.TRIGGERED, times_44 = TIMES_IN_FORCE_44
cdef char triggered_44 = (<bytes>TRIGGERED_44)[0], triggered_why_44 = (<bytes>TRIGGERED_WHY_44)[0]
cdef bytes types = FIX_ORDER_TYPE, times = FIX_TIME_IN_FORCE
cdef dict texts = {}

cdef struct pen:
    char* at


cdef inline void put(pen* out, const char* text, Py_ssize_t size) noexcept:
    memcpy(out.at, text, size)
    out.at += size


cdef inline void tag(pen* out, const char* name, Py_ssize_t size) noexcept:
    """The separator of the field before, and a tag with its equals sign."""
    out.at[0] = SOH
    memcpy(out.at + 1, name, size)
    out.at += size + 1


cdef inline void field(pen* out, const char* name, Py_ssize_t size, bytes value) noexcept:
    tag(out, name, size)
    put(out, <const char*>value, len(value))


cdef inline void letter(pen* out, const char* name, Py_ssize_t size, char value) noexcept:
    tag(out, name, size)
    out.at[0] = value
    out.at += 1


cdef inline void number(pen* out, const char* name, Py_ssize_t size, uint64_t value) noexcept:
    tag(out, name, size)
    out.at = digits(out.at, value, 0)


cdef inline void signed(pen* out, const char* name, Py_ssize_t size, int64_t value) noexcept:
    cdef mc_wide positive = value
    tag(out, name, size)
    if value < 0:
        out.at[0] = c"-"
        out.at += 1
        positive = -positive
    out.at = digits(out.at, positive, 0)


cdef inline void price(pen* out, const char* name, Py_ssize_t size, int64_t ticks,
                       int64_t mantissa, int decimals) noexcept:
    cdef mc_wide value = <mc_wide>ticks * mantissa
    tag(out, name, size)
    if value < 0:
        out.at[0] = c"-"
        out.at += 1
        value = -value
    out.at = digits(out.at, value, decimals)


cdef inline void id_field(pen* out, const char* name, Py_ssize_t size, uint64_t id,
                          uint64_t tail) noexcept:
    tag(out, name, size)
    out.at += mc_text_of_id(out.at, id, tail)


cdef class Reports:
    """The writer of one session.

    - ``begin``, ``sender``, ``target``: of the header, as the client is to see it.
    - ``time_digits``: decimals of a second in times, 0 to 9.
    - ``modern``: FIX 5.0 fields are written too.
    - ``instruments``: by number - 1: (symbol, tick mantissa, decimals).
    """

    cdef bytes begin, parties
    cdef int time_digits
    cdef bint modern
    cdef public list instruments

    def __init__(self, bytes begin, bytes sender, bytes target, int time_digits, bint modern,
                 list instruments):
        if len(begin) > 16 or len(sender) > 64 or len(target) > 64 or not 0 <= time_digits <= 9:
            raise ValueError("begin, sender, target or time_digits: too long")
        self.begin = begin
        self.parties = b"\x0149=" + sender + b"\x0156=" + target + b"\x0134="
        self.time_digits, self.modern, self.instruments = time_digits, modern, instruments

    def write(self, reports, uint64_t first, int64_t now, *, bint again=False, bint perhaps=False,
              bint status=False, bytes extra=b""):
        """The messages of ``reports``, numbered from ``first`` on, sent at ``now``.

        ``again``: with PossDupFlag, and OrigSendingTime as the report's time. ``perhaps``: with
        PossResend. ``status``: as answers to a request for the status. ``extra``: fields that each
        has behind all others, each with its separator before it.
        """
        cdef Py_buffer view
        cdef const mc_report* rows
        cdef Py_ssize_t count, at
        cdef char* text
        cdef pen out
        if reports.dtype != REPORT or reports.ndim != 1:
            raise TypeError("reports: a 1-D array of dtype REPORT")
        if now < 0:
            raise ValueError("now: nanoseconds since 1970")
        PyObject_GetBuffer(reports, &view, PyBUF_SIMPLE)
        try:
            rows, count = <const mc_report*>view.buf, view.len // <Py_ssize_t>sizeof(mc_report)
            text = <char*>malloc((ROW_BYTES + len(extra)) * count + 1)
            if text == NULL:
                raise MemoryError("no memory for the reports")
            try:
                out.at = text
                for at in range(count):
                    self.message(&out, &rows[at], first + <uint64_t>at, now, again, perhaps,
                                 status, extra)
                return PyBytes_FromStringAndSize(text, out.at - text)
            finally:
                free(text)
        finally:
            PyBuffer_Release(&view)

    cdef int message(self, pen* out, const mc_report* row, uint64_t sequence, int64_t now,
                     bint again, bint perhaps, bint status, bytes extra) except -1:
        cdef char* begin = out.at
        cdef char* body
        cdef char* behind
        cdef char kind = c"8"
        cdef unsigned int sum = 0
        cdef Py_ssize_t size, spare
        if not status and row.kind in (K_CANCEL_REJECTED, K_REPLACE_REJECTED):
            kind = c"9"
        elif not status and row.kind in (K_MASS, K_MASS_REJECTED):
            kind = c"r"
        elif not status and row.kind in (K_QUOTE, K_QUOTE_REJECTED):
            kind = c"A"  # AI
        put(out, b"8=", 2)
        put(out, <const char*>self.begin, len(self.begin))
        put(out, b"\x019=", 3)
        body = out.at + LENGTH_ROOM + 1
        out.at = body
        put(out, b"35=", 3)
        out.at[0] = kind
        out.at += 1
        if kind == c"A":
            out.at[0] = c"I"
            out.at += 1
        put(out, <const char*>self.parties, len(self.parties))
        out.at = digits(out.at, sequence, 0)
        if again:
            letter(out, b"43=", 3, c"Y")
        if perhaps:
            letter(out, b"97=", 3, c"Y")
        tag(out, b"52=", 3)
        out.at = put_time(out.at, now, self.time_digits)
        if again:
            tag(out, b"122=", 4)
            out.at = put_time(out.at, row.time if 0 <= row.time <= now else now, self.time_digits)
        if kind == c"8":
            self.execution(out, row, status)
        elif kind == c"9":
            self.cancel_reject(out, row)
        elif kind == c"A":
            self.quote_status(out, row)
        else:
            self.mass_report(out, row)
        put(out, <const char*>extra, len(extra))
        out.at[0] = SOH
        out.at += 1
        size = out.at - body
        behind = digits(body - LENGTH_ROOM - 1, size, 0)
        behind[0] = SOH
        spare = body - behind - 1
        if spare:
            memmove(behind + 1, body, size)
            out.at -= spare
        for size in range(out.at - begin):
            sum += <unsigned char>begin[size]
        put(out, b"10=", 3)
        sum &= 255
        out.at[0], out.at[1], out.at[2] = 48 + sum // 100, 48 + sum // 10 % 10, 48 + sum % 10
        out.at[3] = SOH
        out.at += 4
        return 0

    cdef int execution(self, pen* out, const mc_report* row, bint status) except -1:
        cdef int64_t mantissa = 1
        cdef int decimals = 0
        cdef char code = exec_code[row.kind]
        cdef char why = restated[row.kind]
        cdef bytes symbol = b"[N/A]"
        if 1 <= row.instrument <= <uint32_t>len(self.instruments):
            symbol, mantissa, decimals = self.instruments[row.instrument - 1]
        if row.kind == K_TRIGGERED and not self.modern:
            code, why = triggered_44, triggered_why_44
        if status:
            code = c"I"
        elif row.kind == K_CANCELLED and row.status == S_EXPIRED:
            code = c"C"
        number(out, b"37=", 3, row.order_id)
        self.ids(out, row)
        if status:
            field(out, b"17=", 3, b"0")
        else:
            self.exec_id(out, row)
        letter(out, b"150=", 4, code)
        letter(out, b"39=", 3, status_code[row.status])
        if code == c"8":
            field(out, b"103=", 4, order_reasons[row.reason])
        number(out, b"1=", 2, row.account)
        field(out, b"55=", 3, symbol)
        if 1 <= row.side <= 2:
            letter(out, b"54=", 3, 48 + row.side)
        signed(out, b"38=", 3, row.quantity)
        if row.order_type < len(types) and row.order_type:
            letter(out, b"40=", 3, types[row.order_type])
        if row.order_type == LIMIT or row.price:
            price(out, b"44=", 3, row.price, mantissa, decimals)
        if row.time_in_force and row.time_in_force < (len(times) if self.modern else times_44):
            letter(out, b"59=", 3, times[row.time_in_force])
        if row.flags & POST_ONLY:
            letter(out, b"18=", 3, c"6")
        if why and not status:
            letter(out, b"378=", 4, why)
        if (row.kind == K_TRADE or row.kind == K_BUSTED) and not status:
            self.trade(out, row, mantissa, decimals)
        signed(out, b"151=", 4, row.left)
        signed(out, b"14=", 3, row.filled)
        self.average(out, row, mantissa, decimals)
        self.ending(out, row, status)
        return 0

    cdef int trade(self, pen* out, const mc_report* row, int64_t mantissa,
                   int decimals) except -1:
        signed(out, b"32=", 3, row.last_quantity)
        price(out, b"31=", 3, row.last_price, mantissa, decimals)
        if row.flags & AUCTION and self.modern:
            letter(out, b"851=", 4, c"4")
        elif not row.flags & AUCTION:
            letter(out, b"851=", 4, c"1" if row.flags & MAKER else c"2")
        number(out, b"527=", 4, row.trade_id)
        if self.modern:
            letter(out, b"1057=", 5, c"N" if row.flags & (MAKER | AUCTION) else c"Y")
            number(out, b"880=", 4, row.trade_id)
        return 0

    cdef int average(self, pen* out, const mc_report* row, int64_t mantissa,
                     int decimals) except -1:
        """AvgPx, to four decimals more than the tick has, half away from zero."""
        cdef mc_wide value = (<mc_wide>row.turnover_high << 64) + <mc_wide>row.turnover
        cdef bint minus = value < 0
        cdef int more, cut
        if row.filled <= 0:
            field(out, b"6=", 2, b"0")
            return 0
        if minus:
            value = -value
        if value >> 64 or mantissa >> 40:  # beyond what 128 bits hold of the steps below
            from .plain import average
            total = (int(row.turnover_high) << 64) + row.turnover
            field(out, b"6=", 2, average(total, row.filled, mantissa, decimals))
            return 0
        value = value * mantissa * 10000
        value = (2 * value + row.filled) // (2 * <mc_wide>row.filled)
        tag(out, b"6=", 2)
        if minus:
            out.at[0] = c"-"
            out.at += 1
        more, cut = decimals + AVERAGE_DECIMALS, 0
        while cut < AVERAGE_DECIMALS and value % 10 == 0:
            value //= 10
            cut += 1
        out.at = digits(out.at, value, more - cut)
        return 0

    cdef int cancel_reject(self, pen* out, const mc_report* row) except -1:
        if row.order_id:
            number(out, b"37=", 3, row.order_id)
        else:
            field(out, b"37=", 3, b"NONE")
        self.ids(out, row)
        if not (row.original_id or row.original_tail):
            field(out, b"41=", 3, b"NONE")
        letter(out, b"39=", 3, status_code[row.status])
        number(out, b"1=", 2, row.account)
        letter(out, b"434=", 4, c"1" if row.kind == K_CANCEL_REJECTED else c"2")
        field(out, b"102=", 4, TOO_LATE if row.status in DONE else cancel_reasons[row.reason])
        self.ending(out, row, False)
        return 0

    cdef int mass_report(self, pen* out, const mc_report* row) except -1:
        cdef bint refused = row.kind == K_MASS_REJECTED
        id_field(out, b"11=", 3, row.client_order_id, row.client_order_tail)
        tag(out, b"37=", 3)
        self.execution_number(out, row)
        if self.modern:
            tag(out, b"1369=", 5)
            self.execution_number(out, row)
        letter(out, b"530=", 4, c"1" if row.instrument else c"7")
        letter(out, b"531=", 4, c"0" if refused else c"1" if row.instrument else c"7")
        if refused:
            field(out, b"532=", 4, OTHER)
        else:
            signed(out, b"533=", 4, row.last_quantity)
        if 1 <= row.instrument <= <uint32_t>len(self.instruments):
            field(out, b"55=", 3, self.instruments[row.instrument - 1][0])
        if 1 <= row.side <= 2:
            letter(out, b"54=", 3, 48 + row.side)
        self.ending(out, row, False)
        return 0

    cdef int quote_status(self, pen* out, const mc_report* row) except -1:
        cdef bint refused = row.kind == K_QUOTE_REJECTED
        cdef bytes symbol = b"[N/A]"
        if 1 <= row.instrument <= <uint32_t>len(self.instruments):
            symbol = self.instruments[row.instrument - 1][0]
        if row.client_order_id or row.client_order_tail:
            id_field(out, b"117=", 4, row.client_order_id, row.client_order_tail)
        else:
            field(out, b"117=", 4, b"NONE")
        field(out, b"55=", 3, symbol)
        number(out, b"1=", 2, row.account)
        letter(out, b"297=", 4, c"5" if refused else c"0" if row.left else c"1")
        if refused and self.modern:
            field(out, b"300=", 4, quote_reasons[row.reason])
        self.ending(out, row, False)
        return 0

    cdef int ids(self, pen* out, const mc_report* row) except -1:
        if row.client_order_id or row.client_order_tail:
            id_field(out, b"11=", 3, row.client_order_id, row.client_order_tail)
        if row.original_id or row.original_tail:
            id_field(out, b"41=", 3, row.original_id, row.original_tail)
        return 0

    cdef void exec_id(self, pen* out, const mc_report* row) noexcept:
        tag(out, b"17=", 3)
        self.execution_number(out, row)

    cdef void execution_number(self, pen* out, const mc_report* row) noexcept:
        out.at = digits(out.at, row.sequence, 0)
        out.at[0] = c"-"
        out.at = digits(out.at + 1, row.part, 0)
        if (row.kind == K_TRADE or row.kind == K_BUSTED) and row.flags & MAKER:  # one trade may be both sides of a session
            out.at[0] = c"M"
            out.at += 1

    cdef int ending(self, pen* out, const mc_report* row, bint status) except -1:
        """TransactTime, and the reason in words; a status is of no transaction."""
        if status:
            return 0
        tag(out, b"60=", 3)
        out.at = put_time(out.at, row.time if row.time >= 0 else 0, self.time_digits)
        if row.reason:
            known = texts.get((row.reason, row.field))
            if known is None:
                known = texts[row.reason, row.field] = reason_text(row.reason, row.field)
            field(out, b"58=", 3, known)
        return 0
