"""A snapshot over SoupBinTCP, as GLIMPSE gives it: all books of one moment, and its number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...serving.soup import Session, packet
from ._frames import packets
from ._messages import Encoder
from .directory import definition
from .entering import Entry, SoupFace
from .logins import Logins

SNAPSHOT_SECONDS = 1.0  # for which one is good enough for the next who asks
SEND_BYTES = 1 << 17


class Moment(NamedTuple):
    """All books at one moment: ``number`` is of the next change, ``time`` of the last one.

    ``states``: a `CHANGE` array of phases, halts and prices.  ``orders``: one of the resting orders
    as changes that add them, in the order of their priority.
    """

    number: int
    time: int
    states: NDArray[np.void]
    orders: NDArray[np.void]


class Glimpse(SoupFace):
    """Serves a snapshot to everybody who logs in, and ends his session."""

    def __init__(self, host: str, port: int, logins: Callable[[], Logins]) -> None:
        self._host, self._port, self._logins = host, port, logins
        self._made: tuple[float, bytes] | None = None

    async def start(self, session: bytes, encoder: Encoder, moment: Callable[[], Moment]) -> None:
        """``moment()``: the present one.  `FeedError` as `SoupFeed.start`."""
        self._encoder, self._moment = encoder, moment
        self._entry = Entry(
            self._host, self._port, self._logins(), session, lambda _: 1, self._serve
        )
        await self._entry.server.start()

    def publish(self, first: int, blocks: bytes) -> None:
        """The books have them."""

    async def _serve(self, session: Session, number: int) -> None:
        told = memoryview(self._snapshot())
        for at in range(0, len(told), SEND_BYTES):
            if session.gone:
                return
            await session.write_when_read(bytes(told[at : at + SEND_BYTES]))
        session.end()

    def _snapshot(self) -> bytes:
        """The packets; made at once, because the books go on whenever somebody else has a turn."""
        now = time.monotonic()
        if self._made is None or now - self._made[0] > SNAPSHOT_SECONDS:
            self._made = now, snapshot(self._encoder, self._moment())
        return self._made[1]


def snapshot(encoder: Encoder, moment: Moment) -> bytes:
    """Directory, states and orders as packets, and the message with the number to go on with."""
    listed = [
        definition(at + 1, instrument, moment.time)
        for at, instrument in enumerate(encoder.instruments.in_order())
    ]
    directory = b"".join(len(one).to_bytes(2, "big") + one for one in listed)
    end = packet(b"S", b"G" + str(moment.number).encode().rjust(20))
    told = encoder.snapshot(moment.states) + encoder.snapshot(moment.orders)
    return packets(directory + told) + end
