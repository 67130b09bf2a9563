"""The numbered stream of an exchange's public changes, derived from its log.

A number is the place of a change among all changes since the log began, from 1.  So every stream
of one log, wherever it started, gives the same changes under the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from ..engine.recovery import follow_rules, look, upgrade
from ..errors import FeedError, LogDamaged
from ..journal import (
    Frame,
    Keys,
    Reader,
    Where,
    batches,
    check_past,
    first_sequence,
    identity_of,
    open_reader,
    place_of,
)
from ..machine import machine_class
from ..records.changes import ChangeKind
from ..records.commands import defines
from ..records.instruments import Directory, Instrument
from .books import Books, books_of
from .files import replacing

BUNDLE_COMMANDS = 8192  # derived together, when that many are waiting
SESSION_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in a row: ``rows``, a `CHANGE` array, has the numbers from ``first`` on.

    One that defines an instrument is alone, so the parameters of the instruments are the same for
    all rows; ``defined`` is that instrument as it is from then on.  ``epoch``: of the engine that
    wrote the commands.
    """

    first: int
    epoch: int
    rows: NDArray[np.void]
    defined: Instrument | None = None

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + len(self.rows) - 1

    def between(self, first: int, last: int) -> Changes:
        """Those of them that have these numbers, ``last`` included."""
        if first <= self.first and last >= self.last:
            return self
        skipped = max(0, first - self.first)
        rows = self.rows[skipped : max(0, last - self.first + 1)]
        defined = self.defined if last >= self.last else None
        return Changes(self.first + skipped, self.epoch, rows, defined)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a stream stands: behind command ``sequence``, ``number`` is its next number.

    ``identity`` is the exchange's and ``chain`` the digest of the log there, in hexadecimal.
    """

    identity: str
    sequence: int
    number: int
    chain: str

    def save(self, path: Path) -> None:
        """Writes it to the file ``path``, as a whole or not at all."""
        with replacing(path) as file:
            file.write(json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> Mark:
        """The mark in the file ``path``; `FeedError` if it holds none."""
        try:
            said = json.loads(path.read_text())
            mark = cls(**said)
            fine = all(
                (type(mark.identity) is str, type(mark.chain) is str,
                 type(mark.sequence) is int and 0 <= mark.sequence < 2**64,
                 type(mark.number) is int and 1 <= mark.number < 2**64)
            )  # fmt: skip
            bytes.fromhex(mark.identity + mark.chain)
        except (ValueError, TypeError):
            fine = False
        if not fine:
            raise FeedError(f"{path}: not the mark of a feed; remove it to derive it again")
        return mark


class Stream(Closing):
    """Follows the log of an exchange and gives its public changes, also while an engine writes.

    It starts at the log's beginning or at ``mark``, an earlier stream's.  ``keys`` and ``machine``
    as for `Engine.open`.  Only durable commands are read.  Not for two threads.

    `FeedError` if the log's beginning is archived and there is no mark, or for a mark of another
    exchange or history; LogError, `LogDamaged`, `KeyRefused`, `UnknownRules` as `Engine.open`;
    `LogFailed` if the system refuses a file of the log, which may pass.
    """

    def __init__(
        self,
        path: Where,
        *,
        mark: Mark | None = None,
        keys: Keys | None = None,
        machine: str = "cython",
    ) -> None:
        self.place = place_of(path)
        self.identity = identity_of(self.place)
        self._chain = ""
        self.epoch = 0  # of the last change; 0 at a mark
        if mark is None:
            self._reader, self.number = self._from_the_beginning(keys), 1
            #: The machine behind the last change: its books and instruments may be looked at.
            self.machine = machine_class(machine)()
        else:
            self._reader, self.number = self._from_mark(mark, keys), mark.number
            self._chain = mark.chain
            self.machine = look(self.place, machine, sequence=mark.sequence, keys=keys).machine
        self._growth = self._reader.growth()

    def _from_the_beginning(self, keys: Keys | None) -> Reader:
        first = first_sequence(self.place)
        if first > 1:
            raise FeedError(
                f"{self.place}: the log begins with sequence {first}, and a feed counts its"
                " numbers from the first: restore the archived segments once, or copy the state of"
                " a feed that has run"
            )
        return open_reader(self.place, keys=keys)

    def _from_mark(self, mark: Mark, keys: Keys | None) -> Reader:
        if bytes.fromhex(mark.identity) != self.identity:
            raise FeedError(
                f"the feed's state is of exchange {mark.identity}, and {self.place} holds"
                f" {self.identity.hex()}: start with a state of its own"
            )
        try:
            if mark.sequence:
                check_past(self.place, mark.sequence, bytes.fromhex(mark.chain), keys=keys)
            return open_reader(self.place, after=mark.sequence, keys=keys)
        except LogDamaged as error:
            raise FeedError(
                f"the feed's state, of sequence {mark.sequence}, does not fit the log: {error};"
                " remove it to derive it again from the log's beginning"
            ) from error

    @property
    def session(self) -> str:
        """Ten characters that name the stream: it never gets other numbers."""
        return self.identity.hex()[:SESSION_CHARACTERS].upper()

    @property
    def instruments(self) -> Directory:
        """As they are behind the last change."""
        return self.machine.instruments

    def books(self) -> Books:
        """The books behind the last change, which goes into them no more; they share the
        instruments."""
        return books_of(self.machine)

    def before(self) -> None:
        """Statistics and notices of what was before: a stream alone knows none."""

    @property
    def sequence(self) -> int:
        """Of the last command that was read."""
        return self.machine.sequence

    def poll(self) -> Iterator[Changes]:
        """What the log has now; nothing if it has nothing new.  Take all of it."""
        for _, frames in groupby(self._frames(), attrgetter("epoch")):
            for batch in batches(frames, BUNDLE_COMMANDS):
                follow_rules(self.machine, batch)
                if batch.rules:
                    upgrade(self.machine, batch)
                    continue
                for part in _apart(batch.commands):
                    rows = _alone(self.machine.changes(part))
                    if len(rows):
                        yield self._numbered(batch.epoch, rows)

    async def grown(self) -> None:
        """Waits until `poll` may have more, at most for `LOOK_SECONDS` of `matchcore.journal`."""
        await self._growth.grown()

    def _numbered(self, epoch: int, rows: NDArray[np.void]) -> Changes:
        last, defined = rows[-1], None
        if last["kind"] == ChangeKind.DEFINED:
            defined = self.machine.instruments[int(last["instrument"])]
        changes = Changes(self.number, epoch, rows, defined)
        self.number += len(rows)
        self.epoch = epoch
        return changes

    def _frames(self) -> Iterator[Frame]:
        for frame in self._reader.read():
            self._chain = frame.chain.hex()
            yield frame

    def mark(self) -> Mark:
        """Where it stands; not while a `poll` is under way."""
        return Mark(self.identity.hex(), self.sequence, self.number, self._chain)

    def close(self) -> None:
        """Closes the files of the log."""
        self._growth.close()
        self._reader.close()


def _alone(rows: NDArray[np.void]) -> NDArray[np.void]:
    """The same without the room that the machine had for more: rows are kept for long."""
    base = rows.base
    roomy = isinstance(base, np.ndarray) and base.nbytes > 2 * rows.nbytes
    return rows.copy() if roomy else rows


def _apart(commands: NDArray[np.void]) -> list[NDArray[np.void]]:
    """Each command that defines an instrument alone, and what is between them."""
    at = np.flatnonzero(defines(commands))
    parts = np.split(commands, np.stack([at, at + 1], axis=1).ravel())
    return [part for part in parts if len(part)]
