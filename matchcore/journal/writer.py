"""The one writer of a log: recovery of the tail, appends, syncs, rotation."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import KeyRefused, LogDamaged, LogError, LogFailed
from ..records.rules import first_rules
from .crypto.hashes import HASHES, SHA256, Bytes, hash_maker, hash_number
from .crypto.keys import ENCRYPTED_BYTES, NONCE_BYTES, FileCipher, Keys
from .disk import (
    DISK,
    PIECE_BYTES,
    Disk,
    give_birth,
    make_directories,
    read_all,
    refusals,
    remove_unborn,
    take_lock,
    write_all,
)
from .format import (
    ALIGNMENT,
    FILL,
    HEADER_BYTES,
    NO_CHAIN,
    SEGMENT_BYTES_MAX,
    FrameHeader,
    SegmentHeader,
)
from .packing import Packed, packed
from .position import Publisher, missed, published
from .segments import (
    Frame,
    Walk,
    begins_late,
    check_follows,
    check_order,
    check_snapshot,
    header_of,
    headers_of,
    named_sequence,
    segment_files,
    segment_path,
)

DEFAULT_SEGMENT_BYTES = 256 << 20
SEGMENT_BYTES_MIN = 4096
NONCE_RANDOM_BYTES = NONCE_BYTES - 4
ALLOCATE_BYTES_MIN, ALLOCATE_BYTES_MAX = 64 << 10, 1 << 20  # a segment grows in such steps
POLICIES = ("sync", "interval", "os")
INTERVAL_MS_DEFAULT = 10


@dataclass(slots=True)
class Recovered:
    """What opening a log found: counts of what was walked, and what was cut off its end.

    ``not_there``: first and last sequence that are missing though they were on disk.
    """

    segments: int = 0
    frames: int = 0
    commands: int = 0
    cut_bytes: int = 0
    not_there: tuple[int, int] | None = None


class FileLog:
    """A log in a directory.  One writer: a second one gets `LogLocked`.

    Not for two threads at once, but that one may `sync` while another appends.  After a failed
    write or sync it takes nothing more (`LogFailed`): what the disk really has is decided by
    opening it again.
    """

    def __init__(
        self,
        directory: Path,
        policy: str,
        segment_bytes: int,
        lock: int,
        disk: Disk,
        interval_ms: int = INTERVAL_MS_DEFAULT,
        hash_number: int = SHA256,
        keys: Keys | None = None,
    ) -> None:
        self.directory = directory
        self.policy, self.interval_ms = policy, interval_ms
        self.segment_bytes = segment_bytes
        self.identity = b""
        self.epoch = 1
        self.sequence = 0
        self.rules = first_rules(None)  # in force for the next command
        self.durable = 0  # as the policy means it
        self.on_disk = 0  # what a frame may certify
        self.appended_bytes = 0  # since opening
        self.chain = NO_CHAIN
        self.hash = hash_number
        self.keys = keys
        self.recovered = Recovered()
        self._cipher: FileCipher | None = None
        self._nonce = disk.random(NONCE_RANDOM_BYTES)  # of this writer
        self._begins = 0  # first sequence of the segment
        self._disk = disk
        # The system tells of a failed write once: to whoever syncs first.  So one at a time, and
        # who has it notes a failure before the next, who looks, can have it.
        self._syncing = threading.Lock()
        self._lock = lock
        self._fd = -1
        self._number = 0
        self._offset = 0
        self._allocated = 0
        self._since: float | None = None  # when the oldest append was passed that is not on disk
        self._failure: str | None = None
        self._position = Publisher(directory, disk)
        self._accept_loss = False

    # ------------------------------------------------------------------ opening

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        policy: str = "sync",
        interval_ms: int = INTERVAL_MS_DEFAULT,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        after: int = 0,
        chain: bytes | None = None,
        on_frame: Callable[[Frame], None] = lambda frame: None,
        hash: str | None = None,
        keys: Keys | None = None,
        accept_loss: bool = False,
        rules: int | None = None,
        disk: Disk = DISK,
    ) -> FileLog:
        """Opens or makes the log of a directory, for appending.

        ``policy``: what `sync` waits for.  "sync": fdatasync; "interval": fdatasync once what
        it has let pass without one is ``interval_ms`` old; "os": nothing.

        Each verified frame that holds a sequence beyond `after` is handed to `on_frame`: one
        pass checks and replays.  Segments that end at or before `after` are not read through.
        With `chain`, the log must have that digest there.  A torn tail is cut (see `recovered`);
        anything else that is wrong raises `LogDamaged`, and then nothing has been changed.
        So does a log that ends before a sequence that was on disk, unless `accept_loss`.
        `LogFailed` if the system refuses a file.

        A log that is made has ``hash`` ("sha256" or "sm3") for ever, another raises LogError, and
        begins under version ``rules``, None: the newest.  With ``keys`` all that is written from
        now on is encrypted; `KeyRefused` when one that is needed is missing or wrong.
        """
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r}: must be one of {', '.join(POLICIES)}")
        if interval_ms < 1:
            raise ValueError(f"interval_ms {interval_ms}: must be at least 1")
        if not SEGMENT_BYTES_MIN <= segment_bytes <= SEGMENT_BYTES_MAX:
            least, most = SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX
            raise ValueError(f"segment_bytes {segment_bytes}: must be {least} to {most}")
        wanted = SHA256 if hash is None else hash_number(hash)
        hash_maker(wanted)
        if keys is not None:
            keys.check(wanted)
        directory = Path(path)
        with refusals(directory):
            make_directories(disk, directory)
            lock = take_lock(directory, disk)
            log = cls(directory, policy, segment_bytes, lock, disk, interval_ms, wanted, keys)
            try:
                log._accept_loss, log.rules = accept_loss, first_rules(rules)
                log._check_hash(hash)
                log._recover(after, chain, on_frame)
                log._publish()
            except BaseException:
                log._release()
                raise
        return log

    def _check_hash(self, wanted: str | None) -> None:
        files = segment_files(self.directory, self._disk)
        if not files:
            return
        self.hash = header_of(files[-1], self._disk).hash
        if wanted is not None and hash_number(wanted) != self.hash:
            raise LogError(
                f"{self.directory}: created with hash {HASHES[self.hash]!r}, which cannot"
                f" change; it cannot be opened with hash {wanted!r}"
            )

    def _recover(self, after: int, chain: bytes | None, on_frame: Callable[[Frame], None]) -> None:
        remove_unborn(self._disk, self.directory, "journal-")
        headers = headers_of(self.directory, self._disk)
        if not headers:
            self._miss(b"", after)
            self._begin(after)
            return
        check_order(headers)
        first = max((at for at, (_, h) in enumerate(headers) if h.first_sequence <= after + 1),
                    default=None)  # fmt: skip
        if first is None:
            raise begins_late(headers[0][0], headers[0][1].first_sequence, after + 1)
        walk: Walk | None = None
        try:
            for file, header in headers[first:]:
                if walk is not None:
                    check_follows(walk, header, file)
                    walk.close()
                writable = file == headers[-1][0]
                walk = Walk.open(file, writable=writable, keys=self.keys, disk=self._disk)
                chain = self._walk(walk, after, chain, on_frame)
            assert walk is not None
            if chain is not None:
                check_snapshot(self.directory, walk, after, chain)
            self._adopt(walk)
        finally:
            if walk is not None:  # and was not adopted
                walk.close()

    def _miss(self, identity: bytes, end: int) -> None:
        """`LogDamaged` if the hint knows more of the log, unless that is accepted."""
        hint = published(self.directory, self._disk)
        wrong = missed(hint, self.directory, identity, end)
        if wrong is not None and not self._accept_loss:
            raise wrong
        if hint.on_disk > end and identity in (b"", hint.identity):
            self.recovered.not_there = end + 1, hint.on_disk

    def _walk(
        self, walk: Walk, after: int, chain: bytes | None, on_frame: Callable[[Frame], None]
    ) -> bytes | None:
        """Hands out a segment's frames; returns the chain that is still to be compared."""
        self.recovered.segments += 1
        while True:
            if chain is not None and walk.sequence > after:
                check_snapshot(self.directory, walk, after, chain)
                chain = None
            frame = walk.next()
            if frame is None:
                return chain
            self.recovered.frames += 1
            self.recovered.commands += frame.count
            if walk.sequence > after + 1:
                on_frame(frame)

    def _adopt(self, walk: Walk) -> None:
        """Goes on at the end of the last segment, after cutting what a crash left torn there."""
        torn = bool(walk.trailing_problem())
        if torn and not walk.can_be_torn():
            raise walk.damage()
        self._miss(walk.header.identity, walk.sequence - 1)
        if torn:
            self.recovered.cut_bytes = walk.size() - walk.offset
        if walk.size() > walk.offset:
            self._disk.ftruncate(walk.fd, walk.offset)
        # Frames that no crash tore are accepted, and must stay.  After a failed sync the kernel
        # may take them for written and skip them in the next: what no later frame vouches for
        # is written again.  And whoever died may have died before the name was on disk.
        for at in range(walk.certain, walk.offset, PIECE_BYTES):
            size = min(PIECE_BYTES, walk.offset - at)
            write_all(self._disk, walk.fd, read_all(self._disk, walk.fd, size, at), at)
        self._disk.fsync(walk.fd)
        self._disk.sync_directory(self.directory)
        self.identity = walk.header.identity
        self.epoch = walk.epoch + 1
        self.sequence = self.durable = self.on_disk = walk.sequence - 1
        self.chain, self.rules = walk.chain, walk.rules
        self._number = walk.header.number
        self._fd, walk.fd = walk.fd, -1
        self._offset = self._allocated = walk.offset
        self._begins = walk.header.first_sequence
        self._cipher = walk.cipher
        if self.keys is not None and not self.keys.is_for_new_files(walk.header.encryption):
            self._rotate()

    def _begin(self, after: int) -> None:
        if after:
            raise LogDamaged(
                "there are snapshots here, but no journal", str(self.directory), 0, after + 1
            )
        self.identity = self._disk.random(16)
        with suppress(PermissionError):  # where the directory was made by somebody with more rights
            self._disk.sync_directory(self.directory.absolute().parent)
        self._new_segment(*self._next_header())

    # ------------------------------------------------------------------ appending

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """Writes commands as frames; they are safe only after `sync`.

        ``now``: nanoseconds; the time of commands that have none.  ``rules``: the version that the
        one command, UPGRADE_RULES, changes to.
        """
        made = packed(commands, now)
        try:
            for codec, count, payload in made.frames:
                self._append(codec, count, payload, now, rules)
        except BaseException as error:
            self._end(error)
            raise

    def _append(self, codec: int, count: int, payload: Bytes, now: int, rules: int = 0) -> None:
        self._usable()
        stored = len(payload) + (ENCRYPTED_BYTES if self._cipher is not None else 0)
        header = FrameHeader(
            codec, count, stored, self.epoch, self.sequence + 1, self.on_disk, now, NO_CHAIN, rules
        )
        size = header.frame_bytes
        if self._offset + size > self.segment_bytes and self._offset > HEADER_BYTES and count:
            self._rotate()
            header.durable = self.on_disk
        if self._cipher is not None:
            nonce = self._nonce + (self._offset // ALIGNMENT).to_bytes(4, "little")
            payload = self._cipher.encrypt(nonce, payload, self.chain + header.fixed())
        header.chain = header.chain_after(self.chain, payload, self.hash)
        fill = FILL * (size - HEADER_BYTES - len(payload))
        with _Fatal(self, "write"):
            self._allocate(self._offset + size)
            frame = b"".join((header.to_bytes(), payload, fill))
            write_all(self._disk, self._fd, frame, self._offset)
        self._offset += size
        self._allocated = max(self._allocated, self._offset)
        self.appended_bytes += size
        self.sequence += count
        if count:
            self.chain, self.rules = header.chain, rules or self.rules

    def sync(self, *, to_disk: bool = False) -> None:
        """Returns when everything appended is as safe as the policy says, or safer: on disk.

        What is appended meanwhile may be safe as well, or not.
        """
        with self._syncing, _Fatal(self, "sync"):
            self._sync(to_disk)

    def _sync(self, to_disk: bool) -> None:
        self._usable()
        upto = self.sequence
        if upto == self.durable and not to_disk:
            return
        due = self.sync_due
        if self.policy == "sync" or to_disk or (due is not None and due <= 0):
            with _Fatal(self, "fdatasync"):
                self._disk.fdatasync(self._fd)
            self.on_disk = upto
            self._since = None
        elif self.policy == "interval" and due is None:
            self._since = self._disk.monotonic()
        self.durable = upto
        self._publish()

    @property
    def sync_due(self) -> float | None:
        """Seconds until a `sync` will go to the disk, under "interval"; None: nothing waits."""
        since = self._since  # once: another thread may sync
        if since is None:
            return None
        return since + self.interval_ms / 1e3 - self._disk.monotonic()

    def abandon(self, why: str) -> None:
        """Lets go of the files without a word to them, as in a child of the process that writes."""
        self._failure = why
        self._release()

    def _allocate(self, end: int) -> None:
        """Zeros for the frames to come: a sync of bytes over bytes has no metadata to write.

        A third faster than syncing into space that was only reserved, and a full disk shows before
        a frame does.  But zeros are bytes too: where frames come faster than syncs, several share
        the metadata, and that is less than the zeros.
        """
        if end <= self._allocated or self.policy == "os" or self.sequence > self.on_disk:
            return
        step = min(max(self._allocated, ALLOCATE_BYTES_MIN), ALLOCATE_BYTES_MAX)
        wanted = max(end, min(self._allocated + step, self.segment_bytes))
        try:
            write_all(self._disk, self._fd, bytes(wanted - self._allocated), self._allocated)
        except OSError:
            wanted = self._disk.size(self._fd)
            if wanted < end:  # the last bytes of a disk may still hold this frame
                raise
        self._allocated = wanted

    def _rotate(self) -> None:
        following = self._next_header()  # its key may be refused: then nothing has happened yet
        with self._syncing, _Fatal(self, "rotate"):
            self._usable()
            self._disk.ftruncate(self._fd, self._offset)
            self._disk.fsync(self._fd)
            self._disk.close(self._fd)
            self._fd = -1
            self.durable = self.on_disk = self.sequence
            self._since = None
            self._new_segment(*following)
            self._publish()  # or readers would wait for the next sync

    def _next_header(self) -> tuple[SegmentHeader, FileCipher | None]:
        """For the segment that begins here; it takes the place of one that holds no command."""
        first = self.sequence + 1
        header = SegmentHeader(
            self._number + (self._begins != first), self.identity, first, self.epoch,
            self._disk.clock(), self.chain, self.hash, rules=self.rules,
        )  # fmt: skip
        if self.keys is None:
            return header, None
        said = self.keys.new_file(self._disk.random)
        header = replace(header, encryption=said)
        cipher, check = self.keys.encrypt(said, self.hash, header.derived_from)
        return replace(header, encryption=said._replace(check=check)), cipher

    def _new_segment(self, header: SegmentHeader, cipher: FileCipher | None) -> None:
        file = segment_path(self.directory, header.first_sequence)
        self._fd = give_birth(self._disk, file, [header.to_bytes()])
        self._number, self._begins, self._cipher = header.number, header.first_sequence, cipher
        self._offset = self._allocated = HEADER_BYTES

    # ------------------------------------------------------------------ reading and closing

    def frames(self, after: int = 0) -> Iterator[Frame]:
        """The frames that hold sequences beyond `after`, verified, up to the last append."""
        upto = self.sequence
        with refusals(self.directory):
            files = segment_files(self.directory, self._disk)
            for at, file in enumerate(files):
                if at + 1 < len(files) and named_sequence(files[at + 1]) <= after + 1:
                    continue
                with Walk.open(file, keys=self.keys, disk=self._disk) as walk:
                    while walk.sequence <= upto and (frame := walk.next()) is not None:
                        if walk.sequence > after + 1:
                            yield frame
                    if walk.problem:
                        raise walk.damage()

    def close(self) -> None:
        """Seals the log, gives back unused disk space and the lock.  Closing twice is nothing."""
        if self._lock < 0:
            return
        try:
            if self._failure is None and self._fd >= 0:
                with _Fatal(self, "fdatasync"):
                    self._disk.fdatasync(self._fd)
                self.durable = self.on_disk = self.sequence
                self._append(0, 0, b"", self._disk.clock())
                with _Fatal(self, "fsync"):
                    self._disk.ftruncate(self._fd, self._offset)
                    self._disk.fsync(self._fd)
                self._publish()
        finally:
            self._release()

    def _release(self) -> None:
        for fd in (self._fd, self._lock):
            if fd >= 0:
                self._disk.close(fd)
        self._fd = self._lock = -1
        self._position.close()
        self._failure = self._failure or "the log is closed"

    def _publish(self) -> None:
        """Tells readers of this machine how far they may go, and the next opening what it has."""
        self._position.publish(self.durable, self.on_disk, self.identity)

    def _usable(self) -> None:
        if self._failure is not None:
            raise LogFailed(f"{self.directory}: the log accepts no more commands: {self._failure}")

    def _end(self, error: BaseException) -> None:
        """Nobody knows how far it came: no frame follows, no sync passes it over, no seal."""
        if not isinstance(error, KeyRefused):  # nothing has happened yet
            self._failure = self._failure or f"interrupted by {type(error).__name__}"


class _Fatal:
    """An error inside ends the log: after a failed sync the kernel may have dropped the data."""

    def __init__(self, log: FileLog, what: str) -> None:
        self._log = log
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            self._log._failure = f"{self._what} failed: {error}"
            raise LogFailed(
                f"{self._log.directory}: {self._log._failure}; the log accepts no more commands."
                " Remove the cause and open the directory again to see what the disk has"
            ) from error
        if error is not None:
            self._log._end(error)
