"""What a database must be able to do to follow a log: the interface of plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import SinkError
from ..journal import Position
from .rows.rows import Rows


class SinkAway(SinkError):
    """The database does not take it now: asking again may help, and does no harm.

    It cannot be reached, is busy, read-only or full, or refused for a reason that is not known to
    last.  ``advice``: what to do if it does not pass, "" if that is not known.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.advice = advice


class Store(Protocol):
    """Rows of one or more shards, each with its position.

    Raises `SinkAway` for what may pass, another `SinkError` for what lasts.  Made by a factory
    `(url: str, identity: bytes, shard: int) -> Store`, registered as an entry point of the group
    ``matchcore.sinks`` under its URL scheme.
    """

    def position(self, shard: int) -> Position | None:
        """The last position written, None when there is none yet."""

    def read(
        self, shard: int, table: str, column: str = "", values: Sequence[int] = ()
    ) -> NDArray[np.void]:
        """Rows of a table (dtype: ``TABLES[table].dtype``): all, or those where a column is one
        of some values.  Asked for `open_orders` and `instruments` at the start, and for
        `daily_bars` by day."""

    def write(self, shard: int, epoch: int, first: int, last: int, rows: Rows) -> None:
        """One transaction: rows that go, rows that come, and the position `(epoch, last)`.

        Skips a batch that is there already (by position, under a lock), refuses an older epoch
        and one that does not follow.
        """

    def close(self) -> None: ...
