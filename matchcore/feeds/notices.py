"""Notices of an exchange, put together from the changes that carry their parts."""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import FeedError
from ..records.changes import NOTICE, ChangeKind
from .stream import Changes

NOTICES_KEPT = 20
_KIND = int(ChangeKind.NOTICE)  # an enumeration compares slowly


@dataclass(frozen=True, slots=True)
class Told:
    """A notice.  ``number``: of the change with its last part; ``time``: in nanoseconds since 1970
    UTC; ``instrument``: that it is about, 0 for all."""

    number: int
    sequence: int
    time: int
    instrument: int
    text: str


def signed_bytes(session: str, number: int, time: str, symbol: str | None, text: str) -> bytes:
    """What a feed signs of a notice: six lines, the last of which is the text and may be more."""
    head = "matchcore notice", session, str(number), time, symbol or "", text
    return "\n".join(head).encode()


def check_notice(verifier: Fitting, session: str, said: Mapping[str, Any]) -> None:
    """``said``: a notice as the channel has it; ``session``: as the greeting or `Client.session`.

    ``verifier``: a `matchcore.journal.crypto.sm2.Verifier`.  `FeedError` for a notice that is not
    signed by that key, or has no signature.
    """
    try:
        data = signed_bytes(session, said["number"], said["time"], said["symbol"], said["text"])
        fits = verifier.fits(data, b64decode(said["signature"], validate=True))
    except (KeyError, TypeError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise FeedError(f"notice {said.get('number')}: not signed by this key")


class Fitting(Protocol):
    """As `matchcore.journal.crypto.sm2.Verifier`."""

    def fits(self, data: bytes, signature: bytes) -> bool:
        """Whether it is a signature of these bytes."""


class Notices:
    """The last notices of a stream: `apply` all its changes, in order.

    Parts that do not follow each other, command by command, are nobody's notice and are left out.
    """

    def __init__(self, last: Iterable[Told] = ()) -> None:
        self.last = deque(last, NOTICES_KEPT)
        self._begun: list[Any] = []  # parts of the one that is not whole yet

    def apply(self, changes: Changes) -> list[Told]:
        """Takes the next changes; returns the notices that they complete."""
        found = []
        for at in np.flatnonzero(changes.rows["kind"] == _KIND).tolist():
            row: Any = np.frombuffer(changes.rows[at].tobytes(), NOTICE)[0]
            if not self._follows(row):
                self._begun = []
            if row["part"] == len(self._begun):
                self._begun.append(row)
            if self._begun and len(self._begun) == row["parts"]:
                text = b"".join(part["data"].tobytes().rstrip(b"\0") for part in self._begun)
                said = int(row["sequence"]), int(row["time"]), int(row["instrument"])
                found.append(Told(changes.first + at, *said, text.decode(errors="replace")))
                self._begun = []
        self.last.extend(found)
        return found

    def _follows(self, row: Any) -> bool:
        if not self._begun:
            return True
        before = self._begun[-1]
        same = all(before[name] == row[name] for name in ("key_low", "instrument", "parts"))
        return bool(same and row["sequence"] == before["sequence"] + 1)

    def said(self) -> list[list[Any]]:
        """The last ones, for JSON; `of_said` takes it."""
        return [list(astuple(one)) for one in self.last]

    @classmethod
    def of_said(cls, said: list[list[Any]]) -> Notices:
        """TypeError or ValueError for what `said` did not give."""
        last = [Told(*values) for values in said]
        for one in last:
            numbers = one.number, one.sequence, one.time, one.instrument
            if not all(type(value) is int for value in numbers) or type(one.text) is not str:
                raise ValueError("a notice that is none")
        return cls(last)
