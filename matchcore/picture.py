"""A trading day as a picture: trades and prices, volume, and what rests in the book over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .commands import Side
from .errors import MissingExtra
from .events import EventKind, fresh
from .instruments import Instrument

MINUTE_NS = 60 * 10**9
BUY_COLOUR, SELL_COLOUR, PRICE_COLOUR, VOLUME_COLOUR = "#2a7f62", "#b5485d", "#20303f", "#7a8ca0"


def open_quantities(events: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Open quantity of all buys and of all sells after each `fresh` event: two float64 arrays.

    No integers: a whole side may hold more than 63 bits.

    `events` are one instrument's `EVENT`s from an empty book on.
    """
    events = fresh(events)
    live: dict[int, tuple[int, int]] = {}
    totals = {Side.BUY: 0, Side.SELL: 0}
    buys, sells = np.empty(len(events)), np.empty(len(events))
    names = ["kind", "order_id", "side", "left", "taker_order_id", "taker_left"]

    def put(order: int, side: int, left: int) -> None:
        before = live.pop(order, (side, 0))[1]
        totals[Side(side)] += left - before
        if left:
            live[order] = side, left

    for at, row in enumerate(events[names].tolist()):
        kind, order, side, left, taker, taker_left = row
        if kind in (EventKind.ACCEPTED, EventKind.AMENDED, EventKind.CANCELLED, EventKind.TRADED):
            put(order, side, left)
        if kind == EventKind.TRADED:
            put(taker, 3 - side, taker_left)
        buys[at], sells[at] = totals[Side.BUY], totals[Side.SELL]
    return buys, sells


def check_drawable() -> None:
    """`MissingExtra` without matplotlib: for whoever draws only after much else is done."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra("the picture of a day", "plot") from error


def draw_day(
    path: str | os.PathLike[str],
    commands: NDArray[np.void],
    events: NDArray[np.void],
    instrument: Instrument,
) -> Path:
    """Draws a day of one instrument into a PNG (or what the suffix says); returns its path.

    `events` are those of `commands`, in order, from an empty book on.  Needs the extra `plot`.
    Nothing of the caller's matplotlib is touched: no backend is chosen, no figure is registered.
    """
    check_drawable()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure

    events = fresh(events)
    index = (events["sequence"] - events["sequence"][0]).astype(np.int64) if len(events) else []
    times = commands["time"][index].astype("datetime64[ns]")
    traded = events["kind"] == EventKind.TRADED
    mantissa, exponent = instrument.tick_parts
    prices = events["price"][traded] * float(mantissa * 10.0**exponent)
    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1, 1.6])
    _trades(top, times[traded], prices, events["side"][traded])
    _volume(middle, times[traded], events["quantity"][traded])
    buys, sells = open_quantities(events)
    bottom.fill_between(times, buys, step="post", color=BUY_COLOUR, alpha=0.7, label="buys")
    bottom.fill_between(times, -sells, step="post", color=SELL_COLOUR, alpha=0.7, label="sells")
    bottom.set_ylabel("open quantity")
    bottom.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    bottom.legend(loc="upper left", ncols=2, frameon=False)
    bottom.set_xlabel("time (UTC)")
    bottom.xaxis.set_major_formatter(DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]
    day = str(times[0])[:10] if len(times) else "no events"
    figure.suptitle(
        f"{instrument.symbol}, {day}: {int(traded.sum()):,} trades,"
        f" {int(events['quantity'][traded].sum()):,} traded, {len(commands):,} commands"
    )
    for axes in (top, middle, bottom):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    target = Path(path)
    figure.savefig(target, dpi=110)
    return target


def _trades(axes: Any, times: NDArray[Any], prices: NDArray[Any], maker: NDArray[Any]) -> None:
    axes.step(times, prices, where="post", color=PRICE_COLOUR, linewidth=0.8)
    for side, colour, label in (
        (Side.SELL, BUY_COLOUR, "buyer took"),
        (Side.BUY, SELL_COLOUR, "seller took"),
    ):
        hit = maker == side
        axes.scatter(times[hit], prices[hit], s=9, color=colour, label=label, zorder=3)
    axes.set_ylabel("price of trades")
    axes.legend(loc="lower right", ncols=2, frameon=False)


def _volume(axes: Any, times: NDArray[Any], quantities: NDArray[Any]) -> None:
    minutes = times.astype(np.int64) // MINUTE_NS
    starts, at = np.unique(minutes, return_inverse=True)
    volume = np.bincount(at, quantities, minlength=len(starts))
    axes.bar((starts * MINUTE_NS).astype("datetime64[ns]"), volume, width=1 / 1440, align="edge",
             color=VOLUME_COLOUR)  # fmt: skip
    axes.set_ylabel("volume a minute")
