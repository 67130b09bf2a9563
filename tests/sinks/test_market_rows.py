"""Rows of markets: every table of a random history, worked out a second time in plain Python."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sink_kit import IDENTITY, Contents, expected, filled_with, market_log

import matchcore as mc
from matchcore.machine.reference import Machine
from matchcore.records.events import fresh
from matchcore.sinks import TABLES, open_sink
from matchcore.sinks.rows.rows import RowMaker
from matchcore.sinks.rows.tables import CROSSED, NOBODY


def made(commands: NDArray, events: NDArray, cuts: list[int]) -> Contents:
    """What a store of rows has in the end, when it does what it is told, and nothing else."""
    held = {name: np.zeros(0, table.dtype) for name, table in TABLES.items()}

    def read(table: str, column: str, values: object) -> NDArray[np.void]:
        rows = held[table]
        return rows[np.isin(rows[column], values)] if column else rows  # type: ignore[arg-type]  # numbers

    maker, at = RowMaker(0, read), 0
    events = fresh(events)  # what is told again has the sequence of its first answer
    for end in [*cuts, len(commands)]:
        part = events[(events["sequence"] > at) & (events["sequence"] <= end)]
        rows = maker.make(at + 1, commands[at:end], part)
        for name, gone in rows.gone.items():
            held[name] = held[name][~np.isin(held[name]["seq"], gone)]
        for name, new in rows.new.items():
            held[name] = np.concatenate([held[name], new])
        maker.accept()
        at = end
    for name, table in TABLES.items():
        keys = held[name][list(table.key)].tolist()
        assert len(set(keys)) == len(keys), name
    return {name: sorted(rows.tolist()) for name, rows in held.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(1, 400))
def test_every_table_is_the_events_of_any_market(seed: int, count: int, step: int) -> None:
    commands, events = market_log(seed, count)
    found = made(commands, events, list(range(step, len(commands), step)))
    wanted = expected(commands, events)
    for name in TABLES:
        assert found[name] == wanted[name], name


def test_the_tables_are_met() -> None:
    commands, events = market_log(55, 1500)
    found = expected(commands, events)
    assert all(found.values()), {name: len(rows) for name, rows in found.items()}
    columns = list(TABLES["trades"].columns)
    aggressors = {row[columns.index("aggressor")] for row in found["trades"]}
    assert aggressors == {NOBODY, 1, 2}
    columns = list(TABLES["executions"].columns)
    assert CROSSED in {row[columns.index("liquidity")] for row in found["executions"]}


@pytest.mark.parametrize("seed", [8, 22, 49])
def test_open_orders_are_what_the_machine_has(seed: int) -> None:
    commands, events = market_log(seed, 500)
    machine = Machine()
    machine.apply(commands)
    state, at = machine.state(), 0
    wanted, plain = set(), set()
    for number, orders in enumerate(state.orders, 1):
        if number not in state.markets["instrument"]:
            plain.add(number)
            continue
        for order, more in zip(orders, state.market_orders[at:], strict=False):
            wanted.add(
                (number, int(order["order_id"]), int(order["quantity"]), int(more["filled"]))
            )
        at += len(orders)
    names = ("instrument", "order_id", "open_quantity", "filled")
    places = [list(TABLES["open_orders"].columns).index(name) for name in names]
    rows = made(commands, events, [100, 300])["open_orders"]
    found = {tuple(row[place] for place in places) for row in rows if row[2] not in plain}
    assert found == wanted and len(found) > 10


@pytest.mark.parametrize("step", [7, 5000])
def test_a_database_holds_markets(tmp_path: Path, step: int) -> None:
    commands, events = market_log(55, 1500)
    url = filled_with(f"sqlite:///{tmp_path / 'x.db'}", commands, events, step)
    with closing(open_sink(url, IDENTITY)) as sink:
        found = {name: sorted(sink.store.read(0, name).tolist()) for name in TABLES}
    assert found == expected(commands, events)
    assert mc.EventKind.BUSTED in events["kind"]
