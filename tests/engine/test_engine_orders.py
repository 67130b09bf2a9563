"""Orders by the names that clients gave them: states, fills, cancels; against the reference."""

from __future__ import annotations

import asyncio
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from engine_kit import ANA
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matchcore import (
    AsyncEngine,
    Engine,
    Instrument,
    InvalidArgument,
    InvalidCommand,
    LogError,
    MemoryLog,
    NewOrder,
    NotInTheLog,
    Reason,
    Side,
    TimeInForce,
)
from matchcore.engine.orders import OrderState
from matchcore.operations import archive
from matchcore.records.ids import id_of, text_of
from matchcore.records.schema import OrderStatus, ReportFlag, ReportKind
from matchcore.reports.reference import Reports as Reference

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from reports_kit import WORLD, session_flow

SEVEN, EIGHT = 7, 8


def engine(log: MemoryLog | None = None) -> Engine:
    return Engine.memory(instruments=[ANA], log=log or MemoryLog())


def buy(
    quantity: int, price: str | None, client: int = 0, account: int = SEVEN, **more
) -> NewOrder:  # type: ignore[no-untyped-def]  # fields of NewOrder
    return NewOrder(
        "ANA", Side.BUY, quantity, price, account=account, client_order_id=client, **more
    )


def sell(quantity: int, price: str | None, client: int = 0, account: int = EIGHT) -> NewOrder:
    return NewOrder("ANA", Side.SELL, quantity, price, account=account, client_order_id=client)


def state(exchange: Engine, name: int | str, account: int = SEVEN) -> OrderState:
    found = exchange.order(account, name)
    assert found is not None
    return found


def test_an_order_from_its_entry_to_its_end() -> None:
    exchange = engine()
    assert exchange.order(SEVEN, 1001) is None
    answer = exchange.submit(buy(30, "95.70", 1001))
    one = state(exchange, 1001)
    assert (one.symbol, one.order_id, one.client_order_id) == ("ANA", answer.order_id, "1001")
    assert (one.status, one.quantity, one.filled, one.left) == (OrderStatus.NEW, 30, 0, 30)
    assert (one.price, one.average_price, one.side) == (Decimal("95.70"), None, Side.BUY)
    assert (one.time_in_force, one.post_only, one.is_open) == (TimeInForce.GTC, False, True)
    assert (one.sequence, one.time) == (answer.sequence, answer.time)
    exchange.submit(sell(10, "95.70"))
    one = state(exchange, 1001)
    assert (one.status, one.filled, one.left) == (OrderStatus.PARTLY_FILLED, 10, 20)
    exchange.amend("ANA", answer.order_id, 40, "95.80", account=SEVEN, client_order_id=1002)
    exchange.submit(sell(20, "95.80"))
    one = state(exchange, 1002)
    assert (one.quantity, one.filled, one.left, one.client_order_id) == (50, 30, 20, "1002")
    assert one.average_price == (Decimal("95.70") * 10 + Decimal("95.80") * 20) / 30
    assert state(exchange, 1001) == one
    exchange.cancel("ANA", answer.order_id, account=SEVEN)
    one = state(exchange, 1001)
    assert (one.status, one.reason, one.left, one.quantity) == (
        OrderStatus.CANCELLED, Reason.REQUESTED, 0, 50,
    )  # fmt: skip
    assert not one.is_open and exchange.open_orders(SEVEN) == []
    assert exchange.order(EIGHT, 1001) is None


