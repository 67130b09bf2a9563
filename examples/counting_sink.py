"""A custom sink: volume by minute from an exchange's log, also while an engine writes it."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

import matchcore as mc

MINUTE_NS = 60 * 10**9


class Volume:
    """Quantity traded by minute.  Counts and position are kept in memory only."""

    def __init__(self) -> None:
        self.by_minute: Counter[int] = Counter()
        self._position: mc.Position | None = None

    def position(self) -> mc.Position | None:
        return self._position

    def write(
        self, position: mc.Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        first = position.sequence - len(commands) + 1
        events = mc.fresh(events)  # without the answers to repeated commands
        trades = events[events["kind"] == mc.EventKind.TRADED]
        times = commands["time"][(trades["sequence"] - np.uint64(first)).astype(np.int64)]
        for minute, quantity in zip(
            (times // MINUTE_NS).tolist(), trades["quantity"].tolist(), strict=True
        ):
            self.by_minute[minute] += quantity
        self._position = position

    def close(self) -> None: ...


def main(directory: str) -> None:
    volume = Volume()
    with mc.Follower(directory, volume) as follower:
        position = follower.run()
    for minute, quantity in sorted(volume.by_minute.items())[:20]:
        at = datetime.fromtimestamp(minute * 60, timezone.utc)
        print(f"{at:%H:%M}  {quantity:8,}  {'#' * min(60, quantity // 20)}")
    print(f"{sum(volume.by_minute.values()):,} traded up to sequence {position.sequence:,}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "exchange.d")
