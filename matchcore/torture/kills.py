"""Real processes: killed under load, stopped, crowded out of a full disk, compared by digest."""

from __future__ import annotations

import bisect
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from .._children import environment
from .._closing import Closing
from ..engine.engine import Engine
from ..engine.recovery import read
from ..errors import LogLocked, SnapshotDamaged
from ..journal import snapshots
from ..machine import Machine, machine_class
from ..machine.state import State
from ..records.commands import joined
from ..records.schema import RULES_LATEST
from .child import ANSWER, FLOW, in_turn, load, load_together, logged
from .flow import (
    Broken,
    Rows,
    check_books,
    commands,
    digest_of,
    promise,
    reference,
    sent,
)

KILLS_A_DIRECTORY = 20
FIRST_SNAPSHOT_SECONDS_MAX = 60.0
OPENED_SECONDS_MAX = 60.0
WHY_FULL = ("No space left", "File too large", "bytes were written")
CHILD = [sys.executable, "-m", "matchcore.torture.child"]
SMALL_DISK = 'mount -t tmpfs -o size=1m none "$1" && shift && "$@"'
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["matchcore.torture.child"])


class LeftOut(Exception):
    """This machine cannot do that; the text says why."""


@contextmanager
def place() -> Iterator[Path]:
    """A directory that goes away, unless something breaks in it."""
    made = Path(tempfile.mkdtemp(prefix="matchcore-torture-"))
    try:
        yield made
    except (LeftOut, KeyboardInterrupt):
        shutil.rmtree(made, ignore_errors=True)
        raise
    except Exception as error:
        what = error if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
        raise Broken(f"{what}; the directory is kept: {made}") from error
    shutil.rmtree(made, ignore_errors=True)


class Victim(Closing):
    """An engine in a process of its own, under load; it ends with the `with` at the latest.

    One left to itself would wait for ever in a full pipe, and this process for it.
    """

    def __init__(self, path: Path, policy: str, seed: int, kind: str = "alone") -> None:
        self._out, inside = _context.Pipe(duplex=False)
        what = (str(path), policy, seed, inside, kind)
        self.process = _context.Process(target=_load, args=what, daemon=True)
        try:
            self.process.start()
            inside.close()
            ready = self._out.poll(OPENED_SECONDS_MAX)
            promise(ready, f"no engine within {OPENED_SECONDS_MAX} s after a kill")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends it and what it has started."""
        if self.process.pid is not None:
            self.process.kill()
            self.end_family()
            self.process.join()
        self._out.close()

    def kill(self, *, family: bool = False) -> list[tuple[int, int, int]]:
        """SIGKILL, also to its children if the whole `family` goes; everything it said before."""
        if family:
            self.end_family()
        self.process.kill()
        parts = []
        while part := os.read(self._out.fileno(), 1 << 16):
            parts.append(part)
        self.process.join()
        code = self.process.exitcode
        promise(code in (0, -signal.SIGKILL), f"an engine that nobody killed ended with {code}")
        said = b"".join(parts)
        said = said[: len(said) - len(said) % ANSWER.size]
        return [ANSWER.unpack_from(said, at) for at in range(0, len(said), ANSWER.size)]

    def end_family(self) -> None:
        """Kills what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)


def _load(path: str, policy: str, seed: int, out: Connection, kind: str) -> None:
    os.setpgid(0, 0)
    threading.excepthook = _end
    if kind == "alone":
        load(path, policy, seed, out.fileno())
    else:
        load_together(path, policy, seed, out.fileno(), aside=kind == "aside")


def _end(error: threading.ExceptHookArgs) -> None:
    """What goes wrong in a thread is not to pass for one that had nothing to do."""
    threading.__excepthook__(error)
    os._exit(1)