def test_the_other_ends() -> None:
    exchange = engine()
    exchange.submit(buy(5, "95.70", 1, time_in_force=TimeInForce.DAY))
    exchange.end_day()
    assert state(exchange, 1).status == OrderStatus.EXPIRED
    exchange.submit(buy(5, None, 2))
    two = state(exchange, 2)
    assert (two.status, two.price, two.reason) == (
        OrderStatus.CANCELLED, None, Reason.MARKET_REMAINDER,
    )  # fmt: skip
    exchange.submit(buy(0, "95.70", 3))
    three = state(exchange, 3)
    assert (three.status, three.reason) == (OrderStatus.REJECTED, Reason.QUANTITY_NOT_POSITIVE)
    exchange.submit(sell(5, "95.70"))
    exchange.submit(buy(5, "95.70", 4, post_only=True))  # would trade
    assert state(exchange, 4).reason == Reason.WOULD_TRADE
    exchange.submit(buy(5, "95.70", 5))
    assert state(exchange, 5).status == OrderStatus.FILLED


def test_text_names() -> None:
    exchange = engine()
    number, tail = id_of("ORDER-17/b")
    exchange.submit(buy(5, "95.70", number, client_order_tail=tail))
    assert state(exchange, "ORDER-17/b").client_order_id == "ORDER-17/b"
    assert exchange.order(SEVEN, number) is None  # another one: without a tail
    exchange.submit(buy(5, "95.70", 1001))
    assert state(exchange, "1001") == state(exchange, 1001)
    answer = exchange.cancel(account=SEVEN, original_client_order_id="ORDER-17/b")
    assert answer.reason == Reason.REQUESTED and not state(exchange, "ORDER-17/b").is_open


def test_cancel_amend_and_reduce_by_name() -> None:
    exchange = engine()
    for client in (1, 2, 3):
        exchange.submit(buy(10, "95.70", client))
    by_name = {"account": SEVEN}
    exchange.amend(quantity=7, price="95.65", original_client_order_id=1, **by_name)
    exchange.reduce(quantity=4, original_client_order_id=2, **by_name)
    exchange.cancel(original_client_order_id=3, client_order_id=30, **by_name)
    one, two, three = (state(exchange, client) for client in (1, 2, 3))
    assert (one.left, one.price, two.left) == (7, Decimal("95.65"), 6)
    assert three.status == OrderStatus.CANCELLED and state(exchange, 30) == three
    # sent again under its own id it is a repeat; the order is still found by its name
    assert exchange.cancel(original_client_order_id=3, client_order_id=30, **by_name).repeat
    assert exchange.cancel(original_client_order_id=3, **by_name).reason == Reason.UNKNOWN_ORDER


def test_what_names_no_order_is_refused_before_it_is_sent() -> None:
    exchange = engine()
    exchange.submit(buy(10, "95.70", 1))
    sequence = exchange.sequence
    for call in (exchange.cancel, exchange.amend, exchange.reduce):
        with pytest.raises(InvalidCommand, match="no order of that name"):
            call(account=SEVEN, original_client_order_id=2)
        with pytest.raises(InvalidCommand, match="no order of that name"):
            call(original_client_order_id=1)  # of account 0
        for half in ({}, {"symbol": "ANA"}, {"order_id": 1}):
            with pytest.raises(InvalidCommand, match="one of the two"):
                call(**half)
        with pytest.raises(InvalidCommand, match="one of the two"):
            call("ANA", 1, account=SEVEN, original_client_order_id=1)
    assert exchange.sequence == sequence
    for account, name in (
        (-1, 1),
        (1.5, 1),
        (SEVEN, 0),
        (SEVEN, -1),
        (SEVEN, None),
        (SEVEN, "a b"),
    ):
        with pytest.raises((InvalidArgument, InvalidCommand)):
            exchange.order(account, name)  # type: ignore[arg-type]  # the wrong types are the point


