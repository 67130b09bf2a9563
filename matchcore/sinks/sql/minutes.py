"""Bars of minutes, made of trades by the database itself: of helpers and of a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from ...records.arguments import INT64_MIN
from .schema import SQL_TABLES

MINUTE_NS = 60 * 10**9
#: One bar.  `start_ns` is where its minutes begin, the volume is ``volume + volume_wraps * 2**63``.
MINUTE_BAR = np.dtype(
    [("shard", "<i4"), ("instrument", "<i4"), ("instrument_seq", "<i8"), ("start_ns", "<i8"),
     ("open_ticks", "<i8"), ("high_ticks", "<i8"), ("low_ticks", "<i8"), ("close_ticks", "<i8"),
     ("volume", "<i8"), ("volume_wraps", "<i4"), ("trades", "<i8")]
)  # fmt: skip
_LOW, _HALF = 2**32 - 1, 2**31 - 1


class _rest(FunctionElement[int]):
    """What a division leaves: without a percent sign where drivers read one as a parameter."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(_rest)
def _mod(element: Any, compiler: Any, **more: Any) -> str:
    return f"MOD({compiler.process(element.clauses, **more)})"


@compiles(_rest, "sqlite")
def _percent(element: Any, compiler: Any, **more: Any) -> str:
    value, by = (compiler.process(one, **more) for one in element.clauses)
    return f"(({value}) % ({by}))"


def minutes(conditions: Sequence[Any], length: int) -> sa.Select[Any]:
    """Bars of `length` minutes of the trades that meet conditions (on ``SQL_TABLES["trades"]``).

    A bar's first and last trade are found by sequence, which the key begins with, and trade id,
    which grows with it.  Quantities are summed in halves, so that nothing overflows.
    """
    trades = SQL_TABLES["trades"]
    step = sa.literal(length * MINUTE_NS, sa.BigInteger())
    time = trades.c.time_ns
    # the first minutes of 64 bits begin before them
    whole_ones = -(-INT64_MIN // (length * MINUTE_NS)) * length * MINUTE_NS
    start = sa.case(
        (time < _number(whole_ones), _number(INT64_MIN + 1) - _number(1)),  # SQLite reads no less
        else_=time - _rest(_rest(time, step) + step, step),
    )
    names = ("shard", "seq", "trade_id", "instrument", "instrument_seq", "price_ticks", "quantity")
    each = (
        sa.select(*(trades.c[name] for name in names), start.label("start_ns"))
        .where(*conditions)
        .subquery("e")
    )
    keys = (each.c.shard, each.c.instrument, each.c.instrument_seq, each.c.start_ns)
    least, most = sa.func.min, sa.func.max
    bars = (
        sa.select(
            *keys, least(each.c.seq).label("first_seq"), least(each.c.trade_id).label("first_id"),
            most(each.c.seq).label("last_seq"), most(each.c.trade_id).label("last_id"),
            most(each.c.price_ticks).label("high_ticks"),
            least(each.c.price_ticks).label("low_ticks"),
            _whole(sa.func.sum(each.c.quantity.bitwise_and(_number(_LOW)))).label("low"),
            _whole(sa.func.sum(each.c.quantity.bitwise_rshift(_number(32)))).label("high"),
            sa.func.count().label("trades"),
        )
        .group_by(*keys)
        .subquery("b")
    )  # fmt: skip
    first, last = trades.alias("f"), trades.alias("l")
    low = bars.c.low
    high = (bars.c.high + low.bitwise_rshift(_number(32))).self_group()
    volume = _whole(
        high.bitwise_and(_number(_HALF)).self_group() * _number(2**32)
        + low.bitwise_and(_number(_LOW)).self_group()
    )
    columns = {
        **{key.name: bars.c[key.name] for key in keys},
        "open_ticks": first.c.price_ticks, "high_ticks": bars.c.high_ticks,
        "low_ticks": bars.c.low_ticks, "close_ticks": last.c.price_ticks, "volume": volume,
        "volume_wraps": _whole(high.bitwise_rshift(_number(31))), "trades": bars.c.trades,
    }  # fmt: skip
    joined: Any = bars
    for one, end in ((first, "first"), (last, "last")):
        joined = joined.join(
            one,
            sa.and_(
                one.c.shard == bars.c.shard,
                one.c.seq == bars.c[f"{end}_seq"],
                one.c.trade_id == bars.c[f"{end}_id"],
            ),
        )
    return sa.select(*(value.label(name) for name, value in columns.items())).select_from(joined)


def _number(value: int) -> Any:
    """A constant of this module, in the statement's text."""
    return sa.literal_column(str(value), sa.BigInteger())


def _whole(value: Any) -> Any:
    """A sum as a plain integer: some databases make decimals of them."""
    return sa.cast(value, sa.BigInteger())
