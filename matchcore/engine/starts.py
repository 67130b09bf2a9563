"""Where a replay begins: the newest snapshot that is good and of this log, or an empty machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import LogDamaged, LogError, SnapshotDamaged, UnknownRules
from ..journal import DISK, Disk, Keys, Place, identity_of, snapshots, snapshots_of
from ..journal.position import GO_ON
from ..machine import Machine
from ..machine.state import State


@dataclass(slots=True)
class Start:
    """Where a replay begins: a machine, and the snapshot it stands on, if any."""

    machine: Machine
    snapshot: snapshots.Snapshot | None
    skipped: list[str]
    sequence: int  # of the machine as it was made

    @property
    def chain(self) -> bytes | None:
        """What the log must say there; None at its beginning."""
        return self.snapshot.chain if self.snapshot else None


def starts(
    place: Place,
    made: type[Machine],
    at_most: int | None = None,
    accept: Callable[[snapshots.Snapshot], str] = lambda snapshot: "",
    disk: Disk = DISK,
    keys: Keys | None = None,
    reserve: int = 0,
) -> Start:
    """The newest snapshot that is good and not beyond `at_most`, or an empty machine.

    `accept` says what is wrong with a snapshot that is good in itself, or "", or raises it.  One
    whose key is refused is not bad: `KeyRefused`.  Neither is one that needs a newer version of
    the rules, and no older one is taken instead: `UnknownRules`.
    """
    skipped: list[str] = []
    for file in snapshot_files(place, disk):
        try:
            snapshot = snapshots.read(file, disk, keys=keys)
            if at_most is not None and snapshot.sequence > at_most:
                continue
            if wrong := accept(snapshot):
                raise SnapshotDamaged(f"{file}: {wrong}")
            machine = made.from_state(state_in(snapshot, file), reserve)
        except SnapshotDamaged as error:
            skipped.append(str(error))
            continue
        return Start(machine, snapshot, skipped, snapshot.sequence)
    return Start(made(reserve), None, skipped, 0)


def snapshot_files(place: Place, disk: Disk = DISK) -> list[Path]:
    """The snapshot files of a log, newest first, good or not."""
    directory = snapshots_of(place)
    return [] if directory is None else snapshots.listing(directory, disk)


def state_in(snapshot: snapshots.Snapshot, file: Path) -> State:
    """The state that a snapshot holds; `SnapshotDamaged` if it is of another sequence.

    `UnknownRules` if it needs a newer version of the rules.
    """
    try:
        state = State.from_bytes(snapshot.payload)
    except UnknownRules as error:
        raise UnknownRules(f"{file}: {error}") from None
    if state.sequence != snapshot.sequence:
        raise SnapshotDamaged(f"{file}: holds sequence {state.sequence}")
    return state


def of_this_log(
    place: Place, disk: Disk = DISK, *, accept_loss: bool = False
) -> Callable[[snapshots.Snapshot], str]:
    """For `starts`: a snapshot must be of the exchange whose log it is beside.

    `LogDamaged` for one of another exchange; with `accept_loss` it is only wrong.
    """
    try:
        directory = snapshots_of(place)
        identity = identity_of(place, disk) if directory is not None else b""
    except (LogError, OSError):  # no log yet, or one whose opening will say what is wrong
        return lambda snapshot: ""

    def check(snapshot: snapshots.Snapshot) -> str:
        if snapshot.identity == identity:
            return ""
        wrong = snapshots.of_another(snapshot, identity)
        if accept_loss:
            return wrong
        assert directory is not None
        file = snapshots.path_of(directory, snapshot.sequence)
        raise LogDamaged(wrong + GO_ON, str(file), 0, snapshot.sequence)

    return check
