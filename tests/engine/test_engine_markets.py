"""Markets of an engine: set, shown, kept; phases, quotes, the clock, and what orders say."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

import matchcore as mc
from matchcore import (
    CageMode,
    EventKind,
    Market,
    NewOrder,
    OrderType,
    Phase,
    Reason,
    SelfTrade,
    Side,
    Status,
)
from matchcore.errors import InstrumentConflict
from matchcore.records import rules
from matchcore.records.schema import Place

ANA = mc.Instrument("ANA", "0.05")
TEF = mc.Instrument("TEF", "0.01", lot=10)
SECOND = 10**9
T = TypeVar("T")


MACHINES = ["reference", "cython"]
on_each = pytest.mark.parametrize("machine", MACHINES)


def engine_of(machine: str, markets: dict[str, Market] | None = None, **more: Any) -> mc.Engine:
    return mc.Engine.memory(
        instruments=[ANA, TEF], machine=machine, log=mc.MemoryLog(),
        markets={"ANA": Market()} if markets is None else markets, **more,
    )  # fmt: skip


def there(found: T | None) -> T:
    """What must be there."""
    assert found is not None
    return found


def of_kind(answer: mc.Answer, kind: EventKind) -> mc.OrderEvent:
    """The one event of a kind."""
    (found,) = [one for one in answer.typed()
                if isinstance(one, mc.OrderEvent) and one.kind == kind]  # fmt: skip
    return found


# ---------------------------------------------------------------------- parameters


@on_each
def test_an_instrument_is_plain_until_it_gets_a_market(machine: str) -> None:
    engine = engine_of(machine, {})
    assert (engine.market("ANA"), engine.phase("ANA"), engine.indicative("ANA")) == (None,) * 3
    assert engine.submit(NewOrder("ANA", Side.BUY, 1, "9", hidden=True)).reason == Reason.BAD_FLAGS
    assert engine.set_market("ANA") == 1
    assert engine.market("ANA") == Market() and engine.market("TEF") is None
    assert engine.phase("ANA") == Phase.CONTINUOUS and engine.trading_day("TEF") is None
    assert not engine.submit(NewOrder("ANA", Side.BUY, 1, "9", hidden=True)).rejected
    with pytest.raises(mc.UnknownInstrument):
        engine.market("SAN")


@on_each
def test_what_is_set_is_shown_and_the_rest_stays(machine: str) -> None:
    market = Market(limit_up=10, reference_price="9.50", tick_table=[(0, "0.05"), (10, "0.1")])
    engine = engine_of(machine, {"ANA": market})
    assert engine.market("ANA") == market
    assert engine.set_market("ANA", market) == 0
    assert engine.set_market("ANA", limit_down="5", cage=CageMode.REFUSE, cage_percent=2) == 2
    now = there(engine.market("ANA"))
    assert (now.limit_up, now.limit_down, now.cage) == (10, 5, CageMode.REFUSE)
    assert engine.set_market("ANA", market) == 2 and engine.market("ANA") == market
    with pytest.raises(TypeError):
        engine.set_market("ANA", colour="red")
    with pytest.raises(mc.PriceError):
        engine.set_market("ANA", previous_close="9.51")
    with pytest.raises(mc.UnknownInstrument):
        engine.set_market("SAN")
    answer = engine.submit(NewOrder("ANA", Side.BUY, 1, "10.50"))
    assert (answer.reason, answer.field) == (Reason.OUTSIDE_LIMITS, mc.Field.PRICE)


@on_each
def test_no_market_for_resting_orders(machine: str) -> None:
    engine = engine_of(machine, {})
    engine.submit(NewOrder("ANA", Side.BUY, 1, "9"))
    with pytest.raises(InstrumentConflict, match="ANA: no market, BOOK_NOT_EMPTY"):
        engine.set_market("ANA", Market(limit_up=10))
    assert engine.market("ANA") is None


@on_each
def test_an_exchange_opens_with_its_markets(tmp_path: Path, machine: str) -> None:
    def opened(**more: Any) -> mc.Engine:
        return mc.Engine.open(tmp_path / "e", machine=machine, **more)

    market = Market(pro_rata=True, previous_close="9.50")
    with opened(instruments=[ANA, TEF], markets={"ANA": market}) as engine:
        engine.set_market("ANA", previous_close="9.75")
        engine.submit(NewOrder("ANA", Side.BUY, 10, "9", display_quantity=2, account=7))
        engine.set_phase("ANA", Phase.CLOSING_CALL)
        engine.snapshot()
        sequence, digest = engine.sequence, engine.digest()
    with opened(markets={"ANA": market}) as engine:  # what a day sets anew may differ
        assert (engine.sequence, engine.digest()) == (sequence, digest)
        now = engine.market("ANA")
        assert now is not None and now.previous_close == Decimal("9.75")
        assert engine.phase("ANA") == Phase.CLOSING_CALL
    with pytest.raises(InstrumentConflict, match=r"ANA \(ALLOCATION\): use set_market"):
        opened(markets={"ANA": Market()})
    with pytest.raises(mc.UnknownInstrument):
        opened(markets={"SAN": Market()})
    at = mc.Engine.at(tmp_path / "e", machine=machine)
    assert at.phase("ANA") == Phase.CLOSING_CALL and at.market("TEF") is None
    with pytest.raises(mc.ReadOnly):
        at.set_phase("ANA", Phase.CLOSED)


@on_each
def test_an_exchange_of_older_rules_gets_markets_after_an_upgrade(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    with monkeypatch.context() as older:
        older.setattr(rules, "RULES_LATEST", 2)
        engine = mc.Engine.memory(instruments=[ANA], machine=machine, log=mc.MemoryLog())
    engine.submit(NewOrder("ANA", Side.BUY, 1, "9"))
    engine.submit(NewOrder("ANA", Side.SELL, 1, "9"))
    with pytest.raises(InstrumentConflict, match="UNKNOWN_KIND: call upgrade_rules"):
        engine.set_market("ANA")
    last = engine.state().last.tolist()
    answer = engine.upgrade_rules()
    assert answer is not None and (engine.rules, answer.events["quantity"][0]) == (3, 3)
    assert engine.state().last.tolist() == last == [(180, 1)]  # what the collar goes by stays
    assert engine.set_market("ANA") == 1 and engine.phase("ANA") == Phase.CONTINUOUS


@pytest.mark.parametrize("machine", ["reference", "cython"])
def test_the_upgrade_to_version_3_keeps_the_last_trades(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    with monkeypatch.context() as older:
        older.setattr(rules, "RULES_LATEST", 2)
        engine = mc.Engine.memory(instruments=[ANA], machine=machine, log=mc.MemoryLog())
    engine.submit(mc.SetLimits(7, collar=2))
    engine.submit(NewOrder("ANA", Side.BUY, 1, "9"))
    engine.submit(NewOrder("ANA", Side.SELL, 1, "9"))
    assert engine.upgrade_rules() is not None and engine.rules == 3
    refused = engine.submit(NewOrder("ANA", Side.BUY, 1, "9.15", account=7))
    assert (refused.reason, refused.field) == (Reason.LIMIT_EXCEEDED, mc.Field.COLLAR)
    assert engine.upgrade_rules() is None


# ---------------------------------------------------------------------- phases


@on_each
def test_a_call_and_its_auction(machine: str) -> None:
    engine = engine_of(machine)
    engine.set_phase("ANA", Phase.CLOSED)
    engine.set_phase("ANA", Phase.OPENING_CALL)
    assert there(engine.indicative("ANA"))[:3] == (None, 0, 0)
    bought = engine.submit(NewOrder("ANA", Side.BUY, 30, "9.50", account=1))
    assert (bought.status, bought.left) == (Status.OPEN, 30)  # with INDICATIVE behind it
    sold = engine.submit(NewOrder("ANA", Side.SELL, 20, "9.00", account=2))
    assert there(engine.indicative("ANA"))[:3] == (Decimal("9.50"), 20, 10)
    last = of_kind(sold, EventKind.INDICATIVE)
    assert (last.price, last.quantity, last.left, last.side) == (Decimal("9.50"), 20, 10, None)
    answer = engine.set_phase("ANA", Phase.CONTINUOUS)
    (trade,) = answer.trades
    assert (trade.price, trade.quantity, trade.side) == (Decimal("9.50"), 20, Side.BUY)
    assert (trade.maker_order_id, trade.taker_order_id) == (bought.order_id, sold.order_id)
    assert (answer.status, answer.order_id, answer.filled) == (Status.DONE, 0, 20)
    changed = of_kind(answer, EventKind.PHASE_CHANGED)
    assert (changed.before, changed.phase) == (Phase.OPENING_CALL, Phase.CONTINUOUS)
    assert (changed.price, changed.quantity) == (Decimal("9.50"), 20)
    day = there(engine.trading_day("ANA"))
    assert (day.open_price, day.auction_price) == (Decimal("9.50"),) * 2
    assert (day.closing_price, day.indicative) == (None, None)
    quiet = engine.set_phase("ANA", Phase.CLOSED)
    assert of_kind(quiet, EventKind.PHASE_CHANGED).price is None
    assert there(engine.trading_day("ANA")).closing_price == Decimal("9.50")


@on_each
def test_phases_of_groups_and_of_all(machine: str) -> None:
    engine = engine_of(machine, {"ANA": Market(group=4), "TEF": Market(group=5)})
    engine.set_phase(None, Phase.BREAK, group=4)
    assert (engine.phase("ANA"), engine.phase("TEF")) == (Phase.BREAK, Phase.CONTINUOUS)
    engine.set_phase(None, Phase.CLOSED)
    assert (engine.phase("ANA"), engine.phase("TEF")) == (Phase.CLOSED, Phase.CLOSED)
    refused = engine.set_phase("ANA", Phase.BREAK)
    assert (refused.status, refused.reason) == (Status.REJECTED, Reason.PHASE_OUT_OF_ORDER)
    assert engine.set_phase(None, Phase.BREAK, group=9).reason == Reason.NO_MARKET


@on_each
def test_the_clock_ends_a_halt_and_lets_orders_expire(machine: str) -> None:
    now = [SECOND]
    engine = engine_of(machine, clock=lambda: now[0])
    order = engine.submit(NewOrder("ANA", Side.BUY, 5, "9", expiry=3 * SECOND, account=7))
    assert order.typed()[0].quantity == 5
    engine.set_phase("ANA", Phase.HALTED, until="1970-01-01T00:00:05Z")
    assert there(engine.trading_day("ANA")).until == 5 * SECOND
    now[0] = 3 * SECOND
    answer = engine.clock("ANA")
    assert answer.events["kind"].tolist() == [EventKind.CANCELLED, EventKind.CLOCKED]
    assert (answer.status, answer.order_id, answer.left) == (Status.DONE, 0, 0)
    now[0] = 5 * SECOND
    engine.clock()
    assert engine.phase("ANA") == Phase.CONTINUOUS
    cancelled = engine.set_phase("ANA", Phase.HALTED, cancel_orders=True)
    assert cancelled.status == Status.DONE


# ---------------------------------------------------------------------- orders


@on_each
def test_an_answer_is_about_its_own_order_when_others_follow(machine: str) -> None:
    engine = engine_of(machine)
    engine.submit(NewOrder("ANA", Side.SELL, 5, "9.00"))
    engine.submit(NewOrder("ANA", Side.SELL, 9, "9.05"))
    stop = engine.submit(NewOrder("ANA", Side.BUY, 4, order_type=OrderType.STOP, stop_price="9.00"))
    assert (stop.status, stop.left) == (Status.OPEN, 4)
    answer = engine.submit(NewOrder("ANA", Side.BUY, 7, "9.00"))
    trades = [(trade.taker_order_id, trade.quantity) for trade in answer.trades]
    assert trades == [(answer.order_id, 5), (stop.order_id, 4)]
    assert (answer.status, answer.filled, answer.left) == (Status.PARTLY_FILLED, 5, 2)
    swept = engine.mass_cancel()
    assert (swept.status, swept.order_id) == (Status.DONE, 0)


@on_each
def test_an_order_shows_its_terms(machine: str) -> None:
    engine = engine_of(machine)
    sent = NewOrder(
        "ANA", Side.SELL, 10, "9.50", account=7, client_order_id=1, display_quantity=3,
        self_trade=SelfTrade.CANCEL_NEWEST, expiry=2**62, session=4,
    )  # fmt: skip
    order_id = engine.submit(sent).order_id
    state = engine.order(7, 1)
    assert state is not None and state.terms is not None and state.left == 10
    terms = state.terms
    assert (terms.order_type, terms.place, terms.shown) == (OrderType.LIMIT, Place.BOOK, 3)
    assert (terms.display_quantity, terms.expiry, terms.session) == (3, 2**62, 4)
    assert terms.self_trade == SelfTrade.CANCEL_NEWEST and not terms.hidden
    resting = engine.book("ANA").order(order_id)
    assert resting is not None and resting.terms == terms and resting.quantity == 10
    assert str(engine.book("ANA").best_ask) == "9.50 x 3"
    assert [one.terms for one in engine.open_orders(7)] == [terms]
    engine.amend("ANA", order_id, total_quantity=8, display_quantity=2)
    again = engine.order(7, 1)
    assert again is not None and again.terms is not None
    assert (again.left, again.terms.display_quantity) == (8, 2)
    engine.cancel("ANA", order_id)
    gone = engine.order(7, 1)
    assert gone is not None and gone.terms is None
    plain = engine.submit(NewOrder("TEF", Side.BUY, 10, "9", account=7, client_order_id=2))
    assert there(engine.order(7, 2)).terms is None
    assert there(engine.book("TEF").order(plain.order_id)).terms is None


@on_each
def test_stops_and_pegs_show_what_they_follow(machine: str) -> None:
    engine = engine_of(machine)
    engine.submit(NewOrder("ANA", Side.BUY, 5, "9.00", client_order_id=9, account=7))
    engine.submit(NewOrder("ANA", Side.SELL, 5, "9.00"))
    engine.submit(NewOrder("ANA", Side.BUY, 5, "8.50", account=8))

    def terms(**more: Any) -> Any:
        order_id = engine.submit(NewOrder("ANA", Side.SELL, 5, **more)).order_id
        found = engine.book("ANA").order(order_id)
        assert found is not None and found.terms is not None
        return found.terms

    trailing = terms(order_type=OrderType.TRAILING_STOP, offset="0.50")
    assert (trailing.stop_price, trailing.offset) == (Decimal("8.50"), Decimal("0.50"))
    assert (trailing.place, trailing.bound) == (Place.TRAILING, None)
    percent = terms(order_type=OrderType.TRAILING_STOP, trailing_percent=10)
    assert (percent.stop_price, percent.trailing_percent) == (Decimal("8.10"), 10)
    stop = terms(order_type=OrderType.STOP, stop_price="8.20", price="8.00")
    assert (stop.place, stop.stop_price, stop.bound) == (
        Place.STOPS, Decimal("8.20"), Decimal("8.00"),
    )  # fmt: skip
    engine.submit(NewOrder("ANA", Side.SELL, 5, "9.50", account=8))
    peg = terms(order_type=OrderType.PEG_PRIMARY, offset="-0.10", price="9.20")
    assert (peg.offset, peg.bound, peg.stop_price) == (Decimal("-0.10"), Decimal("9.20"), None)
    waiting = terms(price="9.70", time_in_force=mc.TimeInForce.AT_CLOSE)
    assert (waiting.place, waiting.order_type) == (Place.WAITING, OrderType.LIMIT)
    first = engine.submit(NewOrder("ANA", Side.SELL, 5, "9.90", account=3)).order_id
    linked = terms(price="9.95", account=3, linked_order_id=first)
    assert linked.linked_order_id == first


@on_each
def test_a_sweep_by_price_and_by_session(machine: str) -> None:
    engine = engine_of(machine)
    for at, price in enumerate(("9.00", "9.05", "9.10", "9.15")):
        engine.submit(NewOrder("ANA", Side.BUY, 1, price, session=at % 2 + 1))
    assert len(engine.mass_cancel("ANA", lowest="9.05", highest="9.10").events) == 3
    assert len(engine.mass_cancel("ANA", session=2, highest="9.15").events) == 2
    (order,) = engine.book("ANA").orders()
    assert order["price"] == 180
    assert len(engine.mass_cancel(session=1).events) == 2


@on_each
def test_a_quote_replaces_the_one_before_it(machine: str) -> None:
    engine = engine_of(machine)
    first = engine.quote("ANA", 7, "9.00", 10, "9.10", 10, client_order_id=1)
    assert (first.status, first.order_id, len(first.events)) == (Status.DONE, 0, 3)
    book = engine.book("ANA")
    assert str(book.top()) == "9.00 x 10 / 9.10 x 10"
    quoted = book.order(int(first.events["order_id"][0]))
    assert quoted is not None and quoted.terms is not None and quoted.terms.quoted
    assert engine.quote("ANA", 7, "9.00", 10, "9.10", 10, client_order_id=1).repeat
    second = engine.quote("ANA", 7, ask="9.05", ask_quantity=5)
    assert str(book.top()) == "- / 9.05 x 5"
    assert second.events["kind"].tolist()[:2] == [EventKind.CANCELLED] * 2
    refused = engine.quote("ANA", 7, "9.10", 5, "9.05", 5)
    assert (refused.reason, refused.field) == (Reason.QUOTE_CROSSED, mc.Field.STOP_PRICE)
    engine.quote("ANA", 7)
    assert str(book.top()) == "- / -"
    protected = engine.submit(mc.SetProtection(7, "ANA", max_fills=1, window_ns=SECOND))
    assert not protected.rejected
    engine.quote("ANA", 7, "9.00", 10, "9.10", 10)
    taken = engine.submit(NewOrder("ANA", Side.BUY, 1, "9.10", account=8))
    assert (taken.status, taken.filled, str(book.top())) == (Status.FILLED, 1, "- / -")


@on_each
def test_a_bust_names_its_trade(machine: str) -> None:
    engine = engine_of(machine)
    engine.submit(NewOrder("ANA", Side.BUY, 5, "9.00"))
    (trade,) = engine.submit(NewOrder("ANA", Side.SELL, 5, "9.00")).trades
    digest = engine.book("ANA").depth()
    answer = engine.bust("ANA", trade.trade_id, trade.price, trade.quantity)
    (event,) = answer.typed()
    assert isinstance(event, mc.OrderEvent) and event.kind == EventKind.BUSTED
    assert (event.trade_id, event.price, event.quantity) == (trade.trade_id, trade.price, 5)
    assert answer.status == Status.DONE and engine.book("ANA").depth() == digest
    assert engine.bust("ANA", 99, "9", 5).reason == Reason.UNKNOWN_TRADE


@on_each
def test_a_fork_has_the_markets_of_its_exchange(machine: str) -> None:
    engine = engine_of(machine)
    fork = engine.fork()
    fork.set_phase("ANA", Phase.CLOSED)
    assert (fork.phase("ANA"), engine.phase("ANA")) == (Phase.CLOSED, Phase.CONTINUOUS)
    assert fork.set_market("TEF", Market(limit_up=5)) == 1
    assert fork.market("TEF") == Market(limit_up=5) and engine.market("TEF") is None


@on_each
def test_the_same_awaited(machine: str) -> None:
    async def told() -> list[Any]:
        exchange = engine_of(machine)
        async with mc.AsyncEngine(exchange) as engine:
            await engine.set_market("ANA", limit_up=10)
            await engine.quote("ANA", 7, "9.00", 10, ask="9.10", ask_quantity=10)
            order = await engine.submit(NewOrder("ANA", Side.BUY, 5, "9.10", display_quantity=2))
            await engine.submit(NewOrder("ANA", Side.BUY, 5, "8.10", account=1, client_order_id=3))
            amended = await engine.amend(
                account=1, original_client_order_id=3, total_quantity=4, client_order_id=4
            )
            busted = await engine.bust("ANA", order.trades[0].trade_id, "9.10", 5)
            phase = await engine.set_phase("ANA", Phase.BREAK)
            clock = await engine.clock()
            return [amended.left, order.filled, busted.rejected, phase.status, clock.status,
                    exchange.phase("ANA")]  # fmt: skip

    assert asyncio.run(told()) == [4, 5, False, Status.DONE, Status.DONE, Phase.BREAK]


def test_an_order_of_a_call_at_any_price_shows_none() -> None:
    """Not the number that stands for it in records: in the book, of orders, in events, as JSON."""
    engine = mc.Engine.memory(
        log=mc.MemoryLog(), instruments=[mc.Instrument("ANA", "0.05")], markets={"ANA": mc.Market()}
    )
    engine.set_phase("ANA", mc.Phase.CLOSING_CALL)
    for side in mc.Side:
        answer = engine.submit(
            mc.NewOrder(
                "ANA", side, 10, order_type=mc.OrderType.MARKET, client_order_id=side,
                time_in_force=mc.TimeInForce.GTC, account=7,
            )
        )  # fmt: skip
        (accepted, *_) = answer.typed()
        assert isinstance(accepted, mc.OrderEvent)
        assert (accepted.kind, accepted.price) == (mc.EventKind.ACCEPTED, None)
        found = engine.book("ANA").order(answer.order_id)
        assert found is not None and found.price is None and found.quantity == 10
        state = engine.order(7, side)
        assert state is not None and state.price is None
    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, "94"))
    engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 5, "95.20"))
    book = engine.book("ANA")
    assert str(book.top()) == "market x 10 / market x 10"
    assert [level.price for level in book.bids()] == [None, Decimal("94.00")]
    assert [level.price for level in book.asks()] == [None, Decimal("95.20")]
    plain = book.as_plain()
    assert plain["bids"][0] == {"price": None, "quantity": 10, "orders": 1}
    assert json.loads(json.dumps(plain)) == plain
    crossed = engine.set_phase("ANA", mc.Phase.CLOSED)
    said = repr(crossed.typed()) + repr(crossed.trades) + repr(engine.fills(7))
    assert "9223372036854775" not in said and "461168601842738" not in said


def test_a_plain_book_has_prices_at_the_end_of_all_numbers() -> None:
    engine = mc.Engine.memory(instruments=[mc.Instrument("ANA", 1)])
    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, 2**63 - 1))
    assert engine.book("ANA").bids()[0].price == 2**63 - 1
    order = engine.book("ANA").order(1)
    assert order is not None and order.price == 2**63 - 1
