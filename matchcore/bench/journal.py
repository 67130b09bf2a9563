"""The neutral workload through the log, and what it costs to come back from it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from . import neutral, sharing
from .throughput import BATCH, INSTRUMENT, batches, feed

LARGE = 4 * BATCH


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    commands = neutral.commands(neutral.messages("swing-40", count))
    with tempfile.TemporaryDirectory(prefix="matchcore-bench-", dir=os.environ.get("TMPDIR")) as at:
        place = Path(at)
        size = write_log(commands, place / "log") / len(commands)
        yield [
            (f"no log, batches of {BATCH}", partial(batches, commands, BATCH)),
            (f"policy sync, batches of {BATCH}", partial(durable, commands, place, "sync", BATCH)),
            (f"policy sync, batches of {LARGE}", partial(durable, commands, place, "sync", LARGE)),
            (f"policy sync, submit_async, batches of {BATCH}",
             partial(sharing.pipelined, commands, place, BATCH)),
            ("the same, to the same bytes written and synced plainly",
             partial(to_plain, commands, place, int(size * BATCH)), "times"),
            (f"policy os, batches of {BATCH}", partial(durable, commands, place, "os", BATCH)),
            ("the same bytes written and synced plainly",
             partial(plain, int(size * BATCH), len(commands), place)),
            ("recovery from the whole log", partial(recover, place / "log", len(commands)),
             "million/s", f"{size:.1f} bytes a command"),
        ]  # fmt: skip
        singles = min(max(count // 4000, 20), 500)
        yield [
            ("policy sync, single commands, one thread",
             partial(sharing.one_thread, 4 * singles, place), "thousand/s"),
            (f"the same, {sharing.CALLERS} threads",
             partial(sharing.threads, singles, place), "thousand/s"),
            (f"the same, {sharing.CALLERS} tasks",
             partial(sharing.tasks, singles, place), "thousand/s"),
            (f"{sharing.CALLERS} threads, to one",
             partial(sharing.to_one, sharing.threads, singles, place), "times"),
            (f"{sharing.CALLERS} tasks, to one thread",
             partial(sharing.to_one, sharing.tasks, singles, place), "times"),
        ]  # fmt: skip


def write_log(commands: NDArray[np.void], directory: Path) -> int:
    """Makes a log of the commands; returns its bytes."""
    with Engine.open(directory, instruments=[INSTRUMENT], policy="os") as engine:
        feed(engine, commands)
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def durable(commands: NDArray[np.void], place: Path, policy: str, batch: int) -> float:
    with (
        tempfile.TemporaryDirectory(dir=place) as directory,
        Engine.open(directory, instruments=[INSTRUMENT], policy=policy) as engine,
    ):
        return feed(engine, commands, batch)


def plain(frame_bytes: int, count: int, place: Path) -> float:
    """What the disk takes: frames of a batch's size, written into a file made ready, synced."""
    path, frame = place / "plain", os.urandom(frame_bytes)
    frames = -(-count // BATCH)
    with path.open("wb", buffering=0) as file:
        file.write(bytes(frame_bytes * frames))
        os.fsync(file.fileno())
        file.seek(0)
        started = time.perf_counter()
        for _ in range(frames):
            file.write(frame)
            os.fdatasync(file.fileno())
        took = time.perf_counter() - started
    path.unlink()
    return count / took / 1e6


def to_plain(commands: NDArray[np.void], place: Path, frame_bytes: int) -> float:
    """The pipeline's part of what the disk takes, measured just before and just after."""
    before = plain(frame_bytes, len(commands), place)
    rate = sharing.pipelined(commands, place, BATCH)
    return 2 * rate / (before + plain(frame_bytes, len(commands), place))


def recover(directory: Path, count: int) -> float:
    started = time.perf_counter()
    Engine.open(directory).close()
    return count / (time.perf_counter() - started) / 1e6
