"""Every row of every table is what the events say, worked out in plain Python a second time."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sink_kit import (
    DAY,
    PLAIN_TABLES,
    WORLD,
    contents,
    expected,
    filled,
    followed,
    logged,
    rows,
    sink_of,
)

import matchcore as mc
from matchcore.importers import Bme, sample_day
from matchcore.sinks import TABLES
from matchcore.sinks.rows.bars import wide_sum
from matchcore.sinks.rows.rows import RowMaker


def compare(exchange: Path, database: Path) -> dict[str, int]:
    """Asserts that all tables are the events; the number of rows in each."""
    wanted, found = expected(*logged(exchange)), contents(exchange, database)
    for name in TABLES:
        assert found[name] == wanted[name], name
    return {name: len(made) for name, made in found.items()}


@pytest.mark.parametrize("seed", range(4))
def test_every_table_is_the_events(tmp_path: Path, seed: int) -> None:
    exchange = filled(tmp_path / "e", seed, 2500, 100)
    counts = compare(exchange, followed(exchange, tmp_path / "x.db"))
    assert [name for name, count in counts.items() if count] == PLAIN_TABLES
    assert counts["executions"] == 2 * counts["trades"] > 200 and counts["daily_bars"] > 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_numbers_from_all_of_64_bits_arrive(tmp_path: Path, seed: int) -> None:
    exchange = filled(tmp_path / "e", seed, 1000, 50, extreme=True)
    compare(exchange, followed(exchange, tmp_path / "x.db"))


@pytest.mark.parametrize("step", [3, 50, 602])
def test_the_size_of_batches_changes_nothing(tmp_path: Path, step: int) -> None:
    """Within one transaction and over many: an order's life is summed up the same."""
    exchange = filled(tmp_path / "e", 1, 300)
    commands, events = logged(exchange)
    with closing(sink_of(exchange, tmp_path / "x.db")) as sink:
        for at in range(0, len(commands), step):
            part = commands[at : at + step]
            last = at + len(part)
            of_part = (events["sequence"] > at) & (events["sequence"] <= last)
            sink.write(mc.Position(1, last), part, events[of_part])
    compare(exchange, tmp_path / "x.db")


@pytest.mark.parametrize("transactions", [1, 2])
def test_an_order_filled_beyond_63_bits_arrives(tmp_path: Path, transactions: int) -> None:
    """Filled, amended up and filled again: there is no limit to it, nor to a day's volume."""
    exchange, most = tmp_path / "e", 2**63 - 1
    with mc.Engine.open(exchange, instruments=WORLD, clock=lambda: DAY) as engine:
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, most, 1, order_id=7))
        engine.submit(mc.NewOrder("ONE", mc.Side.SELL, most - 1, 1))
        for size in (most - 1, most):
            if transactions == 2:
                followed(exchange, tmp_path / "x.db")
            engine.amend("ONE", 7, most)
            engine.submit(mc.NewOrder("ONE", mc.Side.SELL, size, 1))
    database = followed(exchange, tmp_path / "x.db")
    compare(exchange, database)
    query = "SELECT filled, filled_wraps FROM orders WHERE order_id = 7"
    ((low, wraps),) = rows(database, query)
    assert low + wraps * 2**63 == 3 * most - 2
    ((low, wraps),) = rows(database, "SELECT volume, volume_wraps FROM daily_bars")
    assert low + wraps * 2**63 == 3 * most - 2


def test_wide_sums_are_those_of_whole_numbers() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = rng.integers(0, 2**63 - 1, 50, endpoint=True) >> rng.integers(0, 63, 50)
        starts = np.unique(np.append(0, rng.integers(0, 50, 5)))
        before, wraps = rng.integers(0, 2**63, len(starts)), rng.integers(0, 9, len(starts))
        low, high = wide_sum(values, starts, before, wraps)
        for at, part in enumerate(np.split(values, starts[1:])):
            whole = sum(map(int, part)) + int(before[at]) + int(wraps[at]) * 2**63
            assert int(low[at]) + int(high[at]) * 2**63 == whole


def test_the_real_day_arrives(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    ana = mc.Instrument("ANA", "0.05")
    with mc.Engine.open(exchange, instruments=[ana]) as engine:
        for part in Bme().commands(sample_day(), engine.instruments):
            engine.submit_batch(part)
    database = followed(exchange, tmp_path / "x.db")
    counts = compare(exchange, database)
    assert (counts["trades"], counts["orders"], counts["open_orders"]) == (796, 10_545, 0)
    assert rows(database, "SELECT sum(quantity) FROM trades") == [(44_041,)]
    assert rows(database, "SELECT volume, trades FROM daily_bars") == [(44_041, 796)]
    assert rows(database, "SELECT epoch, seq FROM positions") == [(1, 20_970)]


def test_an_id_used_again_is_another_row(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=WORLD) as engine:
        for price in ("1.00", "2.00", "3.00"):
            engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, price, order_id=77))
            engine.submit(mc.Cancel("ONE", 77))
    database = followed(tmp_path / "e", tmp_path / "x.db")
    assert rows(database, "SELECT order_id, price_ticks, status FROM orders") == [
        (77, 100, 2), (77, 200, 2), (77, 300, 2),
    ]  # fmt: skip
    compare(tmp_path / "e", database)


