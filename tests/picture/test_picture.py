"""The picture of a log: samples counted a second way, and a file for whatever happened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import matplotlib
import matplotlib.pyplot as pyplot
import numpy as np
import pytest
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.analysis import check_drawable, draw, sampling
from matchcore.analysis.sampling import COLUMNS, sampled
from matchcore.importers import Bme, sample_day

PNG = b"\x89PNG\r\n\x1a\n"
ANA = mc.Instrument("ANA", "0.05")
START = 1_558_429_200 * 10**9
MINUTE = 60 * 10**9


def logged(path: Path, *batches: NDArray, instrument: mc.Instrument = ANA) -> Path:
    """An exchange that was sent these batches, the first command at `START` if it has no time."""
    with mc.Engine.open(path, instruments=[instrument], policy="os", clock=lambda: START) as engine:
        for batch in batches:
            engine.submit_batch(batch)
    return path


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = Bme().commands(sample_day(), mc.Directory([ANA]))
    return logged(tmp_path_factory.mktemp("day") / "e", *parts)


def orders(*rows: tuple[mc.Side, int, str]) -> NDArray:
    """New orders, a minute apart."""
    typed = [
        mc.NewOrder("ANA", side, quantity, price, time=START + at * MINUTE)
        for at, (side, quantity, price) in enumerate(rows)
    ]
    return mc.encode_all(typed, mc.Directory([ANA]))


def samples(exchange: Path, symbol: str = "ANA", **more: object) -> sampling.Samples:
    options: dict[str, object] = {
        "first": None, "end": None, "levels": 5, "keys": None, "progress": lambda step: None,
    }  # fmt: skip
    return sampled(exchange, symbol, **{**options, **more})  # type: ignore[arg-type]


def is_png(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(PNG) and data.endswith(b"IEND\xaeB`\x82") and len(data) > 1000


def spread(commands: NDArray, step: int) -> NDArray:
    """The same with times that far apart, beginning with `START`."""
    commands = commands.copy()
    commands["time"] = START + np.arange(len(commands)) * step
    return commands


def asked(commands: Iterable[np.void], levels: int) -> list[tuple[list[float], ...]]:
    """Best, touch and near of both sides, by asking the reference book behind each command."""
    found = []
    with mc.Engine.memory(instruments=[ANA], machine="reference", clock=lambda: 1) as engine:
        for command in commands:
            engine.submit_batch(np.array([command], mc.COMMAND))
            book = engine.book("ANA")
            sides = book.bids(levels), book.asks(levels)
            best = [float(side[0].price) if side else np.nan for side in sides]
            touch = [float(side[0].quantity) if side else 0.0 for side in sides]
            found.append((best, touch, [float(sum(at.quantity for at in side)) for side in sides]))
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", [1, 700])
def test_samples_are_what_the_book_held(tmp_path: Path, seed: int, batch: int) -> None:
    commands = spread(flow(seed, 700, instruments=1), MINUTE)
    exchange = logged(tmp_path / "e", *np.split(commands, range(batch, 700, batch)))
    found, wanted = samples(exchange, levels=3), asked(commands, 3)
    times = found.start + np.arange(COLUMNS) * found.column_ns
    ends = np.searchsorted(commands["time"], times + found.column_ns) - 1  # the last in a column
    for name, at in (("best", 0), ("touch", 1), ("near", 2)):
        said = getattr(found, name)
        np.testing.assert_allclose(said, np.array([wanted[end][at] for end in ends]).T, 1e-15)
    assert (found.near > found.touch).any() and (found.touch > 0).all(axis=0).any()


def test_trades_and_volume_are_those_of_the_log(day: Path) -> None:
    found = samples(day)
    with mc.Engine.memory(instruments=[ANA]) as engine:
        parts = list(Bme().commands(sample_day(), engine.instruments))
        events = np.concatenate([engine.submit_batch(part) for part in parts])
    trades = events[events["kind"] == mc.EventKind.TRADED]
    assert (found.trades, found.traded, found.commands) == (796, 44_041, 20_969)
    assert found.volume.sum() == 44_041 and found.bar_ns == 5 * MINUTE
    for row, maker in enumerate((mc.Side.SELL, mc.Side.BUY)):
        prices = trades["price"][trades["side"] == maker] * 0.05
        assert np.nanmin(found.low[row]) == prices.min()
        assert np.nanmax(found.high[row]) == prices.max()
    assert (found.near[:, -1] == 0).all() and np.isnan(found.best[:, -1]).all()  # it ends empty


def test_a_part_of_the_day_is_what_the_whole_day_shows_there(day: Path) -> None:
    first, end = START + 60 * MINUTE, START + 120 * MINUTE
    whole, part = samples(day), samples(day, first=first, end=end)
    assert first <= part.start < part.last < end
    with mc.Engine.at(day, time=part.last) as engine:
        best = engine.book("ANA").best_bid, engine.book("ANA").best_ask
    assert part.best[:, -1] == pytest.approx([float(level.price) for level in best if level])
    times = whole.start + np.arange(COLUMNS) * whole.column_ns
    there = (times > part.start) & (times + whole.column_ns < part.last)
    columns = (times[there] + whole.column_ns - 1 - part.start) // part.column_ns
    near = whole.near[:, there] == part.near[:, columns]
    assert near.mean() > 0.9  # the ends of columns are not at the same moments
    assert 0 < part.trades < whole.trades and 0 < part.commands < whole.commands


def test_a_snapshot_before_the_part_is_the_beginning(day: Path, tmp_path: Path) -> None:
    first = START + 60 * MINUTE
    wanted = samples(day, first=first)
    parts = Bme().commands(sample_day(), mc.Directory([ANA]), chunk=500)
    exchange = tmp_path / "e"
    with mc.Engine.open(exchange, instruments=[ANA], policy="os", segment_bytes=8192) as engine:
        for part in parts:
            engine.submit_batch(part)
            if part["time"][0] < first:
                engine.snapshot()
    read: list[int] = []
    found = samples(exchange, first=first, progress=read.append)
    for name in ("best", "touch", "near", "low", "high", "volume"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert sum(read) == 2 * 20_970  # commands passed over are counted as well


def test_another_tick_changes_the_prices_from_there_on(tmp_path: Path) -> None:
    exchange = logged(tmp_path / "e", orders((mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 5, "1.00")))
    with mc.Engine.open(exchange) as engine:
        engine.change_instrument(mc.Instrument("ANA", "0.5"))
        for side, minute in ((mc.Side.BUY, 2), (mc.Side.SELL, 3)):
            engine.submit(mc.NewOrder("ANA", side, 5, "1.5", time=START + minute * MINUTE))
    found = samples(exchange)
    sold = found.low[1][np.isfinite(found.low[1])]
    assert sold.tolist() == [1.0, 1.5]
    bids = found.best[0][np.isfinite(found.best[0])]
    assert sorted(set(bids.tolist())) == [1.0, 1.5]


def test_commands_of_others_are_not_in_it(tmp_path: Path) -> None:
    exchange = logged(tmp_path / "e", orders((mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 5, "1.05")))
    with mc.Engine.open(exchange, instruments=[mc.Instrument("ELSE", 1)]) as engine:
        for side in mc.Side:
            engine.submit(mc.NewOrder("ELSE", side, 9, 7, time=START + 9 * MINUTE))
        engine.mass_cancel("ANA")  # of now
    found = samples(exchange, end=START + 99 * MINUTE)
    assert (found.commands, found.trades, found.last) == (2, 0, START + MINUTE)
    assert found.best[:, -1].tolist() == [1.0, 1.05]
    other = samples(exchange, "ELSE")
    assert (other.commands, other.trades, other.traded) == (2, 1, 9)


def test_time_that_runs_back_is_drawn_at_the_latest_one(tmp_path: Path) -> None:
    commands = orders(*[(mc.Side.BUY, 1, f"1.{tens}0") for tens in range(5)])
    commands["time"] = START + np.array([0, 9, 3, 5, 10]) * MINUTE
    found = samples(logged(tmp_path / "e", commands))
    changes = np.flatnonzero(np.diff(found.best[0])) + 1
    assert found.best[0][[0, *changes]] == pytest.approx([1.0, 1.3, 1.4])
    assert changes[0] == 9 * MINUTE // found.column_ns


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ([], "ANA, no events: 0 trades, 0 traded, 0 commands"),
        ([(mc.Side.BUY, 5, "1.00")], "ANA, 2019-05-21: 0 trades, 0 traded, 1 commands"),
        ([(mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 2, "1.00")], "1 trades, 2 traded, 2 commands"),
        ([(mc.Side.BUY, 5, "-1.00"), (mc.Side.SELL, 5, "-1.00")], "1 trades, 5 traded"),
        ([(mc.Side.BUY, 2**63 - 1, "1.00"), (mc.Side.SELL, 2**63 - 1, "1.00")] * 2,
         "2 trades, 18,446,744,073,709,551,614 traded, 4 commands"),
        ([(mc.Side.SELL, 1, str((2**63 - 1) // 20)), (mc.Side.BUY, 1, str(-(2**63 // 20)))], ""),
        ([(mc.Side.BUY, 5, "0.00"), (mc.Side.SELL, 5, "0.00")], "1 trades"),
    ],
    ids=["none", "one", "one trade", "a negative price", "very large ones", "wide", "price zero"],
)  # fmt: skip
def test_whatever_happened_is_drawn(
    tmp_path: Path, rows: list[tuple[mc.Side, int, str]], title: str, titles: list[str]
) -> None:
    exchange = logged(tmp_path / "e", orders(*rows) if rows else np.empty(0, mc.COMMAND))
    draw(tmp_path / "x.png", exchange, "ANA")
    assert is_png(tmp_path / "x.png") and title in titles[0]


@pytest.mark.parametrize(
    "times",
    [[1, 2], [-(2**63), 2**63 - 1], [2**63 - 1, 2**63 - 1], [-(2**63), -(2**63) + 1],
     [START, START + 1000], [START, START + 400 * 86400 * 10**9], [START, 1]],
    ids=["1970", "all", "last", "first", "a microsecond", "400 days", "back"],
)  # fmt: skip
def test_any_times_are_drawn(tmp_path: Path, times: list[int]) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 2, "1.00"))
    commands["time"] = times
    exchange = logged(tmp_path / "e", commands)
    counts = draw(tmp_path / "x.png", exchange, "ANA", timezone="Asia/Kolkata")
    assert is_png(tmp_path / "x.png")
    assert counts == {"commands": 2, "trades": 1, "traded_quantity": 2, "first_sequence": 2,
                      "last_sequence": 3}  # fmt: skip


def test_refusals_alone_are_drawn(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"))
    commands["quantity"] = -1
    counts = draw(tmp_path / "x.png", logged(tmp_path / "e", commands), "ANA")
    assert is_png(tmp_path / "x.png") and counts["commands"] == 1


@pytest.mark.parametrize("symbol", ["$A$", "A$B_{", "<&>\\"])
def test_a_symbol_is_no_markup(tmp_path: Path, symbol: str) -> None:
    instrument = mc.Instrument(symbol, 1)
    exchange = logged(tmp_path / "e", orders((mc.Side.BUY, 5, "1.00")), instrument=instrument)
    draw(tmp_path / "x.png", exchange, symbol)
    assert is_png(tmp_path / "x.png")


def test_the_suffix_says_the_form(tmp_path: Path) -> None:
    exchange = logged(tmp_path / "e", orders((mc.Side.BUY, 5, "1.00")))
    draw(tmp_path / "x.svg", exchange, "ANA")
    assert "<svg" in (tmp_path / "x.svg").read_text()
    for name in ("x", "x.csv", ".png"):
        with pytest.raises(mc.InvalidCommand, match=r"the suffix is none of .*png"):
            check_drawable(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        check_drawable(tmp_path / "no" / "x.png")


def test_a_range_without_commands_says_where_they_are(day: Path, tmp_path: Path) -> None:
    for more in ({"first": START * 2}, {"end": datetime(2019, 5, 21, tzinfo=timezone.utc)},
                 {"first": START, "end": START}):  # fmt: skip
        said = (
            r"ANA: no commands in that time, but from 2019-05-21T07:00:23\.256.* to 2019-05-21T15:3"
        )
        with pytest.raises(mc.NotInTheLog, match=said):
            draw(tmp_path / "x.png", day, "ANA", **more)
    with pytest.raises(mc.UnknownInstrument, match="unknown instrument 'SAN'"):
        draw(tmp_path / "x.png", day, "SAN")
    with pytest.raises(ValueError, match="unknown time zone 'Madrid'"):
        draw(tmp_path / "x.png", day, "ANA", timezone="Madrid")
    assert not (tmp_path / "x.png").exists()


def test_a_log_whose_beginning_is_archived_is_drawn_from_a_snapshot_on(tmp_path: Path) -> None:
    exchange, commands = tmp_path / "e", spread(flow(5, 900, instruments=1), MINUTE)
    with mc.Engine.open(exchange, instruments=[ANA], segment_bytes=4096) as engine:
        for at in range(0, 900, 30):
            engine.submit_batch(commands[at : at + 30])
            if at in (300, 600):
                engine.snapshot()
    whole = samples(exchange)
    first = sorted(exchange.glob("journal-*"))
    for file in first:
        if int(file.stem[8:]) < 250:
            file.unlink()
    part = samples(exchange)
    assert part.start == commands["time"][330] and part.last == whole.last
    np.testing.assert_array_equal(part.best[:, -1], whole.best[:, -1])
    for snapshot in exchange.glob("snapshot-*"):
        snapshot.unlink()
    with pytest.raises(mc.LogDamaged):
        samples(exchange)


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The title of each picture that is drawn."""
    found: list[str] = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.suptitle", lambda self, text, **more: found.append(text)
    )
    return found


