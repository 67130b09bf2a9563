"""A log in memory, for tests and simulation: the frames of a journal without its files."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import LogError, LogFailed
from ..records.arguments import integer
from ..records.rules import first_rules
from .crypto.hashes import SHA256
from .format import (
    NO_CHAIN,
    FrameHeader,
    Payload,
)
from .packing import Packed, packed
from .segments import Frame

MEMORY_BYTES_MAX = 1 << 30


class MemoryLog:
    """A log in memory for `Engine.memory`, up to ``max_bytes`` of packed frames.

    Beyond that, commands raise `LogFailed`.  ``rules``: the version of the rules at its end.
    """

    def __init__(self, *, max_bytes: int = MEMORY_BYTES_MAX) -> None:
        self.identity = os.urandom(16)
        self.epoch = 1
        self.sequence = 0
        self.rules = first_rules(None)
        self.durable = 0
        self.on_disk = 0
        self.sync_due: float | None = None
        self.chain = NO_CHAIN
        self.hash, self.keys = SHA256, None
        self.max_bytes = integer(max_bytes, "max_bytes", 0, None)
        self._frames: list[tuple[FrameHeader, bytes, int]] = []
        self.appended_bytes = 0

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """Appends ``commands``, a `COMMAND` array.

        ``now``: nanoseconds since 1970 UTC, for commands with time 0.  ``rules``: the version of
        the rules that the only command changes to.  `LogFailed` beyond ``max_bytes``.
        """
        for codec, count, payload in packed(commands, now).frames:
            header = FrameHeader(
                codec,
                count,
                len(payload),
                1,
                self.sequence + 1,
                self.sequence,
                now,
                NO_CHAIN,
                rules,
            )
            if self.appended_bytes + header.frame_bytes > self.max_bytes:
                raise LogFailed(f"the log in memory is full: {self.max_bytes} bytes (max_bytes)")
            self.chain = header.chain = header.chain_after(self.chain, payload)
            self._frames.append((header, payload, self.rules))
            self.rules = rules or self.rules
            self.appended_bytes += header.frame_bytes
            self.sequence += count

    def sync(self, *, to_disk: bool = False) -> None:
        """Makes all commands durable at once; ``to_disk`` has no effect."""
        self.durable = self.sequence

    def frames(self, after: int = 0) -> Iterator[Frame]:
        """The frames with sequences above ``after``."""
        for header, payload, under in self._frames:
            if header.last_sequence > after:
                yield Frame(
                    header.epoch, header.first_sequence, header.count, header.time,
                    Payload.checked(header.codec, payload, header.count),
                    header.chain, "memory", 0, header.rules, under,
                )  # fmt: skip

    def close(self) -> None:
        """Does nothing; the frames stay readable."""


class Unwritten:
    """Takes commands and keeps none; stands for the log where only followers have a use for one.

    ``after``: sequence of the last command that did not go through it; ``rules``: as `MemoryLog`.
    """

    identity, hash, keys = b"", SHA256, None
    epoch, on_disk, appended_bytes, chain = 1, 0, 0, NO_CHAIN
    sync_due: float | None = None

    def __init__(self, after: int, rules: int) -> None:
        self.first, self.rules = after + 1, rules
        self.sequence = self.durable = after

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """Counts ``commands``."""
        parts = commands.frames if isinstance(commands, Packed) else [(0, len(commands), b"")]
        self.sequence += sum(count for _, count, _ in parts)
        self.rules = rules or self.rules

    def sync(self, *, to_disk: bool = False) -> None:
        """As `MemoryLog.sync`."""
        self.durable = self.sequence

    def frames(self, after: int = 0) -> Iterator[Frame]:
        """There are none: LogError."""
        raise LogError("this engine has no log to read what is past: give it a MemoryLog")

    def close(self) -> None:
        """Does nothing."""
