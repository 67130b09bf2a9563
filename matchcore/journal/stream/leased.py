"""A replicated log whose writer has a lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..packing import Packed
from .address import Address
from .log import StreamLog


class LeasedLog(StreamLog):
    """Takes and answers nothing while it is not known that the lease is held.

    ``held`` returns when it is, and raises `LogFailed` once it is lost.
    """

    held: Callable[[], None]

    @classmethod
    def open_leased(cls, where: Address, held: Callable[[], None], **options: Any) -> LeasedLog:
        """As `StreamLog.open`."""
        held()
        log = cls.open(where, **options)
        assert isinstance(log, LeasedLog)
        log.held = held
        return log

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """As a `StreamLog`."""
        self.held()
        super().append(commands, now, rules=rules)

    def sync(self, *, to_disk: bool = False) -> None:
        """As a `StreamLog`: what it returns for may be answered."""
        super().sync(to_disk=to_disk)
        self.held()
