"""An answer that is told again has the prices of its own time, whatever the tick is now."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matchcore as mc
from matchcore.machine import machine_class
from matchcore.records import instruments

BUY, SELL = mc.Side.BUY, mc.Side.SELL
BOTH = pytest.mark.parametrize("machine", ["cython", "reference"])


def ana(tick: str) -> mc.Instrument:
    return mc.Instrument("ANA", tick)


def sell(client: int, price: str) -> mc.NewOrder:
    return mc.NewOrder("ANA", SELL, 5, price, account=1, client_order_id=client)


def buy(client: int, price: str) -> mc.NewOrder:
    return mc.NewOrder("ANA", BUY, 5, price, account=2, client_order_id=client)


def story(engine: mc.Engine) -> list[mc.Answer]:
    """A trade under each of three ticks, with changes between them, one of them without one."""
    told = []
    for client, tick in enumerate(("0.05", "0.5", "0.001"), 1):
        if client > 1:
            engine.change_instrument(ana("0.25"))
            engine.change_instrument(ana(tick))
        told += [engine.submit(sell(client, "95.50")), engine.submit(buy(client, "95.50"))]
    engine.change_instrument(ana("0.01"))
    return told


def ask_again(engine: mc.Engine) -> None:
    for client in (1, 2, 3):
        again = [engine.submit(sell(client, "95.50")), engine.submit(buy(client, "95.50"))]
        assert all(answer.repeat for answer in again)
        (trade,) = again[1].trades
        assert trade.price == Decimal("95.50") and trade.quantity == 5
        assert [event.price for event in again[0].typed()] == [Decimal("95.50")]
        for answer in again:  # as who sends arrays reads them
            prices = {mc.decode_event(row, engine.instruments).price for row in answer.events[1:]}
            assert prices == {Decimal("95.50")}
        assert repr(again[1]) == (
            f"<Answer {again[1].sequence}, a repeat of {again[1].first_sequence}: order"
            f" {again[1].order_id} filled, filled 5, left 0>"
        )


@BOTH
def test_repeats_after_a_change_of_tick(tmp_path: Path, machine: str) -> None:
    """Live, from the log, and from a snapshot alone; each of them has the same digest."""
    with mc.Engine.open(tmp_path, instruments=[ana("0.05")], machine=machine) as engine:
        first = story(engine)
        assert repr(first[1]).startswith(f"<Answer {first[1].sequence}: order")
        digest = engine.digest()
        ask_again(engine)
    with mc.Engine.open(tmp_path, machine=machine) as engine:
        ask_again(engine)
        assert mc.Engine.at(tmp_path, sequence=first[-1].sequence + 1).digest() == digest
        engine.snapshot()
        live = engine.digest()
    for other in ("cython", "reference"):
        with mc.Engine.open(tmp_path, machine=other) as engine:
            assert engine.digest() == live and engine.recovery.commands == 0
            fork = engine.fork()
            assert fork.submit(buy(1, "95.50")).trades[0].price == Decimal("95.50")
        at = mc.Engine.at(tmp_path, machine=other)
        assert mc.State.from_bytes(at.state().to_bytes()).digest() == live


def test_an_answer_that_was_given_keeps_its_prices() -> None:
    engine = mc.Engine.memory(instruments=[ana("0.05")])
    first = story(engine)
    assert [answer.trades[0].price for answer in first[1::2]] == [Decimal("95.50")] * 3


@BOTH
def test_only_ticks_that_an_answer_needs_are_in_the_state(machine: str) -> None:
    engine = mc.Engine.memory(instruments=[ana("0.05")], machine=machine)
    for tick in ("0.5", "0.05", "0.25"):  # nothing is remembered yet
        engine.change_instrument(ana(tick))
    assert engine.state().former == []
    story(engine)
    former = engine.state().former
    assert [str(one.instrument.tick) for one in former] == ["0.25", "0.5", "0.001"]
    for client in range(100, 100 + 1024):  # the window of each account moves on
        for account in (1, 2):
            engine.submit(mc.MassCancel(account=account, client_order_id=client))
    state = engine.state()
    assert state.former == []
    assert machine_class(machine).from_state(state).digest() == state.digest()


@BOTH
def test_forgetting_in_time_changes_no_digest(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = mc.Engine.memory(instruments=[ana("0.05")], machine=machine)
    story(kept)
    monkeypatch.setattr(instruments, "FORMER_MIN", 1)
    engine = mc.Engine.memory(instruments=[ana("0.05")], machine=machine)
    story(engine)
    for _ in range(20):
        for one in (engine, kept):
            one.change_instrument(ana("0.1"))
            one.change_instrument(ana("0.01"))
    assert engine.digest() == kept.digest()
    assert len(engine.instruments._former) < 10 < len(kept.instruments._former)
    ask_again(engine)


def damaged() -> dict[str, Any]:
    """Ways in which the former instruments of a state may be wrong."""

    def field(name: str, value: Any) -> Any:
        return lambda rows: rows[name].__setitem__(0, value)

    return {
        "instrument": field("instrument", 2), "symbol": field("symbol", b"BOB"),
        "lot": field("lot", 0), "kind": field("kind", 1), "beyond": field("time", 10**6),
        "zero": field("time", 0), "same": lambda rows: rows["time"].__setitem__(1, rows["time"][0]),
        "no answer": field("time", 1), "form": field("tick_mantissa", 250),
    }  # fmt: skip


@pytest.mark.parametrize("what", damaged())
def test_former_ticks_that_no_exchange_has_are_refused(what: str) -> None:
    engine = mc.Engine.memory(instruments=[ana("0.05")])
    story(engine)
    data = bytearray(engine.state().to_bytes())
    assert mc.State.from_bytes(bytes(data)).digest() == engine.digest()
    rows = np.frombuffer(data, mc.INSTRUMENT, 3, len(data) - 3 * mc.INSTRUMENT.itemsize)
    damaged()[what](rows)
    with pytest.raises(mc.SnapshotDamaged):
        mc.State.from_bytes(bytes(data))


def test_a_state_that_ends_inside_a_former_tick_is_refused() -> None:
    engine = mc.Engine.memory(instruments=[ana("0.05")])
    story(engine)
    data = engine.state().to_bytes()
    for cut in (1, 95):
        with pytest.raises(mc.SnapshotDamaged, match="does not hold"):
            mc.State.from_bytes(data[:-cut])
