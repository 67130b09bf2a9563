"""What a line carries at a rate of orders, from the sizes of real messages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...engine.taps import NO_EVENTS, Logged
from .wire import COMMANDS_MAX, Frame, Type, batch, log_frames

#: Bytes of the headers of Ethernet (with preamble and gap), IP and TCP with time stamps.
PACKET_BYTES = 38 + 20 + 32
SEGMENT_BYTES = 1448  # of what is sent, in one packet
SETTLED_BYTES = len(Frame(Type.SETTLED).to_bytes())


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes a second on the wire, packets' headers and acknowledgements included.

    ``up``: to the engine or the exchange; ``down``: from it.
    """

    protocol: str
    up: float
    down: float

    @property
    def up_mbit(self) -> float:
        """Megabits a second."""
        return self.up * 8 / 1e6

    @property
    def down_mbit(self) -> float:
        """Megabits a second."""
        return self.down * 8 / 1e6


def line_load(commands: NDArray[np.void], rate: float, turns: float) -> Load:
    """A line that carries ``rate`` commands a second like the given ones, in ``turns`` batches a
    second at most, and the log with the same commands back."""
    together = int(min(max(1, round(rate / turns)), COMMANDS_MAX, len(commands)))
    starts = range(0, len(commands) - together + 1, together)
    up = down = 0
    for at in starts:
        rows = commands[at : at + together]
        up += on_wire(len(batch(1, rows)))
        frames = log_frames(Logged(1, 1, 1, 0, rows, NO_EVENTS))
        down += on_wire(sum(map(len, frames)) + SETTLED_BYTES)
    batches = rate / together
    per_up, per_down = up / len(starts), down / len(starts)
    acknowledged = PACKET_BYTES / 2  # every second packet
    return Load(
        "engine line", batches * (per_up + acknowledged), batches * (per_down + acknowledged)
    )


def on_wire(size: int) -> int:
    """Bytes of ``size`` bytes in packets."""
    return size + -(-size // SEGMENT_BYTES) * PACKET_BYTES


def message_load(protocol: str, rate: float, up_bytes: float, down_bytes: float) -> Load:
    """A client's connection: each message in a packet of its own, ``rate`` each way."""
    return Load(protocol, rate * on_wire(int(up_bytes)), rate * on_wire(int(down_bytes)))
