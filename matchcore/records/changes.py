"""Public changes: what everybody may know of what a command did to the books.

One record for each order that is added, executed, reduced or deleted, in the order in which it
happened, with what is left of its level.  No account and no client order id is in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .schema import CHANGE_RECORD, MARKET_RECORD, NOTICE_RECORD, ChangeFlag, ChangeKind

__all__ = ["CHANGE", "ChangeFlag", "ChangeKind"]

#: One change.  ``sequence`` and ``time`` (nanoseconds) are of the command.  ADDED: ``quantity``
#: units of order ``order_id`` rest at ``price``, last in their level.  EXECUTED: ``quantity``
#: units of it were traded at its price with ``taker_order_id``, as trade ``trade_id``.  REDUCED:
#: it has ``quantity`` units less and keeps its place.  DELETED: the ``quantity`` units that it had
#: are gone.  ``left``: what is shown of the order afterwards; at 0 it is gone.  ``level_quantity``
#: and ``level_orders``: what its level holds afterwards.  ``side``: the order's; the aggressor of
#: a trade has the other one.  An amend that loses its place is a DELETED and, behind the trades
#: of an order that crosses, an ADDED of what is left, both with the flag REPLACING.
#: DEFINED: instrument ``instrument`` is new or has other parameters (mantissa of its tick in
#: ``price``, lot in ``quantity``, largest quantity in ``left``).  DAY_ENDED: of ``instrument``, or
#: of all if it is 0; its cancels stand before it.
#: EXECUTED with the flag UNSEEN: a trade at ``price`` that no level loses anything by, with the
#: order that rested, the buy order of an auction's trade; ``left`` and what is of a level are 0.
#: NOTICE: the layout `NOTICE`.  PHASE, HALT, REFERENCE and INDICATIVE: the layout `MARKET`.
CHANGE = np.dtype(CHANGE_RECORD.dtype_spec())

#: The same 88 bytes when ``kind`` is NOTICE: ``data`` is part ``part``, from 0, of the ``parts`` of
#: a text in UTF-8, filled up with zeros; ``instrument``: that it is about, 0 for all; ``key_low``:
#: the lower half of the sender's key.  All parts of a text have sequences in a row.
NOTICE = np.dtype(NOTICE_RECORD.dtype_spec())

#: The same 88 bytes when ``kind`` is PHASE, HALT, REFERENCE or INDICATIVE: what instrument
#: ``instrument`` (never 0) has from now on.  PHASE: ``phase``, a `Phase`, and what the auction
#: before it has traded: ``quantity`` units at ``price``, or 0.  HALT: ``halted``, 1; 0
#: when it trades again.  REFERENCE: ``price`` in ticks.  INDICATIVE: ``quantity`` units would trade
#: at ``price`` if the auction of ``phase`` ended now, and ``imbalance`` units of ``side`` would be
#: left; quantity and price 0: there is no such price.  DEFINED ends reference and indicative price,
#: because they are in ticks.
MARKET = np.dtype(MARKET_RECORD.dtype_spec())

_ROW = CHANGE_RECORD.packer()
_EXECUTED, _UNSEEN = int(ChangeKind.EXECUTED), int(ChangeFlag.UNSEEN)


def unseen(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which changes are trades that change no level, of a `CHANGE` array."""
    found: NDArray[np.bool_] = (rows["kind"] == _EXECUTED) & (rows["flags"] & _UNSEEN != 0)
    return found


def change_bytes(values: dict[str, int]) -> bytes:
    """One `CHANGE` as its bytes; fields that are not given are zero."""
    return _ROW.pack(*(values.get(name, 0) for name in CHANGE_RECORD.names))
