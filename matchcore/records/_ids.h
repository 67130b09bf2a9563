/* Client order ids as text: a text of up to 20 characters and a pair of 64-bit words stand for each other.
 * matchcore/records/ids.py states the rule.
 *
 * A text is a number N: 81 characters are the digits 1 to 81, the first the most significant, less one.
 * N has at most 127 bits.  The upper 64 of them, plus one, are the tail.  The lower 63 are shuffled, by a
 * bijection that the upper ones choose, and get the top bit set: that is the id. */
#ifndef MATCHCORE_IDS_H
#define MATCHCORE_IDS_H
#include <stdint.h>
#include <string.h>

enum {
    MC_TEXT_MAX = 20,      /* characters of a text */
    MC_ID_TEXT_MAX = 41,   /* characters of what stands for a pair: two decimal numbers and a bar */
};
#define MC_TOP (UINT64_C(1) << 63)
#define MC_LOW (MC_TOP - 1)
#define MC_TEN_DIGITS UINT64_C(12157665459056928801)         /* 81^10 */
#define MC_TEN_LEAST ((MC_TEN_DIGITS - 1) / 80)              /* ten times the digit 1 */

static const char mc_id_characters[] =
    "!#$%&()*+,-./0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
/* Character -> digit; 0: none. */
static const uint8_t mc_id_digits[128] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  1,  0,  2,  3,  4,  5,  0,  6,  7,  8,  9,  10, 11, 12, 13,
    14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 0,  26, 0,  0,
    27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
    43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 0,  0,  0,  0,  54,
    0,  55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69,
    70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 0,  0,  0,  81, 0,
};

/* The lower 63 bits, shuffled; each step has an inverse. */
static inline uint64_t mc_id_shuffle(uint64_t x) {
    x ^= x >> 31;
    x = x * UINT64_C(0x5c84b502e7d80069) & MC_LOW;
    x ^= x >> 29;
    x = x * UINT64_C(0x64b1e7f0afae5a3b) & MC_LOW;
    return x ^ x >> 32;
}
static inline uint64_t mc_id_unshuffle(uint64_t x) {
    x ^= x >> 32;
    x = x * UINT64_C(0x7da8f379e1816ef3) & MC_LOW;
    x ^= x >> 29 ^ x >> 58;
    x = x * UINT64_C(0x580158415ea58fd9) & MC_LOW;
    return x ^ x >> 31 ^ x >> 62;
}
static inline uint64_t mc_id_offset(uint64_t upper) {
    upper *= UINT64_C(0xe1454c40c439f34b);
    upper ^= upper >> 32;
    upper *= UINT64_C(0xa6b563b1e794ee15);
    return (upper ^ upper >> 29) & MC_LOW;
}

/* Reads a decimal number without leading zeros; 0 if it is none, or 2^64 and more. */
static inline int mc_id_decimal(const char *text, size_t length, uint64_t *number) {
    uint64_t value = 0, digit;
    if (length == 0 || length > 20 || (text[0] == '0' && length > 1)) return 0;
    for (size_t i = 0; i < length; i++) {
        digit = (uint64_t)(uint8_t)text[i] - '0';
        if (digit > 9 || value > UINT64_MAX / 10 || (value == UINT64_MAX / 10 && digit > 5)) return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return 1;
}
static inline size_t mc_id_put_decimal(char *out, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits, length;
    do digits[--at] = (char)('0' + value % 10); while (value /= 10);
    length = sizeof digits - at;
    memcpy(out, digits + at, length);
    return length;
}

/* The text of a pair that stands for one, without an end; 0 if none does. */
static inline size_t mc_id_put_text(char *out, uint64_t id, uint64_t tail) {
    char digits[MC_TEXT_MAX];
    size_t at = sizeof digits;
    uint64_t lower, ignored;
    unsigned __int128 number;
    if (tail == 0 || id < MC_TOP) return 0;
    lower = (mc_id_unshuffle(id & MC_LOW) - mc_id_offset(tail - 1)) & MC_LOW;
    number = ((unsigned __int128)(tail - 1) << 63 | lower) + 1;
    if (number >= (unsigned __int128)MC_TEN_DIGITS + MC_TEN_LEAST) {
        unsigned __int128 rest = number - MC_TEN_LEAST;
        unsigned __int128 first = rest / MC_TEN_DIGITS;
        if (first >= (unsigned __int128)MC_TEN_DIGITS + MC_TEN_LEAST) return 0;  /* over 20 characters */
        lower = MC_TEN_LEAST + (uint64_t)(rest % MC_TEN_DIGITS);
        number = first;
        for (int i = 0; i < 10; i++) {
            lower -= 1;
            digits[--at] = mc_id_characters[lower % 81];
            lower /= 81;
        }
    }
    for (lower = (uint64_t)number; lower && at; lower /= 81) {
        lower -= 1;
        digits[--at] = mc_id_characters[lower % 81];
    }
    if (mc_id_decimal(digits + at, sizeof digits - at, &ignored) && ignored && ignored < MC_TOP) return 0;
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

/* What stands for a pair, up to MC_ID_TEXT_MAX characters without an end: a number, a text, or both words. */
static inline size_t mc_text_of_id(char *out, uint64_t id, uint64_t tail) {
    size_t length;
    if (tail == 0 && id < MC_TOP) return id ? mc_id_put_decimal(out, id) : 0;
    length = mc_id_put_text(out, id, tail);
    if (length) return length;
    length = mc_id_put_decimal(out, id);
    out[length++] = '|';
    return length + mc_id_put_decimal(out + length, tail);
}

/* The pair that a text stands for; 0 if it stands for none. */
static inline int mc_id_of_text(const char *text, size_t length, uint64_t *id, uint64_t *tail) {
    uint64_t half[2] = {0, 0}, digit;
    unsigned __int128 number;
    const char *bar;
    *tail = 0;
    if (length > MC_ID_TEXT_MAX || length == 0) return 0;
    if (mc_id_decimal(text, length, id) && *id && *id < MC_TOP) return 1;
    bar = (const char *)memchr(text, '|', length);
    if (bar != NULL) {
        char again[MC_ID_TEXT_MAX];
        return mc_id_decimal(text, (size_t)(bar - text), id)
            && mc_id_decimal(bar + 1, length - (size_t)(bar - text) - 1, tail)
            && mc_text_of_id(again, *id, *tail) == length && memcmp(again, text, length) == 0;
    }
    if (length > MC_TEXT_MAX) return 0;
    for (size_t i = 0; i < length; i++) {
        digit = (uint8_t)text[i] < 128 ? mc_id_digits[(uint8_t)text[i]] : 0;
        if (digit == 0) return 0;
        half[i + 10 >= length] = half[i + 10 >= length] * 81 + digit;
    }
    number = (unsigned __int128)half[0] * MC_TEN_DIGITS + half[1] - 1;
    *tail = (uint64_t)(number >> 63);
    *id = mc_id_shuffle((((uint64_t)number & MC_LOW) + mc_id_offset(*tail)) & MC_LOW) | MC_TOP;
    *tail += 1;
    return 1;
}
#endif
