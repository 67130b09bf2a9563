"""Rows of a database as data frames and Arrow tables: with symbols, prices and times.

A column ``price_ticks`` gets a ``price`` beside it (the nearest double), ``…_ns`` becomes a time
in UTC (``…_utc``), and rows that name an instrument its ``symbol``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra
from .queries import Array, Queries, as_prices


def to_frame(queries: Queries, rows: Array) -> Any:
    """A pandas `DataFrame`; extra ``[pandas]``."""
    try:
        import pandas
    except ImportError:
        raise MissingExtra("a data frame", "pandas") from None
    made = pandas.DataFrame(readable(queries, rows), copy=False)
    for name in made.columns:
        if name.endswith("_utc"):
            made[name] = made[name].dt.tz_localize("UTC")
    return made


def to_arrow(queries: Queries, rows: Array) -> Any:
    """A `pyarrow.Table`; extra ``[arrow]``."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("an Arrow table", "arrow") from None
    utc = pyarrow.timestamp("ns", "UTC")
    return pyarrow.table(
        {
            name: pyarrow.array(values, utc if name.endswith("_utc") else None)
            for name, values in readable(queries, rows).items()
        }
    )


def readable(queries: Queries, rows: Array) -> dict[str, NDArray[Any]]:
    """Columns for people, by name: what both are made of."""
    names = rows.dtype.names or ()
    columns: dict[str, NDArray[Any]] = {}
    versions = queries.versions(rows) if "instrument_seq" in names else None
    if versions is not None:
        columns["symbol"] = versions["symbol"].astype("U24").astype(object)
    for name in names:
        values = np.ascontiguousarray(rows[name])
        if name.endswith("_ns"):
            columns[f"{name.removesuffix('_ns')}_utc"] = values.view("datetime64[ns]")
            continue
        if name.endswith("_ticks") and versions is not None:
            columns[name.removesuffix("_ticks")] = as_prices(values, versions)
        if name == "day":
            values = values.astype("datetime64[D]").astype("datetime64[s]")
        elif values.dtype.kind == "S":
            values = values.astype("U24").astype(object)
        columns[name] = values
    return columns
