"""Frames put together: many small ones are applied, or stored, in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LogDamaged, LogFailed
from ..records.commands import COMMAND
from .segments import Frame


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands of neighbouring frames, as a fresh `COMMAND` array.

    ``epoch`` and ``chain``: of the last frame.  ``rules`` and ``under``: as of a `Frame`; one with
    ``rules`` is a batch of its own.  ``path`` and ``offset``: of the first frame.
    """

    epoch: int
    first_sequence: int
    commands: NDArray[np.void]
    rules: int
    path: str
    offset: int
    under: int = 1
    chain: bytes = b""


def batches(frames: Iterable[Frame], most: int) -> Iterator[Batch]:
    """All commands of frames, in order: in batches of up to `most`, or of one larger frame.

    `LogDamaged` comes behind everything that was read before it.
    """
    waiting: list[Frame] = []
    size = 0
    try:
        for frame in frames:
            last = waiting[-1] if waiting else frame
            apart = frame.rules or last.rules
            if waiting and (apart or size + frame.count > most):
                yield _together(waiting)
                waiting, size = [], 0
            waiting.append(frame)
            size += frame.count
    except (LogDamaged, LogFailed):
        if waiting:
            yield _together(waiting)
        raise
    if waiting:
        yield _together(waiting)


def _together(frames: list[Frame]) -> Batch:
    first, at = frames[0], 0
    commands = np.empty(sum(frame.count for frame in frames), COMMAND)
    for frame in frames:
        frame.unpack(commands[at : at + frame.count])
        at += frame.count
    return Batch(
        frames[-1].epoch, first.first_sequence, commands, first.rules, first.path, first.offset,
        first.under, frames[-1].chain,
    )  # fmt: skip
