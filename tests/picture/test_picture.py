"""The picture of a day: open quantities counted a second way, and a PNG for whatever happened."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as pyplot
import numpy as np
import pytest
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.importers import Bme, sample_day
from matchcore.picture import draw_day, open_quantities

PNG = b"\x89PNG\r\n\x1a\n"
ANA = mc.Instrument("ANA", "0.05")


def traded(commands: NDArray, instrument: mc.Instrument = ANA) -> NDArray:
    with mc.Engine.memory(instruments=[instrument], clock=lambda: 1) as engine:
        return engine.submit_batch(commands)


def day() -> NDArray:
    with sample_day() as path:
        return np.concatenate(list(Bme().commands(path, mc.Directory([ANA]))))


def orders(*rows: tuple[mc.Side, int, str]) -> NDArray:
    """New orders, a minute apart."""
    typed = [
        mc.NewOrder("ANA", side, quantity, price, time=1_558_429_200 * 10**9 + at * 60 * 10**9)
        for at, (side, quantity, price) in enumerate(rows)
    ]
    return mc.encode_all(typed, mc.Directory([ANA]))


def is_png(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(PNG) and data.endswith(b"IEND\xaeB`\x82") and len(data) > 1000


@pytest.mark.parametrize("seed", range(3))
def test_open_quantities_are_what_the_book_holds(seed: int) -> None:
    """Counted a second way: by asking the reference book after every command."""
    with mc.Engine.memory(instruments=[ANA], machine="reference", clock=lambda: 1) as engine:
        events, wanted = [], []
        for command in flow(seed, 700, instruments=1):
            events.append(engine.submit_batch(np.array([command], mc.COMMAND)))
            resting = engine.book("ANA").orders()
            open_now = [resting["quantity"][resting["side"] == side].tolist() for side in (1, 2)]
            wanted.append([float(sum(quantities)) for quantities in open_now])
    buys, sells = open_quantities(np.concatenate(events))
    last = np.cumsum([len(part) for part in events]) - 1  # the last event of each command
    assert np.column_stack([buys[last], sells[last]]).tolist() == wanted
    assert buys.max() > 100 and sells.max() > 100


def test_open_quantities_move_with_every_event() -> None:
    events = traded(orders((mc.Side.SELL, 5, "1.00"), (mc.Side.SELL, 7, "1.05"),
                           (mc.Side.BUY, 8, "1.05")))  # fmt: skip
    assert events["kind"].tolist() == [1, 1, 1, 2, 2]
    buys, sells = open_quantities(events)
    assert buys.tolist() == [0, 0, 8, 3, 0]
    assert sells.tolist() == [5, 12, 12, 7, 4]
    assert buys.dtype == sells.dtype == np.float64


def test_the_real_day_ends_with_nothing_open() -> None:
    buys, sells = open_quantities(traded(day()))
    assert (buys[-1], sells[-1]) == (0, 0)
    assert (buys >= 0).all() and (sells >= 0).all() and buys.max() > 0 < sells.max()


def test_no_events_have_no_quantities() -> None:
    buys, sells = open_quantities(np.empty(0, mc.EVENT))
    assert (len(buys), len(sells)) == (0, 0)


def test_the_day_is_drawn_as_a_png(tmp_path: Path) -> None:
    commands = day()
    path = draw_day(tmp_path / "day.png", commands, traded(commands), ANA)
    assert path == tmp_path / "day.png" and is_png(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(mc.Side.BUY, 5, "1.00")],
        [(mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 2, "1.00")],
        [(mc.Side.BUY, 5, "-1.00"), (mc.Side.SELL, 5, "-1.00")],
        [(mc.Side.BUY, 2**63 - 1, "1.00"), (mc.Side.SELL, 2**63 - 1, "1.00")],
    ],
    ids=["none", "one", "one trade", "a negative price", "a very large one"],
)
def test_whatever_happened_is_drawn(tmp_path: Path, rows: list[tuple[mc.Side, int, str]]) -> None:
    commands = orders(*rows) if rows else np.empty(0, mc.COMMAND)
    assert is_png(draw_day(str(tmp_path / "x.png"), commands, traded(commands), ANA))


def test_refusals_alone_are_drawn(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"))
    commands["quantity"] = -1
    events = traded(commands)
    assert events["kind"].tolist() == [mc.EventKind.REJECTED]
    assert is_png(draw_day(tmp_path / "x.png", commands, events, ANA))


def test_the_suffix_says_the_form(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"))
    path = draw_day(tmp_path / "x.svg", commands, traded(commands), ANA)
    text = path.read_text()
    assert "<svg" in text


def texts(monkeypatch: pytest.MonkeyPatch, commands: NDArray, place: Path) -> list[str]:
    """The title of the picture that is drawn."""
    titles: list[str] = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.suptitle", lambda self, text, **more: titles.append(text)
    )
    draw_day(place / "x.png", commands, traded(commands), ANA)
    return titles


def test_the_title_counts_the_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert texts(monkeypatch, day(), tmp_path) == [
        "ANA, 2019-05-21: 796 trades, 44,041 traded, 20,969 commands"
    ]


def test_the_title_of_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert texts(monkeypatch, np.empty(0, mc.COMMAND), tmp_path) == [
        "ANA, no events: 0 trades, 0 traded, 0 commands"
    ]


def test_the_same_day_is_the_same_picture(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"), (mc.Side.SELL, 2, "1.00"))
    events = traded(commands)
    one, two = (draw_day(tmp_path / f"{n}.png", commands, events, ANA) for n in "ab")
    assert one.read_bytes() == two.read_bytes()
    commands["time"] += 3600 * 10**9
    other = draw_day(tmp_path / "c.png", commands, events, ANA)
    assert other.read_bytes() != one.read_bytes()


def test_no_figure_stays_open(tmp_path: Path) -> None:
    before = pyplot.get_fignums()
    commands = orders((mc.Side.BUY, 5, "1.00"))
    draw_day(tmp_path / "x.png", commands, traded(commands), ANA)
    assert pyplot.get_fignums() == before


def test_no_figure_stays_open_when_saving_fails(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"))
    try:
        with pytest.raises(FileNotFoundError):
            draw_day(tmp_path / "no" / "x.png", commands, traded(commands), ANA)
        assert pyplot.get_fignums() == []
    finally:
        pyplot.close("all")


def test_the_figure_of_the_caller_stays_the_current_one(tmp_path: Path) -> None:
    commands = orders((mc.Side.BUY, 5, "1.00"))
    mine = pyplot.figure()
    try:
        draw_day(tmp_path / "x.png", commands, traded(commands), ANA)
        assert pyplot.gcf() is mine
    finally:
        pyplot.close("all")


def test_the_backend_of_the_caller_stays(tmp_path: Path) -> None:
    before = matplotlib.get_backend()
    matplotlib.use("svg")
    try:
        commands = orders((mc.Side.BUY, 5, "1.00"))
        draw_day(tmp_path / "x.png", commands, traded(commands), ANA)
        assert matplotlib.get_backend().lower() == "svg"
    finally:
        matplotlib.use(before)
