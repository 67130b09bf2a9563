/* Records of twelve words to byte planes and back, many rows at once; docs/journal.md has the layout.
 *
 * Written in the vectors of GCC and Clang, which any processor can do: two lanes fit what all of
 * today have.  Where an x86 has AVX2, the same code runs with four. */
#ifndef MATCHCORE_PLANES_H
#define MATCHCORE_PLANES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    PL_WORDS = 12,         /* of a record */
    PL_ROW_BYTES = 8 * PL_WORDS,
    PL_FIRST_PACKED = 9,   /* columns from here hold several fields: differences by XOR keep them apart */
    PL_HEAD = PL_WORDS + PL_ROW_BYTES,  /* plane masks, first record */
    PL_SPARE = 128,        /* behind a plane: room for a whole block, and no two planes in the same cache sets */
};
#define PL_INLINE static inline __attribute__((always_inline))

/* Planes while they are made: each is got when a row needs it, and is zeros so far. */
typedef struct {
    size_t count, planes_used;
    uint64_t used[PL_WORDS]; /* FF in each byte that has a plane */
    uint8_t *planes[PL_WORDS][8];
} pl_sheet;

/* Planes for those bytes of a column that are not 0 in `seen`; -1 without memory. */
static int pl_more(pl_sheet *sheet, int column, uint64_t seen) {
    for (int p = 0; p < 8; p++) {
        if (!(seen >> 8 * p & 0xff) || sheet->planes[column][p]) continue;
        uint8_t *plane = (uint8_t *)malloc(sheet->count + PL_SPARE);
        if (!plane) return -1;
        memset(plane, 0, sheet->count);
        sheet->planes[column][p] = plane;
        sheet->used[column] |= (uint64_t)0xff << 8 * p;
        sheet->planes_used++;
    }
    return 0;
}

static void pl_free(pl_sheet *sheet) {
    for (int c = 0; c < PL_WORDS; c++)
        for (int p = 0; p < 8; p++) free(sheet->planes[c][p]);
}

#define PL_TARGET
#define LANES 2
#define PL_EACH(lane) {lane(0), lane(1)}
#include "_columns_rows.h"
#undef LANES
#undef PL_EACH
#undef PL_TARGET

#if defined(__x86_64__)
#define PL_TARGET __attribute__((target("avx2")))
#define LANES 4
#define PL_EACH(lane) {lane(0), lane(1), lane(2), lane(3)}
#include "_columns_rows.h"
#undef LANES
#undef PL_EACH
#undef PL_TARGET
static inline int pl_lanes_max(void) { return __builtin_cpu_supports("avx2") ? 4 : 2; }
#else
#define pl_pack_4 pl_pack_2
#define pl_unpack_4 pl_unpack_2
static inline int pl_lanes_max(void) { return 2; }
#endif

#endif
