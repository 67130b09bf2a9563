"""Reports that are kept for as long as sessions may ask for them again."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._closing import Closing
from .._version import VERSION
from ..errors import ReportsError
from ..records.reports import REPORT
from ..records.schema import EventKind
from . import saved
from ._reports import Derivation
from ._spool import Spool
from .copies import Copy, merged, wanted
from .limits import REMEMBERED

DAYS_KEPT = 2  # today and the day before


class InUse(ReportsError):
    """Another process has the directory."""


class Reports(Derivation, Closing):
    """What sessions are told of their orders, by number: a function of the log.

    - ``directory``: for the reports of today and of the day before; made if missing.  It belongs to
      one process and may be deleted while none has it open: everything follows from the log.
      None: a temporary file.
    - ``identity``: of the exchange (`Engine.identity`), 16 bytes.  With it `save` keeps where the
      reports stand, and the next opening goes on from there.  ``sequence`` says where: 0 if
      nothing could be used, and ``rebuilt`` says why.
    - ``remembered``: how many finished orders, and replaced client order ids, stay known.

    ``epoch``: of the log at ``sequence`` when it was saved; what follows must be its continuation.
    `ReportsError` if the directory is in use, or the system refuses it.

    >>> import numpy as np
    >>> from matchcore import COMMAND, Engine, Instrument, Kind, Side, NewOrder, encode
    >>> from matchcore.reports import Reports
    >>> engine = Engine.memory(instruments=[Instrument("ANA", "0.05")])
    >>> order = encode(NewOrder("ANA", Side.BUY, 10, "9.95", account=7, client_order_id=1,
    ...                         session=3), engine.instruments)
    >>> reports = Reports()
    >>> [int(report["number"]) for report in reports.apply(order, engine.submit_batch(order))]
    [1]
    >>> reports.read(session=3, first=1, count=10)["left"].tolist()
    [10]
    >>> reports.close()
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        identity: bytes = b"",
        remembered: int = REMEMBERED,
    ) -> None:
        self._directory: Path | None = None
        self._identity, self._remembered = identity, remembered
        self._days: dict[int, Spool] = {}
        self._copies: dict[str, Copy] = {}
        self._streams = 0  # of copies so far
        self._saved: set[int] = set()  # days that the saved state has
        #: What was added to each copy by the last `apply`.
        self.copied: dict[str, NDArray[np.void]] = {}
        #: Numbers of the instruments that have a market.
        self.markets: set[int] = set()
        #: What was saved beside the reports, by name.
        self.beside: dict[str, bytes] = {}
        self.epoch = 0
        self.rebuilt = ""
        self._lock = -1
        if directory is not None:
            self.keep_in(directory, identity=identity)

    def keep_in(self, directory: str | os.PathLike[str], *, identity: bytes) -> None:
        """As ``directory`` and ``identity`` of the constructor, before the first `apply`: for who
        hears the identity late.  `InUse`, and `ReportsError` as there: nothing is kept in it."""
        place = Path(directory)
        with refusals(place):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = locked(place)
            self._directory, self._identity = place, identity
            self.rebuilt = self._go_on(saved.read(place))
            if self.rebuilt:
                self.discard()

    # ------------------------------------------------------------------ in

    def apply(self, commands: NDArray[np.void], events: NDArray[np.void]) -> NDArray[np.void]:
        """The reports of ``commands`` and their ``events``, which are kept; see `Derivation`.

        `ReportsError` also if the system refuses the file: then this object must be closed.
        """
        told = super().apply(commands, events)
        made = events["kind"] == EventKind.MARKET_SET
        if made.any():
            self.markets |= set(events["instrument"][made].tolist())
        self.copied = {}
        if len(told):
            first, last = int(told["day"][0]), int(told["day"][-1])
            if first == last:
                self._keep(first, told)
            else:
                for day in range(first, last + 1):
                    self._keep(day, told[told["day"] == day])
        return told

    def _keep(self, day: int, told: NDArray[np.void]) -> None:
        spool = self._spool(day)
        numbered = told if told["number"].all() else told[told["number"] > 0]
        spool.append(numbered, numbered["session"].astype(np.uint64))
        for name, copy in self._copies.items():
            mine = wanted(numbered, copy.accounts)
            if len(mine):
                count = spool.count_of(copy.stream)
                mine["number"] = np.arange(count + 1, count + 1 + len(mine))
                spool.append(mine, np.full(len(mine), copy.stream, np.uint64))
                before = self.copied.get(name)
                self.copied[name] = mine if before is None else np.concatenate([before, mine])

    def _spool(self, day: int) -> Spool:
        spool = self._days.get(day)
        if spool is None:
            spool = self._days[day] = self._opened(day, anew=True)
            for old in [one for one in self._days if one <= day - DAYS_KEPT]:
                self._days.pop(old).close()
                if old not in self._saved:  # else a restart goes on there
                    self._unlink([old])
        return spool

    def _unlink(self, days: Iterable[int]) -> None:
        if self._directory is not None:
            saved.discard(self._directory, [file_name(day) for day in days])

    def _opened(self, day: int, *, anew: bool) -> Spool:
        if self._directory is None:
            return temporary()
        with refusals(self._directory):
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if anew else 0)
            return Spool(os.open(self._directory / file_name(day), flags, 0o600))

    # ------------------------------------------------------------------ out

    def read(
        self, session: int, first: int, count: int, *, day: int | None = None
    ) -> NDArray[np.void]:
        """At most ``count`` reports of a session from number ``first`` on, a `REPORT` array.

        ``day``: None: the present one.  Empty behind the last report, and for a day that is not
        kept.  `ReportsError` if the file was changed by others.  O(count).
        """
        return self._read(session, first, count, day)

    def read_copy(
        self, name: str, first: int, count: int, *, day: int | None = None
    ) -> NDArray[np.void]:
        """As `read`, of the copy ``name`` that `copy` has begun; KeyError without it."""
        return self._read(self._copies[name].stream, first, count, day)

    def last_copy(self, name: str) -> int:
        """Number of the last report of the copy ``name`` on this day."""
        spool = self._days.get(self.day)
        return 0 if spool is None else spool.count_of(self._copies[name].stream)

    def _read(self, stream: int, first: int, count: int, day: int | None) -> NDArray[np.void]:
        day = self.day if day is None else day
        spool = self._days.get(day)
        if spool is None:
            return np.empty(0, REPORT)
        first = max(1, first)
        found = spool.read(stream, first, count)
        numbers = np.arange(first, first + len(found), dtype=np.uint64)
        if not (np.array_equal(found["number"], numbers) and (found["day"] == day).all()):
            raise ReportsError(f"the spool of day {day} is damaged: delete it, and start again")
        return found

    def copy(self, name: str, accounts: Iterable[int] | None) -> None:
        """Begins a drop copy: all reports of orders of ``accounts``, whoever entered them.

        - ``name``: for `read_copy`, `last_copy` and ``copied``.
        - ``accounts``: None: of all.

        Each report is in it once, under a number of the copy, in the order of the log, from the
        first of the day on: the same in every gateway.  Reports of this day before the call are
        gathered again, which takes O(reports of the day).  Again with the same accounts: nothing.
        """
        chosen = None if accounts is None else tuple(sorted(set(accounts)))
        known = self._copies.get(name)
        if known is not None and known.accounts == chosen:
            return
        self._streams += 1
        begun = self._copies[name] = Copy((1 << 32) + self._streams, chosen)
        spool = self._days.get(self.day)
        if spool is None:
            return
        count = 0
        for rows in merged(spool, [stream for stream in spool.streams() if stream < 1 << 32]):
            mine = wanted(rows, chosen)
            mine["number"] = np.arange(count + 1, count + 1 + len(mine))
            spool.append(mine, np.full(len(mine), begun.stream, np.uint64))
            count += len(mine)

    # ------------------------------------------------------------------ restarts

    def save(self, *, epoch: int = 0, beside: Mapping[str, bytes] | None = None) -> None:
        """Keeps where the reports stand, for the next opening; waits for the disk.

        - ``epoch``: of the log at ``sequence``.
        - ``beside``: what else the next opening shall find in `beside`.

        Without a directory or an identity: nothing.
        """
        write, done = self.saving(epoch=epoch, beside=beside)
        write()
        done()

    def saving(
        self, *, epoch: int = 0, beside: Mapping[str, bytes] | None = None
    ) -> tuple[Callable[[], None], Callable[[], None]]:
        """`save` in two steps: the first may run in another thread while reports go on.

        The second follows it here, also if it failed.  What is saved is the state of this call;
        not twice at once.  ``epoch`` and ``beside`` as of `save`.
        """
        directory = self._directory
        if directory is None or not self._identity:
            return (lambda: None), (lambda: None)
        self.epoch = epoch
        parts = {f"beside {name}": data for name, data in (beside or {}).items()}
        parts["orders"] = self._image()
        with refusals(directory):
            for day, spool in self._days.items():
                spool.flush()
                parts[f"day {day}"] = spool.state().tobytes()
        days, former = set(self._days), self._saved
        head = {
            "identity": self._identity.hex(), "epoch": epoch, "sequence": self.sequence,
            "remembered": self._remembered, "build": VERSION, "days": sorted(days),
            "copies": {name: list(copy) for name, copy in self._copies.items()},
            "streams": self._streams, "markets": sorted(self.markets),
        }  # fmt: skip
        self._saved = former | days  # their files stay until it is known which state counts
        written = []

        def write() -> None:
            _write(directory, head, parts)
            written.append(True)

        def done() -> None:
            if written:
                self._saved = days
                self._unlink(former - days - set(self._days))

        return write, done

    def _go_on(self, found: saved.Saved | str) -> str:
        """Takes over what was saved; if it cannot be used, why."""
        if isinstance(found, str):
            return f"{saved.NAME}: {found}"
        head, parts = found
        if not self._identity or head["identity"] != self._identity.hex():
            return "it is of another exchange"
        if (head["build"], head["remembered"]) != (VERSION, self._remembered):
            return "it is of another build, or remembers another number of orders"
        try:
            self._load(parts["orders"])
            for day in head["days"]:
                spool = self._days[day] = self._opened(day, anew=False)
                spool.restore(np.frombuffer(parts[f"day {day}"], np.uint64))
        except (ReportsError, OSError) as error:
            return str(error)
        self.epoch, self._streams, self._saved = head["epoch"], head["streams"], set(head["days"])
        self.markets = set(head.get("markets", ()))
        self.beside = {
            name.removeprefix("beside "): data
            for name, data in parts.items()
            if name.startswith("beside ")
        }
        for name, (stream, accounts) in head["copies"].items():
            self._copies[name] = Copy(stream, None if accounts is None else tuple(accounts))
        return ""

    def discard(self) -> None:
        """Forgets everything, to begin with the log's first command.

        For a log that is of another history than what was saved.  The files of a saved state are
        moved to the directory `unused` in that of the reports, in place of those that were there:
        the log that they are of may have lost its beginning.
        """
        for spool in self._days.values():
            spool.close()
        self._days, self._copies, self._saved, self.epoch = {}, {}, set(), 0
        self.beside, self.markets = {}, set()
        self._load(Derivation(remembered=self._remembered)._image())
        if self._directory is not None:
            old = [path.name for path in self._directory.glob("reports-*")]
            saved.put_aside(self._directory, old)

    def close(self) -> None:
        """Closes the files; does not `save`.  Again: nothing."""
        for spool in self._days.values():
            spool.close()
        self._days = {}
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def temporary() -> Spool:
    """A spool in a file that has no name and is gone with the process."""
    with tempfile.TemporaryFile() as file:
        return Spool(os.dup(file.fileno()))


def _write(directory: Path, head: dict[str, Any], parts: dict[str, bytes]) -> None:
    """The spools reach the disk before the file that says how much of them counts."""
    with refusals(directory):
        for day in head["days"]:
            with open(directory / file_name(day), "rb") as file:
                os.fsync(file.fileno())
        saved.write(directory, head, parts)


def file_name(day: int) -> str:
    return f"reports-{day}"


def locked(directory: Path) -> int:
    """The lock of a directory, a descriptor; `ReportsError` if another process has it."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise InUse(f"{directory}: another process has these reports open") from error
    return lock


@contextmanager
def refusals(directory: Path) -> Iterator[None]:
    """Turns an OSError inside into `ReportsError` with the path and the system's reason."""
    try:
        yield
    except OSError as error:
        raise ReportsError(f"{directory}: {error}") from error
