/* Blocks of records to planes and back, LANES words at once.  For `_columns.h` only, which includes this
 * once for each number of lanes.  A vector with number j of eight holds the words of rows j, 8 + j and so on
 * of one column; its bytes, once transposed, are plane j of the block. */

#define NAMED_(name, lanes) name##_##lanes
#define NAMED_AS(name, lanes) NAMED_(name, lanes)
#define NAMED(name) NAMED_AS(name, LANES)
#define vector NAMED(pl_vector)
#define BLOCK (8 * LANES)

typedef uint64_t vector __attribute__((vector_size(8 * LANES)));

/* The word that byte p of word i stands in becomes byte i of word p: in blocks of eight by eight. */
PL_TARGET PL_INLINE void NAMED(pl_transpose)(vector *x) {
    static const uint64_t kept[3] = {0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff};
#pragma GCC unroll 3
    for (int level = 0; level < 3; level++)
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            if (!(j >> level & 1)) {
                vector *low = x + j, *high = x + j + (1 << level);
                vector moved = (*low >> (8 << level) ^ *high) & kept[level];
                *high ^= moved;
                *low ^= moved << (8 << level);
            }
}

/* Not 0 for each column that is not `before` in all rows of a block. */
PL_TARGET PL_INLINE void NAMED(pl_changes)(const uint64_t *rows, const uint64_t *before, uint64_t *changed) {
    vector all[PL_WORDS / LANES], base[PL_WORDS / LANES], row;
    memset(all, 0, sizeof all);
    memcpy(base, before, sizeof base);
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK; i++, rows += PL_WORDS)
#pragma GCC unroll 6
        for (int part = 0; part < PL_WORDS / LANES; part++) {
            memcpy(&row, rows + LANES * part, sizeof row);
            all[part] |= row ^ base[part];
        }
    memcpy(changed, all, sizeof all);
}

/* A column of a block, each value as what it adds to the one before.  `rows`: its first word. */
PL_TARGET PL_INLINE void NAMED(pl_differences)(const uint64_t *rows, uint64_t before, int column, uint64_t now, vector *x) {
#define WORD(k) rows[(8 * (k) + j) * PL_WORDS]
#define BEFORE(k) ((k) == 0 ? before : x[7][((k) + LANES - 1) % LANES])
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) x[j] = (vector)PL_EACH(WORD);
    vector first = (vector)PL_EACH(BEFORE);
#undef WORD
#undef BEFORE
    if (column == 0) {
        first |= (vector)(first == 0) & now;
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) x[j] |= (vector)(x[j] == 0) & now;
    }
#pragma GCC unroll 8
    for (int j = 7; j >= 0; j--) {
        vector last = j ? x[j - 1] : first, step = x[j] - last;
        x[j] = column < PL_FIRST_PACKED ? step << 1 ^ (0 - (step >> 63)) : x[j] ^ last;
    }
}

PL_TARGET PL_INLINE int NAMED(pl_pack_block)(pl_sheet *sheet, size_t start, const uint64_t *rows, const uint64_t *before,
                                   uint64_t now) {
    uint64_t changed[PL_WORDS], seen;
    vector x[8], all;
    NAMED(pl_changes)(rows, before, changed);
    for (int c = 0; c < PL_WORDS; c++) {
        if (!changed[c]) continue;
        NAMED(pl_differences)(rows + c, before[c], c, now, x);
        all = x[0] | x[1] | x[2] | x[3] | x[4] | x[5] | x[6] | x[7];
        seen = 0;
#pragma GCC unroll 4
        for (int k = 0; k < LANES; k++) seen |= all[k];
        if (seen & ~sheet->used[c] && pl_more(sheet, c, seen)) return -1;
        NAMED(pl_transpose)(x);
#pragma GCC unroll 8
        for (int p = 0; p < 8; p++)
            if (sheet->used[c] >> 8 * p & 1) memcpy(sheet->planes[c][p] + start, x + p, BLOCK);
    }
    return 0;
}

PL_TARGET static int NAMED(pl_pack)(pl_sheet *sheet, const uint64_t *rows, uint64_t now) {
    const size_t count = sheet->count;
    const uint64_t *before = rows;
    uint64_t last[BLOCK * PL_WORDS];
    size_t start = 0;
    for (; start + BLOCK <= count; start += BLOCK) {
        if (NAMED(pl_pack_block)(sheet, start, rows + start * PL_WORDS, before, now)) return -1;
        before = rows + (start + BLOCK - 1) * PL_WORDS;
    }
    if (start == count) return 0;
    for (size_t i = 0; i < BLOCK; i++) /* a block that ends with the same row again and again */
        memcpy(last + i * PL_WORDS, rows + (start + i < count ? start + i : count - 1) * PL_WORDS, PL_ROW_BYTES);
    return NAMED(pl_pack_block)(sheet, start, last, before, now);
}

/* A block of rows from its place in the planes, of which there are `there` bytes; `before` becomes its last row. */
PL_TARGET PL_INLINE void NAMED(pl_unpack_block)(const uint8_t *masks, const uint8_t *plane, size_t count, size_t there,
                                      uint64_t *before, uint64_t *rows) {
    vector x[8], base[PL_WORDS / LANES];
    memcpy(base, before, sizeof base);
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK; i++) memcpy(rows + i * PL_WORDS, base, sizeof base);
    for (int c = 0; c < PL_WORDS; c++) {
        if (!masks[c]) continue;
        const int packed = c >= PL_FIRST_PACKED;
#pragma GCC unroll 8
        for (int p = 0; p < 8; p++) {
            x[p] ^= x[p];
            if (!(masks[c] >> p & 1)) continue;
            if (there == BLOCK) memcpy(x + p, plane, BLOCK);
            else memcpy(x + p, plane, there);
            plane += count;
        }
        NAMED(pl_transpose)(x);
        if (packed)
#pragma GCC unroll 8
            for (int j = 1; j < 8; j++) x[j] ^= x[j - 1];
        else {
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) x[j] = x[j] >> 1 ^ (0 - (x[j] & 1));
#pragma GCC unroll 8
            for (int j = 1; j < 8; j++) x[j] += x[j - 1];
        }
        vector add = {0};
        uint64_t sum = before[c];
#pragma GCC unroll 4
        for (int k = 0; k < LANES; k++) {
            add[k] = sum;
            sum = packed ? sum ^ x[7][k] : sum + x[7][k];
        }
        before[c] = sum;
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            x[j] = packed ? x[j] ^ add : x[j] + add;
#pragma GCC unroll 4
            for (int k = 0; k < LANES; k++) rows[(8 * k + j) * PL_WORDS + c] = x[j][k];
        }
    }
}

PL_TARGET static void NAMED(pl_unpack)(const uint8_t *payload, size_t count, uint64_t *rows) {
    const uint8_t *planes = payload + PL_HEAD;
    uint64_t before[PL_WORDS], last[BLOCK * PL_WORDS];
    size_t start = 0;
    memcpy(before, payload + PL_WORDS, sizeof before);
    for (; start + BLOCK <= count; start += BLOCK)
        NAMED(pl_unpack_block)(payload, planes + start, count, BLOCK, before, rows + start * PL_WORDS);
    if (start == count) return;
    NAMED(pl_unpack_block)(payload, planes + start, count, count - start, before, last);
    memcpy(rows + start * PL_WORDS, last, (count - start) * PL_ROW_BYTES);
}

#undef BLOCK
#undef vector
#undef NAMED
#undef NAMED_AS
#undef NAMED_