def test_fills_go_on_after_a_number() -> None:
    exchange = engine()
    exchange.submit(buy(30, "95.70", 1))
    for at in range(5):
        exchange.submit(sell(2, "95.70", 100 + at))
    exchange.submit(buy(4, "95.65", 2, account=EIGHT))
    exchange.submit(sell(4, "95.65", 3, account=EIGHT))  # trades with the first order
    mine = exchange.fills(SEVEN)
    assert [fill.number for fill in mine] == [1, 2, 3, 4, 5, 6]
    assert [fill.left for fill in mine] == [28, 26, 24, 22, 20, 16]
    assert all(fill.is_maker and fill.side == Side.BUY for fill in mine)
    assert (mine[0].price, mine[0].quantity, mine[0].client_order_id) == (Decimal("95.70"), 2, "1")
    assert exchange.fills(SEVEN, after=4) == mine[4:]
    assert exchange.fills(SEVEN, after=1, limit=2) == mine[1:3]
    assert exchange.fills(SEVEN, after=6) == exchange.fills(9) == []
    with pytest.raises(InvalidArgument, match="limit"):
        exchange.fills(SEVEN, limit=0)


def test_both_sides_of_a_trade_with_oneself_stay_together() -> None:
    exchange = engine()
    for client in range(4):
        exchange.submit(buy(2, "95.70", 10 + client))
        exchange.submit(sell(2, "95.70", 20 + client, account=SEVEN))
    for limit in range(1, 9):
        found, after = [], 0
        while part := exchange.fills(SEVEN, after=after, limit=limit):
            assert len(part) <= limit + 1
            found += part
            after = part[-1].number
        assert [fill.number for fill in found] == [1, 1, 2, 2, 3, 3, 4, 4]
        assert [fill.is_maker for fill in found] == [True, False] * 4


def test_prices_have_the_tick_of_their_time() -> None:
    exchange = engine()
    exchange.submit(buy(2, "95.70", 1))
    exchange.submit(sell(2, "95.70", 2))
    exchange.change_instrument(Instrument("ANA", "0.01", ANA.lot, ANA.max_quantity))
    assert state(exchange, 1).price == state(exchange, 1).average_price == Decimal("95.70")
    assert exchange.fills(SEVEN)[0].price == Decimal("95.70")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 1500), st.booleans())
