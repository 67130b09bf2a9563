#!/bin/sh
# SQLite binds NumPy's integers as bytes, without a word: nothing is found by them.
#
# One would guess that the sqlite3 module takes numpy.int64 for an integer, or refuses it.  It offers
# the buffer protocol, and so is bound as a BLOB of its eight bytes, which equals no INTEGER.
# SQLAlchemy with a typed column hands it on as it is.  A float64 is a subclass of float and works,
# which hides the rest.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q numpy==2.2.6 sqlalchemy==2.0.51
"$place/venv/bin/python" - <<'PYTHON'
import sqlite3

import numpy as np
import sqlalchemy as sa

print(f"SQLite {sqlite3.sqlite_version}, NumPy {np.__version__}, SQLAlchemy {sa.__version__}")
five = np.array([5])[0]
engine = sa.create_engine("sqlite://")
table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.BigInteger))
with engine.begin() as connection:
    table.create(connection)
    connection.execute(table.insert().values(a=5))
    seen = {}
    for value in (5, five, np.uint64(5), np.int32(5), np.float64(5)):
        found = connection.execute(sa.select(table).where(table.c.a == value)).all()
        raw = connection.connection.execute("SELECT typeof(?), hex(?)", (value, value)).fetchone()
        seen[type(value).__name__] = (raw[0], len(found))
        print(f"{type(value).__name__:8} is bound as {raw[0]}, {raw[1]}: {len(found)} rows found")
assert seen == {
    "int": ("integer", 1), "int64": ("blob", 0), "uint64": ("blob", 0), "int32": ("blob", 0),
    "float64": ("real", 1),
}, seen
PYTHON
