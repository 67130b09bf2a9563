/* The records of matchcore as C sees them: the bytes of matchcore.COMMAND, EVENT, ORDER and LEVEL.
 * Units: prices in ticks, quantities in units, times in nanoseconds since 1970 UTC.  Little-endian machines only. */
#ifndef MATCHCORE_H
#define MATCHCORE_H
#include <assert.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "matchcore's records are little-endian, and so must the machine be"
#endif

/* generated: structs from records/schema.py */
typedef struct {
    int64_t time;
    uint64_t order_id, client_order_id, account;
    int64_t price, stop_price, quantity, display_quantity, expiry;
    uint32_t instrument;
    uint8_t kind, side, order_type, time_in_force, self_trade, reserved;
    uint16_t flags;
    uint32_t session;
    uint64_t client_order_tail;
} mc_command;
static_assert(sizeof(mc_command) == 96, "COMMAND");

typedef struct {
    int64_t time, max_quantity, max_value;
    uint64_t account;
    int64_t max_open_orders, collar, max_messages, window_ns;
    uint64_t reserved_long;
    uint32_t instrument;
    uint8_t kind, reserved;
    uint16_t reserved_short, reserved_next, flags;
    uint32_t session;
    uint64_t reserved_last;
} mc_limits;
static_assert(sizeof(mc_limits) == 96, "LIMITS");

typedef struct {
    uint64_t sequence, order_id, client_order_id, account;
    int64_t price, quantity, left;
    uint64_t taker_order_id, taker_account;
    int64_t taker_left;
    uint64_t trade_id;
    uint32_t instrument;
    uint8_t kind, side, reason, field;
} mc_event;
static_assert(sizeof(mc_event) == 96, "EVENT");

typedef struct {
    uint64_t sequence;
    int64_t time;
    uint64_t order_id, taker_order_id, trade_id;
    int64_t price, quantity, left, level_quantity;
    uint32_t level_orders, instrument;
    uint8_t kind, side;
    uint16_t flags;
    uint32_t reserved;
} mc_change;
static_assert(sizeof(mc_change) == 88, "CHANGE");

typedef struct {
    uint64_t number, sequence;
    int64_t time;
    uint64_t order_id, client_order_id, client_order_tail, original_id, original_tail, account;
    int64_t price, quantity, filled, left, last_price, last_quantity;
    uint64_t trade_id, turnover;
    int64_t turnover_high;
    uint32_t instrument, session, part, day;
    uint8_t kind, status, side, order_type, time_in_force, reason, field, flags;
} mc_report;
static_assert(sizeof(mc_report) == 168, "REPORT");

typedef struct {
    uint64_t order_id, client_order_id, account;
    int64_t price, quantity;
    uint8_t side, time_in_force;
    uint16_t flags;
    uint32_t reserved;
} mc_order;
static_assert(sizeof(mc_order) == 48, "ORDER");

typedef struct {
    int64_t price, quantity, orders;
} mc_level;
static_assert(sizeof(mc_level) == 24, "LEVEL");

typedef struct {
    uint64_t account;
    int64_t max_quantity, max_value, max_open_orders, collar, max_messages, window_ns;
    uint32_t instrument, flags;
    int64_t window_start, messages;
} mc_account_limits;
static_assert(sizeof(mc_account_limits) == 80, "ACCOUNT_LIMITS");

typedef struct {
    int64_t price;
    uint64_t traded;
} mc_last;
static_assert(sizeof(mc_last) == 16, "LAST");

typedef struct {
    int64_t time, value1, value2, value3, value4, value5, value6, value7, value8;
    uint32_t instrument;
    uint8_t kind, parameter, index, reserved;
    uint32_t reserved_long, session;
    uint64_t reserved_last;
} mc_parameter;
static_assert(sizeof(mc_parameter) == 96, "PARAMETER");

typedef struct {
    int64_t time, until, reserved1, reserved2, reserved3, reserved4, reserved5, reserved6, reserved7;
    uint32_t instrument;
    uint8_t kind, phase;
    uint16_t reserved_short, reserved_next, flags;
    uint32_t session, group, reserved_last;
} mc_phase;
static_assert(sizeof(mc_phase) == 96, "PHASE");

typedef struct {
    int64_t time, max_quantity, max_fills;
    uint64_t account, group;
    int64_t reserved1, reserved2, window_ns, reserved3;
    uint32_t instrument;
    uint8_t kind, reserved;
    uint16_t reserved_short;
    uint32_t reserved_long, session;
    uint64_t reserved_last;
} mc_protection;
static_assert(sizeof(mc_protection) == 96, "PROTECTION");

