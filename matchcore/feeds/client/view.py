"""What a client hands out, and the books that it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import FeedError
from ...records.instruments import Directory, Instrument
from ..books import Books
from ..states import States
from ..stream import Changes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The books behind the change ``number``, of ``epoch``.

    ``instruments``: by number - 1.  ``rows``: a `CHANGE` array that adds every resting order, by
    instrument, side, level and age; without times.  ``states``: a `CHANGE` array of what the market
    in each instrument is, as `States.rows`.  ``statistics``: for a relay, as
    `matchcore.feeds.saving.to_bytes`.
    """

    number: int
    epoch: int
    instruments: list[Instrument]
    rows: NDArray[np.void]
    states: NDArray[np.void]
    statistics: bytes = b""


Item: TypeAlias = Changes | Snapshot


class View:
    """Books and instruments, kept by a snapshot and changes or by all changes from the first."""

    def __init__(self, first: int, *, by_order: bool = False) -> None:
        self._by_order = by_order  # the changes lack what the books know
        self.number = first - 1  # of the last change in it
        self.instruments = Directory()
        self.states = States()
        self._books = Books(self.instruments) if first == 1 else None

    @property
    def books(self) -> Books:
        """`FeedError` for a client that began in the middle, without a snapshot."""
        if self._books is None:
            raise FeedError("no books: a client has them from a snapshot or from number 1 on")
        return self._books

    def apply(self, item: Item) -> Item:
        """Takes the next item in, and returns it with what it lacked.  `FeedError` if the books
        cannot be right."""
        if isinstance(item, Snapshot):
            self.instruments = Directory(item.instruments)
            self._books = Books(self.instruments)
            self.states = States(item.states)
            self.number = item.number
        else:
            self.define(item)
        if self._books is None:
            return item
        if self._by_order:
            return replace(item, rows=self._books.complete(item.rows))
        self._books.apply(item.rows)
        return item

    def define(self, changes: Changes) -> None:
        """Takes in what changes say about instruments, and their last number."""
        self.number = changes.last
        self.states.apply(changes.rows)
        if changes.defined is None or self._books is None:
            return
        number = int(changes.rows["instrument"][-1])
        if number <= len(self.instruments):
            self.instruments.replace(number, changes.defined)
        elif number != self.instruments.add(changes.defined):
            raise FeedError(f"instrument {number} is defined before {len(self.instruments)}")
