"""The compiled codec and the plain one: the same of any bytes and any report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore import COMMAND, Directory, Instrument
from matchcore.gateways.fix import _frames, plain
from matchcore.gateways.fix._orders import Orders
from matchcore.gateways.fix._reports import Reports
from matchcore.gateways.fix.layout import ORIGINAL
from matchcore.gateways.fix.plain import SessionFault, build, find, moment, split, time_text
from matchcore.gateways.fix.plain_reports import Plain
from matchcore.gateways.fix.reading import Refused, read
from matchcore.gateways.fix.tables import Tables
from matchcore.records.ids import id_of
from matchcore.records.reports import REPORT, report_bytes
from matchcore.records.schema import REPORT_RECORD

NOW = 1_800_000_000 * 10**9
SENT = time_text(NOW, 3)
DIRECTORY = Directory(
    [
        Instrument("ANA", tick="0.05"),
        Instrument("BBVA", tick="0.001", lot=10),
        Instrument("BIG", tick="100"),
        Instrument("FINE", tick="0.000000000000000001"),
    ]
)
TABLES = Tables(lambda: DIRECTORY)
TABLES.refresh()
ACCOUNT = 7

# ---------------------------------------------------------------------- messages in a stream

PIECES = st.sampled_from(
    [b"8=FIX.4.4\x01", b"8=FIX", b"8=", b"9=", b"9=5\x01", b"9=00005\x01", b"9=999999999999\x01",
     b"9=8192\x01", b"9=8193\x01", b"35=0\x01", b"10=000\x01", b"10=161\x01", b"\x01", b"8", b"=",
     build(b"FIX.4.4", b"35=0\x01"), build(b"FIXT.1.1", b"35=0\x0149=A\x01"),
     build(b"FIX.4.4", b"49=A\x01"), build(b"FIX.4.4", b"35=0\x01")[:-3]]
)  # fmt: skip
BYTES = st.lists(PIECES | st.binary(max_size=6), max_size=12).map(b"".join)


@given(BYTES, st.integers(0, 20))
@settings(max_examples=1500, deadline=None)
def test_any_bytes_are_cut_in_the_same_way(data: bytes, at: int) -> None:
    at = min(at, len(data))
    assert _frames.find(data, at) == plain.find(data, at)


@given(BYTES, BYTES)
@settings(deadline=None)
def test_a_whole_message_is_found_behind_anything(before: bytes, behind: bytes) -> None:
    """What is damaged costs at most itself; only a length can hide what follows for a while."""
    good = build(b"FIX.4.4", b"35=1\x01112=x\x01")
    data, at, found = before + b"\x01" + good + b"\x018=FIX" + behind, 0, []
    while True:
        what, begin, end = _frames.find(data, at)
        if what == _frames.PARTIAL:
            break
        if what == _frames.MESSAGE:
            found.append(data[begin:end])
        assert at < end
        at = end
    waiting = _frames.find(data, at)[1] <= len(before) and _frames.find(data, at)[0] == 2
    assert good in found or waiting


def test_a_message_is_found_byte_by_byte() -> None:
    one, two = build(b"FIX.4.4", b"35=0\x01"), build(b"FIX.4.4", b"35=1\x01112=x\x01")
    for size in range(len(one)):
        assert _frames.find(one[:size], 0) == (_frames.PARTIAL, 0, size)
    assert _frames.find(one + two, 0) == (_frames.MESSAGE, 0, len(one))
    assert _frames.find(one + two, len(one)) == (_frames.MESSAGE, len(one), len(one + two))


@pytest.mark.parametrize("length", [b"0", b"4", b"6", b"60", b"8193", b"x", b"", b"-5", b"5 "])
def test_a_length_that_does_not_fit_costs_its_message(length: bytes) -> None:
    good = build(b"FIX.4.4", b"35=0\x01")
    bad = good.replace(b"9=5\x01", b"9=" + length + b"\x01")
    what, begin, end = _frames.find(bad + good, 0)
    assert (what, begin) == (_frames.GARBLED, 0)
    assert _frames.find(bad + good, end)[:2] == (_frames.MESSAGE, len(bad))


@pytest.mark.parametrize("zeros", range(10))
def test_a_length_may_have_leading_zeros(zeros: int) -> None:
    """jspurefix writes seven digits."""
    body = b"8=FIX.4.4\x019=" + b"0" * zeros + b"5\x0135=0\x01"
    message = body + b"10=%03d\x01" % (sum(body) & 255)
    expected = _frames.MESSAGE if zeros < 9 else _frames.GARBLED
    for search in (_frames.find, find):
        assert search(message, 0)[0] == expected


# ---------------------------------------------------------------------- orders

IDS = st.sampled_from(["1", "17", "007", "A-1", "x" * 20, "x" * 21, "9" * 18, "9" * 19, "é", "0"])
FIELDS: dict[int, st.SearchStrategy[Any]] = {
    35: st.sampled_from("DFGDFGDFGqH0"),
    11: IDS,
    41: IDS,
    1: st.sampled_from(["7", "0", "", "x", "9" * 18, "9" * 19]),
    55: st.sampled_from(["ANA", "BBVA", "BIG", "FINE", "NONE"]),
    54: st.sampled_from(["1", "2", "5", "x", "12"]),
    38: st.sampled_from(["10", "1", "0", "-1", "1.0", "1.5", "x", "9" * 18, "9" * 19, "007"]),
    40: st.sampled_from(["2", "1", "3", "P", "22"]),
    44: st.sampled_from(["1.00", "1", "-1.05", ".05", "1.", "0.01", "1.0500", "100", "x", "-", "",
                         "1e2", "9" * 18, "9" * 19, "1.000000000000000001", "9223372036854775.807",
                         "0.05.", "+1", "007.10"]),
    59: st.sampled_from(["0", "1", "3", "4", "6", "x", "10"]),
    60: st.sampled_from([SENT.decode(), "20270115-08:00:00", "20270115-08:00:00.123456789",
                         "20270115-08:00:00.", "20271315-08:00:00", "x"]),
    18: st.sampled_from(["6", "1", "6 1"]),
    21: st.just("1"),
    58: st.just("text"),
    99: st.just("1"),
    453: st.just("1"),
    43: st.sampled_from(["Y", "N"]),
    99999: st.just("large tag"),
}  # fmt: skip
USUAL = {35: "D", 11: "17", 55: "ANA", 54: "1", 38: "10", 40: "2", 44: "1.00", 60: SENT.decode()}
ORDERS = st.fixed_dictionaries({}, optional=FIELDS).map(lambda changed: {**USUAL, **changed})


def message(values: dict[int, Any], number: int = 5, gone: int = 0) -> bytes:
    head = [(35, values[35]), (49, "ALICE"), (56, "MC"), (34, number), (52, SENT.decode())]
    body = [*head, *((tag, value) for tag, value in values.items() if tag not in (35, gone))]
    text = "".join(f"{tag}={value}\x01" for tag, value in body)
    return build(b"FIX.4.4", text.encode("utf-8"))


def reader() -> Orders:
    return Orders(b"FIX.4.4", b"ALICE", b"MC", TABLES.by_symbol, ACCOUNT)


def quick(data: bytes, expected: int = 5, rows: int = 4) -> tuple[int, int, Any, Any]:
    commands, originals = np.zeros(rows, COMMAND), np.zeros(rows, ORIGINAL)
    count, at = reader().read(data, 0, expected, NOW, 10**9, commands, originals)
    return count, at, commands, originals


@given(ORDERS, st.sampled_from([0, 0, 11, 55, 54, 38, 40, 44, 60]))
@settings(max_examples=2000, deadline=None)
def test_what_is_read_quickly_is_read_in_the_same_way(values: dict[int, Any], gone: int) -> None:
    data = message(values, gone=gone)
    count, at, commands, originals = quick(data)
    if not count:
        assert at == 0 and not commands.view(np.uint8).any()
        return
    said = split(data)
    assert at == len(data) and said.fault is None
    slow, original = np.zeros(1, COMMAND), np.zeros(1, ORIGINAL)
    read(said, TABLES, ACCOUNT, slow[0], original[0])
    assert slow[0] == commands[0] and original[0] == originals[0]


@pytest.mark.parametrize(
    "changed",
    [{}, {1: "9"}, {35: "F", 41: "16"}, {35: "G", 41: "x-1"}, {40: "1", 44: None}, {18: "6"},
     {11: "A-1"}, {11: "x" * 20}, {44: "-1.05"}, {55: "BBVA", 44: "12.345"}, {59: "3"}, {21: "1"},
     {58: "a text", 453: "1", 448: "X"}, {38: "9" * 18}, {55: "FINE", 44: "0.1"}],
)  # fmt: skip
def test_plain_orders_are_read_quickly(changed: dict[int, Any]) -> None:
    values = {tag: value for tag, value in {**USUAL, **changed}.items() if value is not None}
    assert quick(message(values))[0] == 1


def test_reading_stops_at_a_surprise() -> None:
    first, second = message(USUAL, 5), message({**USUAL, 11: "18"}, 6)
    other = message({**USUAL, 35: "0"}, 7)
    count, at, commands, _ = quick(first + second + other)
    assert (count, at) == (2, len(first + second))
    assert commands["client_order_id"].tolist() == [17, 18, 0, 0]
    assert quick(first + second, rows=1)[:2] == (1, len(first))
    assert quick(second)[0] == 0  # not the next number
    assert quick(b"x" + first)[0] == 0
    assert quick(first[:-1])[0] == 0
    assert quick(first.replace(b"49=ALICE", b"49=ALICF"))[0] == 0


@given(st.binary(max_size=200), st.integers(0, 3))
@settings(deadline=None)
def test_any_bytes_in_an_order_are_read_or_left(junk: bytes, place: int) -> None:
    body = message(USUAL)[len(b"8=FIX.4.4\x019=100\x01") : -7]
    at = (0, 40, 80, len(body))[place]
    data = build(b"FIX.4.4", body[:at] + junk + body[at:])
    count, _, commands, originals = quick(data)
    said = split(data)
    slow, original = np.zeros(1, COMMAND), np.zeros(1, ORIGINAL)
    try:
        if said.kind in ("D", "F", "G"):
            read(said, TABLES, ACCOUNT, slow[0], original[0])
    except (SessionFault, Refused):
        assert not count
    if count:
        assert said.fault is None
        assert slow[0] == commands[0] and original[0] == originals[0]


@given(st.binary(max_size=30) | st.from_regex(rb"[0-9]{8}-[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"))
@settings(deadline=None)
def test_times_are_read_in_the_same_way(text: bytes) -> None:
    """By way of SendingTime, which has to be the time to be read quickly."""
    known = moment(text)
    data = build(b"FIX.4.4", message(USUAL)[19:-7].replace(b"60=" + SENT, b"60=" + text))
    if b"\x01" not in text:
        assert quick(data)[0] == (known is not None)


def test_times_are_written_and_read() -> None:
    for time in (
        0,
        951_782_399_999_999_999,
        951_782_400 * 10**9,
        NOW,
        253_402_300_799 * 10**9 % 2**62,
    ):
        for digits in range(10):
            text = time_text(time, digits)
            assert moment(text) == time // 10 ** (9 - digits) * 10 ** (9 - digits)


# ---------------------------------------------------------------------- reports

WIDE = st.integers(0, 2**63 - 1) | st.integers(0, 1000)
SIGNED = st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000)


@st.composite
def report(draw: st.DrawFn) -> bytes:
    values: dict[str, int] = {}
    for name, kind, _ in REPORT_RECORD.fields():
        values[name] = draw(
            SIGNED if kind == "i64" else WIDE if kind == "u64" else st.integers(0, 5)
        )
    values["time"] = draw(st.integers(0, NOW + 10**9))
    values["kind"] = draw(st.integers(0, 16))
    for name in ("order_type", "time_in_force", "flags"):
        values[name] = draw(st.integers(0, 31))
    values["turnover_high"] = draw(st.integers(-(2**40), 2**40) | st.integers(-1, 0))
    values["reason"] = draw(st.integers(0, 255))
    values["field"] = draw(st.integers(0, 255))
    for name in ("client_order", "original"):
        id, tail = id_of(draw(st.sampled_from(["1", "A-1", "x" * 20, "12345"])))
        if draw(st.booleans()):
            values[f"{name}_id"], values[f"{name}_tail"] = id, tail
        else:
            values[f"{name}_id"] = values[f"{name}_tail"] = 0
    if values["kind"] in (8, 9) and not values["client_order_id"]:
        values["client_order_id"] = 1
    return report_bytes(values)


@given(
    st.lists(report(), min_size=1, max_size=4), st.integers(1, 10**9), st.booleans(),
    st.booleans(), st.booleans(), st.booleans(), st.integers(0, 9),
)  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_reports_are_written_in_the_same_way(
    rows: list[bytes],
    first: int,
    again: bool,
    perhaps: bool,
    status: bool,
    modern: bool,
    digits: int,
) -> None:
    reports = np.frombuffer(b"".join(rows), REPORT)
    begin = b"FIXT.1.1" if modern else b"FIX.4.4"
    arguments = (begin, b"MC", b"ALICE", digits, modern, TABLES.by_number)
    how = {"again": again, "perhaps": perhaps, "status": status, "extra": b"\x01790=x"}
    text = Reports(*arguments).write(reports, first, NOW, **how)
    assert text == Plain(*arguments).write(reports, first, NOW, **how)
    at, count = 0, 0
    while at < len(text):
        what, begin_at, at = _frames.find(text, at)
        assert what == _frames.MESSAGE and begin_at <= at
        assert split(text[begin_at:at]).fault is None
        count += 1
    assert count == len(rows)


def test_an_average_price_is_rounded_once() -> None:
    ana = (5, 2)
    assert plain.average(0, 0, *ana) == b"0"
    assert plain.average(20 * 4, 4, *ana) == b"1.00"
    assert plain.average(20 * 1 + 21 * 2, 3, *ana) == b"1.033333"
    assert plain.average(-20 * 1 - 21 * 2, 3, *ana) == b"-1.033333"
    assert plain.average(1, 3, 1, 0) == b"0.3333"
    assert plain.average(2, 3, 1, 0) == b"0.6667"
    assert plain.average(7, 1, 100, 0) == b"700"
