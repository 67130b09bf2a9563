"""What a machine remembers of commands that their clients may send again.

The limits, the records of a state, and what such records must be.  The window itself is in
`core/dedup.pxd`, and in `reference/dedup.py`; the rules are in docs/idempotence.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import SnapshotDamaged
from ..records.schema import ANSWER_RECORD, EventKind, Field, Reason

ANSWERS_PER_ACCOUNT = 1024
ANSWERS_MAX = 2**18
EVENTS_KEPT = 16  # of an answer: the first fifteen, and its last
LIMITS = ANSWERS_PER_ACCOUNT, ANSWERS_MAX, EVENTS_KEPT

#: One answer as states and snapshots hold it: whose, to the command of which client order id,
#: at which sequence, and how many events it had.  32 bytes.
ANSWER = np.dtype(ANSWER_RECORD.dtype_spec())

#: event kind -> kinds that may stand behind it in one answer
_FOLLOWERS = {
    EventKind.ACCEPTED: (EventKind.TRADED, EventKind.CANCELLED),
    EventKind.TRADED: (EventKind.TRADED, EventKind.CANCELLED),
    EventKind.AMENDED: (EventKind.TRADED,),
    EventKind.CANCELLED: (EventKind.CANCELLED, EventKind.MASS_CANCELLED),
}
_FIRST = (EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.AMENDED, EventKind.REJECTED,
          EventKind.MASS_CANCELLED)  # fmt: skip


def _require(fine: object, what: str) -> None:
    if not fine:
        raise SnapshotDamaged(f"remembered answers: {what}")


def check(
    answers: NDArray[np.void], events: NDArray[np.void], sequence: int, markets: bool = False
) -> None:
    """`SnapshotDamaged` for answers that no exchange can remember at this sequence.

    ``markets``: whether an instrument has a market, whose answers tell of other orders, too.
    """
    _require(len(answers) <= ANSWERS_MAX, f"{len(answers)}, {ANSWERS_MAX} at most")
    kept = np.minimum(answers["events"], EVENTS_KEPT)
    _require((kept > 0).all(), "one without events")
    _require(int(kept.sum()) == len(events), f"{len(events)} events, they have {int(kept.sum())}")
    if not len(answers):
        return
    at = answers["sequence"]
    _require(at[0] > 0 and (at[1:] > at[:-1]).all(), "not in the order of their sequences")
    _require(at[-1] <= sequence, f"one of sequence {at[-1]}, of {sequence}")
    _require((answers["client_order_id"] > 0).all(), "one to a command without a client order id")
    order = np.lexsort((answers["client_order_id"], answers["account"]))
    account, client = answers["account"][order], answers["client_order_id"][order]
    same = (account[1:] == account[:-1]) & (client[1:] == client[:-1])
    _require(not same.any(), "two to the same command")
    most = np.unique(account, return_counts=True)[1].max()
    _require(most <= ANSWERS_PER_ACCOUNT, f"{most} of one account, {ANSWERS_PER_ACCOUNT} at most")
    _check_events(answers, events, kept, markets)


def _check_events(
    answers: NDArray[np.void], events: NDArray[np.void], kept: NDArray[np.uint64], markets: bool
) -> None:
    first = np.zeros(len(events), bool)
    first[np.cumsum(kept).astype(np.int64) - kept.astype(np.int64)] = True
    told = events["sequence"] == np.repeat(answers["sequence"], kept.astype(np.int64))
    _require(told.all(), "an event of another sequence")
    kinds = events["kind"]
    trades = kinds == EventKind.TRADED
    if markets:
        _require(np.isin(kinds, [*EventKind]).all(), "an unknown kind")
    else:
        _check_plain(events, first, kept)
        _require(((events["trade_id"] > 0) == trades).all(), "a trade without id, or an id without")
        _require((events["left"] >= 0).all(), "less than nothing")
    untaken = events["taker_left"] == 0
    _require(markets or (trades | untaken).all(), "what a taker has left, without a trade")
    _require((events["taker_left"] >= 0).all(), "less than nothing")
    _require(np.isin(events["reason"], [*Reason]).all(), "an unknown reason")
    _require(np.isin(events["field"], [*Field]).all(), "an unknown field")
    refused = kinds == EventKind.REJECTED
    _require(((events["field"] > 0) == refused).all(), "a field without a refusal")
    _require((refused | (events["side"] <= 2)).all(), "an unknown side")


def _check_plain(
    events: NDArray[np.void], first: NDArray[np.bool_], kept: NDArray[np.uint64]
) -> None:
    """What holds of answers of instruments without a market: which event may follow which."""
    kinds = events["kind"]
    trades = kinds == EventKind.TRADED
    _require(np.isin(kinds[first], _FIRST).all(), "one that begins as no answer does")
    before, after, goes_on = kinds[:-1], kinds[1:], ~first[1:]
    allowed = np.zeros(len(goes_on), bool)
    for kind, followers in _FOLLOWERS.items():
        allowed |= (before == kind) & np.isin(after, followers)
    _require((allowed | ~goes_on).all(), "an event that cannot follow the one before it")
    head = np.repeat(np.flatnonzero(first), kept.astype(np.int64))
    for name, of in (("taker_order_id", "order_id"), ("taker_account", "account")):
        taker = np.where(trades, events[of][head], 0)
        _require((events[name] == taker).all(), "a taker that is not the answer's order")
