"""What one session has sent and what it was told, and whether that fits together."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records.schema import ReportKind, Side
from .flow import BLOCK, ORDER, Source
from .histogram import Histogram

#: A report as a door told it.
#: - ``place``: of the order, below zero if it is none of the session; ``kind``: a `ReportKind`.
#: - ``quantity``, ``price``: of a trade its own, else the order's (0: not told); price x 10,000.
#: - ``filled``: of the order after it, -1: not told. ``symbol``: its place, -1: another one.
#: - ``sequence``, ``part``, ``trade``: what names it in the log, as far as the door tells that.
HEARD = np.dtype(
    [("number", "<u8"), ("kind", "u1"), ("flags", "u1"), ("side", "u1"), ("part", "<u4"),
     ("symbol", "<i2"), ("place", "<i8"), ("quantity", "<i8"), ("price", "<i8"),
     ("filled", "<i8"), ("sequence", "<u8"), ("trade", "<u8")]
)  # fmt: skip
MAKER, PERHAPS = 1, 2  # of ``flags``: the order rested; it may have been told before

#: What is known of an order; ``state`` has the bits below.
STATE = np.dtype([("answers", "u1"), ("state", "u1"), ("filled", "<u4")])
#: The order is done; its cancel was sent, and answered; the other side knows the order.
DONE, ASKED, SETTLED, FOUND = 1, 2, 4, 8
_OVER = DONE | SETTLED


class Ledger:
    """The orders of one session, in the order of their places, and what is known of each.

    - ``total``: how many there will be.
    - ``sent``, ``cancels``: orders and cancels that were sent, each counted once.
    - ``record``: a file that gets every `HEARD` row, or None.
    """

    def __init__(self, source: Source, session: int, total: int, record: int | None = None) -> None:
        self.source, self._session, self.total = source, session, total
        self._record = record
        self._made = 0
        self.orders = np.zeros(0, ORDER)
        self.states = np.zeros(0, STATE)
        self.sent = self.cancels = 0
        self._cancelled_to = 0  # orders before this place were cancelled, or were done
        self._waiting_cancels = self.answered = 0
        self.counts = dict.fromkeys(
            ("accepted", "refused", "executions", "cancelled", "twice", "wrong", "strangers"), 0
        )
        self.first_wrong = ""
        self.latency = Histogram()

    # ------------------------------------------------------------------ sending

    def take(self, count: int) -> NDArray[np.void]:
        """The next orders to send, which count as sent from now on."""
        first = self.sent
        self.sent = min(self.total, first + count)
        self._make(self.sent)
        return self.orders[first : self.sent]

    def _make(self, count: int) -> None:
        """Orders up to this place."""
        while self._made < count:
            block = self.source.block(self._session, self._made // BLOCK)
            if self._made + len(block) > len(self.orders):
                more = max(BLOCK, len(self.orders), len(block))
                self.orders = np.concatenate([self.orders, np.zeros(more, ORDER)])
                self.states = np.concatenate([self.states, np.zeros(more, STATE)])
            self.orders[self._made : self._made + len(block)] = block
            self._made += len(block)

    def heard_of(self, count: int) -> None:
        """So many orders had been sent before, as the other side knows."""
        if count > self.sent:
            self.sent = min(count, self.total)
            self._make(self.sent)

    def take_cancels(self) -> NDArray[np.int64]:
        """Places of old orders that are still open; their cancels count as sent from now on."""
        upto = self.sent - self.source.open if self.source.open else 0
        if upto <= self._cancelled_to:
            return np.zeros(0, np.int64)
        first, self._cancelled_to = self._cancelled_to, upto
        states = self.states["state"][first:upto]
        open_ones = np.flatnonzero((states & _OVER) == 0)
        states[open_ones] |= ASKED
        self.cancels += len(open_ones)
        self._waiting_cancels += len(open_ones)
        return open_ones + first

    @property
    def waiting(self) -> int:
        """Requests that were sent and have no answer."""
        return self.sent - self.answered + self._waiting_cancels

    @property
    def finished(self) -> bool:
        """Whether everything was sent, and answered."""
        return self.sent == self.total and not self.waiting

    def unanswered(self) -> NDArray[np.int64]:
        """Places of orders that were sent and have no answer."""
        states = self.states[: self.sent]
        return np.flatnonzero((states["answers"] == 0) & ((states["state"] & FOUND) == 0))

    def unsettled(self) -> NDArray[np.int64]:
        """Places of orders whose cancels were sent and have no answer."""
        return np.flatnonzero((self.states["state"][: self.sent] & (_OVER | ASKED)) == ASKED)

    # ------------------------------------------------------------------ hearing

    def hear(self, said: NDArray[np.void], ages: NDArray[np.int64] | None = None) -> None:
        """Takes reports in the order in which they came.

        ``ages``: for each of them the nanoseconds since its order was due.
        """
        if (said["flags"] & PERHAPS).any():
            said, ages = self._not_told_yet(said), None
        if self._record is not None and len(said):
            os.write(self._record, said.tobytes())
        known = (said["place"] >= 0) & (said["place"] < self.sent)
        self.counts["strangers"] += int(np.count_nonzero(~known))
        if not known.all():
            said, ages = said[known], ages[known] if ages is not None else None
        kinds = said["kind"]
        answers = (kinds == ReportKind.NEW) | (kinds == ReportKind.REJECTED)
        if answers.any():
            self._answers(said[answers], ages[answers] if ages is not None else None)
        if (kinds == ReportKind.TRADE).any():
            self._trades(said[kinds == ReportKind.TRADE])
        ends = kinds == ReportKind.CANCELLED
        if ends.any():
            self.counts["cancelled"] += int(np.count_nonzero(ends))
            self._over(said["place"][ends], DONE)
        if (kinds == ReportKind.CANCEL_REJECTED).any():
            self._over(said["place"][kinds == ReportKind.CANCEL_REJECTED], SETTLED)

    def _answers(self, said: NDArray[np.void], ages: NDArray[np.int64] | None) -> None:
        places, states = said["place"], self.states
        new = states["answers"][places] == 0
        if ages is not None:
            self.latency.add(ages[new])
        found = places[new & ((states["state"][places] & FOUND) == 0)]
        self.answered += len(np.unique(found))
        before = states["answers"][np.unique(places)].astype(np.int64).clip(max=1)
        self.counts["twice"] += len(places) - len(before) + int(before.sum())
        np.add.at(states["answers"], places, 1)
        refused = said["kind"] == ReportKind.REJECTED
        self.counts["refused"] += int(np.count_nonzero(refused))
        self.counts["accepted"] += int(np.count_nonzero(~refused))
        if refused.any():
            self._over(places[refused], DONE)
        news, orders = said[~refused], self.orders[places[~refused]]
        told = news["quantity"] > 0
        for name in ("side", "symbol", "quantity", "price"):
            differs = told & (news[name] != orders[name])
            self._wrong(differs, news, f"{name} is not that of the order")

    def _trades(self, said: NDArray[np.void]) -> None:
        places = said["place"]
        self.counts["executions"] += len(places)
        np.add.at(self.states["filled"], places, said["quantity"].astype(np.uint32))
        orders, filled = self.orders[places], self.states["filled"][places]
        buys = orders["side"] == Side.BUY
        limits = orders["price"].astype(np.int64)
        worse = np.where(buys, said["price"] > limits, said["price"] < limits)
        self._wrong(worse, said, "the price is worse than the limit")
        self._wrong(filled > orders["quantity"], said, "more was traded than ordered")
        _, last = np.unique(places[::-1], return_index=True)  # after the last trade of each order
        ends = said[::-1][last]
        told = (ends["filled"] >= 0) & (ends["filled"] != self.states["filled"][ends["place"]])
        self._wrong(told, ends, "filled is not the sum of the trades")
        full = filled >= orders["quantity"]
        if full.any():
            self._over(places[full], DONE)

    def _over(self, places: NDArray[np.int64], bit: int) -> None:
        """Orders that are done, or whose cancels were answered."""
        places = np.unique(places)
        states = self.states["state"]
        settled = (states[places] & (_OVER | ASKED)) == ASKED
        self._waiting_cancels -= int(np.count_nonzero(settled))
        states[places] |= bit

    def settle(self, place: int) -> None:
        """The cancel of an order was answered without a report."""
        if 0 <= place < self.sent:
            self._over(np.array([place]), SETTLED)

    def find(self, place: int) -> None:
        """The other side knows the order, and does not tell its first answer again."""
        if 0 <= place < self.sent and not self.states["state"][place] & FOUND:
            self.answered += int(self.states["answers"][place] == 0)
            self.states["state"][place] |= FOUND

    def refuse(self, place: int, age: int) -> None:
        """The order was refused by a door, which is no report."""
        if 0 <= place < self.sent:
            row = np.zeros(1, HEARD)
            row["place"], row["kind"] = place, ReportKind.REJECTED
            record, self._record = self._record, None
            self.hear(row, np.array([age], np.int64))
            self._record = record

    def _not_told_yet(self, said: NDArray[np.void]) -> NDArray[np.void]:
        """Without what was told before, or earlier in these rows."""
        news, filled, heard = list[np.void](), dict[int, int](), set[tuple[int, int]]()
        for row in said:
            place, kind, again = int(row["place"]), int(row["kind"]), bool(row["flags"] & PERHAPS)
            row = row.copy()
            row["flags"] &= ~PERHAPS & 0xFF
            if again and 0 <= place < self.sent:
                earlier = (place, kind) in heard and kind != ReportKind.TRADE
                told = 0 <= int(row["filled"]) <= filled.get(place, 0)
                if earlier or self._was_told(row, self.states[place]):
                    continue
                if kind == ReportKind.TRADE and told:
                    continue
            heard.add((place, kind))
            if kind == ReportKind.TRADE:
                filled[place] = max(filled.get(place, 0), int(row["filled"]))
            news.append(row)
        return np.array(news, HEARD)

    @staticmethod
    def _was_told(row: np.void, state: np.void) -> bool:
        kind = int(row["kind"])
        if kind in (ReportKind.NEW, ReportKind.REJECTED):
            return bool(state["answers"])
        if kind == ReportKind.TRADE:
            return 0 <= int(row["filled"]) <= int(state["filled"])
        return bool(state["state"] & _OVER)

    def _wrong(self, which: NDArray[np.bool_], said: NDArray[np.void], what: str) -> None:
        if which.any():
            self.counts["wrong"] += int(np.count_nonzero(which))
            one = said[np.flatnonzero(which)[0]]
            place = int(one["place"])
            order = {name: int(self.orders[place][name]) for name in ORDER.names or ()}
            self.first_wrong = self.first_wrong or f"order {place}, {order}: {what}: {_plain(one)}"

    # ------------------------------------------------------------------ the result

    @property
    def missing(self) -> int:
        """Orders without an answer."""
        return len(self.unanswered())

    def figures(self) -> dict[str, int]:
        """What was sent and heard, as counts."""
        return {
            "orders": self.sent, "cancels": self.cancels, **self.counts,
            "missing": self.missing, "cancels_missing": len(self.unsettled()),
            "found": int(np.count_nonzero(self._found())),
            "not_sent": self.total - self.sent,
        }  # fmt: skip

    def _found(self) -> NDArray[np.bool_]:
        states = self.states[: self.sent]
        return ((states["state"] & FOUND) != 0) & (states["answers"] == 0)  # type: ignore[no-any-return]  # NumPy's comparisons of fields


def _plain(row: np.void) -> dict[str, Any]:
    return {name: int(row[name]) for name in HEARD.names or () if name not in ("number", "place")}
