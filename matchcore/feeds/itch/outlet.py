"""The outlet of a feed that speaks ITCH: every change is encoded once, for all of its faces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...machine import Machine
from ...records.changes import CHANGE, ChangeKind
from ..history import History
from ..serving import Feed
from ..stream import Changes
from ._messages import Encoder
from .glimpse import Glimpse, Moment
from .mold import MoldPublisher, MoldRequests
from .sequenced import SoupFeed
from .tape import Tape

Face = MoldPublisher | MoldRequests | SoupFeed | Glimpse


class ItchOutlet:
    """Serves the stream through ``faces``; an `Outlet`."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces
        self._started: list[Face] = []
        self._encoder: Encoder | None = None

    async def start(self, feed: Feed) -> None:
        instruments = feed.stream.machine.instruments
        encoder = Encoder(instruments)
        known = list(_since_the_last_definition(feed.history))
        tape = Tape(known[0].first if known else feed.stream.number)
        for changes in known:
            tape.take(encoder.blocks(changes.rows), len(changes.rows))
        session = feed.stream.session.encode()
        for face in self.faces:
            self._started.append(face)
            if isinstance(face, SoupFeed):
                await face.start(session, tape, feed.history)
            elif isinstance(face, Glimpse):
                await face.start(session, encoder, lambda: self._moment(feed))
            else:
                await face.start(session, tape)
        self._encoder, self._tape = encoder, tape
        self._time = int(known[-1].rows[-1]["time"]) if known else 0

    def take(self, changes: Changes, live: bool) -> None:
        if self._encoder is None:  # what came before the start is read from the history
            return
        blocks = self._encoder.blocks(changes.rows)
        self._tape.take(blocks, len(changes.rows))
        self._time = int(changes.rows[-1]["time"])
        for face in self.faces:
            face.publish(changes.first, blocks)

    def beat(self) -> None:
        for face in self.faces:
            face.beat()

    async def close(self) -> None:
        for face in self._started:
            await face.close()

    def _moment(self, feed: Feed) -> Moment:
        rows = resting(feed.stream.machine)
        rows["time"] = self._time
        return Moment(self._tape.next, self._time, rows)


def _since_the_last_definition(history: History) -> Iterator[Changes]:
    """The newest changes in memory, for which the instruments are what they are now."""
    kept = list(history.between(history.first, history.last))
    defined = [at for at, one in enumerate(kept) if one.rows[-1]["kind"] == ChangeKind.DEFINED]
    yield from kept[defined[-1] if defined else 0 :]


def resting(machine: Machine) -> NDArray[np.void]:
    """All resting orders, as changes that add them."""
    parts = []
    for number in range(1, len(machine.instruments) + 1):
        orders = machine.orders(number)
        rows = np.zeros(len(orders), CHANGE)
        rows["kind"], rows["instrument"], rows["left"] = (
            ChangeKind.ADDED,
            number,
            orders["quantity"],
        )
        for name in ("order_id", "side", "price", "quantity"):
            rows[name] = orders[name]
        parts.append(rows)
    return np.concatenate(parts) if parts else np.empty(0, CHANGE)
