"""The register: opaque records that the exchange keeps for those around it; limits of notices.

An entry is 56 bytes under a topic, a key and a part.  Nothing here depends on what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SnapshotDamaged
from .schema import ENTRY_RECORD

ENTRIES_MAX = 65_536
DATA_BYTES = 56
#: Of a notice as a whole; each of its parts is a text of its own, so that none splits a character.
NOTICE_BYTES_MAX, NOTICE_PARTS_MAX = 1024, 20

#: One entry as states and snapshots hold it, 72 bytes.
ENTRY = np.dtype(ENTRY_RECORD.dtype_spec())


class Place(NamedTuple):
    """Names an entry of the register: a ``topic`` (1 to 255), a 64-bit ``key`` and a ``part``."""

    topic: int
    key: int
    part: int = 0


class Register:
    """The entries, by place.  ``view``: a read-only mapping of them, data of 56 bytes each."""

    def __init__(self) -> None:
        self._entries: dict[Place, bytes] = {}
        self.view: Mapping[Place, bytes] = MappingProxyType(self._entries)

    def put(self, place: Place, data: bytes) -> None:
        """The newest data of an entry; nothing but zeros removes it."""
        if any(data):
            self._entries[place] = data
        else:
            self._entries.pop(place, None)

    def rows(self) -> NDArray[np.void]:
        """An `ENTRY` array by topic, key and part."""
        rows = np.zeros(len(self._entries), ENTRY)
        for row, (place, data) in zip(rows, sorted(self._entries.items()), strict=True):
            row["topic"], row["key"], row["part"] = place
            row["data"] = data
        return rows

    def restore(self, rows: NDArray[np.void]) -> None:
        """Takes the entries of a state that is checked."""
        for row in rows:
            place = Place(int(row["topic"]), int(row["key"]), int(row["part"]))
            self._entries[place] = row["data"].tobytes()


def check_entries(rows: NDArray[np.void]) -> None:
    """`SnapshotDamaged` for entries that no register has in this form."""
    places = [Place(*row) for row in rows[["topic", "key", "part"]].tolist()]
    if len(places) > ENTRIES_MAX:
        raise SnapshotDamaged(f"{len(places)} entries of the register, {ENTRIES_MAX} at most")
    if places != sorted(set(places)):
        raise SnapshotDamaged("entries of the register twice, or not in order")
    if any(place.topic == 0 for place in places):
        raise SnapshotDamaged("an entry of the register without a topic")
    form = np.zeros(len(rows), ENTRY)
    for name in ENTRY_RECORD.names:
        form[name] = rows[name]
    if form.tobytes() != rows.tobytes() or any(not any(row.tobytes()) for row in rows["data"]):
        raise SnapshotDamaged(
            "entries of the register that are not in the form they are written in"
        )
