"""Where each market stands: phase, reason, reference and last price, as far as the log tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ReportsError
from ..records.markets import PARAMETER, parameter_names
from ..records.schema import EventKind, Parameter, Phase

#: One row an instrument, number 1 first. ``phase`` 0: it has no market. ``since``: time of the
#: command that set the phase. ``traded``: there is a ``last`` price. Prices in ticks.
_ROW = np.dtype(
    [("phase", "u1"), ("reason", "u1"), ("traded", "u1"), ("spare", "u1"), ("group", "<u4"),
     ("reference", "<i8"), ("last", "<i8"), ("since", "<i8")]
)  # fmt: skip
_MATTERS = np.zeros(256, np.bool_)
_MATTERS[
    [EventKind.TRADED, EventKind.PHASE_CHANGED, EventKind.MARKET_SET, EventKind.INSTRUMENT_CHANGED]
] = True
_GROUP = f"value{parameter_names(Parameter.TRADING).index('group') + 1}"
_REFERENCE = f"value{parameter_names(Parameter.DAY).index('reference') + 1}"


class Stand(NamedTuple):
    """Where one instrument stands.

    - ``phase``: None: it has no market, and trades continuously.
    - ``reason``: a `Reason` code: why the phase began; 0: a SET_PHASE.
    - ``group``: of SET_PHASE. ``reference``: ticks; 0: none.
    - ``last``: price of the last trade, ticks; None: none is known.
    - ``since``: time of the command that began the phase, nanoseconds; 0: it is the first one.
    """

    phase: Phase | None
    reason: int
    group: int
    reference: int
    last: int | None
    since: int


class Standing:
    """Follows commands and their events, all of them and in order."""

    def __init__(self) -> None:
        self._rows = np.zeros(0, _ROW)

    # ------------------------------------------------------------------ asking

    def of(self, number: int) -> Stand:
        """Where the instrument of a number stands."""
        if not 1 <= number <= len(self._rows):
            return Stand(None, 0, 0, 0, None, 0)
        row = self._rows[number - 1]
        phase = Phase(int(row["phase"])) if row["phase"] else None
        last = int(row["last"]) if row["traded"] else None
        return Stand(
            phase, int(row["reason"]), int(row["group"]), int(row["reference"]), last,
            int(row["since"]),
        )  # fmt: skip

    def phases(self, group: int = 0) -> dict[Phase, int]:
        """How many markets of a group, 0: of all, are in each phase; without those with none."""
        mine = self._rows["phase"] > 0
        if group:
            mine &= self._rows["group"] == group
        counts = np.bincount(self._rows["phase"][mine], minlength=1)
        return {Phase(int(code)): int(counts[code]) for code in np.flatnonzero(counts)}

    # ------------------------------------------------------------------ following

    def follow(self, commands: NDArray[np.void], events: NDArray[np.void]) -> list[int]:
        """Takes what the log has next; the instruments whose phase was set, or market was made."""
        kinds = events["kind"]
        if not _MATTERS[kinds].any():
            return []
        sequences = events["sequence"]
        first = int(sequences[0])  # of the first command
        if (kinds == EventKind.REPEATED).any():  # old events stand behind these
            now = sequences == np.maximum.accumulate(sequences)
            events = events[now]
            kinds, sequences = events["kind"], events["sequence"]
        instruments = events["instrument"]
        self._reach(int(instruments.max(initial=0)))
        traded = kinds == EventKind.TRADED
        if traded.any():
            at = instruments[traded] - 1
            self._rows["last"][at] = events["price"][traded]  # of several the last one stays
            self._rows["traded"][at] = 1
        changed: dict[int, None] = {}
        others = _MATTERS[kinds] & ~traded
        for place in np.flatnonzero(others).tolist():
            event, number = events[place], int(instruments[place])
            if self._take(event, commands[int(sequences[place]) - first]):
                changed[number] = None
        return list(changed)

    def _take(self, event: np.void, command: np.void) -> bool:
        """Takes one event; True if others may want to hear of it."""
        row = self._rows[int(event["instrument"]) - 1]
        if event["kind"] == EventKind.PHASE_CHANGED:
            row["phase"], row["reason"] = event["left"], event["reason"]
            row["since"] = command["time"]
            return True
        if event["kind"] == EventKind.INSTRUMENT_CHANGED:
            row["traded"] = 0  # its price was in ticks of another size
            return False
        given = np.array(command).reshape(1).view(PARAMETER)[0]
        if event["order_id"] == Parameter.TRADING:
            row["group"] = given[_GROUP]
        elif event["order_id"] == Parameter.DAY:
            row["reference"] = given[_REFERENCE]
        made = not row["phase"]
        if made:
            row["phase"] = Phase.CONTINUOUS
        return made

    def _reach(self, number: int) -> None:
        if number > len(self._rows):
            more = np.zeros(max(number, 2 * len(self._rows)), _ROW)
            more[: len(self._rows)] = self._rows
            self._rows = more

    # ------------------------------------------------------------------ keeping

    def image(self) -> bytes:
        """What `restore` takes."""
        return self._rows.tobytes()

    def restore(self, image: bytes) -> None:
        """Takes over an `image`; `ReportsError` for other bytes."""
        if len(image) % _ROW.itemsize:
            raise ReportsError("it does not say where the markets stand")
        self._rows = np.frombuffer(image, _ROW).copy()
