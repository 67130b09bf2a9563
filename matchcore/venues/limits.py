"""Price limits of a day, in whole ticks."""

from __future__ import annotations

PART = 10_000  # hundredths of a percent in one


def price_limits(reference: int, down: int, up: int) -> tuple[int | None, int | None]:
    """The lowest and the highest price of a day, in ticks; None: no limit.

    ``reference``: the reference price in ticks; ``down``, ``up``: hundredths of a percent, 0: none.
    A limit is rounded half up to a tick, and is at least one tick away from the reference.
    """
    lowest = (2 * reference * (PART - down) + PART) // (2 * PART)
    highest = (2 * reference * (PART + up) + PART) // (2 * PART)
    return (
        min(lowest, reference - 1) if down else None,
        max(highest, reference + 1) if up else None,
    )
