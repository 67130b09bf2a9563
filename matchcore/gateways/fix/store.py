"""The numbers of one FIX session, in a file that survives the end of the process.

| bytes | header |
|---|---|
| 8 | `MCFIX_1` and a zero |
| 16 | boot of the system that wrote it |
| u32, u32 | session, trading day |
| u64 | expected: the number of the next message to come; none before it needs to be sent again |
| u64 | next: the number of the next message to go |
| u64 | told: number of the last report that went |
| u64 | end: bytes of the file that count |
| u32, u32 | 1 after a clean end; CRC-32 of the bytes before |

Entries follow, in order of their message numbers: u32 kind, u32 count, u64 first message number,
u64 first report number. REPORTS and PERHAPS (sent with PossResend) are runs of reports. TEXT has
count bytes behind it: type and body of a message that is in no log.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...errors import LogFailed

MAGIC = b"MCFIX_1\0"
REPORTS, PERHAPS, TEXT = 1, 2, 3
_HEADER = struct.Struct("<8s16sIIQQQQI")
_CHECK = struct.Struct("<I")
_ENTRY = struct.Struct("<IIQQ")
_BEGIN = _HEADER.size + _CHECK.size
_BOOT = Path("/proc/sys/kernel/random/boot_id")
TEXT_BYTES_MAX = 4096


class InUse(Exception):
    """Another process serves this session."""


@dataclass(slots=True)
class Entry:
    """Messages from ``first`` on: ``count`` reports from ``report`` on, or one text."""

    kind: int
    first: int
    count: int
    report: int = 0
    text: bytes = b""

    @property
    def last(self) -> int:
        return self.first + self.count - 1


class Store:
    """Opens the file of a session, and locks it; `InUse` if another process has it.

    ``lost``: nothing is known of the day, because the file is new, damaged, or was not closed
    before the machine was restarted. `LogFailed` if the system refuses the file.
    """

    def __init__(self, directory: Path, session: int, day: int) -> None:
        self._path = directory / f"session-{session}.fix"
        self._session, self.day = session, day
        self.expected = self.next = 1
        self.told = 0
        self.entries: list[Entry] = []
        self._firsts: list[int] = []
        self._end = _BEGIN
        self._last_at = 0  # where the last entry is, if it is a run
        self._written: tuple[int, ...] = ()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LogFailed(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.lost = not self._read()
        except BlockingIOError:
            os.close(self._file)
            raise InUse(f"another process serves session {session}") from None
        except BaseException:
            os.close(self._file)
            raise

    # ------------------------------------------------------------------ reading

    def _read(self) -> bool:
        """False if the file says nothing of this day's numbers."""
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        if len(data) < _BEGIN:
            return False
        magic, boot, session, day, expected, following, told, end, clean = _HEADER.unpack_from(data)
        (check,) = _CHECK.unpack_from(data, _HEADER.size)
        sound = zlib.crc32(data[: _HEADER.size]) == check and end <= len(data)
        if not sound or (magic, session) != (MAGIC, self._session):
            return False
        if not clean and boot != _boot():
            return False  # the system may not have written all of it before it went down
        if day != self.day:
            return True  # a day begins, with 1
        self.expected, self.next, self.told = expected, following, told
        self._read_entries(data, end)
        return True

    def _read_entries(self, data: bytes, end: int) -> None:
        at = _BEGIN
        while at + _ENTRY.size <= end:
            kind, count, first, report = _ENTRY.unpack_from(data, at)
            here, at = at, at + _ENTRY.size
            text = data[at : at + count] if kind == TEXT else b""
            at += len(text)
            # A run may have been made longer before the header was written.  The file must not keep
            # that: other messages get these numbers now, and at the next opening they all count.
            size = 1 if kind == TEXT else min(count, self.next - first)
            if kind != TEXT and size != count:
                os.pwrite(self._file, _ENTRY.pack(kind, max(size, 0), first, report), here)
            if size > 0:
                self._add(Entry(kind, first, size, report, text), here)
        self._end = end

    # ------------------------------------------------------------------ writing

    def number(self) -> int:
        """Takes the next number for a message that is not sent again."""
        self.next += 1
        return self.next - 1

    def number_text(self, text: bytes) -> int:
        """Takes the next number for a message whose type and body are kept."""
        entry = Entry(TEXT, self.next, 1, 0, text[:TEXT_BYTES_MAX])
        head = _ENTRY.pack(TEXT, len(entry.text), entry.first, 0)
        self._append(entry, head + entry.text)
        return self.number()

    def number_reports(self, first: int, count: int, perhaps: bool) -> int:
        """Takes numbers for reports from ``first`` on; the first of them."""
        kind, number = PERHAPS if perhaps else REPORTS, self.next
        last = self.entries[-1] if self.entries else None
        if (
            last is not None
            and last.kind == kind
            and last.last + 1 == number
            and last.report + last.count == first
        ):
            last.count += count
            longer = _ENTRY.pack(kind, last.count, last.first, last.report)
            os.pwrite(self._file, longer, self._last_at)
        else:
            entry = Entry(kind, number, count, first)
            self._append(entry, _ENTRY.pack(kind, count, number, first))
        self.next += count
        self.told = first + count - 1
        return number

    def _append(self, entry: Entry, data: bytes) -> None:
        os.pwrite(self._file, data, self._end)
        self._add(entry, self._end)
        self._end += len(data)

    def _add(self, entry: Entry, at: int) -> None:
        self.entries.append(entry)
        self._firsts.append(entry.first)
        self._last_at = at

    def save(self, expected: int) -> None:
        """Writes the header if it has changed, before what it says goes out."""
        values = (self.day, expected, self.next, self.told, self._end, 0)
        if values != self._written:
            self._write(values)

    def _write(self, values: tuple[int, ...]) -> None:
        head = _HEADER.pack(MAGIC, _boot(), self._session, *values)
        os.pwrite(self._file, head + _CHECK.pack(zlib.crc32(head)), 0)
        self._written = values

    def reset(self, day: int | None = None) -> None:
        """Both numbers begin at 1; with ``day``, those of the reports too."""
        if day is not None:
            self.day, self.told = day, 0
        self.expected = self.next = 1
        self.entries.clear()
        self._firsts.clear()
        self._end = _BEGIN
        self.save(1)
        os.ftruncate(self._file, _BEGIN)

    def begin_again(self, expected: int, following: int) -> None:
        """The numbers were lost: begins with these."""
        self.reset()
        self.expected, self.next, self.told, self.lost = expected, following, 0, False

    def close(self, expected: int) -> None:
        """Writes what is known as clean, and unlocks the file."""
        try:
            os.fsync(self._file)
            self._write((self.day, expected, self.next, self.told, self._end, 1))
            os.fsync(self._file)
        finally:
            os.close(self._file)

    # ------------------------------------------------------------------ asking

    def entry_from(self, number: int) -> Entry | None:
        """The entry of a message number, or the next behind it; None if there is none."""
        place = bisect_right(self._firsts, number) - 1
        if place >= 0 and self.entries[place].last >= number:
            return self.entries[place]
        return self.entries[place + 1] if place + 1 < len(self.entries) else None


@cache
def _boot() -> bytes:
    try:
        return bytes.fromhex(_BOOT.read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)
