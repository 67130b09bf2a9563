"""What runs in processes that are killed, stopped or given a disk that is too small."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import threading
import traceback
import zlib
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..engine.recovery import read
from ..errors import LogFailed
from ..journal import LogReader
from ..records.commands import COMMAND, joined
from .flow import Rows, applied, commands, digest_of, fresh_machine
from .plans import one_by_one

#: What a child says of a call that was answered: sequence before, after, CRC-32 of the events.
ANSWER = struct.Struct("<QQI")
FLOW = 40_000  # commands of one directory
SEGMENT_BYTES = 1 << 15
SIZES = (1, 1, 1, 2, 7, 16, 17, 60, 300)
THREADS = 4
FIRST_TIME = 2 * 10**18


def load(path: str, policy: str, seed: int, out: int) -> None:
    """Sends commands until it is killed, one at a time, in batches and without waiting for the
    answer; says each answer."""
    dice = np.random.default_rng(seed)
    with Engine.open(path, policy=policy, segment_bytes=SEGMENT_BYTES) as engine:
        at = engine.sequence
        os.write(out, ANSWER.pack(at, at, 0))
        while at < FLOW:
            count, kind = int(dice.choice(SIZES)), dice.random()
            given = commands(seed, FLOW)[at:][:count]
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


def load_together(path: str, policy: str, seed: int, out: int, *, aside: bool) -> None:
    """The same by several threads at once, each with commands of its own; with `aside`, one
    snapshot after the other is written beside them."""
    streams = [own(seed, number) for number in range(THREADS)]  # before anybody waits for them
    with Engine.open(path, policy=policy, segment_bytes=SEGMENT_BYTES) as engine:
        threads = [
            threading.Thread(target=_one_of_many, args=(engine, mine, count, out))
            for mine, count in zip(streams, counts(_kept(engine)), strict=True)
        ]
        os.write(out, ANSWER.pack(engine.sequence, engine.sequence, 0))
        for thread in threads:
            thread.start()
        try:
            while aside and any(thread.is_alive() for thread in threads):
                engine.start_snapshot().result()
        except Exception:  # said before closing the engine ends a thread, and that the process
            traceback.print_exc()
            raise
        for thread in threads:
            thread.join()


def _kept(engine: Engine) -> Rows:
    """Every command in the log of an engine that has just opened it."""
    assert engine.log is not None
    return joined([np.zeros(0, COMMAND), *(frame.commands for frame in engine.log.frames())])


def _one_of_many(engine: Engine, mine: Rows, at: int, out: int) -> None:
    dice = np.random.default_rng(int(mine["time"][0]) + at)
    while at < len(mine):
        parts = int(dice.choice((1, 1, 2, 4)))
        futures = []
        for _ in range(parts):
            given = mine[at : at + int(dice.choice(SIZES[:6]))]
            at += len(given)
            if parts == 1:
                _tell_events(out, len(given), engine.submit_batch(given))
            elif len(given):
                future = engine.submit_async(given)
                future.add_done_callback(partial(_tell_future, out, len(given)))
                futures.append(future)
        wait(futures)


def _tell_future(out: int, count: int, future: Future[Rows]) -> None:
    _tell_events(out, count, future.result())


def _tell_events(out: int, count: int, events: Rows) -> None:
    """The first event has the sequence of the first command."""
    _tell(out, int(events["sequence"][0]) - 1, count, events.tobytes())


def own(seed: int, number: int) -> Rows:
    """The commands of one of several threads; their times say whose they are, and their place."""
    rows: Rows = commands(seed + number, FLOW // THREADS).copy()
    rows["time"] = FIRST_TIME + np.arange(len(rows)) * THREADS + number
    return rows


def counts(kept: Rows) -> list[int]:
    """How many commands of each thread are in a log."""
    return [int(count) for count in np.bincount(_numbers(kept) % THREADS, minlength=THREADS)]


def in_turn(kept: Rows, seed: int) -> bool:
    """Whether a log has of each thread a beginning of what it gave, once and in its order."""
    numbers = _numbers(kept)
    return all(
        kept[numbers % THREADS == number].tobytes() == own(seed, number)[:count].tobytes()
        for number, count in enumerate(counts(kept))
    )


def _numbers(kept: Rows) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = kept["time"].astype(np.int64) - FIRST_TIME
    return numbers


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


def fill(path: Path, seed: int, policy: str) -> tuple[int, str, bool]:
    """Sends batches until the disk takes no more; what was acknowledged, what the error said, and
    whether the engine, which takes nothing more, still shows what it acknowledged."""
    with_room, said, shows = 0, "", False
    engine = Engine.open(path, policy=policy, segment_bytes=1 << 16)
    ours = engine.sequence  # the change to the newest rules, where there is one
    try:
        for number in range(100_000):
            at = engine.sequence - ours
            engine.submit_batch(commands(seed, FLOW)[at : at + 1 + number % 50])
            with_room = engine.sequence
            if with_room - ours >= FLOW:
                raise RuntimeError("the disk never got full")
    except LogFailed as error:
        said = str(error)
        shows = engine.digest() == digest_of(logged(path)[: engine.durable])
        shows = shows and engine.durable == with_room and _refuses(engine)
    finally:
        engine.close()
    return with_room, said, shows


def _refuses(engine: Engine) -> bool:
    try:
        engine.end_day()
    except LogFailed:
        return True
    return False


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
    acknowledged, said, shows = fill(base / "exchange", seed, policy)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        ballast.unlink()
    with Engine.open(base / "exchange") as engine:
        found, digest = engine.sequence, engine.digest()
    kept = logged(base / "exchange")
    return {
        "acknowledged": acknowledged,
        "said": said,
        "shows": shows,
        "recovered": found,
        "as_given": len(kept) == found
        and kept.tobytes() == commands(seed, FLOW)[: len(kept)].tobytes(),
        "same_state": digest == digest_of(kept),
    }


def main() -> None:
    """`python -m matchcore.torture.child digest DIR` or `full PLACE SEED POLICY LIMIT`."""
    match sys.argv[1:]:
        case ["digest", path]:
            machine, position = read(path)
            with LogReader(path) as reader:
                events = digest_events(logged(Path(path)), reader.rules)
            print(json.dumps([machine.digest(), position.sequence, events]))
        case ["full", place, seed, policy, limit]:
            print(json.dumps(full(place, int(seed), policy, int(limit))))
        case _:
            sys.exit(2)


def digest_events(stream: Rows, begins: int) -> int:
    """CRC-32 of the events of a stream on a machine of its own."""
    return zlib.crc32(applied(fresh_machine("cython", begins), stream).tobytes())


if __name__ == "__main__":
    main()
