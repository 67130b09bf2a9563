"""What a session keeps of what it is told, against a plain account of the same; and histograms."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from gateway_kit import ANA
from hypothesis import given
from hypothesis import strategies as st
from traffic_kit import FLOW

from matchcore.gateways.ouch._client import heard
from matchcore.records.schema import ReportKind, Side
from matchcore.serving.soup import packet
from matchcore.traffic.flow import Flow
from matchcore.traffic.histogram import Histogram
from matchcore.traffic.ledger import HEARD, PERHAPS, Ledger

COUNT = 8  # orders
QUANTITY = 5
ORDERS = Flow(("ANA",), 100, 100, 1, quantity=QUANTITY, open=2)
KINDS = (ReportKind.NEW, ReportKind.TRADE, ReportKind.CANCELLED, ReportKind.REJECTED,
         ReportKind.CANCEL_REJECTED)  # fmt: skip


def row(kind: int, place: int, **more: int) -> np.ndarray:
    said = np.zeros(1, HEARD)
    for name, value in {"kind": kind, "place": place, "filled": -1, "price": 100, **more}.items():
        said[name] = value
    if kind == ReportKind.TRADE:
        said["quantity"] = more.get("quantity", 1)
    return said


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(-2, COUNT + 2)), max_size=60),
    st.integers(1, 60),
)
def test_however_reports_are_cut_the_counts_are_those_of_one_after_the_other(
    told: list[tuple[int, int]], cut: int
) -> None:
    ledger = Ledger(ORDERS, 0, COUNT)
    ledger.take(COUNT)
    asked = set(ledger.take_cancels().tolist())
    assert asked == set(range(COUNT - 2)) and ledger.waiting == COUNT + len(asked)
    answers, done, settled = [0] * COUNT, set(), set()
    for kind, place in told:
        if not 0 <= place < COUNT:
            continue
        answers[place] += kind in (ReportKind.NEW, ReportKind.REJECTED)
        if kind in (ReportKind.CANCELLED, ReportKind.REJECTED):
            done.add(place)
        settled |= {place} if kind == ReportKind.CANCEL_REJECTED else set()
    trades = [place for kind, place in told if kind == ReportKind.TRADE and 0 <= place < COUNT]
    done |= {at for at in range(COUNT) if trades.count(at) >= ledger.orders["quantity"][at]}
    rows = [row(*one) for one in told]
    for at in range(0, len(rows), cut):
        ledger.hear(np.concatenate(rows[at : at + cut]))
    figures = ledger.figures()
    assert figures["twice"] == sum(max(0, count - 1) for count in answers)
    assert figures["missing"] == answers.count(0) == len(ledger.unanswered())
    assert set(ledger.unsettled().tolist()) == asked - done - settled
    assert ledger.waiting == figures["missing"] + figures["cancels_missing"]
    assert figures["strangers"] == sum(not 0 <= place < COUNT for _, place in told)
    assert figures["executions"] == len(trades)


def test_what_may_have_been_told_before_counts_once() -> None:
    ledger = Ledger(FLOW, 0, 3)
    orders = ledger.take(3)
    big = int(np.argmax(orders["quantity"]))
    assert orders["quantity"][big] > 2
    limit = int(orders["price"][big])
    news = row(ReportKind.NEW, big)
    trades = [row(ReportKind.TRADE, big, filled=n, price=limit) for n in (1, 2)]
    ledger.hear(np.concatenate([news, *trades]))
    for one in (news, *trades):
        one["flags"] = PERHAPS
    third = row(ReportKind.TRADE, big, filled=3, flags=PERHAPS, price=limit)
    ledger.hear(np.concatenate([news, *trades, third]))
    assert ledger.counts["twice"] == ledger.counts["wrong"] == 0
    assert ledger.counts["executions"] == 3 and ledger.states["filled"][big] == 3


def test_what_comes_again_among_what_it_repeats_counts_once() -> None:
    ledger = Ledger(FLOW, 0, 3)
    big = int(np.argmax(ledger.take(3)["quantity"]))
    limit = int(ledger.orders["price"][big])
    rows = [row(ReportKind.NEW, big)]
    rows += [row(ReportKind.TRADE, big, filled=n, price=limit) for n in (1, 2)]
    again = [one.copy() for one in rows]
    for one in again:
        one["flags"] = PERHAPS
    ledger.hear(np.concatenate([*rows, *again]))
    assert ledger.counts["executions"] == 2 and not ledger.counts["twice"]
    assert ledger.states["filled"][big] == 2


def test_an_order_that_is_found_needs_no_other_answer_and_may_have_it() -> None:
    ledger = Ledger(FLOW, 0, 2)
    ledger.take(2)
    ledger.find(0)
    ledger.find(0)
    assert ledger.waiting == 1 and ledger.missing == 1 and ledger.figures()["found"] == 1
    ledger.hear(row(ReportKind.NEW, 0))
    assert ledger.waiting == 1 and ledger.figures()["found"] == 0
    ledger.refuse(1, 5)
    assert ledger.finished and ledger.counts["refused"] == 1


def test_prices_that_are_worse_than_the_limit_and_sums_that_are_none() -> None:
    ledger = Ledger(FLOW, 0, 100)
    orders = ledger.take(100)
    for side, worse in ((Side.BUY, 1), (Side.SELL, -1)):
        place = int(np.flatnonzero(orders["side"] == side)[0])
        limit = int(orders["price"][place])
        ledger.hear(row(ReportKind.TRADE, place, price=limit - worse))
        before = ledger.counts["wrong"]
        ledger.hear(row(ReportKind.TRADE, place, price=limit + worse))
        assert ledger.counts["wrong"] == before + 1 and "limit" in ledger.first_wrong
    ledger.hear(row(ReportKind.TRADE, 7, price=int(orders["price"][7]), filled=9))
    assert ledger.counts["wrong"] == 3


def test_the_record_has_every_row(tmp_path: Path) -> None:
    file = os.open(tmp_path / "record", os.O_WRONLY | os.O_CREAT)
    ledger = Ledger(FLOW, 0, 3, file)
    ledger.heard_of(2)
    assert ledger.sent == 2 and len(ledger.unanswered()) == 2
    rows = np.concatenate([row(ReportKind.NEW, 0), row(ReportKind.NEW, 99)])
    ledger.hear(rows)
    os.close(file)
    assert (tmp_path / "record").read_bytes() == rows.tobytes()


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=200), st.floats(0.01, 0.999))
def test_the_histogram_is_near(values: list[int], share: float) -> None:
    histogram, other = Histogram(), Histogram()
    histogram.add(np.array(values[:50], np.int64))
    other.add(np.array(values[50:], np.int64))
    histogram.take(other)
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert exact * 0.98 <= histogram.at(share) <= exact * 1.03 + 1
    assert histogram.largest == max(values) and histogram.at(1.0) <= max(values)
    assert Histogram().microseconds()["p50"] == 0.0


SAID = [
    (b"S", b"A" + bytes(8) + b"\0\0\0\7B\0\0\0\5ANA     " + (9).to_bytes(8, "big") + bytes(30)),
    (b"S", b"U" + bytes(12) + b"\0\0\0\x09S\0\0\0\5ANA     " + (9).to_bytes(8, "big") + bytes(30)),
    (b"S", b"E" + bytes(8) + b"\0\0\0\7\0\0\0\5" + (9).to_bytes(8, "big") + b"A"
     + (3).to_bytes(8, "big") + b"\0\0"),
    (b"S", b"C" + bytes(8) + b"\0\0\0\7\0\0\0\5U"), (b"S", b"I" + bytes(8) + b"\0\0\0\7"),
    (b"S", b"S" + bytes(8) + b"m"), (b"S", b""), (b"S", b"A"),
    (b"H", b""), (b"Z", b""), (b"+", b"text"), (b"J", b"A"),
]  # fmt: skip
SYMBOL = int.from_bytes(ANA.symbol.ljust(8).encode(), "big")
HEARD_OF = {
    0: (b"A", b"B", 7, 5, 9, SYMBOL, 0), 1: (b"U", b"S", 9, 5, 9, SYMBOL, 0),
    2: (b"E", b"\0", 7, 5, 9, 0, 3), 3: (b"C", b"\0", 7, 5, 0, 0, 0),
    4: (b"I", b"\0", 7, 0, 0, 0, 0), 5: (b"S", b"\0", 0, 0, 0, 0, 0),
    6: (b"\0", b"\0", 0, 0, 0, 0, 0), 7: (b"A", b"\0", 0, 0, 0, 0, 0),
    9: (b"Z", b"\0", 0, 0, 0, 0, 0), 11: (b"L", b"\0", 0, 0, 0, 0, 0),
}  # fmt: skip


@given(st.lists(st.integers(0, len(SAID) - 1)), st.integers(0, 40))
def test_what_is_heard(said: list[int], cut: int) -> None:
    data = b"".join(packet(*SAID[at]) for at in said)
    size, rows = heard(bytearray(data + packet(b"S", bytes(60))[:cut]))
    assert size == len(data)
    expected = [HEARD_OF[at] for at in said if at in HEARD_OF]
    assert rows.tolist() == [(one[0][0], one[1][0], *one[2:]) for one in expected]


@given(st.binary(max_size=300))
def test_any_bytes_are_heard(data: bytes) -> None:
    assert heard(data)[0] <= len(data)
