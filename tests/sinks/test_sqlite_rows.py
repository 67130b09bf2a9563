"""Every row of the SQLite sink is what the events say, worked out here a second time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from sink_kit import (
    WORLD,
    dumped,
    expected_orders,
    expected_trades,
    filled,
    followed,
    logged,
    numbered,
    rows,
    signed,
    sink_of,
)

import matchcore as mc
from matchcore.importers import Bme, sample_day
from matchcore.journal import identity_of

ORDERS = "SELECT * FROM orders ORDER BY sequence"
TRADES = "SELECT * FROM trades ORDER BY trade_id"


def compare(exchange: Path, database: Path) -> int:
    """Asserts that both tables are the events; the number of trades."""
    commands, events = logged(exchange)
    assert numbered(rows(database, TRADES), 4) == expected_trades(commands, events)
    assert numbered(rows(database, ORDERS), 9) == expected_orders(commands, events)
    return int((events["kind"] == mc.EventKind.TRADED).sum())


@pytest.mark.parametrize("seed", range(4))
def test_orders_and_trades_are_the_events(tmp_path: Path, seed: int) -> None:
    exchange = filled(tmp_path / "e", seed, 2500, 100)
    assert compare(exchange, followed(exchange, tmp_path / "x.db")) > 100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_numbers_from_all_of_64_bits_arrive(tmp_path: Path, seed: int) -> None:
    exchange = filled(tmp_path / "e", seed, 1000, 50, extreme=True)
    compare(exchange, followed(exchange, tmp_path / "x.db"))


@pytest.mark.parametrize("transactions", [1, 2])
def test_an_order_filled_beyond_63_bits_arrives(tmp_path: Path, transactions: int) -> None:
    """Filled, amended up and filled again: there is no limit to it."""
    exchange, most = tmp_path / "e", 2**63 - 1
    with mc.Engine.open(exchange, instruments=WORLD) as engine:
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, most, 1, order_id=7))
        engine.submit(mc.NewOrder("ONE", mc.Side.SELL, most - 1, 1))
        if transactions == 2:
            followed(exchange, tmp_path / "x.db")
        engine.amend("ONE", 7, most)
        engine.submit(mc.NewOrder("ONE", mc.Side.SELL, most - 1, 1))
        if transactions == 2:
            followed(exchange, tmp_path / "x.db")
        engine.amend("ONE", 7, most)
        engine.submit(mc.NewOrder("ONE", mc.Side.SELL, most, 1))
    database = followed(exchange, tmp_path / "x.db")
    for table in ("orders", "orders_view"):
        query = f"SELECT filled, typeof(filled), left, status FROM {table} WHERE order_id = '7'"
        assert rows(database, query) == [(str(3 * most - 2), "text", 0, "filled")]
    # As far as SQLite's integers go it is one, and below the text in any comparison.
    assert rows(database, "SELECT typeof(filled) FROM orders GROUP BY 1 ORDER BY filled") == [
        ("integer",), ("text",),
    ]  # fmt: skip
    assert rows(database, f"SELECT order_id FROM orders WHERE filled > {most}") == [(7,)]


def test_an_order_filled_to_just_63_bits_is_a_number(tmp_path: Path) -> None:
    exchange, most = tmp_path / "e", 2**63 - 1
    with mc.Engine.open(exchange, instruments=WORLD) as engine:
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, most, 1, order_id=7))
        engine.submit(mc.NewOrder("ONE", mc.Side.SELL, most - 1, 1))
        followed(exchange, tmp_path / "x.db")
        engine.submit(mc.NewOrder("ONE", mc.Side.SELL, 1, 1))
    database = followed(exchange, tmp_path / "x.db")
    query = "SELECT filled, typeof(filled) FROM orders WHERE order_id = 7"
    assert rows(database, query) == [(most, "integer")]


def test_the_real_day_arrives(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    ana = mc.Instrument("ANA", "0.05")
    with sample_day() as day, mc.Engine.open(exchange, instruments=[ana]) as engine:
        for part in Bme().commands(day, engine.instruments):
            engine.submit_batch(part)
    database = followed(exchange, tmp_path / "x.db")
    assert compare(exchange, database) == 796
    assert rows(database, "SELECT sum(quantity) FROM trades") == [(44_041,)]
    assert rows(database, "SELECT count(*) FROM orders WHERE status = 'open'") == [(0,)]
    assert rows(database, "SELECT count(*) FROM orders") == [(10_545,)]
    assert rows(database, "SELECT epoch, sequence FROM position") == [(1, 20_970)]


@pytest.mark.parametrize("step", [1, 7, 600])
def test_the_size_of_batches_changes_nothing(tmp_path: Path, step: int) -> None:
    """Within one transaction and over many: an order's life is summed up the same."""
    exchange = filled(tmp_path / "e")
    commands, events = logged(exchange)
    sink = sink_of(exchange, tmp_path / "steps.db")
    for at in range(0, len(commands), step):
        part = commands[at : at + step]
        last = at + len(part)
        of_part = (events["sequence"] > at) & (events["sequence"] <= last)
        sink.write(mc.Position(1, last), part, events[of_part])
    sink.close()
    whole = followed(exchange, tmp_path / "whole.db")
    assert dumped(tmp_path / "steps.db") == dumped(whole)
    compare(exchange, whole)


def test_an_id_used_again_is_another_row(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=WORLD) as engine:
        for price in ("1.00", "2.00", "3.00"):
            engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, price, order_id=77))
            engine.submit(mc.Cancel("ONE", 77))
    database = followed(tmp_path / "e", tmp_path / "x.db")
    assert rows(database, "SELECT order_id, price, status FROM orders") == [
        (77, "1.00", "cancelled"),
        (77, "2.00", "cancelled"),
        (77, "3.00", "cancelled"),
    ]


