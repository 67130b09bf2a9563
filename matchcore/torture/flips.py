"""Cuts and flipped bits in a log and its snapshots: detected or harmless, never another state.

Walking a log is a function of where the walk stands and of the bytes from there on.  So a flip is
checked from the frame that it is in: what comes before is as it was, and if that frame is as it
was too, so is what follows.  The judgement over a bad frame is the product's own.  A sample of
all flips, and whatever this shortcut cannot decide, goes the whole way through `Engine.open`.
"""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass, replace
from pathlib import Path

from ..engine.engine import Engine
from ..errors import LogDamaged, SnapshotDamaged
from ..journal import Keys, snapshots
from ..journal.format import HEADER_BYTES
from ..journal.segments import Frame, Walk, segment_files
from .disk import SimulatedDisk
from .flow import Broken, Rows, commands, digest_of, promise
from .secrecy import Secret

PLACE = Path("/exchange")


@dataclass
class Stand:
    """A walk before a frame, and what it gives next: None at the segment's end."""

    offset: int
    sequence: int
    epoch: int
    chain: bytes
    durable: int
    frame: Frame | None


class Target:
    """A log whose writer died, with snapshots: everything in it was acknowledged."""

    def __init__(
        self,
        seed: int,
        sizes: list[int],
        segment_bytes: int,
        hash: str = "sha256",
        keys: Keys | None = None,
    ) -> None:
        self._keys = keys
        self.stream: Rows = commands(seed, sum(sizes))
        disk = SimulatedDisk(seed)
        with Engine._open(
            PLACE, disk=disk, segment_bytes=segment_bytes, clock=disk.clock, hash=hash, keys=keys
        ) as engine:
            at = 0
            for number, size in enumerate(sizes):
                engine.submit_batch(self.stream[at : at + size])
                at += size
                if number in (len(sizes) // 3, 2 * len(sizes) // 3):
                    engine.snapshot()
            self.digest = engine.digest()
            self.contents = disk.contents()
        promise(self.digest == digest_of(self.stream), "the log to flip is not what was given")
        self.disk = SimulatedDisk(seed)
        self.disk.load(self.contents)
        self.segments = segment_files(PLACE, self.disk)
        self.snapshots = snapshots.listing(PLACE, self.disk)
        self.files = [*self.segments, *self.snapshots]
        self._walks = {file: self._walk(file) for file in self.segments}
        self._stands = {file: self._stand(walk) for file, walk in self._walks.items()}
        self._held = {file: self._read(file) for file in self.snapshots}
        self._node = {
            file: node for file in self.files if (node := self.disk._live[file]) is not None
        }
        self.ends = [0]
        for file in self.files:
            self.ends.append(self.ends[-1] + len(self.contents[file]))

    def _walk(self, file: Path) -> Walk:
        return Walk.open(file, keys=self._keys, disk=self.disk)

    def _read(self, file: Path) -> snapshots.Snapshot:
        return snapshots.read(file, self.disk, keys=self._keys)

    def _stand(self, walk: Walk) -> list[Stand]:
        stands = []
        while True:
            here = walk.offset, walk.sequence, walk.epoch, walk.chain, walk.durable
            frame = walk.next()
            stands.append(Stand(*here, frame))
            if frame is None:
                return stands

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return self.ends[-1]

    def place(self, at: int) -> tuple[Path, int]:
        """File and offset of a byte of all files together."""
        number = bisect.bisect_right(self.ends, at) - 1
        return self.files[number], at - self.ends[number]

    # ------------------------------------------------------------------ flips

    def flip(self, at: int, mask: int, *, whole_way: bool = False) -> None:
        """Flips bits of one byte, checks, and undoes it; `Broken` if something else came out."""
        file, offset = self.place(at)
        data = self._node[file].live
        data[offset] ^= mask
        try:
            if whole_way or not self._quickly(file, offset):
                self._opens_the_same(f"{file.name}, byte {offset}, bits {mask:#x}")
        except Broken as error:
            raise Broken(f"flip of {file.name}, byte {offset}, bits {mask:#x}: {error}") from None
        finally:
            data[offset] ^= mask

    def _quickly(self, file: Path, offset: int) -> bool:
        """True if it is decided; `Broken` as `flip` raises it."""
        if file in self._held:
            try:
                return self._read(file) == self._held[file]
            except SnapshotDamaged:
                return True
        if offset < HEADER_BYTES:
            try:
                with self._walk(file) as walk:
                    return walk.header == self._walks[file].header
            except LogDamaged:
                return True
        stands = self._stands[file]
        at = bisect.bisect_right(stands, offset, key=lambda stand: stand.offset) - 1
        stand = stands[at]
        walk = replace(
            self._walks[file], offset=stand.offset, sequence=stand.sequence, epoch=stand.epoch,
            chain=stand.chain, durable=stand.durable, problem="", bad=None,
        )  # fmt: skip
        found = walk.next()
        if found is not None:
            promise(stand.frame is not None, "a frame that nobody wrote")
            promise(walk.offset == stands[at + 1].offset and same(found, stand.frame),
                    "another frame was read, and nothing was said")  # fmt: skip
            return True
        if stand.frame is None:
            return True  # behind all frames: there is nothing to lose, whatever is said
        promise(bool(walk.trailing_problem()), "frames are gone, and nothing was said")
        torn = file == self.segments[-1] and walk.can_be_torn()
        promise(not torn, "an acknowledged frame was taken for a torn write")
        return True

    def _opens_the_same(self, what: str, *, prefix: int | None = None) -> None:
        """`Engine.open` refuses, or gives the same state; with `prefix`, that of so many."""
        disk = SimulatedDisk(1)
        disk.load({file: bytes(node.live) for file, node in self._node.items()})
        wanted, digest = len(self.stream), self.digest
        try:
            with Engine._open(PLACE, disk=disk, keys=self._keys) as engine:
                if prefix is not None:
                    wanted, digest = prefix, digest_of(self.stream[:prefix])
                promise(engine.sequence == wanted, f"{what}: {engine.sequence} of {wanted}")
                promise(engine.digest() == digest, f"{what}: another state, and nothing was said")
        except LogDamaged:
            pass

    # ------------------------------------------------------------------ cuts

    def cut(self, at: int) -> None:
        """Ends one file before a byte and opens what is left: refused, or whole frames before."""
        file, offset = self.place(at)
        node, what = self._node[file], f"cut of {file.name} at byte {offset}"
        data = node.live
        node.live = data[:offset]
        try:
            if file in self._held:
                try:
                    self._read(file)
                    raise Broken(f"{what}: half a snapshot is good")
                except SnapshotDamaged:
                    self._opens_the_same(what)
            elif file != self.segments[-1]:
                self._opens_the_same(what)  # a cut may take unused space, or what snapshots hold
            else:
                self._opens_the_same(what, prefix=self._whole(file, offset))
        finally:
            node.live = data

    def _whole(self, file: Path, offset: int) -> int:
        """Commands in the frames that end at or before a byte of the last segment."""
        stands = self._stands[file]
        return max((s.sequence for s in stands if s.offset <= offset), default=1) - 1


def same(left: Frame, right: Frame | None) -> bool:
    return right is not None and (
        (left.epoch, left.first_sequence, left.count, left.time, left.chain)
        == (right.epoch, right.first_sequence, right.count, right.time, right.chain)
        and left.commands.tobytes() == right.commands.tobytes()
    )


def small(seed: int) -> Target:
    """A few KiB in three segments, and two snapshots."""
    return Target(seed, [2, 3, 5, 20, 8, 12, 30, 4, 25, 1, 18, 3, 22], 4096)


def encrypted(seed: int) -> Target:
    """As `small`, with SM3 and SM4."""
    sizes = [2, 3, 5, 20, 8, 12, 30, 4, 25, 1, 18, 3, 22]
    return Target(seed, sizes, 4096, "sm3", Secret("sm4-gcm", lambda: "k"))


def large(seed: int) -> Target:
    """Half a MiB: batches of every size, up to what fills a frame."""
    dice = random.Random(seed)
    sizes = [dice.choice((1, 16, 17, 200, 1000, 4096)) for _ in range(24)]
    return Target(seed, [2, *sizes, 2000], 96 << 10)
