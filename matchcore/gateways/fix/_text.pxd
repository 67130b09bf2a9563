# Numbers and times as FIX writes them, for the compiled modules of this room.
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from ...serving._digits cimport digits, mc_wide

cdef extern from *:
    """
    /* Days since 1970 of a date of the Gregorian calendar. */
    static inline int64_t mc_fix_days(int year, int month, int day)
    {
        year -= month <= 2;
        int era = year / 400, of_era = year - era * 400;
        int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    }

    static inline char *mc_fix_pair(char *at, int value)
    {
        *at++ = (char)('0' + value / 10);
        *at++ = (char)('0' + value % 10);
        return at;
    }

    /* YYYYMMDD-HH:MM:SS and `digits` of the second; a time from 1970 to 9999. */
    static inline char *mc_fix_time(char *at, int64_t time, int digits)
    {
        int64_t second = time / 1000000000, rest = time % 1000000000;
        int64_t days = second / 86400 + 719468;
        int of_day = (int)(second % 86400);
        int era = (int)(days / 146097), of_era = (int)(days - (int64_t)era * 146097);
        int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int of_year = of_era - (365 * year + year / 4 - year / 100);
        int shifted = (5 * of_year + 2) / 153;
        int day = of_year - (153 * shifted + 2) / 5 + 1;
        int month = shifted < 10 ? shifted + 3 : shifted - 9;
        year += era * 400 + (month <= 2);
        at = mc_fix_pair(at, year / 100);
        at = mc_fix_pair(at, year % 100);
        at = mc_fix_pair(at, month);
        at = mc_fix_pair(at, day);
        *at++ = '-';
        at = mc_fix_pair(at, of_day / 3600);
        *at++ = ':';
        at = mc_fix_pair(at, of_day / 60 % 60);
        *at++ = ':';
        at = mc_fix_pair(at, of_day % 60);
        if (digits) {
            *at++ = '.';
            for (int64_t unit = 100000000; digits--; unit /= 10)
                *at++ = (char)('0' + rest / unit % 10);
        }
        return at;
    }
    """
    int64_t days_of "mc_fix_days"(int year, int month, int day) noexcept nogil
    char* put_time "mc_fix_time"(char* at, int64_t time, int digits) noexcept nogil

cdef enum:
    SOH = 1


cdef inline bint is_digit(unsigned char one) noexcept nogil:
    return <unsigned char>(one - 48) <= 9


cdef inline int64_t whole(const unsigned char* at, Py_ssize_t size, Py_ssize_t most) noexcept nogil:
    """The number of 1 to ``most`` (18) digits; -1 for what is none."""
    cdef int64_t value = 0
    cdef Py_ssize_t place
    if size < 1 or size > most:
        return -1
    for place in range(size):
        if not is_digit(at[place]):
            return -1
        value = value * 10 + (at[place] - 48)
    return value


cdef inline int64_t moment(const unsigned char* at, Py_ssize_t size) noexcept nogil:
    """Nanoseconds since 1970 of YYYYMMDD-HH:MM:SS and up to nine decimals; -1 for no such time."""
    cdef int64_t year, month, day, hour, minute, second, fraction = 0
    cdef Py_ssize_t place
    if size < 17 or size > 27 or size == 18:
        return -1
    year, month, day = whole(at, 4, 4), whole(at + 4, 2, 2), whole(at + 6, 2, 2)
    hour, minute, second = whole(at + 9, 2, 2), whole(at + 12, 2, 2), whole(at + 15, 2, 2)
    if at[8] != c"-" or at[11] != c":" or at[14] != c":":
        return -1
    if year < 1970 or year > 2261 or not 1 <= month <= 12 or not 1 <= day <= 31:
        return -1
    if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 60:
        return -1
    if size > 17:
        if at[17] != c".":
            return -1
        fraction = whole(at + 18, size - 18, 9)
        if fraction < 0:
            return -1
        for place in range(size - 18, 9):
            fraction *= 10
    return ((days_of(<int>year, <int>month, <int>day) * 86400 + hour * 3600 + minute * 60 + second)
            * 1000000000 + fraction)
