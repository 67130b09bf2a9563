"""An answer tells what was; a look into a book, what is."""

from __future__ import annotations

from decimal import Decimal

import matchcore as mc


def test_prices_of_an_answer_and_a_book_when_the_tick_changes() -> None:
    engine = mc.Engine.memory(instruments=[mc.Instrument("ANA", "0.05"), mc.Instrument("B", "1")])
    view = engine.book("ANA")
    engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 30, "95.70"))
    answer = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 30, "95.75"))
    changed = engine.change_instrument(mc.Instrument("ANA", "0.01"))
    engine.add_instrument(mc.Instrument("C", "1"))
    order = engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 30, "95.71"))
    assert [trade.price for trade in answer.trades] == [Decimal("95.70")]
    assert [event.symbol for event in changed.typed()] == ["ANA"]
    assert order.typed()[0].price == Decimal("95.71")
    assert view.instrument == engine.instruments[1] == mc.Instrument("ANA", "0.01")
    assert str(view.best_ask) == "95.71 x 30" == str(engine.book("ANA").best_ask)
    resting = view.order(order.order_id)
    assert resting is not None and resting.price == Decimal("95.71")


def test_an_answer_knows_the_instrument_that_it_added() -> None:
    engine = mc.Engine.memory()
    answer = engine.submit(mc.AddInstrument(mc.Instrument("ANA", "0.05")))
    assert [event.symbol for event in answer.typed()] == ["ANA"]
