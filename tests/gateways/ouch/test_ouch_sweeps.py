"""Mass cancels: the request C, its answer X, and what refuses it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ouch_kit import items, packet, request
from test_door import Client, run, served
from test_ouch_codec import ACCOUNT, Exchange, taken

from matchcore import Side
from matchcore.gateways.ouch import layout

ORDERS = (
    request(b"O", user_ref=1, side=b"B", price=955_000),
    request(b"O", user_ref=2, side=b"S", price=965_000),
    request(b"O", user_ref=3, side=b"B", symbol=b"FINE", price=3),
)


@pytest.fixture
def exchange() -> Exchange:
    made = Exchange()
    made.send(*ORDERS)
    return made


def cancelled(said: list[dict[str, Any]]) -> list[int]:
    assert all(one["reason"] == b"S" for one in said if one["type"] == b"C")
    return [one["user_ref"] for one in said if one["type"] == b"C"]


@pytest.mark.parametrize(
    ("asked", "refs"),
    [
        ({}, [1, 2, 3]),
        ({"symbol": b"ANA"}, [1, 2]),
        ({"symbol": b"", "appended": items(instrument=b"\0\0\0\3")}, [3]),
        ({"appended": items(side=b"S")}, [2]),
        ({"symbol": b"ANA", "appended": items(side=b"B")}, [1]),
        ({"symbol": b"ROUND"}, []),
    ],
    ids=str,
)
def test_it_cancels_what_it_names_and_says_how_many(
    exchange: Exchange, asked: dict[str, Any], refs: list[int]
) -> None:
    said = exchange.send(request(b"C", user_ref=9, **{"symbol": b"", **asked}))
    assert cancelled(said) == refs
    done = said[-1]
    assert (done["type"], done["user_ref"], done["firm"].strip()) == (b"X", 9, b"")
    assert done["items"][layout.COUNT] == len(refs).to_bytes(4, "big")
    sides = items(side=b"S")[-1:], items(side=b"B")[-1:]
    assert done["items"].get(layout.SIDE) in (None, *sides)
    assert (layout.SIDE in done["items"]) == (b"\x1b" in asked.get("appended", b""))
    assert exchange.codecs[0].last_ref == 9


def test_the_answer_names_the_instrument(exchange: Exchange) -> None:
    (named,) = exchange.send(request(b"C", user_ref=4, symbol=b"ROUND"))
    assert named["symbol"] == b"ROUND" and set(named["items"]) == {layout.COUNT}
    long = request(b"C", items(instrument=b"\0\0\0\2"), user_ref=5, symbol=b"ANA")
    (numbered,) = exchange.send(long)
    assert numbered["symbol"] == b"LONGSYMB"
    assert numbered["items"][layout.INSTRUMENT] == b"\0\0\0\2"


REFUSED = [
    ({"symbol": b"NONE"}, layout.BAD_SYMBOL),
    ({"symbol": b"\t       "}, layout.BAD_SYMBOL),
    ({"appended": items(instrument=b"\0\0\0\0")}, layout.BAD_SYMBOL),
    ({"appended": items(instrument=b"\xff\xff\xff\xff")}, layout.BAD_SYMBOL),
    ({"appended": items(side=b"T")}, layout.BAD_SIDE),
    ({"appended": items(side=b"\0")}, layout.BAD_SIDE),
    ({"appended": b"\3\x18\0\1"}, layout.OTHER),  # a group
    ({"appended": b"\2\x1c\1"}, layout.OTHER),  # a channel of UserRefNums
    ({"appended": items(count=bytes(4))}, layout.OTHER),
    ({"appended": items(quantity=bytes(8))}, layout.OTHER),
    ({"appended": items(side=b"B") * 2}, layout.OTHER),
    ({"appended": b"\5"}, layout.OTHER),
]


@pytest.mark.parametrize(("wrong", "reason"), REFUSED, ids=str)
def test_what_it_does_not_mean_is_refused_and_cancels_nothing(
    exchange: Exchange, wrong: dict[str, Any], reason: int
) -> None:
    (said,) = exchange.send(request(b"C", user_ref=9, **{"symbol": b"", **wrong}))
    assert (said["type"], said["user_ref"], said["reason"]) == (b"J", 9, reason)
    assert said["cl_ord_id"] == b"" and not said["items"]
    assert len(exchange.machine.orders(1)) == 2 and exchange.codecs[0].last_ref == 9


def test_orders_have_no_side_among_their_items(exchange: Exchange) -> None:
    (order,) = exchange.send(request(b"O", items(side=b"B"), user_ref=7))
    (replaced,) = exchange.send(request(b"U", items(side=b"B"), original_ref=1, user_ref=8))
    assert (order["type"], order["reason"]) == (b"J", layout.OTHER)
    assert (replaced["type"], replaced["reason"]) == (b"J", layout.NO_REPLACE)


def test_a_number_that_does_not_rise_is_passed_over(exchange: Exchange) -> None:
    outcome = taken(exchange.codecs, request(b"C", user_ref=3, symbol=b""))
    assert outcome.passed == 1 and not len(outcome.commands)


def test_it_leaves_other_accounts_alone(exchange: Exchange) -> None:
    commands = taken(exchange.codecs, request(b"C", user_ref=9, symbol=b"")).commands
    assert commands["account"].tolist() == [ACCOUNT]
    other = copy.deepcopy(commands)
    other["account"], other["session"] = ACCOUNT + 1, 9
    exchange.apply(other)
    assert len(exchange.machine.orders(1)) == 2


def test_a_packet_without_the_length_of_its_items_is_a_fault(exchange: Exchange) -> None:
    whole = request(b"C", user_ref=9, symbol=b"")
    short = packet(b"U", whole[3:-2])
    assert taken(exchange.codecs, short).fault == "a request of type b'C' with 17 bytes"


def test_a_client_that_was_cut_off_sends_it_again_and_it_is_done_once() -> None:
    async def talk() -> None:
        async with served() as (desk, door):
            client = await Client.logged_in(door)
            client.send(request(b"O", user_ref=1, price=955_000))
            client.send(request(b"C", user_ref=2, symbol=b""))
            said = await client.answers(3)
            assert [one["type"] for one in said] == [b"A", b"C", b"X"]
            await client.close()
            again = await Client.logged_in(door)
            again.send(packet(b"U", b"Q"))
            kind, asked = await again.packet()
            assert kind == b"U" and layout.ANSWERS[b"Q"].packer.unpack(asked)[2] == 3
            again.send(request(b"O", user_ref=3, side=b"S", price=955_000))
            again.send(request(b"C", user_ref=2, symbol=b""))
            again.send(request(b"X", user_ref=3, quantity=0))
            said = await again.answers(2)
            assert [(one["type"], one["user_ref"]) for one in said] == [(b"A", 3), (b"C", 3)]
            assert said[1]["reason"] == b"U"  # by X, not by the mass cancel
            assert door.counts["passed_over"] == 1
            assert desk.reports.last(1) == 5

    run(talk())


def test_a_mass_cancel_of_another_door_is_told_as_an_event() -> None:
    exchange = Exchange()
    exchange.send(*ORDERS)
    commands = taken(exchange.codecs, request(b"C", user_ref=9, symbol=b"")).commands
    commands["client_order_id"], commands["client_order_tail"] = 4711, 0
    commands["session"], commands["side"] = 7, Side.BUY
    reports = exchange.apply(commands)
    said = exchange.codecs[0].packets(reports)
    assert said == exchange.codecs[1].packets(reports)
    assert said[-10:-9] == b"S" and said[-1:] == layout.MASS_CANCELLED
