"""Drop copies: reports of the orders of some accounts, of all sessions in one stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records.reports import REPORT, ReportFlag
from ._spool import Spool

CHUNK = 1024  # reports of one stream at a time


class Copy(NamedTuple):
    """``stream``: of the spool; ``accounts``: None: all."""

    stream: int
    accounts: tuple[int, ...] | None


def wanted(reports: NDArray[np.void], accounts: Sequence[int] | None) -> NDArray[np.void]:
    """Those that a copy has, as a new array: of an order with two readers the owner's one."""
    chosen = (reports["flags"] & ReportFlag.COPY) == 0
    if accounts is not None:
        chosen &= np.isin(reports["account"], np.array(accounts, np.uint64))
    mine: NDArray[np.void] = reports[chosen]
    return mine


def merged(spool: Spool, streams: Sequence[int]) -> Iterator[NDArray[np.void]]:
    """The reports of streams in the order of the log, piece by piece."""
    at = dict.fromkeys(streams, 1)
    chunk = CHUNK
    while at:
        heads = {stream: spool.read(stream, first, chunk) for stream, first in at.items()}
        full = [int(rows["sequence"][-1]) for rows in heads.values() if len(rows) == chunk]
        end = min(full, default=None)  # what comes before it is complete
        pieces = []
        for stream, rows in heads.items():
            taken = rows if end is None else rows[rows["sequence"] < end]
            pieces.append(taken)
            at[stream] += len(taken)
        piece = np.concatenate(pieces) if pieces else np.empty(0, REPORT)
        if end is None:
            at = {}
        elif not len(piece):  # one command with more reports than that
            chunk *= 2
            continue
        else:
            chunk = CHUNK
        rests = (piece["flags"] & ReportFlag.MAKER) == 0
        yield piece[np.lexsort((rests, piece["part"], piece["sequence"]))]
