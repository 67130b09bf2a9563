"""The compiled codec against the plain one, and what both say of single messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ouch_kit import answers, items, message, packet, request

from matchcore import Instrument, Kind, Machine, OrderType, Side, TimeInForce
from matchcore.gateways.ouch import layout, names, reference
from matchcore.gateways.ouch._listing import Listing
from matchcore.gateways.ouch._ouch import Codec
from matchcore.records.commands import COMMAND
from matchcore.records.instruments import Directory, write_instrument
from matchcore.records.reports import REPORT, OrderStatus, ReportKind
from matchcore.records.schema import Reason
from matchcore.reports.reference import Reports

INSTRUMENTS = [
    Instrument("ANA", "0.05", lot=1),
    Instrument("LONGSYMBOL", "0.01"),
    Instrument("FINE", "0.0000001"),
    Instrument("ROUND", "1000"),
    Instrument("HUGE", str(2**62)),
]
SESSION, DAY, ACCOUNT = 7, 3, 42


def both() -> tuple[Codec, reference.Codec]:
    return (
        Codec(SESSION, DAY, ACCOUNT, Listing(INSTRUMENTS)),
        reference.Codec(SESSION, DAY, ACCOUNT, reference.Listing(INSTRUMENTS)),
    )


def taken(codecs: tuple[Codec, reference.Codec], data: bytes) -> reference.Taken:
    """What both take."""
    fast, plain = (codec.take(data) for codec in codecs)
    assert fast.commands.tobytes() == plain.commands.tobytes()
    assert fast[:1] + fast[2:] == plain[:1] + plain[2:]
    assert codecs[0].last_ref == codecs[1].last_ref and len(codecs[0]) == len(codecs[1])
    return fast


def told(codecs: tuple[Codec, reference.Codec], reports: Any) -> list[dict[str, Any]]:
    """What both say, after both have followed it."""
    for codec in codecs:
        codec.note(reports)
    fast, plain = (codec.packets(reports) for codec in codecs)
    assert fast == plain
    assert codecs[0].last_ref == codecs[1].last_ref and len(codecs[0]) == len(codecs[1])
    return answers(fast)


class Exchange:
    """A machine, its reports, and both codecs of one session."""

    def __init__(self) -> None:
        self.machine, self.reports, self.codecs = Machine(), Reports(), both()
        self.sequence = 0
        rows = np.zeros(len(INSTRUMENTS), COMMAND)
        for row, instrument in zip(rows.view(self._layout()), INSTRUMENTS, strict=True):
            row["kind"] = Kind.ADD_INSTRUMENT
            write_instrument(row, instrument)
        self.apply(rows)
        self.reports.day = DAY

    @staticmethod
    def _layout() -> np.dtype[Any]:
        from matchcore import INSTRUMENT

        return INSTRUMENT

    def apply(self, commands: Any) -> Any:
        return self.reports.apply(commands, self.machine.apply(commands))

    def send(self, *requests: bytes) -> list[dict[str, Any]]:
        commands = taken(self.codecs, b"".join(requests)).commands
        commands["session"] = SESSION
        commands["time"] = 86_400 * 10**9 * 20_000 + 12
        return told(self.codecs, self.apply(commands))


# ---------------------------------------------------------------------- what is asked and said


def test_an_order_its_trade_and_its_cancel() -> None:
    exchange = Exchange()
    said = exchange.send(
        request(b"O", user_ref=1, side=b"S", quantity=30, price=955_000, cl_ord_id=b"FIRST-1"),
        request(b"O", user_ref=2, side=b"B", quantity=10, price=955_000, cl_ord_id=b"b"),
        request(b"X", user_ref=1, quantity=0),
    )
    assert [one["type"] for one in said] == [b"A", b"A", b"E", b"E", b"C"]
    accepted = said[0]
    scope = names.scope_of(SESSION, DAY)
    assert accepted == {
        "type": b"A", "time": 12, "user_ref": 1, "side": b"S", "quantity": 30, "symbol": b"ANA",
        "price": 955_000, "time_in_force": b"0", "display": b"Y", "capacity": b"O", "sweep": b"N",
        "order_reference": names.order_id(scope, 1), "cross": b"N", "state": b"L",
        "cl_ord_id": b"FIRST-1", "items": {},
    }  # fmt: skip
    made, took = said[2:4]
    assert (made["user_ref"], made["liquidity"], took["user_ref"], took["liquidity"]) == (
        1, b"A", 2, b"R",
    )  # fmt: skip
    assert made["quantity"] == took["quantity"] == 10 and made["match"] == took["match"] == 1
    assert (said[4]["user_ref"], said[4]["quantity"], said[4]["reason"]) == (1, 20, b"U")
    assert len(exchange.codecs[0]) == 0


def test_replace_is_inclusive_of_what_has_traded() -> None:
    exchange = Exchange()
    exchange.send(request(b"O", user_ref=1, side=b"S", quantity=30, price=955_000))
    exchange.send(request(b"O", user_ref=2, side=b"B", quantity=10, price=955_000))
    (replaced,) = exchange.send(
        request(b"U", original_ref=1, user_ref=3, quantity=50, price=960_000, cl_ord_id=b"NEXT")
    )
    assert replaced["type"] == b"U"
    assert (replaced["original_ref"], replaced["user_ref"]) == (1, 3)
    assert (replaced["quantity"], replaced["price"], replaced["cl_ord_id"]) == (
        50,
        960_000,
        b"NEXT",
    )
    (late,) = exchange.send(request(b"X", user_ref=1, quantity=0))
    assert (late["type"], late["user_ref"]) == (b"I", 1)
    (gone,) = exchange.send(request(b"X", user_ref=3, quantity=0))
    assert (gone["type"], gone["user_ref"], gone["quantity"]) == (b"C", 3, 40)


def test_cancels_of_parts_under_way_add_up() -> None:
    exchange = Exchange()
    said = exchange.send(
        request(b"O", user_ref=1, quantity=100),
        request(b"X", user_ref=1, quantity=80),
        request(b"X", user_ref=1, quantity=80),
        request(b"M", user_ref=1, side=b"B", quantity=50),
        request(b"X", user_ref=1, quantity=20),
        request(b"X", user_ref=1, quantity=500),
        request(b"M", user_ref=1, side=b"S", quantity=10),
    )
    assert [(one["type"], one.get("quantity")) for one in said] == [
        (b"A", 100), (b"C", 20), (b"M", 50), (b"C", 30), (b"I", None),
    ]  # fmt: skip
    assert int(exchange.machine.orders(1)["quantity"][0]) == 20


def test_a_refused_replace_leaves_the_order_as_it_was() -> None:
    exchange = Exchange()
    said = exchange.send(
        request(b"O", user_ref=1, quantity=100),
        request(b"U", original_ref=1, user_ref=2, quantity=300, price=10_001, cl_ord_id=b"X"),
        request(b"X", user_ref=2, quantity=50),
        request(b"U", original_ref=9, user_ref=4, quantity=300),
        request(b"U", original_ref=1, user_ref=5, quantity=300, time_in_force=b"3"),
    )
    assert [(one["type"], one["user_ref"]) for one in said] == [
        (b"A", 1), (b"J", 2), (b"C", 2), (b"J", 4), (b"J", 5),
    ]  # fmt: skip
    assert said[1]["reason"] == layout.NO_REPLACE and said[1]["cl_ord_id"] == b"X"


def test_numbers_that_do_not_rise_are_passed_over() -> None:
    exchange = Exchange()
    first = exchange.send(request(b"O", user_ref=5), request(b"O", user_ref=5),
                          request(b"O", user_ref=4), request(b"O", user_ref=0),
                          request(b"U", original_ref=5, user_ref=5))  # fmt: skip
    assert [one["type"] for one in first] == [b"A"]
    outcome = taken(exchange.codecs, request(b"O", user_ref=3) + request(b"Q"))
    assert (outcome.passed, outcome.queries, len(outcome.commands)) == (1, 1, 0)


REFUSED = [
    ({"symbol": b"NONE"}, layout.BAD_SYMBOL),
    ({"symbol": b"LONGSYMB"}, layout.BAD_SYMBOL),
    ({"side": b"T"}, layout.BAD_SIDE),
    ({"display": b"N"}, layout.BAD_DISPLAY),
    ({"time_in_force": b"6"}, layout.OTHER),
    ({"cross": b"O"}, layout.BAD_CROSS),
    ({"price": 10_001}, layout.BAD_PRICE),
    ({"symbol": b"HUGE", "price": 1}, layout.BAD_PRICE),
    ({"quantity": 0}, layout.BAD_QUANTITY),
    ({"appended": items(min_quantity=b"\0\0\0\5")}, layout.BAD_MIN_QUANTITY),
    ({"appended": b"\1\x63"}, layout.OTHER),
    ({"appended": b"\0"}, layout.OTHER),
    ({"appended": b"\x63\3"}, layout.OTHER),
    ({"appended": items(post_only=b"P") * 2}, layout.OTHER),
    ({"appended": items(client_id=bytes(16))}, layout.OTHER),
    ({"cl_ord_id": b"abcdefghijk"}, layout.OTHER),
    ({"cl_ord_id": b"A B"}, layout.OTHER),
]


@pytest.mark.parametrize(("wrong", "reason"), REFUSED, ids=str)
def test_what_cannot_be_done_is_refused_in_the_log(wrong: dict[str, Any], reason: int) -> None:
    exchange = Exchange()
    (said,) = exchange.send(request(b"O", user_ref=1, **wrong))
    assert (said["type"], said["user_ref"], said["reason"]) == (b"J", 1, reason)
    assert len(exchange.codecs[0]) == 0


def test_orders_that_fields_have_no_room_for() -> None:
    exchange = Exchange()
    ticks = (-5 % 2**64).to_bytes(8, "big")
    many = (2**40).to_bytes(8, "big")
    said = exchange.send(
        request(b"O", items(instrument=b"\0\0\0\2", price=ticks, quantity=many),
                user_ref=1, symbol=b"ANY"),
        request(b"O", items(post_only=b"P"), user_ref=2, symbol=b"FINE", price=3),
        request(b"O", items(price=b"\0" * 7 + b"\7"), user_ref=3, symbol=b"FINE"),
        request(b"O", items(min_quantity=b"\0\0\0\7"), user_ref=4, time_in_force=b"3", quantity=7),
        request(b"O", user_ref=5, price=layout.MARKET_PRICE, time_in_force=b"3"),
    )  # fmt: skip
    first, second, third, fill_or_kill = said[:4]
    assert (first["symbol"], first["price"], first["quantity"]) == (b"LONGSYMB", 0, 2**32 - 1)
    assert first["items"] == {layout.QUANTITY: many, layout.PRICE: ticks,
                              layout.INSTRUMENT: b"\0\0\0\2"}  # fmt: skip
    assert second["price"] == 3 and second["items"] == {layout.POST_ONLY: b"P"}
    assert int(exchange.machine.orders(3)["price"].max()) == 3000
    assert third["items"] == {layout.PRICE: b"\0" * 7 + b"\7"}
    assert fill_or_kill["items"] == {layout.MIN_QUANTITY: b"\0\0\0\7"}
    assert [(one["type"], one.get("reason")) for one in said[4:]] == [
        (b"C", b"I"), (b"A", None), (b"C", b"I"),
    ]  # fmt: skip
    assert said[5]["price"] == layout.MARKET_PRICE


@pytest.mark.parametrize(
    "wrong",
    [packet(b"U"), packet(b"U", b"Z"), packet(b"U", message(b"O", user_ref=1)[:-1]),
     packet(b"U", message(b"O", user_ref=1) + b"x"), b"\0\0", packet(b"U", b"X" * 10),
     packet(b"U", message(b"X", user_ref=1, quantity=1) + b"\0\1")],
    ids=repr,
)  # fmt: skip
def test_what_is_no_request_is_a_fault(wrong: bytes) -> None:
    codecs = both()
    good = request(b"O", user_ref=1) + packet(b"R")
    outcome = taken(codecs, good + wrong + good)
    assert outcome.fault and outcome.size == len(good) and len(outcome.commands) == 1


def test_it_stops_where_others_must_look() -> None:
    codecs = both()
    good = request(b"O", user_ref=1)
    for rest in (packet(b"O"), packet(b"+", b"hello"), good[:-1], good[:2], b"\xff\xffU"):
        outcome = taken(codecs, good + rest)
        assert outcome.size == len(good) and not outcome.fault


def test_a_cancel_that_came_too_early_does_not_stand_for_the_next() -> None:
    exchange = Exchange()
    early = [
        request(b"X", user_ref=1, quantity=0),
        request(b"M", user_ref=1, side=b"B", quantity=7),
    ]
    assert [one["type"] for one in exchange.send(*early)] == [b"I"]  # the second says the same
    exchange.send(request(b"O", user_ref=1, quantity=10))
    wrong = request(b"M", user_ref=1, side=b"S", quantity=7)
    said = exchange.send(wrong, *reversed(early))
    assert [(one["type"], one.get("quantity")) for one in said] == [(b"M", 7), (b"C", 7)]


def test_another_gateway_knows_the_orders_from_the_log() -> None:
    exchange = Exchange()
    exchange.send(request(b"O", user_ref=1), request(b"O", user_ref=2, side=b"S", price=20_000),
                  request(b"U", original_ref=1, user_ref=3, quantity=90),
                  request(b"X", user_ref=2, quantity=50))  # fmt: skip
    exchange.codecs = both()
    for codec in exchange.codecs:
        codec.open(exchange.reports.open_orders(ACCOUNT))
    assert exchange.codecs[0].last_ref == 3 and len(exchange.codecs[0]) == 3
    said = exchange.send(
        request(b"X", user_ref=3, quantity=0), request(b"X", user_ref=2, quantity=0)
    )
    assert [(one["type"], one["user_ref"], one["quantity"]) for one in said] == [
        (b"C", 3, 90), (b"C", 2, 50),
    ]  # fmt: skip


# ---------------------------------------------------------------------- any bytes, any reports

refs = st.integers(0, 12)
quantities = st.sampled_from([0, 1, 5, 50, 100, 2**32 - 1]) | st.integers(0, 200)
texts = st.sampled_from([b"", b"A", b"abc", b"12345678901234", b"TOO-LONG-A-ONE", b"x y"])
appendages = st.none() | st.sampled_from(
    [items(post_only=b"P"), items(min_quantity=b"\0\0\0\5"), items(price=b"\0" * 8), b"\2\2x",
     items(instrument=b"\0\0\0\3"), items(quantity=b"\xff" * 8), b"\5", items(price=b"\xff" * 8),
     items(stop_price=b"\xff" * 8), items(expiry=b"\0" * 7 + b"\1"), items(expiry=b"\xff" * 8),
     items(display_quantity=bytes(8), self_trade=b"\2"), items(display_quantity=b"\xff" * 8),
     items(self_trade=b"\3", stop_price=bytes(8)), items(self_trade=b"\1") * 2,
     items(side=b"B"), items(side=b"?", instrument=b"\0\0\0\1"), items(count=bytes(4)),
     items(stop_price=bytes(8), expiry=bytes(8), display_quantity=bytes(7) + b"\5")]
)  # fmt: skip
choices = st.fixed_dictionaries(
    {
        "letter": st.sampled_from([b"O", b"O", b"O", b"U", b"U", b"X", b"X", b"M", b"C", b"Q"]),
        "appended": appendages,
        "user_ref": refs,
        "original_ref": refs,
        "side": st.sampled_from([b"B", b"S", b"T"]),
        "quantity": quantities,
        "symbol": st.sampled_from([b"ANA", b"ANA", b"FINE", b"ROUND", b"HUGE", b"?"]),
        "price": st.sampled_from([0, 500, 1000, 10**7, 2**64 - 1, layout.MARKET_PRICE]),
        "time_in_force": st.sampled_from([b"0", b"0", b"3", b"5", b"6"]),
        "display": st.sampled_from([b"Y", b"A", b"N"]),
        "cross": st.sampled_from([b"N", b"N", b"N", b"O"]),
        "cl_ord_id": texts,
    }
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(choices, max_size=6), max_size=8))
def test_both_codecs_agree_on_any_flow(batches: list[list[dict[str, Any]]]) -> None:
    exchange = Exchange()
    asked = 0
    for batch in batches:
        last = exchange.codecs[0].last_ref
        requests = [request(**one) for one in batch]
        said = exchange.send(*requests)
        assert all(0 <= one.get("user_ref", 0) <= exchange.codecs[0].last_ref or one["type"] == b"I"
                   for one in said)  # fmt: skip
        asked += exchange.codecs[0].last_ref > last
    live = sum(len(exchange.machine.orders(number)) for number in range(1, len(INSTRUMENTS) + 1))
    assert live <= len(exchange.codecs[0]) <= 2 * live
    again = both()
    for codec in again:
        codec.open(exchange.reports.open_orders(ACCOUNT))
    assert len(again[0]) == len(again[1]) == len(exchange.codecs[0])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=60).map(lambda data: packet(b"U", data)) | st.binary(max_size=9)
                | choices.map(lambda one: request(**one)), max_size=6).map(b"".join))  # fmt: skip
def test_both_codecs_agree_on_any_bytes(data: bytes) -> None:
    outcome = taken(both(), data)
    assert outcome.size <= len(data)


words = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**32, 2**63])
signed = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 1000)
scope = names.scope_of(SESSION, DAY)
name_words = words | st.builds(
    names.request_id, st.integers(0, 3), st.just(scope), refs, st.integers(0, 9)
)
reports = st.fixed_dictionaries(
    {
        "number": st.integers(0, 3), "time": signed, "trade_id": words, "flags": st.integers(0, 7),
        # of a UserRefNum from 1 on: no order is entered with 0, and what holds orders says so
        "order_id": words | st.builds(names.order_id, st.just(scope), st.integers(1, 12)),
        "client_order_id": name_words, "original_id": name_words,
        "client_order_tail": words | st.sampled_from([1, 2000, names.code_of(b"0" * 14)]),
        "price": signed, "last_price": signed, "last_quantity": st.integers(0, 2**63 - 1),
        "quantity": st.integers(0, 2**63 - 1), "left": st.integers(0, 3), "filled": st.just(0),
        "instrument": st.integers(0, 7), "side": st.integers(0, 2),
        "swept": st.none() | st.sampled_from([0, 1, 2, 128, 137]),
        "kind": st.sampled_from(ReportKind), "status": st.sampled_from(OrderStatus),
        "order_type": st.sampled_from([1, 2, 128, 143, 255]),
        "time_in_force": st.integers(0, 4), "reason": st.sampled_from(Reason),
    }
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(reports, max_size=5))
def test_both_codecs_say_the_same_of_any_reports(values: list[dict[str, Any]]) -> None:
    rows = np.zeros(len(values), REPORT)
    for row, one in zip(rows, values, strict=True):
        for name, value in one.items():
            if name != "swept":
                row[name] = value
        if one["swept"] is not None:  # the words of a mass cancel, and the side of its answer
            row["client_order_tail"] = row["client_order_id"] | np.uint64(names.ORDER_BIT)
            if one["kind"] in reference.SWEPT:
                row["side"] = one["swept"]
    told(both(), rows)


@given(st.binary(max_size=14) | st.text(names.WIDE, max_size=14).map(str.encode))
def test_a_cl_ord_id_comes_back_or_has_no_number(text: bytes) -> None:
    code = names.code_of(text)
    if code is not None:
        assert names.text_of(code).rstrip() == text.rstrip(b" \0")
        assert 0 <= code < 2**64


def test_enumerations_that_the_tables_rely_on() -> None:
    assert max(OrderType) < layout.REFUSED_TYPE
    assert {TimeInForce.DAY, TimeInForce.IOC} == set(layout.TIMES.values())
    assert set(layout.SIDES.values()) == set(Side)
    assert len(Directory(INSTRUMENTS)) == len(INSTRUMENTS)
