"""Makes the golden directories that are missing: `python make.py`.  Others stay for ever."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, Engine, Instrument, Keys
from matchcore.journal import LogReader, verify
from matchcore.journal.disk import SystemDisk
from matchcore.journal.format import HEADER_BYTES, FrameHeader
from matchcore.journal.segments import segment_files
from matchcore.journal.snapshots import listing

HERE = Path(__file__).parent
MASTER = {"one": bytes(range(32)), "two": bytes(range(100, 132))}
#: directory -> hash, cipher
EXCHANGES = {
    "v1-sha256": ("sha256", None),
    "v1-sm3": ("sm3", None),
    "v1-aes": ("sha256", "aes-256-gcm"),
    "v1-sm4": ("sm3", "sm4-gcm"),
    "v1-torn": ("sha256", None),
    "v1-snapshot-v2": ("sha256", None),
}
SEGMENT_BYTES = 4096


class StillDisk(SystemDisk):
    """Random bytes that come again, and a clock that counts."""

    def __init__(self, seed: str) -> None:
        self._seed, self._drawn, self._now = seed, 0, 1_700_000_000_000_000_000

    def random(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.sha256(f"{self._seed} {self._drawn}".encode()).digest()[:count]

    def clock(self) -> int:
        self._now += 1_000_000_000
        return self._now


def keys_of(cipher: str | None, key_id: str = "one") -> Keys | None:
    return Keys(MASTER.__getitem__, key_id, cipher) if cipher else None


def commands(count: int, start: int, *, sparse: bool = False) -> NDArray[np.void]:
    """New orders of one instrument; `sparse` makes planes with a sector of zeros (codec 2)."""
    rows, n = np.zeros(count, COMMAND), np.arange(start, start + count)
    rows["time"] = 1_700_000_000_000_000_000 + 1000 * n
    rows["kind"], rows["instrument"], rows["order_type"], rows["time_in_force"] = 1, 1, 1, 1
    rows["side"], rows["price"] = 1 + n % 2, 100 + 7 * n % 11 - 20 * (n % 3 == 0)
    rows["quantity"], rows["account"] = 1 + n % 9, 5
    if sparse:
        rows["account"] = np.where(np.arange(count) == count - 1, 6, 5)
    return rows


def make(directory: Path, hash_name: str, cipher: str | None, torn: bool) -> None:
    disk = StillDisk(hash_name)
    made: dict[str, Any] = {"segment_bytes": SEGMENT_BYTES, "disk": disk, "clock": disk.clock}
    instruments = [Instrument("GOLD", tick="0.01")]
    keys = keys_of(cipher)
    with Engine.open(directory, hash=hash_name, instruments=instruments, keys=keys, **made) as one:
        for start, count in ((0, 1), (1, 16), (17, 90), (107, 60)):
            one.submit_batch(commands(count, start))
        one.snapshot()
        one.submit_batch(commands(1100, 167, sparse=True))
    live = directory.with_name(directory.name + ".live")
    shutil.copytree(directory, live)
    two = Engine.open(live, keys=keys_of(cipher, "two"), **made)
    two.submit_batch(commands(3, 1267))
    two.submit_batch(commands(40, 1270))
    if torn:  # as a crash leaves it: no seal, half of the last frame
        shutil.rmtree(directory)
        shutil.copytree(live, directory)
        last = segment_files(directory)[-1]
        data = last.read_bytes().rstrip(b"\0")
        last.write_bytes(data[:-200])
        two.close()
    else:
        two.close()
        shutil.rmtree(directory)
        shutil.copytree(live, directory)
    shutil.rmtree(live)
    for hint in ("lock", "position", "snapshot-lock"):
        (directory / hint).unlink(missing_ok=True)


def codecs(directory: Path) -> list[int]:
    found = set()
    for file in segment_files(directory):
        data, at = file.read_bytes(), HEADER_BYTES
        while at + HEADER_BYTES <= len(data) and any(data[at : at + HEADER_BYTES]):
            header = FrameHeader.from_bytes(data, at)
            found.add(header.codec if header.count else 0)
            at += header.frame_bytes
    return sorted(found)


def expected(directory: Path, cipher: str | None) -> dict[str, Any]:
    """What a reader must find; asked of a copy where the engine writes."""
    keys = keys_of(cipher)
    with LogReader(directory, keys=keys) as reader:
        frames = list(reader.read())
    records = b"".join(frame.commands.tobytes() for frame in frames)
    report = verify(directory, keys=keys)
    engine = Engine.at(directory, keys=keys)
    return {
        "commands": len(records) // 96,
        "records_sha256": hashlib.sha256(records).hexdigest(),
        "chain": frames[-1].chain.hex(),
        "digest": engine.digest(),
        "codecs": codecs(directory),
        "snapshots": [file.name for file in listing(directory)],
        "verify": {
            "good": report.good, "identity": report.identity, "segments": report.segments,
            "frames": report.frames, "torn_bytes": report.torn_bytes,
            "last_sequence": report.last_sequence,
        },
    }  # fmt: skip


def main() -> None:
    said = json.loads((HERE / "expected.json").read_text())
    for name, (hash_name, cipher) in EXCHANGES.items():
        if (HERE / name).exists():
            continue
        make(HERE / name, hash_name, cipher, name == "v1-torn")
        said[name] = expected(HERE / name, cipher)
    text = json.dumps(said, indent=1) + os.linesep
    (HERE / "expected.json").write_text(text)


if __name__ == "__main__":
    main()
