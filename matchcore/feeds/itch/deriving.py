"""Messages from the log again, and the place from which they are derived at the next start."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import FeedError
from ...journal import Keys
from ...journal import Place as LogPlace
from ..files import replacing
from ..stream import Changes, Mark, Stream
from ._frames import cut
from ._messages import REFERENCE, Encoder

STATE_FILE = "itch.npz"


class Place(NamedTuple):
    """A place of the stream, None for its beginning, and the resting orders' numbers there."""

    mark: Mark | None = None
    references: NDArray[np.void] | None = None

    @property
    def number(self) -> int:
        return self.mark.number if self.mark else 1

    def save(self, path: Path) -> None:
        """Writes it to a file, as a whole or not at all."""
        assert self.mark is not None and self.references is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = np.frombuffer(json.dumps(asdict(self.mark)).encode(), np.uint8)
        with replacing(path) as file:
            np.savez(file, mark=mark, references=self.references)

    @classmethod
    def load(cls, path: Path) -> Place:
        """The one in a file; `FeedError` if it holds none."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as said:
                mark = Mark(**json.loads(said["mark"].tobytes()))
                references = said["references"]
            fine = references.dtype == REFERENCE and references.ndim == 1
            fine &= all(type(one) is int for one in (mark.sequence, mark.number))
            bytes.fromhex(mark.identity + mark.chain)
        except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
            fine = False
        if not fine:
            raise FeedError(f"{path}: not the state of ITCH messages; remove it to derive it again")
        return cls(mark, references)


class Log(NamedTuple):
    """The log of an exchange, which messages are derived from."""

    directory: LogPlace
    keys: Keys | None = None

    def messages(self, place: Place) -> Generator[tuple[Encoder, Changes], None, None]:
        """Changes from ``place`` on, to what is the log's end by then, each with its encoder.

        Let that encode the change: it has seen all before it.  Raises as `Stream`.
        """
        with Stream(self.directory, mark=place.mark, keys=self.keys) as stream:
            encoder = Encoder(stream.instruments, place.references)
            for changes in stream.poll():
                yield encoder, changes

    def parts(
        self, place: Place, number: int, bytes_max: int
    ) -> Generator[tuple[int, bytes, int], None, None]:
        """Messages from ``number`` on: that of the first one, blocks of some bytes, how many."""
        for encoder, changes in self.messages(place):
            blocks, count, first = encoder.blocks(changes.rows), len(changes.rows), changes.first
            skip, at = max(0, number - first), 0
            first, count = first + skip, count - skip
            while count > 0:
                start, at, found = cut(blocks, at, skip, count, bytes_max)
                yield first, blocks[start:at], found
                first, count, skip = first + found, count - found, 0
