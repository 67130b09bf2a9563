"""Samples as a picture, by matplotlib, which is imported when something is drawn."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand, MissingExtra
from ..records.schema import CALL_PHASES, Phase
from .sampling import COLUMNS, DAY_NS, SECOND_NS, Array, Samples

BUY_COLOUR, SELL_COLOUR, VOLUME_COLOUR, GRID_COLOUR = "#2a7f62", "#b5485d", "#7a8ca0", "#dddddd"
INK = "#20303f"
INDICATIVE_COLOUR = "#c77d1a"
CALL_COLOUR, STILL_COLOUR, CLOSE_COLOUR = "#fbf0dc", "#efefef", "#e6eef6"
PHASE_COLOURS: dict[Phase | None, str] = {
    **dict.fromkeys(CALL_PHASES, CALL_COLOUR),
    **dict.fromkeys((Phase.QUIET, Phase.BREAK, Phase.HALTED, Phase.CANCEL_ONLY), STILL_COLOUR),
    Phase.AT_CLOSING_PRICE: CLOSE_COLOUR,
}
DENSE_COLUMNS = COLUMNS // 4  # with trades: points are smaller then, or they hide the lines
OUTLIERS = 0.005  # part of the best prices on either end that need not fit into the panel
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS = (("day", DAY_NS), ("h", 3600 * SECOND_NS), ("min", 60 * SECOND_NS),
          ("s", SECOND_NS), ("ms", 10**6))  # fmt: skip


def check_drawable(path: Path) -> None:
    """For who draws only after much else is done: `MissingExtra` without matplotlib,
    `InvalidCommand` for a suffix that is no form of picture, FileNotFoundError without a folder."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ModuleNotFoundError as error:
        raise MissingExtra("the picture of a day", "plot") from error
    forms = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix[1:].lower() not in forms:
        raise InvalidCommand(f"{path}: the suffix is none of {', '.join(sorted(forms))}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder for a picture")


def paint(path: Path, samples: Samples, zone: tzinfo) -> None:
    """Draws samples into a file; the time axis and the day in the title are of `zone`.

    Nothing of the caller's matplotlib is touched: no backend is chosen, no figure is registered.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1, 1.6])
    times = _on_axis(samples.start + np.arange(COLUMNS) * float(samples.column_ns))
    _prices(top, times, samples)
    _volume(middle, samples)
    _depth(bottom, times, samples)
    bottom.set_xlabel(f"time ({zone})")
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator, tz=zone)  # type: ignore[no-untyped-call]
    bottom.xaxis.set_major_locator(locator)
    bottom.xaxis.set_major_formatter(formatter)
    last = max(samples.last, samples.start + SECOND_NS)
    bottom.set_xlim(*_on_axis(np.array([samples.start, last], np.float64)))
    figure.suptitle(
        f"{samples.symbol}, {_days(samples, zone)}: {samples.trades:,} trades,"
        f" {samples.traded:,} traded, {samples.commands:,} commands",
        parse_math=False,  # a symbol may have dollar signs
    )
    _phases(figure, (top, middle, bottom), times, samples)
    for axes in (top, middle, bottom):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID_COLOUR, linewidth=0.6)
        axes.set_axisbelow(True)
    figure.savefig(path, dpi=110)


def _on_axis(times: NDArray[np.floating[Any]]) -> Array:
    """Nanoseconds since 1970 as matplotlib's days, whose zero is a setting of the caller's.

    As datetime64 the first of all times would be none.
    """
    from matplotlib.dates import date2num

    days: Array = times / DAY_NS + date2num(_EPOCH)  # type: ignore[no-untyped-call]
    return days


def _days(samples: Samples, zone: tzinfo) -> str:
    if not samples.commands:
        return "no events"
    moments = (_EPOCH + timedelta(microseconds=at // 1000) for at in (samples.start, samples.last))
    days = [str(moment.astimezone(zone).date()) for moment in moments]
    return " to ".join(dict.fromkeys(days))


def _prices(axes: Any, times: Any, samples: Samples) -> None:
    """Best bid and ask as lines, trades as points; a column's range of trades is one stroke."""
    names = (("best bid", BUY_COLOUR, "buyer took"), ("best ask", SELL_COLOUR, "seller took"))
    for row, (name, colour, _) in enumerate(names):
        axes.step(times, samples.best[row], where="post", color=colour, linewidth=0.9, label=name)
    dense = np.isfinite(samples.low).any(axis=0).sum() > DENSE_COLUMNS
    size, edge = (3, 0) if dense else (11, 0.3)
    for row, (_, colour, name) in enumerate(names):
        low, high = samples.low[row], samples.high[row]
        axes.vlines(times, low, high, color=colour, linewidth=1.2, zorder=3)
        points = {"s": size, "color": colour, "edgecolor": INK, "linewidth": edge, "zorder": 4}
        axes.scatter(times, low, label=name, **points)
        axes.scatter(times, high, **points)
    shown = [samples.low[np.isfinite(samples.low)], samples.high[np.isfinite(samples.high)]]
    best = samples.best[np.isfinite(samples.best)]
    if len(best):
        shown.append(np.quantile(best, [OUTLIERS, 1 - OUTLIERS]))
    values = np.concatenate(shown)
    if len(values):
        margin = max(0.05 * (values.max() - values.min()), float(samples.tick),
                     1e-9 * abs(values).max())  # fmt: skip
        axes.set_ylim(values.min() - margin, values.max() + margin)
    axes.set_ylabel(f"price (tick {samples.tick})")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    _legend(axes)


