"""What a database holds: tables and columns as data, and their rows as NumPy records.

Every key begins with `(shard, seq)`: the sequence of the command that made the row, in the log
of that shard.  So a batch of one log is one shard, and one transaction of one database node.
A column is an integer, but for an instrument's symbol; prices are ticks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Of the schema.  1 was SQLite only, with prices as text; 2 had no views; those of 3 had no word
#: for KILL_SWITCH; 4 knew no markets.
VERSION = 5
OPEN, FILLED, CANCELLED = 0, 1, 2  # `status`
MAKER, TAKER, CROSSED = 1, 2, 3  # `liquidity`; CROSSED: both orders of an auction's trade
NOBODY = 0  # `aggressor` of an auction's trade
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Table:
    """``columns``: name -> NumPy format; unsigned ones are ids of all 64 bits.

    ``indexes``: those that pay for what they cost, see docs/queries.md.  ``broadcast``: small, and
    on every node of a sharded database.  ``since``: the first schema that has it.
    """

    name: str
    key: tuple[str, ...]
    columns: dict[str, str]
    indexes: tuple[tuple[str, ...], ...] = ()
    broadcast: bool = False
    since: int = 2

    @property
    def dtype(self) -> np.dtype[np.void]:
        return np.dtype([(name, f"<{form}") for name, form in self.columns.items()])


_KEY = {"shard": "i4", "seq": "i8"}
_TRADE = {"n": "i4", "trade_id": "i8", "instrument": "i4", "instrument_seq": "i8"}
#: ``filled`` has no limit, since an order can be filled and amended up again without end: in all
#: it is ``filled + filled_wraps * 2**63``.  ``changed_seq``: the last command that touched it.
#: ``triggered_seq``: the one by which it was triggered last, or 0.
_ORDER = {
    **_KEY, "instrument": "i4", "instrument_seq": "i8", "order_id": "u8", "client_order_id": "u8",
    "account": "u8", "side": "i2", "order_type": "i2", "time_in_force": "i2", "flags": "i2",
    "price_ticks": "i8", "quantity": "i8", "filled": "i8", "filled_wraps": "i4",
    "open_quantity": "i8", "status": "i2", "reason": "i2", "accepted_ns": "i8",
    "changed_ns": "i8", "changed_seq": "i8", "stop_ticks": "i8", "display_quantity": "i8",
    "expiry_ns": "i8", "triggered_seq": "i8",
}  # fmt: skip
#: Columns -> the first schema that has them; 0 in rows of orders from before.
ADDED = dict.fromkeys(("stop_ticks", "display_quantity", "expiry_ns", "triggered_seq"), 5)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        # A version of an instrument: `seq` is the command that added or changed it.  Rows of the
        # other tables name theirs as `instrument_seq`, because a tick may change.
        Table("instruments", ("shard", "seq"), {
            **_KEY, "number": "i4", "symbol": "S24", "tick_mantissa": "i8", "tick_exponent": "i2",
            "lot": "i8", "max_quantity": "i8", "max_orders": "i8", "time_ns": "i8",
        }, broadcast=True),
        # Orders that rest now; the one table whose rows change.  A QUOTE makes one order a side.
        Table("open_orders", ("shard", "seq", "side"), _ORDER, (("account",),)),
        # Orders that are done: written once.
        Table("orders", ("shard", "seq", "side"), _ORDER, (("order_id",),)),
        Table("trades", ("shard", "seq", "n"), {
            **_KEY, **_TRADE, "price_ticks": "i8", "quantity": "i8", "aggressor": "i2",
            "maker_seq": "i8", "maker_order_id": "u8", "maker_account": "u8", "taker_seq": "i8",
            "taker_order_id": "u8", "taker_account": "u8", "time_ns": "i8",
        }, (("instrument", "time_ns"),)),
        # Two a trade: n is twice the trade's for the maker, and one more for the taker.
        Table("executions", ("shard", "seq", "n"), {
            **_KEY, **_TRADE, "account": "u8", "order_seq": "i8", "order_id": "u8",
            "client_order_id": "u8", "side": "i2", "liquidity": "i2", "price_ticks": "i8",
            "quantity": "i8", "open_quantity": "i8", "time_ns": "i8",
        }, (("account", "seq"),)),
        Table("phases", ("shard", "seq"), {
            **_KEY, "kind": "i2", "instrument": "i4", "orders": "i8", "time_ns": "i8",
        }),
        # Of markets: parameters as they were set, phases that began, indicative prices of calls,
        # and trades that do not count.
        Table("market_parameters", ("shard", "seq"), {
            **_KEY, "instrument": "i4", "instrument_seq": "i8", "parameter": "i2", "place": "i2",
            **{f"value{n}": "i8" for n in range(1, 9)}, "time_ns": "i8",
        }, since=5),
        Table("phase_changes", ("shard", "seq", "n"), {
            **_KEY, "n": "i4", "instrument": "i4", "instrument_seq": "i8", "phase": "i2",
            "former": "i2", "price_ticks": "i8", "quantity": "i8", "reason": "i2",
            "time_ns": "i8",
        }, since=5),
        Table("indicatives", ("shard", "seq", "n"), {
            **_KEY, "n": "i4", "instrument": "i4", "instrument_seq": "i8", "price_ticks": "i8",
            "quantity": "i8", "imbalance": "i8", "time_ns": "i8",
        }, since=5),
        Table("busts", ("shard", "seq"), {
            **_KEY, "trade_id": "i8", "instrument": "i4", "instrument_seq": "i8",
            "price_ticks": "i8", "quantity": "i8", "time_ns": "i8",
        }, (("trade_id",),), since=5),
        # One a version of an instrument and day (since 1970, UTC); `seq` is its first trade's,
        # which several may have, as a phase may begin for many instruments.  Its volume has no
        # limit either.
        Table("daily_bars", ("shard", "seq", "instrument"), {
            **_KEY, "instrument": "i4", "instrument_seq": "i8", "day": "i4", "open_ticks": "i8",
            "high_ticks": "i8", "low_ticks": "i8", "close_ticks": "i8", "volume": "i8",
            "volume_wraps": "i4", "trades": "i8",
        }, (("day", "instrument"), ("instrument", "day"))),
    )
}  # fmt: skip
