"""What a repeat tells again is not new: `fresh` leaves it out."""

from __future__ import annotations

import numpy as np

from matchcore import EVENT, EventKind, fresh


def told(*rows: tuple[int, EventKind]) -> np.ndarray:
    events = np.zeros(len(rows), EVENT)
    events["sequence"] = [sequence for sequence, _ in rows]
    events["kind"] = [kind for _, kind in rows]
    return events


def test_events_without_a_repeat_are_given_back_themselves() -> None:
    for events in (told(), told((3, EventKind.ACCEPTED), (3, EventKind.TRADED))):
        assert fresh(events) is events


def test_what_repeats_tell_again_is_left_out() -> None:
    again = [(2, EventKind.ACCEPTED), (2, EventKind.TRADED)]
    events = told(
        *again, (3, EventKind.CANCELLED), (4, EventKind.REPEATED), *again,
        (5, EventKind.REPEATED), (3, EventKind.CANCELLED), (6, EventKind.ACCEPTED),
        (6, EventKind.TRADED), (7, EventKind.REPEATED), *again,
    )  # fmt: skip
    assert fresh(events)["sequence"].tolist() == [2, 2, 3, 4, 5, 6, 6, 7]
    assert fresh(fresh(events)).tobytes() == fresh(events).tobytes()