def test_the_title_counts_the_day(day: Path, tmp_path: Path, titles: list[str]) -> None:
    draw(tmp_path / "x.png", day, "ANA")
    draw(tmp_path / "x.png", day, "ANA", timezone="Pacific/Auckland")
    counts = "796 trades, 44,041 traded, 20,969 commands"
    assert titles == [f"ANA, 2019-05-21: {counts}", f"ANA, 2019-05-21 to 2019-05-22: {counts}"]


def test_the_axes_say_what_they_are(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, path, **more: figures.append(self)
    )
    draw(tmp_path / "x.png", day, "ANA", timezone="Europe/Madrid", levels=7)
    top, middle, bottom = figures[0].axes
    figures[0].canvas.draw()
    assert bottom.get_xlabel() == "time (Europe/Madrid)"
    labels = [label.get_text() for label in bottom.get_xticklabels()]
    assert labels[0] == "10:00" and labels[-1] == "17:00"
    assert top.get_ylabel() == "price (tick 0.05)"
    assert [text.get_text() for text in top.get_legend().get_texts()] == [
        "best bid", "best ask", "buyer took", "seller took",
    ]  # fmt: skip
    assert middle.get_ylabel() == "traded in 5 min\n(units)"
    assert "buys, best 7 levels" in [text.get_text() for text in bottom.get_legend().get_texts()]
    low, high = top.get_ylim()
    assert 95 < low < 95.5 and 96.6 < high < 97  # the last orders of the day lie far away