typedef struct {
    int64_t until;
    uint64_t entries;
    int64_t open_price, auction_price, closing_price;
    uint64_t close_turnover;
    int64_t close_turnover_high, close_volume, indicative_price, indicative_quantity, indicative_imbalance, indicative_time;
    uint32_t instrument;
    uint8_t phase, known, halts, reserved;
} mc_market_state;
static_assert(sizeof(mc_market_state) == 104, "MARKET_STATE");

typedef struct {
    uint64_t entry;
    int64_t filled, shown, display, stop_price, limit, expiry;
    uint64_t link;
    uint32_t session, instrument;
    uint16_t flags;
    uint8_t order_type, self_trade, place, reserved;
    uint16_t reserved_short;
} mc_market_order;
static_assert(sizeof(mc_market_order) == 80, "MARKET_ORDER");

typedef struct {
    uint64_t account, group;
    int64_t max_quantity, max_fills, window_ns, window_start, quantity, fills;
    uint32_t instrument, reserved;
} mc_protection_state;
static_assert(sizeof(mc_protection_state) == 72, "PROTECTION_STATE");

typedef struct {
    int64_t time_ms, volume;
    uint64_t turnover;
    int64_t turnover_high;
    uint32_t instrument, reserved;
} mc_market_trades;
static_assert(sizeof(mc_market_trades) == 40, "MARKET_TRADES");
/* generated: end */

/* What the compiled rooms need of the compiler. */
static inline uint32_t mc_word32(const void *at) { uint32_t word; memcpy(&word, at, sizeof word); return word; }
static inline uint64_t mc_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
static inline int mc_product_above(uint64_t a, uint64_t b, uint64_t most) {
    return (unsigned __int128)a * b > most;
}
/* a * b / c, whole; c is not 0, and the result has 64 bits. */
static inline uint64_t mc_part(uint64_t a, uint64_t b, uint64_t c) {
    return (uint64_t)((unsigned __int128)a * b / c);
}
static inline uint64_t mc_word64(const void *at) { uint64_t word; memcpy(&word, at, sizeof word); return word; }
static inline void mc_put_word64(void *at, uint64_t word) { memcpy(at, &word, sizeof word); }

/* Of the bytes 0 to 6 of a word: a bit for each that equals tag, and for each whose top bit is set. */
#ifdef __SSE2__
static inline uint32_t mc_bytes_equal(uint64_t word, uint8_t tag) {
    __m128i equal = _mm_cmpeq_epi8(_mm_cvtsi64_si128((long long)word), _mm_set1_epi8((char)tag));
    return (uint32_t)_mm_movemask_epi8(equal) & 0x7f;
}
static inline uint32_t mc_bytes_set(uint64_t word) {
    return (uint32_t)_mm_movemask_epi8(_mm_cvtsi64_si128((long long)word)) & 0x7f;
}
#else
static inline uint32_t mc_bytes_set(uint64_t word) {
    return (uint32_t)((word >> 7 & 0x0001010101010101u) * 0x0001020408102040u >> 48) & 0x7f;
}
static inline uint32_t mc_bytes_equal(uint64_t word, uint8_t tag) {
    uint64_t x = word ^ tag * (uint64_t)0x0101010101010101u;
    return mc_bytes_set(~((x & 0x7f7f7f7f7f7f7f7fu) + 0x7f7f7f7f7f7f7f7fu | x));
}
#endif

/* The same of the first twelve of sixteen bytes on a bound of sixteen. */
static inline uint32_t mc_row_equal(const void *row, uint32_t tag) {
#ifdef __SSE2__
    __m128i tags = _mm_set1_epi64x((long long)(tag * (uint64_t)0x0101010101010101u));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128((const __m128i *)row), tags)) & 0xfff;
#else
    uint32_t equal = 0;
    for (int i = 0; i < 12; i++) equal |= (uint32_t)(((const uint8_t *)row)[i] == tag) << i;
    return equal;
#endif
}
static inline uint32_t mc_row_set(const void *row) {
#ifdef __SSE2__
    return (uint32_t)_mm_movemask_epi8(_mm_load_si128((const __m128i *)row)) & 0xfff;
#else
    uint32_t set = 0;
    for (int i = 0; i < 12; i++) set |= (uint32_t)(((const uint8_t *)row)[i] >> 7) << i;
    return set;
#endif
}
#define mc_prefetch(address) __builtin_prefetch((address), 1)
#define mc_first_bit(word) ((uint32_t)__builtin_ctzll(word))
#define mc_last_bit(word) (63 - (uint32_t)__builtin_clzll(word))
#define mc_likely(x) __builtin_expect(!!(x), 1)
#define mc_unlikely(x) __builtin_expect(!!(x), 0)

#endif
