"""What NumPy columns become in a real PostgreSQL is what they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from postgres_server import PostgresServer

from matchcore.sinks.sql import binary_copy

PLAIN = st.characters(min_codepoint=32, max_codepoint=126)
TYPES = {
    "bigint": (np.dtype("<i8"), st.integers(-(2**63), 2**63 - 1)),
    "integer": (np.dtype("<i4"), st.integers(-(2**31), 2**31 - 1)),
    "smallint": (np.dtype("<i2"), st.integers(-(2**15), 2**15 - 1)),
    "boolean": (np.dtype("?"), st.booleans()),
    "text": (np.dtype("S9"), st.text(PLAIN, max_size=9)),
    "bytea": (np.dtype("V5"), st.binary(min_size=5, max_size=5)),
}  # fmt: skip


@pytest.fixture(scope="module")
def db() -> Iterator[psycopg.Connection[Any]]:
    server = PostgresServer(durable=False)
    try:
        server.start()
        with psycopg.connect(server.url(), autocommit=True, prepare_threshold=None) as connection:
            yield connection
    finally:
        server.close()


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    names = draw(st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=6))
    nullable = [draw(st.booleans()) for _ in names]
    cells = [
        st.none() | TYPES[name][1] if null else TYPES[name][1]
        for name, null in zip(names, nullable, strict=True)
    ]
    return names, draw(st.lists(st.tuples(*cells), max_size=12))


def column(name: str, values: list[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    dtype = TYPES[name][0]
    empty: Any = b"" if dtype.kind == "S" else bytes(5) if dtype.kind == "V" else 0
    null = np.array([value is None for value in values], np.bool_)
    filled = [empty if v is None else v.encode() if isinstance(v, str) else v for v in values]
    return np.array(filled, dtype), null


@settings(max_examples=150, deadline=None)
@given(table=tables())
def test_every_table_comes_back(
    db: psycopg.Connection[Any], table: tuple[list[str], list[tuple[Any, ...]]]
) -> None:
    names, wanted = table
    columns, nulls = [], []
    for at, name in enumerate(names):
        values, null = column(name, [row[at] for row in wanted])
        columns.append(values)
        nulls.append(null)
    said = ", ".join(f"c{at} {name}" for at, name in enumerate(names))
    db.execute(f"CREATE TEMPORARY TABLE there (n bigint GENERATED ALWAYS AS IDENTITY, {said})")
    try:
        listed = ", ".join(f"c{at}" for at in range(len(names)))
        with db.cursor().copy(f"COPY there ({listed}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(binary_copy.encode(columns, nulls))
        assert db.execute(f"SELECT {listed} FROM there ORDER BY n").fetchall() == wanted
    finally:
        db.execute("DROP TABLE there")


def test_pieces_make_one_copy(db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TEMPORARY TABLE pieces (a bigint, b integer)")
    with db.cursor().copy("COPY pieces FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary_copy.HEADER)
        for at in range(0, 3000, 1000):
            numbers = np.arange(at, at + 1000)
            copy.write(binary_copy.rows([numbers, numbers.astype(np.int32)]))
        copy.write(binary_copy.TRAILER)
    found = db.execute("SELECT count(*), sum(a), bool_and(a = b) FROM pieces").fetchone()
    assert found == (3000, 2999 * 1500, True)


def test_what_has_no_plain_form_is_refused() -> None:
    for dtype in (np.uint64, np.float64, "U3", "M8[ns]", np.int8, object):
        with pytest.raises(TypeError, match=r"column 1: .* has no form in binary COPY"):
            binary_copy.encode([np.zeros(2, np.int64), np.zeros(2, dtype)])
    with pytest.raises(ValueError, match="columns of shapes"):
        binary_copy.encode([np.zeros(2, np.int64), np.zeros(3, np.int64)])
