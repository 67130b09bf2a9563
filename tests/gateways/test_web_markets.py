"""Orders of instruments with a market through the web door: every field, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_kit import ANA
from web_gate_kit import gate, run

from matchcore import Engine
from matchcore.records.schema import Phase


def market() -> Engine:
    engine = Engine.memory(instruments=[ANA])
    engine.set_market("ANA")
    return engine


def test_the_kinds_of_orders() -> None:
    async def test() -> None:
        async with gate(market()) as here:
            for name, side, price in (("b", "buy", "95.00"), ("s", "sell", "96.00")):
                assert (await here.enter(name, side, 50, price, "bob"))[0] == 201
            more: dict[str, dict[str, Any]] = {
                "iceberg": {"price": "95.00", "display_quantity": 5},
                "hidden": {"price": "95.00", "hidden": True},
                "slide": {"price": "96.05", "slide": True},
                "peg": {"price": None, "order_type": "peg_primary", "offset": "-0.10",
                        "protection_price": "95.50"},
                "stop": {"price": None, "order_type": "stop", "stop_price": "97.00"},
                "stop limit": {"price": "98.00", "order_type": "stop_limit",
                               "stop_price": "97.00"},
                "gtd": {"price": "94.00", "time_in_force": "gtd", "expiry": 2**62},
                "least": {"price": "94.00", "minimum_quantity": 5},
                "auction": {"price": "94.00", "time_in_force": "auction"},
                "self": {"price": "94.00", "self_trade": "cancel_both"},
            }  # fmt: skip
            for name, fields in more.items():
                status, said = await here.enter(f"x-{name.replace(' ', '-')}", "buy", 10, **fields)
                expected = (422, "minimum_not_met") if name == "least" else (201, None)
                assert status == 201, said
                if expected[1]:
                    assert said["order"]["status"] == "cancelled"
                    assert said["reports"][-1]["reason"] == expected[1]
                else:
                    assert said["order"]["status"] == "new", (name, said)
            status, said = await here.ask("GET", "/orders/x-peg")
            assert (said["order_type"], said["price"]) == ("peg_primary", "95.50")
            status, said = await here.ask(
                "PATCH", "/orders/x-stop", {"stop_price": "97.50", "total_quantity": 8}
            )
            assert (status, said["order"]["left"]) == (200, 8)
            status, said = await here.ask("PATCH", "/orders/x-iceberg", {"display_quantity": 3})
            assert status == 200, said

    run(test())


def test_quotes() -> None:
    async def test() -> None:
        async with gate(market()) as here:
            quote = {"client_order_id": "q1", "symbol": "ANA", "bid": "95.00", "bid_quantity": 10,
                     "ask": "95.50", "ask_quantity": 10}  # fmt: skip
            status, said = await here.ask("POST", "/quotes", quote)
            assert (status, said["cancelled"]) == (200, 0), said
            assert [one["kind"] for one in said["reports"]] == ["new", "new", "quote_set"]
            quote |= {"client_order_id": "q2", "ask": None, "ask_quantity": 0}
            status, said = await here.ask("POST", "/quotes", quote)
            assert (status, said["cancelled"]) == (200, 2), said
            quote |= {"client_order_id": "q3", "ask": "94.00", "ask_quantity": 5}
            status, said = await here.ask("POST", "/quotes", quote)
            assert (status, said["error"]["code"]) == (422, "quote_crossed"), said

    run(test())


def test_trades_of_an_auction_and_busted_ones() -> None:
    async def test() -> None:
        engine = market()
        async with gate(engine) as here:
            engine.set_phase("ANA", Phase.CLOSED)
            engine.set_phase("ANA", Phase.OPENING_CALL)
            await here.enter("b", "buy", 10, None, time_in_force="day")
            await here.enter("s", "sell", 10, "95.00", "bob")
            engine.set_phase("ANA", Phase.CONTINUOUS)
            engine.bust("ANA", 1, "95.00", 10)
            await here.enter("later", "buy", 1, "90.00")
            _, said = await here.ask("GET", "/reports")
            kinds = {one["kind"]: one for one in said["reports"]}
            assert kinds["trade"]["auction"] and kinds["trade"]["last_price"] == "95.00"
            assert (kinds["new"]["price"], kinds["trade"]["price"]) == ("90.00", None)
            assert kinds["busted"]["filled"] == 0 and kinds["busted"]["last_quantity"] == 10

    run(test())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"price": "95.00", "stop_price": "95.00"}, "unsupported"),
        ({"price": "95.00", "offset": "0.05"}, "offset"),
        ({"price": None, "order_type": "stop"}, "stop_price"),
        ({"price": "95.00", "protection_price": "95.00"}, "protection_price"),
        ({"price": "95.00", "display_quantity": 20}, "bad_display"),
        ({"price": None, "order_type": "peg_market"}, "no_reference"),
        ({"price": "95.00", "trailing_percent": "1"}, "trailing_percent"),
        ({"price": "95.00", "display_quantity": 5, "linked_order_id": 3}, "display_quantity"),
    ],
)
def test_refusals_name_what_is_wrong(fields: dict[str, Any], says: str) -> None:
    async def test() -> None:
        async with gate(market()) as here:
            status, said = await here.enter("x", "buy", 10, **fields)
            assert status in (400, 422)
            assert says in str(said["error"]), said

    run(test())


def test_a_plain_instrument_takes_none_of_it() -> None:
    async def test() -> None:
        async with gate() as here:
            for at, fields in enumerate(
                ({"price": "95.00", "hidden": True}, {"price": "95.00", "display_quantity": 5},
                 {"price": None, "order_type": "stop", "stop_price": "95.00"})
            ):  # fmt: skip
                status, said = await here.enter(f"x{at}", "buy", 10, **fields)
                assert status == 422, said
                assert said["error"]["field"] in ("flags", "display_quantity", "order_type")

    run(test())
