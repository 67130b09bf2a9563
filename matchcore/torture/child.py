"""What runs in processes that are killed, stopped or given a disk that is too small."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import zlib
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np

from ..commands import COMMAND, joined
from ..engine import Engine
from ..errors import LogFailed
from ..journal import LogReader
from ..recovery import read
from .flow import Rows, commands, digest_of
from .plans import one_by_one

#: What a child says of a call that was answered: sequence before, after, CRC-32 of the events.
ANSWER = struct.Struct("<QQI")
FLOW = 40_000  # commands of one directory
SEGMENT_BYTES = 1 << 15
SIZES = (1, 1, 1, 2, 7, 16, 17, 60, 300)


def load(path: str, policy: str, seed: int, out: int) -> None:
    """Sends commands until it is killed, one at a time, in batches and without waiting for the
    answer; says each answer."""
    dice = np.random.default_rng(seed)
    with Engine.open(path, policy=policy, segment_bytes=SEGMENT_BYTES) as engine:
        at = engine.sequence
        os.write(out, ANSWER.pack(at, at, 0))
        while at < FLOW:
            count, kind = int(dice.choice(SIZES)), dice.random()
            given = commands(seed, FLOW)[at : at + count]
            if kind > 0.7:
                futures = [
                    _told(engine, given[part : part + 5], at + part, out)
                    for part in range(0, len(given), 5)
                ]
                wait(futures)
            elif count <= 2:
                for number in range(len(given)):
                    _tell(out, at + number, 1, one_by_one(engine, given[number : number + 1]))
            else:
                _tell(out, at, len(given), engine.submit_batch(given).tobytes())
            at += len(given)
            if kind < 0.03:
                engine.snapshot()


def _told(engine: Engine, given: Rows, at: int, out: int) -> Future[Rows]:
    """A batch that is on its way; its answer is said as soon as it is there."""
    future = engine.submit_async(given)
    future.add_done_callback(lambda done: _tell(out, at, len(given), done.result().tobytes()))
    return future


def _tell(out: int, at: int, count: int, events: bytes) -> None:
    os.write(out, ANSWER.pack(at, at + count, zlib.crc32(events)))


def logged(path: Path) -> Rows:
    """Every command in a log."""
    with LogReader(path) as reader:
        return joined([np.zeros(0, COMMAND), *(frame.commands for frame in reader.read())])


def fill(path: Path, seed: int, policy: str) -> int:
    """Sends batches until the disk takes no more; returns what was acknowledged."""
    with_room = 0
    engine = Engine.open(path, policy=policy, segment_bytes=1 << 16)
    try:
        for number in range(100_000):
            at = engine.sequence
            engine.submit_batch(commands(seed, FLOW)[at : at + 1 + number % 50])
            with_room = engine.sequence
            if with_room >= FLOW:
                raise RuntimeError("the disk never got full")
    except LogFailed:
        pass
    finally:
        engine.close()
    return with_room


def full(place: str, seed: int, policy: str, limit: int) -> dict[str, object]:
    """Fills a small file system, or a file up to `limit` bytes; then gives room and looks."""
    base = Path(place)
    ballast = base / "ballast"
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    else:
        ballast.write_bytes(bytes(400_000))
    acknowledged = fill(base / "exchange", seed, policy)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        ballast.unlink()
    with Engine.open(base / "exchange") as engine:
        found, digest = engine.sequence, engine.digest()
    kept = logged(base / "exchange")
    return {
        "acknowledged": acknowledged,
        "recovered": found,
        "as_given": kept.tobytes() == commands(seed, FLOW)[:found].tobytes(),
        "same_state": digest == digest_of(kept),
    }


def main() -> None:
    """`python -m matchcore.torture.child digest DIR` or `full PLACE SEED POLICY LIMIT`."""
    match sys.argv[1:]:
        case ["digest", path]:
            machine, position = read(path)
            events = digest_events(logged(Path(path)))
            print(json.dumps([machine.digest(), position.sequence, events]))
        case ["full", place, seed, policy, limit]:
            print(json.dumps(full(place, int(seed), policy, int(limit))))
        case _:
            sys.exit(2)


def digest_events(stream: Rows) -> int:
    """CRC-32 of the events of a stream on a machine of its own."""
    from ..recovery import machine_class

    return zlib.crc32(machine_class("cython")().apply(stream).tobytes())


if __name__ == "__main__":
    main()
