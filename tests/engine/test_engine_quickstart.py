"""The examples of the README and the quick start do what the pages say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from engine_kit import ANA

import matchcore as mc


def test_the_ten_lines_of_the_readme(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "exchange.d", instruments=[ANA]) as engine:
        a = engine.submit(mc.NewOrder("ANA", mc.Side.SELL, quantity=74, price="95.70", account=1))
        b = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, quantity=30, price="95.75", account=2))
        (trade,) = b.trades
        assert (b.status, b.filled, b.left) == (mc.Status.FILLED, 30, 0)
        assert (trade.price, trade.quantity) == (Decimal("95.70"), 30)
        assert (trade.maker_order_id, trade.taker_order_id) == (a.order_id, b.order_id) == (1, 2)
        engine.amend("ANA", a.order_id, quantity=20)
        best = engine.book("ANA").best_ask
        assert best is not None and str(best) == "95.70 x 20"
        engine.snapshot()
        digest = engine.digest()
    with mc.Engine.open(tmp_path / "exchange.d") as engine:
        assert engine.digest() == digest


@pytest.fixture
def engine() -> mc.Engine:
    return mc.Engine.memory(instruments=[ANA])


def test_the_typed_calls(engine: mc.Engine) -> None:
    a = engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 74, "95.70", account=1))
    fok = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 80, "95.70", mc.TimeInForce.FOK))
    assert (fok.status, fok.reason) == (mc.Status.CANCELLED, mc.Reason.FILL_OR_KILL)
    post = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 10, "95.70", post_only=True))
    assert post.rejected and (post.reason, post.field) == (mc.Reason.WOULD_TRADE, mc.Field.PRICE)
    assert engine.submit(mc.NewOrder("ANA", mc.Side.BUY, quantity=10)).filled == 10
    assert engine.reduce("ANA", a.order_id, 4).left == 60
    assert engine.amend("ANA", a.order_id, price="95.80").left == 60
    assert engine.cancel("ANA", a.order_id).status == mc.Status.CANCELLED
    assert engine.mass_cancel(account=1).status == mc.Status.DONE
    assert engine.end_day().status == mc.Status.DONE


def test_a_batch_of_records(engine: mc.Engine) -> None:
    commands = np.zeros(2, mc.COMMAND)
    commands["kind"] = mc.Kind.NEW
    commands["instrument"] = engine.instruments.number("ANA")
    commands["side"] = [mc.Side.SELL, mc.Side.BUY]
    commands["order_type"] = mc.OrderType.LIMIT
    commands["time_in_force"] = mc.TimeInForce.GTC
    commands["price"] = ANA.ticks("95.70")
    commands["quantity"] = 10
    events = engine.submit_batch(commands)
    assert events.dtype == mc.EVENT
    assert len(events[events["kind"] == mc.EventKind.TRADED]) == 1
    assert (commands["time"] == 0).all()  # the caller's array is not written to


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (mc.NewOrder("ANA", mc.Side.BUY, 1, "95.71"), mc.PriceError),
        (mc.NewOrder("BOB", mc.Side.BUY, 1, "95.70"), mc.UnknownInstrument),
        (mc.NewOrder("ANA", mc.Side.BUY, 2**63, "95.70"), mc.InvalidCommand),
    ],
)
def test_what_can_not_be_a_record_is_not_sent(
    engine: mc.Engine, command: mc.Command, error: type[Exception]
) -> None:
    before = engine.sequence, engine.digest()
    with pytest.raises(error):
        engine.submit(command)
    assert (engine.sequence, engine.digest()) == before


def test_a_refusal_is_an_answer_and_is_in_the_log(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA]) as engine:
        answer = engine.cancel("ANA", 99)
        assert answer.rejected and answer.reason == mc.Reason.UNKNOWN_ORDER
        assert answer.sequence == engine.sequence == 2
        assert engine.log is not None and engine.log.durable == 2
