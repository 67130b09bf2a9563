"""Books kept by changes alone: equal to the machine's, and nothing wrong is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchcore import COMMAND, INSTRUMENT, Instrument, Kind, Machine, OrderType, Side
from matchcore.errors import FeedError, UnknownInstrument
from matchcore.feeds import Books
from matchcore.feeds.itch import Decoder, Encoder
from matchcore.records.changes import CHANGE, ChangeKind
from matchcore.records.instruments import Directory, write_instrument

WORLD = (Instrument("ONE", "0.01"), Instrument("TWO", "0.5"))


def definitions() -> NDArray:
    rows = np.zeros(len(WORLD), INSTRUMENT)
    for row, one in zip(rows, WORLD, strict=True):
        write_instrument(row, one)
    rows["kind"] = Kind.ADD_INSTRUMENT
    return rows.view(COMMAND)


def directory() -> Directory:
    found = Directory()
    for one in WORLD:
        found.add(one)
    return found


def flow(seed: int, count: int) -> NDArray:
    """Orders that meet, rest, change and leave, in two books."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["kind"] = rng.choice(
        [1, 1, 1, 1, 2, 3, 4, 5, 6], count, p=[0.15] * 4 + [0.1] * 3 + [0.05] * 2
    )
    rows["instrument"] = rng.integers(1, 3, count)
    rows["order_id"] = rng.integers(1, 60, count)
    rows["side"] = rng.integers(1, 3, count)
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, rng.integers(1, 5, count)
    rows["price"], rows["quantity"] = rng.integers(-4, 5, count), rng.integers(1, 20, count)
    rows["side"][rows["kind"] == Kind.MASS_CANCEL] = 1
    return rows


def public(orders: NDArray) -> list[tuple[int, ...]]:
    return [tuple(int(row[n]) for n in ("order_id", "price", "quantity", "side")) for row in orders]


def equal(books: Books, machine: Machine) -> None:
    assert len(books) == len(machine.instruments)
    for number in range(1, len(books) + 1):
        assert public(books.orders(number)) == public(machine.orders(number))
        for side in Side:
            assert books.levels(number, side).tobytes() == machine.levels(number, side).tobytes()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 600), st.integers(1, 100))
def test_they_are_the_machines(seed: int, count: int, step: int) -> None:
    machine, books = Machine(), Books(Directory())
    for one, row in zip(WORLD, definitions(), strict=True):
        changes = machine.changes(row.reshape(1))
        books.instruments.add(one)
        books.apply(changes)
    commands = flow(seed, count)
    for at in range(0, count, step):
        books.apply(machine.changes(commands[at : at + step]))
    equal(books, machine)
    other = Books(directory())
    other.apply(books.snapshot())
    equal(other, machine)
    assert public(other.snapshot()) == public(books.snapshot())


def traded() -> tuple[Machine, NDArray]:
    machine = Machine()
    machine.apply(definitions())
    return machine, machine.changes(flow(5, 400))


def test_every_change_that_is_missing_or_doubled_is_found() -> None:
    """At the latest when its level changes again, or at its order."""
    machine, changes = traded()
    whole = Books(directory())
    whole.apply(changes)
    equal(whole, machine)
    found = 0
    for at in range(len(changes) - 40):
        for wrong in (np.delete(changes, at), np.insert(changes, at, changes[at])):
            books = Books(directory())
            if changes["kind"][at] == ChangeKind.DAY_ENDED:
                books.apply(wrong)
                continue
            try:
                books.apply(wrong)
            except FeedError:
                found += 1
                with pytest.raises(FeedError, match="missed a change"):
                    books.levels(1, Side.BUY)
                continue
            with pytest.raises(AssertionError):  # its level was never touched again
                equal(books, machine)
    assert found > len(changes)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("kind", 0, "kind"), ("kind", 200, "kind"), ("instrument", 0, "not defined"),
     ("instrument", 9, "not defined"), ("side", 0, "side"), ("side", 3, "side"),
     ("quantity", 0, "quantity"), ("quantity", -1, "quantity"), ("left", 3, "quantity"),
     ("order_id", 0, "quantity"), ("level_quantity", 1, "level"), ("level_orders", 7, "level")],
)  # fmt: skip
def test_what_cannot_be_is_refused(field: str, value: int, said: str) -> None:
    row = np.zeros(1, CHANGE)
    row["kind"], row["instrument"], row["side"], row["order_id"] = ChangeKind.ADDED, 1, 1, 5
    row["quantity"] = row["left"] = row["level_quantity"] = 9
    row["level_orders"] = 1
    Books(directory()).apply(row)
    row[field] = value
    with pytest.raises(FeedError, match=said):
        Books(directory()).apply(row)