class Chain:
    """One directory, killed again and again; a machine beside it, fed what the log kept."""

    kind = "alone"

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.policy = "os" if seed % 4 == 3 else "sync"
        self.machine: Machine = machine_class("cython")()
        self.kills = 0

    def run(self, kills: int = KILLS_A_DIRECTORY) -> int:
        """Kills that many times, or until all is sent; `Broken` if anything is lost or doubled."""
        dice = random.Random(self.seed)
        with place() as made:
            path = made / "exchange"
            while self.kills < kills and self.machine.sequence < FLOW:
                with Victim(path, self.policy, self.seed, self.kind) as victim:
                    self._wait(dice, path)
                    said = victim.kill(family=dice.random() < 0.5)
                    self.kills += 1
                    with Engine.open(path, policy=self.policy) as engine:
                        self._check(engine, path, said)
            _, events, _ = reference(logged(path)[:3000])
            mine = machine_class("cython")().apply(logged(path)[:3000])
            promise(events.tobytes() == mine.tobytes(), "the two machines answer differently")
        return self.kills

    def _wait(self, dice: random.Random, path: Path) -> None:
        time.sleep(dice.choice((0.0, dice.random() * 0.01, dice.random() * 0.06)))

    def _as_given(self, kept: Rows) -> bool:
        return kept.tobytes() == commands(self.seed, FLOW)[: len(kept)].tobytes()

    def _check(self, engine: Engine, path: Path, said: list[tuple[int, int, int]]) -> None:
        found, before = engine.sequence, self.machine.sequence
        acknowledged = max((after for _, after, _ in said), default=before)
        promise(found >= max(acknowledged, before), f"{acknowledged} acknowledged, {found} there")
        kept = logged(path)
        whole = len(kept) == found and self._as_given(kept)
        promise(whole, "the log is not what was given, once, in order")
        promise(not engine.recovery.skipped, f"a bad snapshot: {engine.recovery.skipped}")
        for file in snapshots.listing(path):
            try:
                taken = snapshots.read(file)
            except SnapshotDamaged as error:
                promise(not file.exists(), f"a bad snapshot: {error}")
                continue  # a follower that was left alone keeps the newest few only
            try:
                state = State.from_bytes(taken.payload)
            except SnapshotDamaged as error:
                raise Broken(f"a bad snapshot: {error}") from error
            stands = state.digest() == digest_of(kept[: taken.sequence])
            promise(stands, f"{file.name} is not the state of the commands before it")
        ends = {before: before, **{start: end for start, end, _ in said if end > start}}
        sums = {start: crc for start, end, crc in said if end > start}
        at, begins = before, sorted(sums)
        while at < found:
            end = ends.get(at, at)
            if end <= at:  # nobody was told of this one: as far as the next answer
                after = bisect.bisect(begins, at)
                end = begins[after] if after < len(begins) else found
            end = min(end, found)
            events = self.machine.apply(kept[at:end])
            told = sums.get(at)
            promise(told is None or told == zlib.crc32(events.tobytes()),
                    f"the answers to commands {at + 1} to {end} are others on replay")  # fmt: skip
            at = end
        promise(engine.digest() == self.machine.digest(), "the state is not that of its commands")
        check_books(engine._machine)


class Together(Chain):
    """Several threads that share syncs, each with commands of its own."""

    kind = "threads"

    def _as_given(self, kept: Rows) -> bool:
        return in_turn(kept, self.seed)


class Aside(Together):
    """And a process beside them that writes snapshots; killed too, or left to finish alone."""

    kind = "aside"

    def _wait(self, dice: random.Random, path: Path) -> None:
        """The first kill comes when a snapshot is there, however slow the machine is."""
        until = time.monotonic() + FIRST_SNAPSHOT_SECONDS_MAX
        while not self.kills and not snapshots.listing(path) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(dice.random() * 1.2)


def stopped(seed: int) -> int:
    """SIGSTOP under load: a second opener is refused, and the first goes on and loses nothing."""
    with place() as made, Victim(made / "exchange", "sync", seed) as victim:
        path = made / "exchange"
        os.kill(victim.process.pid or 0, signal.SIGSTOP)
        try:
            Engine.open(path).close()
            raise Broken("a second engine was let in while the first was stopped")
        except LogLocked:
            pass
        finally:
            os.kill(victim.process.pid or 0, signal.SIGCONT)
        time.sleep(0.01)
        said = victim.kill()
        with Engine.open(path) as engine:
            Chain(seed)._check(engine, path, said)
    return 1


