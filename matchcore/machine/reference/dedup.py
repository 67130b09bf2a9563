"""The answers that the reference machine remembers, for commands that are sent again."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...records.events import EVENT, event_bytes
from ...records.schema import EventKind
from ..dedup import ANSWER, ANSWERS_MAX, ANSWERS_PER_ACCOUNT, EVENTS_KEPT, check


class Remembered(NamedTuple):
    """An answer: how many events were said, and the bytes of those that are kept."""

    sequence: int
    said: int
    events: list[bytes]


class Window:
    """The answers of the reference machine, by account and client order id, oldest first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[int, int], Remembered] = OrderedDict()
        self._accounts: dict[int, OrderedDict[int, None]] = {}  # client ids, oldest first

    def again(self, row: dict[str, int], sequence: int) -> list[bytes]:
        """The events that a command sent again is told at this sequence; none if it is new."""
        told = self._answers.get((row["account"], row["client_order_id"]))
        if told is None:
            return []
        echoed = ("instrument", "order_id", "client_order_id", "account", "side")
        head = {name: row[name] for name in echoed} | {
            "sequence": sequence,
            "kind": EventKind.REPEATED,
            "trade_id": told.sequence,
            "quantity": told.said,
            "left": told.said - len(told.events),
        }
        return [event_bytes(head), *told.events]

    def put(self, account: int, client: int, sequence: int, events: list[bytes]) -> None:
        """Remembers an answer; forgets the oldest of its account or of all if they are too many."""
        kept = events if len(events) <= EVENTS_KEPT else [*events[: EVENTS_KEPT - 1], events[-1]]
        self._enter(account, client, Remembered(sequence, len(events), kept))

    def _enter(self, account: int, client: int, answer: Remembered) -> None:
        if len(self._accounts.get(account, ())) == ANSWERS_PER_ACCOUNT:
            self._forget(account)
        elif len(self._answers) == ANSWERS_MAX:
            self._forget(next(iter(self._answers))[0])
        self._answers[account, client] = answer
        self._accounts.setdefault(account, OrderedDict())[client] = None

    def _forget(self, account: int) -> None:
        client, _ = self._accounts[account].popitem(last=False)
        del self._answers[account, client]
        if not self._accounts[account]:
            del self._accounts[account]

    def arrays(self) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """An `ANSWER` array and the `EVENT` array of all kept events, in turn."""
        rows = [(*key, told.sequence, told.said) for key, told in self._answers.items()]
        events = b"".join(event for told in self._answers.values() for event in told.events)
        return np.array(rows, ANSWER), np.frombuffer(bytearray(events), EVENT)

    @classmethod
    def of_arrays(cls, answers: NDArray[np.void], events: NDArray[np.void]) -> Window:
        window, data, at = cls(), events.tobytes(), 0
        for account, client, sequence, count in answers.tolist():
            size = EVENT.itemsize
            end = at + min(count, EVENTS_KEPT) * size
            told = [data[start : start + size] for start in range(at, end, size)]
            window._enter(account, client, Remembered(sequence, count, told))
            at = end
        return window

    def check(self, sequence: int, markets: bool = False) -> None:
        """Asserts every invariant."""
        by_account = {
            (account, client) for account, ids in self._accounts.items() for client in ids
        }
        assert by_account == set(self._answers), "answers and accounts differ"
        assert all(self._accounts.values()), "an account without answers"
        check(*self.arrays(), sequence, markets)