def test_the_same_day_is_the_same_picture(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 2, "1.00"))
    exchange = logged(tmp_path / "e", commands)
    for name in "ab":
        draw(tmp_path / f"{name}.png", exchange, "ANA")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    commands["time"] += 3600 * 10**9
    draw(tmp_path / "c.png", logged(tmp_path / "f", commands), "ANA")
    assert (tmp_path / "c.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_no_figure_of_the_caller_is_touched(tmp_path: Path) -> None:
    before = pyplot.get_fignums()
    exchange = logged(tmp_path / "e", orders((mc.Side.BUY, 5, "1.00")))
    mine = pyplot.figure()
    try:
        draw(tmp_path / "x.png", exchange, "ANA")
        assert pyplot.gcf() is mine and pyplot.get_fignums() == [*before, mine.number]
        (tmp_path / "y.png").mkdir()
        with pytest.raises(IsADirectoryError):
            draw(tmp_path / "y.png", exchange, "ANA")
        assert pyplot.get_fignums() == [*before, mine.number]
    finally:
        pyplot.close("all")


def test_the_backend_of_the_caller_stays(tmp_path: Path) -> None:
    before = matplotlib.get_backend()
    matplotlib.use("svg")
    try:
        draw(tmp_path / "x.png", logged(tmp_path / "e", orders((mc.Side.BUY, 5, "1.00"))), "ANA")
        assert matplotlib.get_backend().lower() == "svg"
    finally:
        matplotlib.use(before)


def test_a_change_of_the_rules_is_no_command_of_a_symbol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = flow(3, 400, instruments=1)
    parts["time"] = START + np.arange(400) * MINUTE
    parts["session"] = parts["client_order_tail"] = 0  # which version 1 refuses
    monkeypatch.setattr("matchcore.records.rules.RULES_LATEST", 1)
    plain = logged(tmp_path / "plain", parts[:200], parts[200:])
    upgraded = logged(tmp_path / "upgraded", parts[:200])
    monkeypatch.setattr("matchcore.records.rules.RULES_LATEST", 2)
    with mc.Engine.open(upgraded, clock=lambda: START + 10**6 * MINUTE) as engine:
        assert engine.upgrade_rules() is not None
        engine.submit_batch(parts[200:])
    one, other = (
        sampled(path, "ANA", first=None, end=None, levels=3, keys=None, progress=lambda step: None)
        for path in (plain, upgraded)
    )
    assert (one.last, one.trades, one.traded) == (other.last, other.trades, other.traded)
    np.testing.assert_array_equal(one.near, other.near)
