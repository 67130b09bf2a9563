"""What the market in each instrument is: phase, halt, reference price, indicative auction price.

No machine says these changes yet (`matchcore.records.schema.MARKET_CHANGES`); every face of a feed
carries them.  The last value wins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records.changes import CHANGE, MARKET, ChangeKind
from ..records.schema import MARKET_CHANGES, Phase
from .rings import joined

# enumerations compare slowly
PHASE, HALT = int(ChangeKind.PHASE), int(ChangeKind.HALT)
REFERENCE, INDICATIVE = int(ChangeKind.REFERENCE), int(ChangeKind.INDICATIVE)
DEFINED = int(ChangeKind.DEFINED)
KINDS = tuple(sorted(map(int, MARKET_CHANGES)))
_NOTHING = np.empty(0, CHANGE)


class Indicative(NamedTuple):
    """What an auction of ``phase`` would do now: trade ``quantity`` at ``price``, in ticks, and
    leave ``imbalance`` of ``side`` (0: of none)."""

    price: int
    quantity: int
    imbalance: int
    side: int
    phase: int


class State(NamedTuple):
    """Of one instrument.  ``phase``: a `Phase`, 0 if none was said; ``reference``: in ticks."""

    phase: int = 0
    halted: bool = False
    reference: int | None = None
    indicative: Indicative | None = None


def phase_name(phase: int) -> str:
    """As the faces for people say it: "continuous"; the number of one that is not known."""
    return Phase(phase).name.lower() if phase in set(Phase) else str(phase)


class States:
    """The state of every instrument: `apply` all changes in turn, ``rows`` of another first."""

    def __init__(self, rows: NDArray[np.void] = _NOTHING) -> None:
        self._last: dict[tuple[int, int], NDArray[np.void]] = {}  # instrument, kind -> one row
        self.apply(rows)

    def apply(self, rows: NDArray[np.void]) -> None:
        """The next changes, a `CHANGE` array; those of other kinds are passed over."""
        kinds = rows["kind"]
        if kinds.max(initial=0) < DEFINED:
            return
        for at in np.flatnonzero((kinds >= PHASE) | (kinds == DEFINED)).tolist():
            number, kind = int(rows["instrument"][at]), int(kinds[at])
            if kind == DEFINED:  # their prices are in ticks, which may be others now
                self._last.pop((number, REFERENCE), None)
                self._last.pop((number, INDICATIVE), None)
            elif kind in KINDS:
                self._last[number, kind] = rows[at : at + 1].copy()

    def __getitem__(self, number: int) -> State:
        """Of an instrument; one that nothing was said of has an empty one."""
        said = {kind: self._row(number, kind) for kind in KINDS if (number, kind) in self._last}
        phase, halt = said.get(PHASE), said.get(HALT)
        reference, indicative = said.get(REFERENCE), said.get(INDICATIVE)
        return State(
            int(phase["phase"]) if phase is not None else 0,
            halt is not None and bool(halt["halted"]),
            int(reference["price"]) if reference is not None else None,
            Indicative(*(int(indicative[name]) for name in Indicative._fields))
            if indicative is not None and indicative["quantity"]
            else None,
        )

    def _row(self, number: int, kind: int) -> Any:
        return self._last[number, kind].view(MARKET)[0]

    def rows(self) -> NDArray[np.void]:
        """A `CHANGE` array that makes these states of empty ones, by instrument and kind."""
        return joined([self._last[place] for place in sorted(self._last)] or [_NOTHING])
