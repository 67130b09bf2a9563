"""Whether an instrument lives on an engine: what its log says about moves.

A move leaves an entry in the register of both logs: topic SHARD, the instrument's number as key.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import ShardError
from ..records.commands import INSTRUMENT, ORDER
from ..records.instruments import Instrument, write_instrument
from ..records.operating import Register
from ..records.register import Place
from ..records.schema import Topic

#: state, how often it has moved, the other shard, digest of the book that was moved
_ENTRY = struct.Struct("<B3xI16s32s")


class State(IntEnum):
    """What an instrument is on one engine."""

    ABSENT = 0
    ARRIVING = 1
    HERE = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """An instrument on one engine.

    - ``state``: ABSENT, ARRIVING during a move to it, HERE, or LEFT.
    - ``moves``: how often the instrument has changed its shard.
    - ``other``: the shard it comes from, or has left for.
    - ``digest``: of its book when it moved; empty before the first move.
    """

    state: State
    moves: int = 0
    other: str = ""
    digest: bytes = b""

    def entry(self, number: int) -> Register:
        """The command that records it; ``number`` is that of the instrument."""
        data = _ENTRY.pack(self.state, self.moves, self.other.encode(), self.digest)
        return Register(Topic.SHARD, number, data)


def standing(engine: Engine, symbol: str) -> Standing:
    """What an instrument is on an engine.  `ShardError` for an entry that no move has written."""
    if engine.instruments.get(symbol) is None:
        return Standing(State.ABSENT)
    number = engine.instruments.number(symbol)
    data = engine.register().get(Place(Topic.SHARD, number))
    if data is None:
        return Standing(State.HERE)
    state, moves, other, digest = _ENTRY.unpack(data)
    if state not in (State.ARRIVING, State.HERE, State.LEFT) or not moves:
        raise ShardError(f"{symbol}: its entry in the register (topic SHARD) is of no move")
    return Standing(State(state), moves, other.rstrip(b"\0").decode("ascii", "replace"), digest)


def book_digest(instrument: Instrument, orders: NDArray[np.void]) -> bytes:
    """SHA-256 of an instrument without its number, and its resting orders in queue order."""
    row: NDArray[np.void] = np.zeros(1, INSTRUMENT)
    write_instrument(row[0], instrument)
    return hashlib.sha256(row.tobytes() + np.ascontiguousarray(orders, ORDER).tobytes()).digest()
