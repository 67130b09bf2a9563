/* Prices of the wire, with 4 decimals, and ticks: price * multiplier = ticks * divisor.  The product may
 * have more than 64 bits.  A multiplier of 0: no price but 0 is on a tick, and none has room for one. */
#ifndef MATCHCORE_OUCH_WIRE_H
#define MATCHCORE_OUCH_WIRE_H
#include <stdint.h>

static inline int mc_wire_ticks(uint64_t price, uint64_t multiplier, uint64_t divisor, int64_t *ticks) {
    if (multiplier == 1) {
        if (price % divisor || price / divisor > INT64_MAX) return 0;
        *ticks = (int64_t)(price / divisor);
        return 1;
    }
    if (multiplier == 0) {
        *ticks = 0;
        return price == 0;
    }
    unsigned __int128 wide = (unsigned __int128)price * multiplier;
    if (wide % divisor || wide / divisor > INT64_MAX) return 0;
    *ticks = (int64_t)(wide / divisor);
    return 1;
}
static inline int mc_wire_price(int64_t ticks, uint64_t multiplier, uint64_t divisor, uint64_t *price) {
    if (ticks < 0 || multiplier == 0) return 0;
    unsigned __int128 wide = (unsigned __int128)(uint64_t)ticks * divisor;
    if (multiplier != 1) {
        if (wide % multiplier) return 0;
        wide /= multiplier;
    }
    if (wide > UINT64_MAX || wide == 0x7fffffff) return 0;
    *price = (uint64_t)wide;
    return 1;
}
#endif
