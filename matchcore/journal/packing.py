"""Commands as they lie in a log, made before it is their turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records.commands import joined
from .format import Payload, pack_commands

FRAME_COMMANDS = 8192  # of a large batch: what packing it touches fits the second cache


class Packed:
    """Commands for `Log.append`: of each frame the codec, how many they are, and the payload."""

    __slots__ = ("frames", "nbytes")

    def __init__(self, commands: NDArray[np.void], now: int) -> None:
        """``now``: nanoseconds; the time of commands that have none."""
        self.frames: list[tuple[int, int, bytes]] = []
        for at in range(0, len(commands), FRAME_COMMANDS):
            part = commands[at : at + FRAME_COMMANDS]
            codec, payload = pack_commands(part, now)
            self.frames.append((codec, len(part), payload))
        self.nbytes = sum(len(payload) for _, _, payload in self.frames)

    def commands(self) -> NDArray[np.void]:
        """All of them, as the log will have them."""
        return joined([
            Payload.checked(codec, payload, count).commands()
            for codec, count, payload in self.frames
        ])  # fmt: skip


def packed(commands: NDArray[np.void] | Packed, now: int) -> Packed:
    return commands if isinstance(commands, Packed) else Packed(commands, now)