def full_disk(seed: int) -> int:
    """A tmpfs of 1 MiB, mounted for one process only."""
    with place() as made:
        mount = ["unshare", "-m", "sh", "-c", SMALL_DISK, "sh", str(made)]
        if (
            shutil.which("unshare") is None
            or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode
        ):
            raise LeftOut("no right to mount a small file system here")
        return _filled([*mount, *CHILD], made, seed, 0)


def file_limit(seed: int) -> int:
    """A limit on the size of a file, which every machine can set."""
    limit = random.Random(seed).randint(20_000, 60_000)
    with place() as made:
        return _filled(CHILD, made, seed, limit)


def _filled(command: list[str], made: Path, seed: int, limit: int) -> int:
    policy = ("sync", "os")[seed % 2]
    done = subprocess.run(
        [*command, "full", str(made), str(seed), policy, str(limit)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    promise(done.returncode == 0, f"a full disk: {done.stderr.strip()[-500:]}")
    found = json.loads(done.stdout)
    promise(found["recovered"] >= found["acknowledged"] > 0, f"a full disk: {found}")
    says_why = any(why in found["said"] for why in WHY_FULL)
    promise(says_why and found["shows"], f"a full disk is not named, or nothing shown: {found}")
    promise(found["as_given"] and found["same_state"], f"a full disk: {found}")
    return 1


def digests(seed: int) -> tuple[int, list[str]]:
    """One history, and every way to its state; number of ways, and which were not there.

    Every other one begins under the first rules and is upgraded in the middle.
    """
    given, begins = commands(seed, 2000), RULES_LATEST if seed % 2 else 1
    left_out: list[str] = []
    parts = []
    with place() as made:
        path = made / "exchange"
        with Engine._open(path, segment_bytes=1 << 14, rules=begins) as engine:
            for at in range(0, len(given), 97):
                parts.append(engine.submit_batch(given[at : at + 97]))
                if at == 97 * 10:
                    engine.snapshot()
                    answer = engine.upgrade_rules()
                    parts += [] if answer is None else [answer.events]
            live = engine.digest()
        stream, events = logged(path), joined(parts)
        whole = sent(stream).tobytes() == given.tobytes()
        promise(whole, "the log is not what was given, once, in order")
        promise(len(stream) == len(given) + (begins != RULES_LATEST), "no change of the rules")
        machine, expected, _ = reference(stream, begins)
        promise(events.tobytes() == expected.tobytes(), "live events are not the reference's")
        with Engine.open(path) as engine:
            promise(engine.recovery.snapshot_sequence > 0, "no snapshot was used")
            snapshot_and_tail = engine.digest()
        ways = {"reference": machine.digest(), "snapshot and tail": snapshot_and_tail}
        ways["reference from the log"] = read(path, "reference")[0].digest()
        for file in path.glob("snapshot-*"):
            file.unlink()
        ways["replay of all"] = read(path)[0].digest()
        ways |= _elsewhere(path, len(stream), events, left_out)
        for way, digest in ways.items():
            promise(digest == live, f"{way}: another digest than live")
    return len(ways), left_out


def _elsewhere(path: Path, count: int, events: Rows, left_out: list[str]) -> dict[str, str]:
    """Digests by other interpreters: other hash seeds, and other versions that are here."""
    ways = {}
    mine = f"python{sys.version_info.major}.{sys.version_info.minor}"
    others = [name for minor in range(10, 16) if (name := f"python3.{minor}") != mine]
    runs = [(CHILD, seed) for seed in ("0", "1", "4294967295")]
    runs += [([name, *CHILD[1:]], "random") for name in others if shutil.which(name)]
    for command, seed in runs:
        done = subprocess.run(
            [*command, "digest", str(path)],
            capture_output=True, text=True, check=False, env=environment(PYTHONHASHSEED=seed),
        )  # fmt: skip
        if done.returncode and command != CHILD:
            continue  # that version has no matchcore
        promise(done.returncode == 0, f"a digest elsewhere: {done.stderr.strip()[-300:]}")
        digest, sequence, crc = json.loads(done.stdout)
        same = (sequence, crc) == (count, zlib.crc32(events.tobytes()))
        promise(same, "other events on replay elsewhere")
        ways[f"{Path(command[0]).name}, hash seed {seed}"] = digest
    if not any(way.startswith(name) for way in ways for name in others):
        left_out.append("another Python version with matchcore: not present")
    return ways
