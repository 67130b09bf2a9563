"""Digests of chunks of a table that NumPy and every database compute alike, in whole numbers.

A row's values are cut into pieces of 32 bits; each is multiplied by a constant of its column,
modulo a prime above 2**32; their sum is weighted by the row's place in the chunk, so that values
which change places are seen too.  A chunk's digest is the sum of its rows', in any order.
Nothing exceeds 63 bits on the way.  It finds accidents, not forgers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import Grouping

from ..rows.tables import TABLES
from .schema import SQL_TABLES

CHUNK_BITS = 16  # a chunk: the rows of 65,536 sequences
_PRIME, _PRIME_32, _PRIME_31 = 4_294_967_311, 4_294_967_291, 2_147_483_647
_LOW = 2**32 - 1
_SEQ_STEP, _SEQ_MASK, _N_MASK = 32_749, 2**CHUNK_BITS - 1, 2**15 - 1

Digests = dict[int, tuple[int, int]]  # chunk -> rows, digest


def digested(table: str) -> bool:
    """Whether a table has nothing but integers; the others are small, and read as a whole."""
    return not any(form.startswith("S") for form in TABLES[table].columns.values())


def _pieces(table: str) -> list[tuple[str, int, int]]:
    """Column, shift and factor of each 32-bit piece of a row; the shard is the same in all."""
    pieces = [
        (name, shift)
        for name, form in TABLES[table].columns.items()
        if name != "shard" and not form.startswith("S")
        for shift in ((0, 32) if form.endswith("8") else (0,))
    ]
    return [
        (name, shift, pow(48_271, at + 1, _PRIME_31)) for at, (name, shift) in enumerate(pieces)
    ]


def add(to: Digests, table: str, rows: NDArray[np.void]) -> None:
    """Adds rows to the digests of their chunks; each row once."""
    if not len(rows):
        return
    mixed = np.zeros(len(rows), np.int64)
    for name, shift, factor in _pieces(table):
        piece = (rows[name].astype(np.int64) >> shift) & _LOW
        mixed += piece * factor % _PRIME
    seq = rows["seq"]
    place = 1 + (seq & _SEQ_MASK) * _SEQ_STEP
    if "n" in TABLES[table].key:
        place += rows["n"].astype(np.int64) & _N_MASK
    values = mixed % _PRIME_32 * (place * place % _PRIME_31) % _PRIME
    chunks, inverse = np.unique(seq >> CHUNK_BITS, return_inverse=True)
    sums = np.zeros(len(chunks), np.int64)
    np.add.at(sums, inverse, values)
    counts = np.bincount(inverse, minlength=len(chunks))
    for chunk, count, total in zip(chunks.tolist(), counts.tolist(), sums.tolist(), strict=True):
        before = to.get(chunk, (0, 0))
        to[chunk] = before[0] + count, before[1] + total


@lru_cache(maxsize=64)
def query(table: str, shard: int) -> sa.Select[Any]:
    """Chunk, rows and digest of every chunk, as the database computes them."""
    columns = SQL_TABLES[table].c
    mixed: Any = None
    for name, shift, factor in _pieces(table):
        whole = _whole(columns[name])
        piece = _and(Grouping(whole.bitwise_rshift(_number(shift))) if shift else whole, _LOW)
        term = _mod(piece * _number(factor), _PRIME)
        mixed = term if mixed is None else mixed + term
    place = _number(1) + _and(columns.seq, _SEQ_MASK) * _number(_SEQ_STEP)
    if "n" in TABLES[table].key:
        place = place + _and(columns.n, _N_MASK)
    weight = _mod(Grouping(place) * Grouping(place), _PRIME_31)
    value = _mod(_mod(mixed, _PRIME_32) * weight, _PRIME)
    chunk = _whole(columns.seq).bitwise_rshift(_number(CHUNK_BITS)).label("chunk")
    return (
        sa.select(chunk, sa.func.count().label("rows"), sa.func.sum(value).label("digest"))
        .where(columns.shard == shard)
        .group_by(sa.text("chunk"))
        .order_by(sa.text("chunk"))
    )


def _whole(column: Any) -> Any:
    return sa.type_coerce(column, sa.BigInteger())


def _number(value: int) -> Any:
    """A constant of this module, in the statement's text: grouping compares expressions."""
    return sa.literal_column(str(value), sa.BigInteger())


def _and(value: Any, mask: int) -> Any:
    return Grouping(_whole(value).bitwise_and(_number(mask)))


def _mod(value: Any, by: int) -> Any:
    return Grouping(Grouping(value) % _number(by))
