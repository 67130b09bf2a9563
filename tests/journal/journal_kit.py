"""Logs to test with: made, crashed, flipped and read back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND
from matchcore.journal import FileLog, LogReader, Recovered
from matchcore.journal.format import HEADER_BYTES, FrameHeader
from matchcore.journal.segments import segment_files

SMALL = 4096  # the smallest segment_bytes


def noise(count: int, seed: int = 0) -> NDArray:
    """Commands of random bytes: every field over its whole range."""
    return np.frombuffer(np.random.default_rng(seed).bytes(96 * count), COMMAND)


def orders(count: int, seed: int = 0) -> NDArray:
    """Commands that look like a flow of orders, so that they pack well."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["time"] = 10**18 + np.cumsum(rng.integers(1, 5000, count))
    rows["order_id"] = np.arange(1, count + 1)
    rows["price"] = rng.integers(-50, 50, count)
    rows["quantity"] = rng.integers(1, 100, count)
    rows["instrument"], rows["kind"] = 1, 1
    rows["side"] = rng.integers(1, 3, count)
    return rows


def write(log: FileLog, counts: list[int], *, sync: bool = True, seed: int = 1) -> list[NDArray]:
    """Appends a frame of each size."""
    batches = [orders(count, seed + n) for n, count in enumerate(counts)]
    for batch in batches:
        log.append(batch, 1)
        if sync:
            log.sync()
    return batches


def closed_log(path: Path, counts: list[int], segment_bytes: int = 1 << 20) -> NDArray:
    """A log that was closed in peace; returns its commands."""
    log = FileLog.open(path, segment_bytes=segment_bytes)
    batches = write(log, counts)
    log.close()
    return np.concatenate(batches)


def crashed_log(path: Path, counts: list[int], segment_bytes: int = 1 << 14) -> NDArray:
    """A log whose writer died: no seal, and zeros behind the last frame."""
    live = path.with_name(path.name + "-live")
    log = FileLog.open(live, segment_bytes=segment_bytes)
    batches = write(log, counts)
    shutil.copytree(live, path)
    log.close()
    return np.concatenate(batches)


def read_back(path: Path, after: int = 0) -> NDArray:
    """The commands of the frames that a reader gives."""
    with LogReader(path, after=after) as reader:
        parts = [frame.commands for frame in reader.read()]
    return np.concatenate([np.zeros(0, COMMAND), *parts])


def reopen(path: Path, append: NDArray | None = None) -> tuple[NDArray, Recovered]:
    """What opening for writing finds; optionally appends before it closes.

    Whatever `position` says of more: these logs are cut by hand, as no crash cuts them.
    """
    parts = [np.zeros(0, COMMAND)]
    log = FileLog.open(path, on_frame=lambda frame: parts.append(frame.commands), accept_loss=True)
    try:
        if append is not None:
            log.append(append, 2)
            log.sync()
    finally:
        log.close()
    return np.concatenate(parts), log.recovered


def frame_ends(segment: Path) -> list[int]:
    """Byte offsets behind each frame of an undamaged segment, seals included."""
    data, at, ends = segment.read_bytes(), HEADER_BYTES, []
    while at + HEADER_BYTES <= len(data) and any(data[at : at + HEADER_BYTES]):
        at += FrameHeader.from_bytes(data, at).frame_bytes
        ends.append(at)
    return ends


def only_segment(path: Path) -> Path:
    (file,) = segment_files(path)
    return file


def flip(file: Path, offset: int, mask: int) -> None:
    """Flips bits of one byte in place; the same call again undoes it."""
    with open(file, "r+b") as bytes_of:
        bytes_of.seek(offset)
        old = bytes_of.read(1)[0]
        bytes_of.seek(offset)
        bytes_of.write(bytes([old ^ mask]))


def same(left: NDArray, right: NDArray) -> bool:
    return left.tobytes() == right.tobytes()
