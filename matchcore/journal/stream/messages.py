"""What the messages of a replicated log are: frames of the journal, and how a reader judges them.

docs/availability/log.md has the format and the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ...errors import LogDamaged
from ..crypto.hashes import Bytes
from ..format import (
    ALIGNMENT,
    FILL,
    HEADER_BYTES,
    BadBytes,
    FrameHeader,
    Payload,
    SegmentHeader,
)
from ..segments import Frame

PART_BYTES = 512 << 10  # of one message; the servers' limit counts its headers, too
PARTS_MAX = 16  # a frame of 65,536 commands of noise
WINDOW = 64  # messages that a writer may have under way

HEADER = "Matchcore"  # of each message but the first; see `Note`
EXPECTED = "Nats-Expected-Last-Sequence"
_NOTE = re.compile(
    r"rules=(\d{1,5})(?: part=(\d{1,2})/(\d{1,2}) epoch=(\d{1,19}) first=(\d{1,19}))?"
)


class Message(NamedTuple):
    """``at``: its number in the stream, from 1."""

    at: int
    data: bytes
    note: str


class Note(NamedTuple):
    """What stands in a message's header.

    ``rules``: the version in force before its frame.  The others are 0, but for the parts of a
    frame that is split: ``part`` of ``parts``, the frame's ``epoch`` and its ``first`` sequence.
    """

    rules: int
    part: int = 0
    parts: int = 0
    epoch: int = 0
    first: int = 0

    def __str__(self) -> str:
        split = f" part={self.part}/{self.parts} epoch={self.epoch} first={self.first}"
        return f"rules={self.rules}" + (split if self.parts else "")

    @classmethod
    def of(cls, text: str) -> Note:
        """`BadBytes` for what no writer of ours says."""
        found = _NOTE.fullmatch(text)
        if found is None:
            raise BadBytes("a message that no matchcore wrote")
        note = cls(*(int(one or 0) for one in found.groups()))
        if found[2] is not None and not 1 <= note.part <= note.parts <= PARTS_MAX:
            raise BadBytes(f"part {note.part} of {note.parts}")
        return note


class Head(NamedTuple):
    """What a message says of itself: its place in the log, and whose it is."""

    epoch: int
    first: int
    note: Note
    commands: int | None  # None: only the frame's first part says it


def head_of(message: Message) -> Head:
    """`BadBytes` if it is not one of a frame."""
    note = Note.of(message.note)
    if note.part > 1:
        return Head(note.epoch, note.first, note, None)
    header = FrameHeader.from_bytes(message.data)
    return Head(header.epoch, header.first_sequence, note, header.count)


def frame_of(header: FrameHeader, payload: Bytes) -> bytes:
    """A frame as it lies in a file."""
    fill = FILL * (header.frame_bytes - HEADER_BYTES - len(payload))
    return b"".join((header.to_bytes(), payload, fill))


def split(frame: bytes, header: FrameHeader, rules: int) -> Iterator[tuple[bytes, str]]:
    """The messages of a frame: the bytes of each, and what stands in its header."""
    parts = -(-len(frame) // PART_BYTES)
    if parts == 1:
        yield frame, str(Note(rules))
        return
    for part in range(parts):
        note = Note(rules, part + 1, parts, header.epoch, header.first_sequence)
        yield frame[part * PART_BYTES : (part + 1) * PART_BYTES], str(note)


@dataclass(slots=True)
class StreamWalk:
    """Goes through the messages of a log, checking each against the chain.

    `take` gives the frame that a message completes, or None: for the first message, for that of a
    new writer, for a part, and for what an older writer wrote behind a newer one (``void``).
    `LogDamaged` for anything that a writer of ours cannot have written there.
    """

    place: str  # the address
    header: SegmentHeader | None = None
    at: int = 0  # of the last message taken
    sequence: int = 1  # next one expected
    epoch: int = 0
    epoch_at: int = 1  # the message with which its writer began
    chain: bytes = b""
    rules: int = 1  # in force for the next command
    frames: int = 0
    size: int = 0  # bytes of what was taken
    void: int = 0  # messages passed over
    raw: Callable[[bytes], object] | None = None  # is given each frame that is good, as it is
    _parts: list[bytes] = field(default_factory=list)
    _begun: int = 0  # message of the first of them

    def take(self, message: Message) -> Frame | None:
        try:
            return self._take(message)
        except BadBytes as error:
            raise LogDamaged(str(error), self.place, message.at, self.sequence) from None

    def _take(self, message: Message) -> Frame | None:
        if message.at != self.at + 1:
            raise BadBytes(f"messages {self.at + 1} to {message.at - 1} are missing: removed")
        self.size += len(message.data)
        if message.at == 1:
            self._begin(SegmentHeader.from_bytes(message.data))
            self.at = 1
            return None
        head = head_of(message)
        if head.epoch < self.epoch:  # sent before its writer heard of the next one
            self.void, self.at = self.void + 1, message.at
            return None
        if head.epoch > self.epoch:
            self._parts = []  # of a writer that ended in the middle of a frame: nobody was told
        data = self._joined(message, head)
        frame = self._frame(data, head.note) if data else None
        self.at = message.at
        if data and self.raw is not None:
            self.raw(data)
        return frame

    def _begin(self, header: SegmentHeader) -> None:
        if header.number != 1 or header.first_sequence != 1 or header.encryption.cipher:
            raise BadBytes("a segment that is not the beginning of a replicated log")
        self.header, self.epoch, self.sequence = header, header.epoch, header.first_sequence
        self.chain, self.rules = header.chain, header.rules

    def _joined(self, message: Message, head: Head) -> bytes:
        """The whole frame, or nothing yet."""
        note = head.note
        if (note.part or 1) != len(self._parts) + 1:
            raise BadBytes(
                f"part {note.part or 1} of a frame behind {len(self._parts)} of its parts"
            )
        if not self._parts:
            self._begun = message.at
        if not note.parts:
            return message.data
        if len(message.data) > PART_BYTES:
            raise BadBytes(f"a part of {len(message.data)} bytes")
        self._parts.append(message.data)
        if note.part < note.parts:
            return b""
        data, self._parts = b"".join(self._parts), []
        return data

    def _frame(self, data: bytes, note: Note) -> Frame | None:
        header, payload = taken_apart(data)
        if header.first_sequence != self.sequence or note.rules != self.rules:
            raise BadBytes(
                f"frame of sequence {header.first_sequence} under version {note.rules} of the"
                f" rules, where version {self.rules} is in force"
            )
        assert self.header is not None
        if header.chain_after(self.chain, payload, self.header.hash) != header.chain:
            raise BadBytes("frame whose digest does not match its bytes")
        if header.epoch > self.epoch:
            if header.count:
                raise BadBytes(f"frame of a writer, epoch {header.epoch}, that did not begin")
            self.epoch, self.epoch_at = header.epoch, self._begun
        if not header.count:  # the chain goes on without it
            return None
        held = Payload.checked(header.codec, payload, header.count)
        self.frames += 1
        first, under = self.sequence, self.rules
        self.sequence += header.count
        self.chain, self.rules = header.chain, header.rules or self.rules
        return Frame(
            header.epoch, first, header.count, header.time, held, header.chain, self.place,
            self._begun, header.rules, under,
        )  # fmt: skip


def taken_apart(frame: bytes) -> tuple[FrameHeader, memoryview]:
    """Header and payload; `BadBytes` unless they and the fill are all there is."""
    header = FrameHeader.from_bytes(frame)
    end = HEADER_BYTES + header.payload_bytes
    fill = frame[end:]
    if len(frame) != header.frame_bytes or fill != FILL * len(fill) or len(frame) % ALIGNMENT:
        raise BadBytes(f"frame of {header.frame_bytes} bytes in {len(frame)}")
    return header, memoryview(frame)[HEADER_BYTES:end]