def _phases(figure: Any, panels: Any, times: Any, samples: Samples) -> None:
    """The phases of a market, shaded and named; nothing for an instrument without one."""
    top, phase = panels[0], samples.phase
    if not phase.any():
        return
    top.step(times, samples.indicative, where="post", color=INDICATIVE_COLOUR, linewidth=1.3,
             label="price of the call")  # fmt: skip
    _legend(top)
    starts = np.flatnonzero(np.diff(phase.astype(np.int16), prepend=-1))
    for at, end in zip(starts.tolist(), [*starts[1:].tolist(), COLUMNS - 1], strict=True):
        colour = PHASE_COLOURS.get(Phase(phase[at]) if phase[at] else None)
        if colour is None:
            continue
        for axes in panels:
            axes.axvspan(times[at], times[end], color=colour, linewidth=0, zorder=0)
        if end - at > COLUMNS // 60:
            name = Phase(phase[at]).name.replace("_", " ").lower()
            middle = times[(at + end) // 2]
            top.annotate(name, (middle, 1), xycoords=("data", "axes fraction"), rotation=90,
                         ha="center", va="top", fontsize=8, color=INK, alpha=0.7,
                         xytext=(0, -4), textcoords="offset points")  # fmt: skip


def _volume(axes: Any, samples: Samples) -> None:
    first = samples.start // samples.bar_ns
    starts = _on_axis((first + np.arange(len(samples.volume))) * float(samples.bar_ns))
    width = samples.bar_ns / DAY_NS
    axes.bar(starts, samples.volume, width=width, align="edge", color=VOLUME_COLOUR)
    unit, length = next((u, n) for u, n in _UNITS if samples.bar_ns >= n)
    axes.set_ylabel(f"traded in {samples.bar_ns // length} {unit}\n(units)")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _depth(axes: Any, times: Any, samples: Samples) -> None:
    sides = (("buys", BUY_COLOUR, 1), ("sells", SELL_COLOUR, -1))
    for row, (name, colour, sign) in enumerate(sides):
        near = f"{name}, best {samples.levels} levels"
        axes.fill_between(times, sign * samples.near[row], step="post", color=colour, alpha=0.35,
                          linewidth=0, label=near)  # fmt: skip
        axes.fill_between(times, sign * samples.touch[row], step="post", color=colour,
                          linewidth=0, label=f"{name}, best level")  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_ylabel("open near the touch\n(units)")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    _legend(axes)


def _legend(axes: Any) -> None:
    """Above the panel, where it covers nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0.2)