def test_prices_are_exact_text_with_the_decimals_of_the_tick(tmp_path: Path) -> None:
    tiny = mc.Instrument("TINY", Decimal("1E-18"))
    whole = mc.Instrument("WHOLE", 5)
    with mc.Engine.open(tmp_path / "e", instruments=[tiny, whole]) as engine:
        for ticks in (2**63 - 1, 0, -1, -(2**63)):
            engine.submit(mc.NewOrder("TINY", mc.Side.SELL, 1, tiny.price(ticks)))
            engine.cancel("TINY", engine.state().next_order_id - 1)
        engine.submit(mc.NewOrder("WHOLE", mc.Side.SELL, 3, 15))
        engine.submit(mc.NewOrder("WHOLE", mc.Side.BUY, 2))
    database = followed(tmp_path / "e", tmp_path / "x.db")
    found = [price for (price,) in rows(database, "SELECT price FROM orders ORDER BY sequence")]
    assert [Decimal(price) for price in found[:4]] == [
        Decimal("9.223372036854775807"),
        0,
        Decimal("-0.000000000000000001"),
        Decimal("-9.223372036854775808"),
    ]
    assert found[0] == "9.223372036854775807" and found[3] == "-9.223372036854775808"
    assert found[4:] == ["15", ""]  # a market order has no price
    assert rows(database, "SELECT price, typeof(price) FROM trades") == [("15", "text")]


def test_no_price_is_in_scientific_notation(tmp_path: Path) -> None:
    tiny = mc.Instrument("TINY", Decimal("1E-18"))
    with mc.Engine.open(tmp_path / "e", instruments=[tiny]) as engine:
        for ticks in (1, 0, -1):
            engine.submit(mc.NewOrder("TINY", mc.Side.SELL, 1, tiny.price(ticks)))
    database = followed(tmp_path / "e", tmp_path / "x.db")
    found = rows(database, "SELECT tick FROM instruments UNION ALL SELECT price FROM orders")
    fine = "0.000000000000000001"
    assert [text for (text,) in found] == [fine, fine, "0.000000000000000000", f"-{fine}"]


def test_instruments_are_as_last_changed(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=WORLD) as engine:
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 5, "1.01"))
        engine.mass_cancel()
        engine.change_instrument(mc.Instrument("ONE", "0.25", lot=4, max_quantity=80, max_orders=9))
        engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 8, "1.25"))
    database = followed(tmp_path / "e", tmp_path / "x.db")
    assert rows(database, "SELECT * FROM instruments") == [
        (1, "ONE", "0.25", 4, 80, 9),
        (2, "TWO", "0.5", 3, 999, 10_000_000),
    ]
    assert rows(database, "SELECT price_ticks, price, status FROM orders") == [
        (101, "1.01", "cancelled"),
        (5, "1.25", "open"),
    ]
    compare(tmp_path / "e", database)


def test_the_views_show_words_and_unsigned_numbers(tmp_path: Path) -> None:
    large = 2**64 - 2
    second = 1_558_429_200
    with mc.Engine.open(tmp_path / "e", instruments=WORLD) as engine:
        for side, quantity, id_ in ((mc.Side.SELL, 9, large), (mc.Side.BUY, 4, large - 1)):
            order = mc.NewOrder("ONE", side, quantity, "1.50", order_id=id_, account=large,
                                client_order_id=large, time=second * 10**9)  # fmt: skip
            engine.submit(order)
    database = followed(tmp_path / "e", tmp_path / "x.db")
    (resting, taking) = rows(database, "SELECT * FROM orders_view ORDER BY sequence")
    ids = (str(large), str(large), str(large))
    assert resting[1:6] == ("ONE", *ids, "sell")
    assert resting[6:] == ("1.50", 9, 4, 5, "open", "2019-05-21 09:00:00", "2019-05-21 09:00:00")
    assert taking[5:11] == ("buy", "1.50", 4, 4, 0, "filled")
    (trade,) = rows(database, "SELECT * FROM trades_view")
    assert trade[2:] == (
        "ONE", "1.50", 4, "buy", str(large), str(large), str(large - 1), str(large),
        "2019-05-21 09:00:00",
    )  # fmt: skip
    assert rows(database, "SELECT order_id FROM orders LIMIT 1") == [(signed(large),)]


def test_the_database_keeps_position_and_owner_in_one_row(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e")
    database = followed(exchange, tmp_path / "x.db")
    assert rows(database, "SELECT * FROM position") == [(1, identity_of(exchange), 1, 1, 602)]
    with closing(sqlite3.connect(database)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO position VALUES (2, x'00', 1, 1, 1)")


def test_an_exchange_without_orders_has_empty_tables(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=WORLD):
        pass
    database = followed(tmp_path / "e", tmp_path / "x.db")
    assert rows(database, ORDERS) == rows(database, TRADES) == []
    assert rows(database, "SELECT epoch, sequence FROM position") == [(1, 2)]


def test_a_reader_is_not_in_the_way(tmp_path: Path) -> None:
    exchange = filled(tmp_path / "e")
    commands, events = logged(exchange)
    sink = sink_of(exchange, tmp_path / "x.db")
    first = events[events["sequence"] <= 300]
    sink.write(mc.Position(1, 300), commands[:300], first)
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM orders").fetchone()
        sink.write(mc.Position(1, 602), commands[300:], events[len(first) :])
        assert reader.execute("SELECT count(*) FROM orders").fetchone() == before
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM orders").fetchone() > before
    sink.close()
    assert np.array_equal(rows(tmp_path / "x.db", "SELECT sequence FROM position"), [(602,)])
