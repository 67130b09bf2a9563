# ClOrdIDs as numbers, as `names` has it: a text has the digits 1, 2 … of the first form that takes it.
from libc.string cimport memset

from ...machine.core.records cimport u8, u64

cdef enum:
    FORMS = 3
    TEXT_BYTES = 14

cdef struct Form:
    u8 digits[256]      # character -> digit; 0: none
    u8 letters[96]      # digit - 1 -> character
    u64 base
    u64 count           # of texts
    int longest


cdef inline bint code_of(const Form* forms, const u8* text, u64* code) noexcept nogil:
    """The number of a padded text; false if it has none."""
    cdef int size = TEXT_BYTES, i, form
    cdef u64 before = 0, value
    while size and (text[size - 1] == b' ' or text[size - 1] == 0):
        size -= 1
    code[0] = 0
    if size == 0:
        return True
    for form in range(FORMS):
        if size <= forms[form].longest:
            value = 0
            for i in range(size):
                if forms[form].digits[text[i]] == 0:
                    break
                value = value * forms[form].base + forms[form].digits[text[i]]
            else:
                code[0] = before + value
                return True
        before += forms[form].count
    return False


cdef inline u8* put_text(u8* at, const Form* forms, u64 code) noexcept nogil:
    """The text of a number, padded; blank for one that no text has."""
    cdef u8 said[16]
    cdef int form, size = 0, i
    cdef u64 rest
    memset(at, b' ', TEXT_BYTES)
    for form in range(FORMS):
        if code <= forms[form].count:
            while code:
                rest = (code - 1) // forms[form].base
                said[size] = forms[form].letters[code - 1 - rest * forms[form].base]
                size += 1
                code = rest
            for i in range(size):
                at[i] = said[size - 1 - i]
            break
        code -= forms[form].count
    return at + TEXT_BYTES
