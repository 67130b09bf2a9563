"""The numbered stream: the same changes under the same numbers, wherever one starts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds import Changes, Mark, Stream
from matchcore.feeds.history import History
from matchcore.operations.archive import archive
from matchcore.records.changes import ChangeKind

ANA = mc.Instrument("ANA", "0.05")


def trade(engine: mc.Engine, count: int, start: int = 1) -> None:
    for i in range(start, start + count):
        side = mc.Side.BUY if i % 2 else mc.Side.SELL
        engine.submit(mc.NewOrder("ANA", side, 1 + i % 9, price="95.05"))


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    path = tmp_path / "e"
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=8192) as engine:
        trade(engine, 300)
    return path


def taken(stream: Stream) -> list[Changes]:
    return list(stream.poll())


def rows(found: list[Changes]) -> NDArray:
    for before, after in pairwise(found):
        assert after.first == before.last + 1
    return np.concatenate([changes.rows for changes in found])


def test_it_goes_on_where_the_log_goes_on(exchange: Path) -> None:
    with Stream(exchange) as stream:
        found = taken(stream)
        assert found[0].first == 1
        assert found[0].rows["kind"].tolist() == [ChangeKind.DEFINED]
        assert not taken(stream)
        with mc.Engine.open(exchange, policy="os") as engine:
            trade(engine, 20)
            more = taken(stream)
            engine.add_instrument(mc.Instrument("NEW", "0.5"))
            trade(engine, 20)
            more += taken(stream)
            assert stream.machine.digest() == engine.digest()
        assert more[0].first == found[-1].last + 1
        assert stream.number == more[-1].last + 1
        whole = rows(found + more)
        assert (whole["time"] > 0).all()
    with Stream(exchange) as again:
        assert rows(taken(again)).tobytes() == whole.tobytes()


def test_from_a_mark_it_gives_the_same(exchange: Path, tmp_path: Path) -> None:
    with Stream(exchange) as stream:
        found = taken(stream)
        stream.mark().save(tmp_path / "mark")
        with mc.Engine.open(exchange, policy="os") as engine:
            trade(engine, 50)
        more = taken(stream)
    mark = Mark.load(tmp_path / "mark")
    assert mark.number == found[-1].last + 1
    with Stream(exchange, mark=mark) as stream:
        again = taken(stream)
        assert again[0].first == mark.number
        assert rows(again).tobytes() == rows(more).tobytes()


def test_a_mark_at_the_beginning(exchange: Path) -> None:
    with Stream(exchange) as stream:
        mark = stream.mark()
    with Stream(exchange, mark=mark) as stream:
        assert taken(stream)[0].first == 1


def test_a_mark_of_another_exchange_or_history_is_refused(exchange: Path, tmp_path: Path) -> None:
    with Stream(exchange) as stream:
        taken(stream)
        mark = stream.mark()
    with mc.Engine.open(tmp_path / "f", instruments=[ANA], policy="os"):
        pass
    with pytest.raises(FeedError, match="is of exchange"):
        Stream(tmp_path / "f", mark=mark)
    other = Mark(mark.identity, mark.sequence, mark.number, "00" * 32)
    with pytest.raises(FeedError, match="does not fit the log"):
        Stream(exchange, mark=other)
    beyond = Mark(mark.identity, mark.sequence + 5, mark.number, mark.chain)
    with pytest.raises(FeedError, match="does not fit the log"):
        Stream(exchange, mark=beyond)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"identity": "zz", "sequence": 1, "number": 1, "chain": ""}',
             '{"identity": "00", "sequence": -1, "number": 1, "chain": ""}'],
)  # fmt: skip
def test_what_is_no_mark_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mark").write_text(text)
    with pytest.raises(FeedError, match="not the mark of a feed"):
        Mark.load(tmp_path / "mark")


def test_without_the_beginning_of_the_log_it_says_what_to_do(exchange: Path) -> None:
    with Stream(exchange) as stream:
        found = taken(stream)
        mark = stream.mark()
    with mc.Engine.open(exchange, policy="os") as engine:
        engine.snapshot()
    archive(exchange, drop=True, keep_snapshots=1)
    with pytest.raises(FeedError, match="restore the archived segments"):
        Stream(exchange)
    with Stream(exchange, mark=mark) as stream:
        assert not taken(stream)
        assert stream.number == found[-1].last + 1


def test_history_from_memory_and_from_the_log(exchange: Path) -> None:
    history = History(exchange, most=50)
    with Stream(exchange) as stream:
        found = taken(stream)
        whole = rows(found)
        for at in range(0, len(whole), 7):
            history.take(Changes(1 + at, 1, whole[at : at + 7]))
    assert history.last == len(whole) and 1 < history.first <= history.last - 49
    for first, last in [(1, 10), (5, 5), (history.first, history.last), (2, history.last)]:
        got = rows(list(history.between(first, last)))
        assert got.tobytes() == whole[first - 1 : last].tobytes()
    assert not list(history.between(history.last + 1, history.last))
    for first, last in [(0, 1), (history.last + 2, history.last + 3), (1, history.last + 1)]:
        with pytest.raises(FeedError, match="there are 1 to"):
            list(history.between(first, last))


def test_what_is_kept_of_a_few_changes_is_no_more_than_they_are(tmp_path: Path) -> None:
    with (
        mc.Engine.open(tmp_path, instruments=[mc.Instrument("ANA", "0.05")]) as engine,
        Stream(tmp_path) as stream,
    ):
        for _ in stream.poll():
            pass
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, "100"))
        (changes,) = stream.poll()
        base = changes.rows if changes.rows.base is None else changes.rows.base
        assert base.nbytes <= 2 * changes.rows.nbytes
