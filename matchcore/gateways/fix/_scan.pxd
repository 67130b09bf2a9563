# The search for the next message, inlined into the modules that need it.
from libc.string cimport memchr, memcmp

from ._text cimport SOH, is_digit

cdef enum:
    BODY_MAX = 8192  # bytes of a body: no message that is understood here has more
    LENGTH_DIGITS_MAX = 9  # some write leading zeros
    BEGIN_MAX = 12  # bytes of 8=FIX.4.4 and the like
    F_MESSAGE = 0
    F_GARBLED = 1
    F_PARTIAL = 2


cdef inline Py_ssize_t opening(const unsigned char* data, Py_ssize_t size,
                               Py_ssize_t at) noexcept nogil:
    """Where the next 8=FIX begins, or what the end of the data has of it."""
    cdef const unsigned char* found
    cdef Py_ssize_t left
    while at < size:
        found = <const unsigned char*>memchr(data + at, c"8", size - at)
        if found == NULL:
            return size
        at = found - data
        left = size - at
        if memcmp(found, b"8=FIX", 5 if left > 5 else left) == 0:
            return at
        at += 1
    return size


cdef inline Py_ssize_t following(const unsigned char* data, Py_ssize_t size,
                                 Py_ssize_t at) noexcept nogil:
    """Where a field 8=FIX begins behind ``at``; -1: nowhere yet."""
    cdef const unsigned char* found
    while at + 6 <= size:
        found = <const unsigned char*>memchr(data + at, SOH, size - at - 5)
        if found == NULL:
            return -1
        if memcmp(found + 1, b"8=FIX", 5) == 0:
            return found + 1 - data
        at = found + 1 - data
    return -1


cdef inline int scan(const unsigned char* data, Py_ssize_t size, Py_ssize_t at,
                     Py_ssize_t* begin, Py_ssize_t* end) noexcept nogil:
    cdef Py_ssize_t place, body, first, length = 0, next_one
    cdef unsigned int sum = 0
    cdef const unsigned char* tail
    begin[0] = place = opening(data, size, at)
    end[0] = size
    if size - place < 5:
        return F_PARTIAL
    # 8=FIX.4.4|9=
    body = place + 5
    while body < size and data[body] != SOH and body - place < BEGIN_MAX:
        body += 1
    if body < size and data[body] != SOH:
        end[0] = place + 5
        return F_GARBLED
    if size - body < 3:
        return F_PARTIAL
    if data[body + 1] != c"9" or data[body + 2] != c"=":
        end[0] = place + 5
        return F_GARBLED
    body += 3
    first = body
    while body < size and is_digit(data[body]) and body - first < LENGTH_DIGITS_MAX:
        length = length * 10 + (data[body] - 48)
        body += 1
    if body < size and data[body] != SOH or not 0 <= length <= BODY_MAX:
        end[0] = place + 5
        return F_GARBLED
    if body >= size:
        return F_PARTIAL
    body += 1
    if size - body < length + 7:  # a length that does not fit shows when another message begins
        next_one = following(data, size, body - 1)
        if next_one < 0:
            return F_PARTIAL
        end[0] = next_one
        return F_GARBLED
    tail = data + body + length
    if (length < 5 or data[body + length - 1] != SOH or memcmp(tail, b"10=", 3) != 0 or tail[6] != SOH
            or not (is_digit(tail[3]) and is_digit(tail[4]) and is_digit(tail[5]))):
        end[0] = place + 5
        return F_GARBLED
    end[0] = body + length + 7
    for at in range(place, body + length):
        sum += data[at]
    if (sum & 255) != <unsigned int>((tail[3] - 48) * 100 + (tail[4] - 48) * 10 + tail[5] - 48):
        return F_GARBLED
    return F_MESSAGE if memcmp(data + body, b"35=", 3) == 0 else F_GARBLED
