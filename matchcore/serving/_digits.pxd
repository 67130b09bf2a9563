# Numbers in decimal, as texts of every protocol have them.

cdef extern from *:
    """
    typedef __int128 mc_wide;

    /* A number of up to 128 bits in digits, `decimals` of them behind the point. */
    static inline char *mc_put_digits(char *at, unsigned __int128 value, int decimals)
    {
        char digits[64];
        int count = 0;
        while (value >> 64) {
            digits[count++] = (char)('0' + (int)(value % 10));
            value /= 10;
        }
        for (uint64_t rest = (uint64_t)value; rest || count <= decimals; rest /= 10)
            digits[count++] = (char)('0' + rest % 10);
        while (count) {
            *at++ = digits[--count];
            if (count == decimals && decimals)
                *at++ = '.';
        }
        return at;
    }
    """
    ctypedef long long mc_wide  # 128 bits
    char* digits "mc_put_digits"(char* at, mc_wide value, int decimals) noexcept nogil
