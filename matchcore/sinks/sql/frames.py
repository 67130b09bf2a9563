"""Rows of a database for people: as data frames and Arrow tables, and as text.

A column ``price_ticks`` gets a ``price`` beside it, ``…_ns`` becomes a time in UTC (``…_utc``), and
rows that name an instrument get its ``symbol``.  In frames and tables prices are the nearest
doubles and codes stay numbers, for what is computed; in text prices are exact and codes words.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtra
from ...records.instruments import price_text
from ...records.times import text_of
from ..rows.rows import Array
from ..rows.words import WORDS
from .queries import Queries, as_prices


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


class Form(NamedTuple):
    """How values are said: prices of ticks, times, days, and codes (by column, to words)."""

    price: Callable[[NDArray[Any], Array], Any]
    time: Callable[[NDArray[Any]], Any]
    day: Callable[[NDArray[Any]], Any]
    other: Callable[[NDArray[Any]], Any]
    words: dict[str, dict[int, str]]
    joined: bool  # a number of more than 63 bits as one, where arrays have two columns


def _price_texts(ticks: NDArray[Any], versions: Array) -> list[str]:
    """Exact, with the decimals of each tick."""
    steps = versions[["tick_mantissa", "tick_exponent"]].tolist()
    return [
        price_text(count * Decimal(mantissa).scaleb(exponent))
        for count, (mantissa, exponent) in zip(ticks.tolist(), steps, strict=True)
    ]


ARRAYS = Form(
    price=as_prices,
    time=lambda values: values.view("datetime64[ns]"),
    day=lambda values: values.astype("datetime64[D]").astype("datetime64[s]"),
    other=lambda values: values,
    words={},
    joined=False,
)
#: As the views for people: lists of exact prices, of times and days as text, and of words.
TEXTS = Form(
    price=_price_texts,
    time=lambda values: [text_of(time) for time in values.tolist()],
    day=lambda values: values.astype("datetime64[D]").astype(str).tolist(),
    other=lambda values: values.tolist(),
    words=WORDS,
    joined=True,
)


def readable(queries: Queries, rows: Array, form: Form = ARRAYS) -> dict[str, Any]:
    """Columns for people, by name: what frames, Arrow tables and `matchcore query` are made of."""
    names = rows.dtype.names or ()
    columns: dict[str, Any] = {}
    versions = queries.versions(rows) if "instrument_seq" in names else None
    if versions is not None:
        columns["symbol"] = form.other(_as_text(versions["symbol"]))
    for name in names:
        values = np.ascontiguousarray(rows[name])
        if name.endswith("_ns"):
            columns[f"{name.removesuffix('_ns')}_utc"] = form.time(values)
            continue
        if name.endswith("_wraps") and form.joined:
            whole = name.removesuffix("_wraps")
            columns[whole] = [
                low + high * 2**63
                for low, high in zip(columns[whole], values.tolist(), strict=True)
            ]
            continue
        if name.endswith("_ticks") and versions is not None:
            columns[name.removesuffix("_ticks")] = form.price(values, versions)
        if name == "day":
            columns[name] = form.day(values)
        elif name in form.words:
            columns[name] = [form.words[name].get(code, code) for code in values.tolist()]
        else:
            columns[name] = form.other(_as_text(values) if values.dtype.kind == "S" else values)
    return columns


def _as_text(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype("U24").astype(object)