def test_any_log_is_told_as_the_reference_tells_it(seed: int, count: int, asked: bool) -> None:
    exchange = Engine.memory(instruments=WORLD, log=MemoryLog())
    rows = session_flow(seed, count)
    for part in (rows[: count // 2], rows[count // 2 :]):
        if asked:
            exchange.order(0, 1)  # from here on it follows
        exchange.submit_batch(part)
    slow, told = Reference(remembered=1 << 20), []
    with exchange.events() as events:
        while (part := events.read(0)) is not None:
            told.append(slow.apply(part.commands, part.events))
    fills = np.concatenate(told)
    fills = fills[fills["kind"] == ReportKind.TRADE]
    for account in range(4):
        want = slow.open_orders(account)
        found = exchange.open_orders(account)
        assert [one.order_id for one in found] == want["order_id"].tolist()
        assert [one.left for one in found] == want["left"].tolist()
        mine = fills[fills["account"] == account]
        dealt = exchange.fills(account, limit=10**6)
        assert [fill.number for fill in dealt] == mine["trade_id"].tolist()
        makers = (mine["flags"] & ReportFlag.MAKER > 0).tolist()
        assert [fill.is_maker for fill in dealt] == makers
    for row in rows[-50:]:
        name = int(row["client_order_id"]), int(row["client_order_tail"])
        if name[0]:
            expected = slow.status(int(row["account"]), *name)
            one = exchange.order(int(row["account"]), text_of(*name))
            assert (one is None) == (expected is None)
            if one is not None and expected is not None:
                assert (one.status, one.filled) == (expected["status"][0], expected["filled"][0])
                if one.average_price is not None:
                    tick = WORLD[int(expected["instrument"][0]) - 1].tick
                    turnover = int(expected["turnover"][0]) + 2**64 * int(
                        expected["turnover_high"][0]
                    )
                    exact = Fraction(turnover, one.filled) * Fraction(tick)
                    assert abs(Fraction(one.average_price) - exact) < Fraction(1, 10**20)


# ---------------------------------------------------------------------- logs in files


def test_a_log_in_files_also_after_opening_it_again(tmp_path: Path) -> None:
    with Engine.open(tmp_path, instruments=[ANA], policy="os") as exchange:
        exchange.submit(buy(10, "95.70", 1))
        exchange.submit(sell(4, "95.70", 2))
        before = state(exchange, 1)
        exchange.snapshot()
        exchange.submit(sell(1, "95.70", 3))
        assert state(exchange, 1).filled == 5
    with Engine.open(tmp_path, policy="os") as exchange:
        assert state(exchange, 1).filled == 5
        assert [fill.number for fill in exchange.fills(SEVEN)] == [1, 2]
        exchange.cancel(account=SEVEN, original_client_order_id=1)
        assert state(exchange, 1).status == OrderStatus.CANCELLED
    then = Engine.at(tmp_path, sequence=before.sequence)
    assert state(then, 1) == before
    assert [fill.number for fill in then.fills(SEVEN)] == [1]


def test_a_log_without_its_beginning_says_so(tmp_path: Path) -> None:
    with Engine.open(tmp_path, instruments=[ANA], policy="os", segment_bytes=4096) as exchange:
        for client in range(1, 200):
            exchange.submit(buy(1, "95.70", client))
        exchange.snapshot()
        archive(tmp_path, tmp_path / "archive", keep_snapshots=1)
        with pytest.raises(NotInTheLog, match="archived"):
            exchange.order(SEVEN, 1)
    with pytest.raises(NotInTheLog, match="archived"):
        Engine.at(tmp_path).order(SEVEN, 1)


def test_an_engine_without_a_log_says_what_to_do() -> None:
    exchange = Engine.memory(instruments=[ANA])
    exchange.submit(buy(1, "95.70", 1))
    for _ in range(2):
        with pytest.raises(LogError, match="MemoryLog"):
            exchange.order(SEVEN, 1)
    with pytest.raises(LogError, match="with a log"):
        exchange.fork().cancel(account=SEVEN, original_client_order_id=1)


def test_after_closing_it_still_knows_what_it_knew() -> None:
    exchange = engine()
    exchange.submit(buy(1, "95.70", 1))
    before = state(exchange, 1)
    exchange.close()
    assert state(exchange, 1) == before


def test_threads_may_ask_while_others_trade() -> None:
    exchange, wrong = engine(), []

    def ask() -> None:
        filled = 0
        while filled < 300:
            one = exchange.order(SEVEN, 1)
            if one is not None:
                if one.filled < filled:
                    wrong.append((one.filled, filled))
                filled = one.filled
                if [fill.number for fill in exchange.fills(SEVEN)][:filled] != [
                    *range(1, filled + 1)
                ]:
                    wrong.append(filled)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    exchange.submit(buy(300, "95.70", 1))
    for client in range(300):
        exchange.submit(sell(1, "95.70", 1000 + client))
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and not wrong


def test_tasks_ask_and_cancel_by_name() -> None:
    async def trade() -> None:
        async with AsyncEngine(engine()) as exchange:
            await exchange.submit(buy(10, "95.70", 1))
            await exchange.submit(buy(10, "95.70", 2))
            await exchange.submit(sell(3, "95.70", 3))
            await exchange.amend(quantity=5, account=SEVEN, original_client_order_id=1)
            await exchange.reduce(quantity=1, account=SEVEN, original_client_order_id="1")
            one = await exchange.order(SEVEN, 1)
            assert one is not None and (one.filled, one.left) == (3, 4)
            assert [order.client_order_id for order in await exchange.open_orders(SEVEN)] == [
                "1",
                "2",
            ]
            assert [fill.quantity for fill in await exchange.fills(SEVEN, after=0)] == [3]
            answer = await exchange.cancel(account=SEVEN, original_client_order_id=2)
            assert answer.reason == Reason.REQUESTED
            await exchange.cancel("ANA", one.order_id)
            assert await exchange.open_orders(SEVEN) == []
            with pytest.raises(InvalidCommand):
                await exchange.cancel(account=SEVEN, original_client_order_id=9)

    asyncio.run(trade())
