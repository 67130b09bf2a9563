"""Items of orders that only markets take; plain orders stay as they are."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from ouch_kit import answer, items, request
from test_door import Client, run, served
from test_ouch_codec import both, taken

from matchcore import Engine, Instrument, NewOrder, OrderType, SelfTrade, Side, TimeInForce
from matchcore.gateways.ouch import layout

simple_ouch = pytest.importorskip("SimpleOUCH.Parser", reason="simpleouch is missing")

PLAIN = (
    request(b"O", user_ref=1, side=b"S", quantity=30, price=957_000, cl_ord_id=b"FIRST"),
    request(b"O", items(post_only=b"P"), user_ref=2, quantity=10, price=956_000),
    request(b"O", items(min_quantity=b"\0\0\0\7"), user_ref=3, time_in_force=b"3", quantity=7),
    request(b"O", user_ref=4, price=layout.MARKET_PRICE, time_in_force=b"3"),
    request(b"O", user_ref=5, time_in_force=b"6"),
    request(b"U", original_ref=1, user_ref=6, quantity=50, price=958_000),
    request(b"X", user_ref=2, quantity=4),
    request(b"M", user_ref=6, side=b"S", quantity=40),
)
#: SHA-256 of the commands that these were before there were items for markets.
BEFORE = "8cd7f528d9633efb8b9ecfce4d6a5d880f4898260f0361f8b04c4f30a40f92a0"


def number(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "big", signed=value < 0)


def commands_of(*requests: bytes) -> np.ndarray[Any, Any]:
    commands: np.ndarray[Any, Any] = taken(both(), b"".join(requests)).commands
    return commands


def test_plain_orders_are_the_same_bytes_as_ever() -> None:
    assert hashlib.sha256(commands_of(*PLAIN).tobytes()).hexdigest() == BEFORE


@pytest.mark.parametrize(
    ("appended", "change", "wanted"),
    [
        (items(stop_price=number(1920)), {},
         {"order_type": OrderType.STOP_LIMIT, "stop_price": 1920, "price": 1910}),
        (items(stop_price=number(-4)), {"price": layout.MARKET_PRICE},
         {"order_type": OrderType.STOP, "stop_price": -4, "price": 0}),
        (items(stop_price=number(7), price=number(9)), {},
         {"order_type": OrderType.STOP_LIMIT, "stop_price": 7, "price": 9}),
        (items(expiry=number(10**18)), {"time_in_force": b"6"},
         {"time_in_force": TimeInForce.GTD, "expiry": 10**18}),
        (items(expiry=number(10**18)), {}, {"order_type": layout.REFUSED_TYPE + layout.OTHER}),
        (items(display_quantity=number(20)), {}, {"display_quantity": 20, "flags": 0}),
        (items(display_quantity=number(0)), {}, {"display_quantity": 0, "flags": 16}),
        (items(self_trade=b"\2"), {}, {"self_trade": SelfTrade.CANCEL_OLDEST}),
        (items(self_trade=b"\0\2"), {}, {"order_type": layout.REFUSED_TYPE + layout.OTHER}),
    ],
)  # fmt: skip
def test_what_items_become(appended: bytes, change: Any, wanted: dict[str, int]) -> None:
    asked = {"user_ref": 1, "price": 955_000, **change}
    command = commands_of(request(b"O", appended, **asked))[0]
    assert {name: command[name] for name in wanted} == wanted


def test_a_replace_takes_none_of_them() -> None:
    first = request(b"O", user_ref=1, price=955_000)
    for place, one in enumerate((items(stop_price=number(1)), items(self_trade=b"\1")), 2):
        change = request(b"U", one, original_ref=1, user_ref=place, quantity=5, price=955_000)
        assert commands_of(first, change)["flags"][1] == 6  # which the exchange refuses


def test_they_trade_and_simpleouch_reads_what_is_said() -> None:
    parser = simple_ouch.Parser().Cache()
    engine = Engine.memory(instruments=[Instrument("ANA", "0.05"), Instrument("BBVA", "0.05")])

    async def test() -> None:
        async with served(engine) as (_, door):
            engine.set_market("ANA")
            client = await Client.logged_in(door)
            engine.submit(NewOrder("ANA", Side.SELL, 1, "95.00", account=9))
            engine.submit(NewOrder("ANA", Side.BUY, 1, "95.00", account=8))
            client.send(
                request(b"O", items(stop_price=number(1920)), user_ref=1, price=970_000),
                request(b"O", items(display_quantity=number(10)), user_ref=2, price=940_000),
                request(b"O", items(display_quantity=number(0)), user_ref=3, price=941_000),
                request(b"O", items(expiry=number(4 * 10**18)), user_ref=4, price=930_000,
                        time_in_force=b"6"),
                request(b"O", items(self_trade=b"\1"), user_ref=5, side=b"S", price=940_000),
            )  # fmt: skip
            said = []
            while len(said) < 6:
                kind, payload = await client.packet()
                if kind != b"S":
                    continue
                one = answer(payload)
                said.append((one["type"], one["user_ref"], one.get("time_in_force")))
                if one["type"] == b"A":
                    read = parser._order_accepted([bytes([byte]) for byte in payload])
                    assert (read[4], read[7]) == (one["quantity"], one["time_in_force"].decode())
            assert said[:4] == [(b"A", n, t) for n, t in zip((1, 2, 3, 4), (b"0", b"0", b"0", b"6"),
                                                              strict=True)]  # fmt: skip
            assert said[4:] == [(b"A", 5, b"0"), (b"C", 5, None)]  # it met its owner's
            assert [str(level.price) for level in engine.book("ANA").bids()] == ["94.00", "93.00"]
            client.send(request(b"U", original_ref=4, user_ref=6, quantity=50, price=930_000,
                                time_in_force=b"6"))  # fmt: skip
            assert [one["type"] for one in await client.answers(1)] == [b"U"]
            engine.submit(NewOrder("ANA", Side.SELL, 1, "96.00", account=9))
            engine.submit(NewOrder("ANA", Side.BUY, 1, "96.00", account=8))
            restated = (await client.answers(1))[0]
            assert (restated["type"], restated["user_ref"], restated["reason"]) == (b"R", 1, b"T")
            for place, one in enumerate((items(stop_price=number(1920)),
                                         items(display_quantity=number(0))), 7):  # fmt: skip
                client.send(request(b"O", one, user_ref=place, symbol=b"BBVA", price=930_000))
                refused = (await client.answers(1))[0]
                assert (refused["type"], refused["reason"]) == (b"J", layout.OTHER)

    run(test())
