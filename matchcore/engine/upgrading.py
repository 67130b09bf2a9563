"""A change to the newest version of the rules, as a command on its way into the log."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..machine import Machine
from ..records.codec import upgrade_record
from ..records.events import EVENT
from ..records.rules import newer_rules
from ._queue import Waiter
from .pipeline import Pipeline


class Upgrading:
    """What `Queue.place_batch` takes as the machine: `Machine.apply` does not know the command."""

    def __init__(self, machine: Machine, version: int, now: int) -> None:
        self._machine, self._version = machine, version
        self.way = way = Waiter()
        way.records = self.record(now)
        way.count, way.size, way.now, way.rules = 1, way.records.nbytes, now, version

    def record(self, now: int) -> NDArray[np.void]:
        """The command, at a time."""
        return upgrade_record(self._version, now)

    def apply(self, commands: NDArray[np.void], out: None, now: int) -> NDArray[np.void]:
        """Under the queue's lock: the event, or none if another thread was quicker."""
        if newer_rules(self._machine.rules) is None:
            self.way.count = 0  # then nothing is queued
            return np.empty(0, EVENT)
        return self._machine.upgrade(self._version)


def upgraded(machine: Machine, pipeline: Pipeline, clock: Callable[[], int]) -> bytes | None:
    """Upgrades through a pipeline; the bytes of the event, None if there is no newer version."""
    version = newer_rules(machine.rules)
    if version is None:
        return None
    if pipeline.log is None:
        return machine.upgrade(version).tobytes()
    pipeline.start()
    step = Upgrading(machine, version, operator.index(clock()))
    pipeline.place_batch(step, step.way, step.way.records, step.record, clock, False, True)
    result: NDArray[np.void] = step.way.result
    return result.tobytes() if step.way.count else None