@pytest.mark.parametrize("bundled", [True, False])
def test_rows_keep_the_version_of_their_instrument(tmp_path: Path, bundled: bool) -> None:
    """Ticks mean what they meant: a changed tick begins a bar of its own."""
    exchange, database = tmp_path / "e", tmp_path / "x.db"

    def trades(engine: mc.Engine, price: str) -> None:
        for side in (mc.Side.BUY, mc.Side.SELL):
            engine.submit(mc.NewOrder("ONE", side, 8, price, time=DAY))
        if not bundled:
            followed(exchange, database)

    with mc.Engine.open(exchange, instruments=WORLD) as engine:
        trades(engine, "1.01")
        engine.change_instrument(mc.Instrument("ONE", "0.25", lot=4, max_quantity=80, max_orders=9))
        trades(engine, "1.25")
        engine.add_instrument(mc.Instrument("THREE", "0.1"))
    followed(exchange, database)
    compare(exchange, database)
    assert rows(database, "SELECT instrument_seq, price_ticks FROM trades") == [(1, 101), (5, 5)]
    assert rows(database, "SELECT instrument_seq, high_ticks, low_ticks FROM daily_bars") == [
        (1, 101, 101), (5, 5, 5),
    ]  # fmt: skip


def test_days_come_in_any_order(tmp_path: Path) -> None:
    """Time is the commands': more days at once than are kept, back and forth."""
    exchange, database = tmp_path / "e", tmp_path / "x.db"
    rng = np.random.default_rng(1)
    with mc.Engine.open(exchange, instruments=WORLD) as engine:
        for _ in range(6):
            for day in rng.integers(-20, 20, 30).tolist():
                for side in (mc.Side.BUY, mc.Side.SELL):
                    time = int(day) * DAY + 5
                    engine.submit(mc.NewOrder("ONE", side, 3, str(90 + day), time=time))
            followed(exchange, database)
    assert compare(exchange, database)["daily_bars"] > 30


def test_no_sequence_beyond_63_bits() -> None:
    maker = RowMaker(0, lambda table, column, values: np.zeros(0, TABLES[table].dtype))
    with pytest.raises(mc.SinkError, match="exceed 63 bits"):
        maker.make(2**63, np.zeros(1, mc.COMMAND), np.zeros(1, mc.EVENT))
    events = np.zeros(1, mc.EVENT)
    events["sequence"], events["trade_id"] = 1, 2**63
    with pytest.raises(mc.SinkError, match="exceed 63 bits"):
        maker.make(1, np.zeros(1, mc.COMMAND), events)


def test_an_exchange_without_orders_has_empty_tables(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=WORLD):
        pass
    database = followed(tmp_path / "e", tmp_path / "x.db")
    found = contents(tmp_path / "e", database)
    assert [name for name, made in found.items() if made] == ["instruments"]
    assert rows(database, "SELECT shard, epoch, seq FROM positions") == [(0, 1, 2)]


def test_a_repeated_answer_makes_no_rows(tmp_path: Path) -> None:
    """Events behind a REPEATED are told a second time, and are rows already."""
    exchange = filled(tmp_path / "e", 1, 100)
    commands, events = logged(exchange)
    at = int(np.flatnonzero(events["kind"] == mc.EventKind.TRADED)[0])
    first = events["sequence"][at]
    old = events[events["sequence"] == first]
    again = np.zeros(1, mc.EVENT)
    again["sequence"], again["kind"], again["trade_id"] = len(commands) + 1, 10, first
    with closing(sink_of(exchange, tmp_path / "x.db")) as sink:
        sink.write(mc.Position(1, len(commands)), commands, events)
        told = np.concatenate([again, old])
        sink.write(mc.Position(1, len(commands) + 1), commands[int(first) - 1 :][:1], told)
    assert contents(exchange, tmp_path / "x.db") == expected(commands, events)


def test_a_commit_that_comes_late_is_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower died, and its last commit comes after the next one has looked where it stood."""
    exchange, database = filled(tmp_path / "e", 1, 600), tmp_path / "x.db"
    commands, _ = logged(exchange)
    commands["time"][2:] = DAY + np.arange(600)  # one day: every batch changes its bars
    machine, parts = mc.Machine(), np.split(commands, [200, 400])
    batches = [(part, machine.apply(part)) for part in parts]
    ends = np.cumsum([len(part) for part in parts]).tolist()
    dead, alive = sink_of(exchange, database), sink_of(exchange, database)
    dead.write(mc.Position(1, ends[0]), *batches[0])
    read = alive.store.read

    def late(shard: int, table: str, *more: Any) -> Any:
        if table == "daily_bars":
            dead.write(mc.Position(1, ends[1]), *batches[1])  # once: then it is there
        return read(shard, table, *more)

    monkeypatch.setattr(alive.store, "read", late)
    for end, batch in zip(ends[1:], batches[1:], strict=True):
        alive.write(mc.Position(1, end), *batch)
    alive.close()
    dead.close()
    events = np.concatenate([events for _, events in batches])
    assert contents(exchange, database) == expected(np.concatenate(parts), events)