def test_sums_beyond_64_bits_are_refused() -> None:
    rows = np.zeros(2, CHANGE)
    rows["kind"], rows["instrument"], rows["side"], rows["order_id"] = 1, 1, 1, [1, 2]
    rows["quantity"] = rows["left"] = 2**63 - 1
    rows["level_quantity"], rows["level_orders"] = [2**63 - 1, -2], [1, 2]
    with pytest.raises(FeedError, match="change 1 of the 2"):
        Books(directory()).apply(rows)


def test_arguments() -> None:
    books = Books(directory())
    assert not len(books.orders(1)) and not len(books.snapshot()) and books.order(1, 5) is None
    with pytest.raises(UnknownInstrument):
        books.levels(3, Side.BUY)
    with pytest.raises(TypeError):
        books.apply(np.zeros(1, COMMAND))
    books.apply(np.zeros(0, CHANGE))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 100))
def test_changes_that_only_name_orders_are_completed(seed: int, count: int, step: int) -> None:
    machine = Machine()
    parts = [machine.changes(row.reshape(1)) for row in definitions()]
    commands = flow(seed, count)
    commands["price"] += 10  # ITCH says prices above 0
    encoder, decoder, books = Encoder(directory()), Decoder(directory()), Books(directory())
    books.apply(np.concatenate(parts)[:0])
    for at in range(0, count, step):
        rows = machine.changes(commands[at : at + step])
        made = books.complete(decoder.changes(encoder.blocks(rows)))
        for name in ("kind", "instrument", "side", "price", "quantity", "left", "trade_id",
                     "level_quantity", "level_orders"):  # fmt: skip
            assert made[name].tolist() == rows[name].tolist(), name
    for number in (1, 2):
        for side in Side:
            assert books.levels(number, side).tobytes() == machine.levels(number, side).tobytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"order_id": 6}, "an order that is not there"),
        ({"quantity": 11}, "another side, price or quantity"),
        ({"quantity": 0}, "another side, price or quantity"),
        ({"kind": ChangeKind.DELETED, "quantity": 9}, "a quantity that cannot be"),
        ({"instrument": 3}, "an order that is not there"),
    ],
)
def test_what_cannot_be_completed_is_named(change: dict[str, int], said: str) -> None:
    books, rows = Books(directory()), np.zeros(2, CHANGE)
    rows["instrument"], rows["order_id"], rows["quantity"], rows["left"] = 1, 5, 10, [10, 0]
    rows["kind"], rows["side"], rows["price"] = [ChangeKind.ADDED, ChangeKind.REDUCED], [1, 0], 7
    for name, value in change.items():
        rows[name][1] = value
    with pytest.raises(FeedError, match=said):
        books.complete(rows)
    with pytest.raises(FeedError, match="take a snapshot"):
        books.orders(1)


def test_a_snapshot_says_how_orders_were_added() -> None:
    books, rows = Books(directory()), np.zeros(2, CHANGE)
    rows["kind"], rows["instrument"], rows["side"], rows["price"] = ChangeKind.ADDED, 1, 1, 7
    rows["order_id"], rows["sequence"] = [5, 6], [50, 60]
    rows["quantity"] = rows["left"] = [10, 2**32]
    books.complete(rows)
    less = np.zeros(1, CHANGE)
    less["kind"], less["instrument"], less["order_id"] = ChangeKind.REDUCED, 1, 6
    less["quantity"] = 2**32 - 1
    books.complete(less)
    told = books.snapshot()
    assert told[["sequence", "flags", "left"]].tolist() == [(50, 0, 10), (60, 2, 1)]
    again = Books(directory())
    again.apply(told)
    assert again.snapshot().tobytes() == told.tobytes()
    orders = books.orders(1)
    assert not orders["client_order_id"].any() and not orders["account"].any()
    row = books.order(1, 6)
    assert row is not None and not row["client_order_id"] and not row["account"]
