"""Snapshots taken from the log, by a follower in a process of its own.

Nothing of a live engine is stopped, forked or copied.  And since the state comes from a replay,
such a snapshot is a second opinion about the log.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ..._children import environment
from ...errors import KeyRefused, LogError, LogFailed, NotInTheLog
from ...journal import (
    Keys,
    Place,
    Where,
    durable_end,
    open_reader,
    place_of,
    snapshots,
    snapshots_of,
)
from ...journal.crypto.keys import KEYS_VARIABLE
from ...machine import machine_class
from ...records.arguments import UINT64_MAX, integer
from ..recovery import replay
from ..starts import of_this_log, starts

SNAPSHOTS_KEPT = 3


def take(
    path: Where,
    *,
    sequence: int | None = None,
    machine: str = "cython",
    keys: Keys | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> Path:
    """Writes a snapshot from the log alone, also beside an engine at work; returns its file.

    It stands behind the last batch that ends at or before `sequence` (without one: the durable
    end): the log's chain knows no place inside a batch.  `NotInTheLog` if the log has not come
    so far, `LogDamaged` as recovery raises it, `LogLocked` while another process writes a
    snapshot here, `LogFailed` when the disk refuses.
    """
    place = place_of(path)
    directory = snapshots_of(place)
    if directory is None:
        raise LogError(f"{place}: no directory for a snapshot: add ?state=DIRECTORY to the address")
    if sequence is not None:
        sequence = integer(sequence, "sequence", 0, UINT64_MAX)
    with snapshots.turn(directory):
        bound = durable_end(place) if sequence is None else sequence
        start = starts(place, machine_class(machine), bound, of_this_log(place), keys=keys)
        with open_reader(place, after=start.sequence, chain=start.chain, keys=keys) as reader:
            epoch, chain = reader.epoch, reader.chain  # before it reads beyond what is taken
            for frame in reader.read():
                if bound is not None and frame.first_sequence + frame.count - 1 > bound:
                    bound = start.machine.sequence  # the log goes on, so this is as far as asked
                    break
                replay(start.machine, frame)
                epoch, chain = frame.epoch, frame.chain
                progress(frame.count)
                if start.machine.sequence == bound:
                    break
            if sequence is not None and start.machine.sequence < (bound or 0):
                end = start.machine.sequence
                raise NotInTheLog(f"sequence {sequence}: the log in {path} ends with {end}")
            if start.snapshot is not None and start.machine.sequence == start.sequence:
                return snapshots.path_of(directory, start.sequence)
            reader.sync()  # a power cut must not leave the log behind its snapshot
            written = snapshots.write(
                directory,
                sequence=start.machine.sequence,
                epoch=epoch,
                chain=chain,
                identity=reader.identity,
                payload=start.machine.state().to_bytes(),
                hash=reader.hash,
                keys=keys,
            )
        snapshots.prune(directory, keep=SNAPSHOTS_KEPT)
        return written


class Aside:
    """A snapshot that a child process writes; ``result``: a future of its file.

    Of an encrypted exchange it reads the file of keys itself: theirs, if they came from one, or
    the one that MATCHCORE_KEYS names.  `KeyRefused` without either: a callable cannot be handed
    over, and a key must be in no argument and in no environment.  The child goes on when its
    parent ends, and being killed it leaves nothing that counts.
    """

    def __init__(self, place: Place, sequence: int, keys: Keys | None = None) -> None:
        secrets, where = {}, str(place)
        if isinstance(place, Path):
            where = str(place.absolute())
        else:
            secrets, where = place.environment(), place.url
        if keys is not None and keys.file is not None:
            secrets[KEYS_VARIABLE] = str(keys.file)
        elif keys is not None and not os.environ.get(KEYS_VARIABLE):
            raise KeyRefused(
                f"start_snapshot of {place}: its process cannot call the keys= of this one."
                f" Give Keys.from_file(...), or name such a file in {KEYS_VARIABLE} before, or"
                " write the snapshot here: snapshot()"
            )
        self.sequence = sequence
        self.result: Future[Path] = Future()
        self.result.set_running_or_notify_cancel()
        import subprocess  # late: it brings in much that few programs need

        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, where, str(sequence)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(**secrets),
        )  # fmt: skip
        threading.Thread(target=self._wait, name="matchcore-snapshot", daemon=True).start()

    def _wait(self) -> None:
        said, complaint = self.process.communicate()
        code = self.process.returncode
        if code == 0:
            self.result.set_result(Path(json.loads(said)))
            return
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        why = f"its process was ended by signal {-code}" if code < 0 else last
        self.result.set_exception(
            LogFailed(f"no snapshot at sequence {self.sequence}: {why}; the log is not affected")
        )


def main(arguments: list[str]) -> int:
    """What the child does: a directory and a sequence in, the snapshot's file out, as JSON."""
    os.nice(10)  # trading comes first
    directory, sequence = arguments
    try:
        keys = Keys.from_environment()
        print(json.dumps(str(take(directory, sequence=int(sequence), keys=keys))))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0
