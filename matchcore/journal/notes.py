"""The note an archive leaves beside a log: which sequences went where.

A hint for people, in error messages; never needed, never believed.
"""

from __future__ import annotations

import json
from pathlib import Path

from .disk import DISK, READ, Disk, give_birth

NOTE_NAME = "archived.json"
NOTE_BYTES_MAX = 1 << 20
DROPPED = "nowhere: they were dropped"


def note(directory: Path, first: int, last: int, place: str, disk: Disk = DISK) -> None:
    """Adds that the sequences from first to last are in a place now; durable when it returns."""
    entries = read_note(directory, disk)
    if entries and entries[-1][2] == place and entries[-1][1] + 1 >= first:
        first = min(first, entries.pop()[0])
    entries.append((first, last, place))
    text = json.dumps({"archived": entries}, indent=1)
    disk.close(give_birth(disk, directory / NOTE_NAME, [text.encode()]))


def read_note(directory: Path, disk: Disk = DISK) -> list[tuple[int, int, str]]:
    """First and last sequence and the place of each, oldest first; empty without a good note."""
    try:
        fd = disk.open(directory / NOTE_NAME, READ)
    except OSError:
        return []
    try:
        found = json.loads(disk.pread(fd, NOTE_BYTES_MAX, 0))
        return [(int(first), int(last), str(place)) for first, last, place in found["archived"]]
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return []
    finally:
        disk.close(fd)


def where(directory: Path, sequence: int, disk: Disk = DISK) -> str:
    """For an error about a sequence that is not here: where it was archived, or ""."""
    for first, last, place in read_note(directory, disk):
        if first <= sequence <= last:
            return f"; sequences {first} to {last} are archived: {place}"
    return ""
