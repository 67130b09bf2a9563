"""Is a database what the journal says?  Compared by digests of chunks, then row by row.

The journal is replayed from its first command up to the database's position, and the same rows are
made of it that a follower writes.  Digests say which chunks differ; only their rows are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ...engine.recovery import apply
from ...errors import SinkError
from ...journal import (
    Frame,
    Keys,
    Place,
    Position,
    Where,
    batches,
    identity_of,
    open_reader,
    place_of,
)
from ...machine import machine_class
from ..rows.rows import Array, RowMaker
from ..rows.tables import TABLES
from .access import as_stored, open_existing, replace, snapshot, transaction
from .digests import CHUNK_BITS, Digests, add, digested, query
from .schema import POSITIONS, SQL_TABLES
from .store import SqlStore
from .whole import whole_log

BUNDLE_COMMANDS = 8192
CHUNKS_MAX = 32  # whose rows are held at a time
SHOWN_MAX = 20
Take = Callable[[str, Array], None]


class Difference(NamedTuple):
    """A row that is ``missing`` from the database, ``extra`` there, or ``different``.

    `column`, `journal` and `database` say where the first value differs, and what it is.
    """

    table: str
    key: dict[str, int]
    what: str
    column: str = ""
    journal: Any = None
    database: Any = None

    def __str__(self) -> str:
        place = ", ".join(f"{name} {value}" for name, value in self.key.items())
        where = f": {self.column} is {self.database!r}, the log has {self.journal!r}"
        return f"{self.table} {place}: {self.what}{where if self.column else ''}"


@dataclass(slots=True)
class Report:
    """What was compared and found.  `differences` are the first `SHOWN_MAX`, `different` all
    rows that were found to differ; `chunks_left`: chunks that differ and were not looked into;
    `repaired`: sequences, of all tables, whose rows were rewritten."""

    position: Position
    log_end: int
    rows: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    different: int = 0
    chunks_left: int = 0
    repaired: int = 0

    @property
    def equal(self) -> bool:
        return not self.different

    @property
    def behind(self) -> int:
        """Commands of the log that the database does not have yet."""
        return max(0, self.log_end - self.position.sequence)


def reconcile(
    directory: Where,
    url: str,
    *,
    shard: int = 0,
    repair: bool = False,
    archives: Sequence[str | os.PathLike[str]] = (),
    keys: Keys | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> Report:
    """Compares a database with the log of a directory, up to the database's position.

    `repair` rewrites what differs from the journal: in one transaction for each chunk, with the
    position locked; it stays where it is unless the log knows no such position.  The report is
    of what was found before.  ``archives``: directories that hold early segments.  Raises
    `SinkError` as opening a sink does, and when the database is written to during a repair;
    `LogDamaged` as recovery does, and `LogError` when the log's first segments are nowhere.
    """
    path = place_of(directory)
    with whole_log(path, [Path(place) for place in archives]) as whole:
        open_reader(whole, keys=keys).close()  # before the database is asked anything
        with closing(open_existing(url, identity_of(path), shard)) as store:
            return _Comparison(whole, store, shard, repair, keys, progress).run()


class _Comparison:
    def __init__(
        self,
        path: Place,
        store: SqlStore,
        shard: int,
        repair: bool,
        keys: Keys | None,
        progress: Callable[[int], None],
    ) -> None:
        self._path, self._store, self._shard, self._keys = path, store, shard, keys
        self._repair, self._progress = repair, progress

    def run(self) -> Report:
        with snapshot(self._store) as connection:
            at = self._position(connection)
            here: dict[str, Digests] = {name: {} for name in TABLES}
            end, epoch = self._replay(at.sequence, lambda name, rows: add(here[name], name, rows))
            report = Report(at, end)
            right = Position(epoch, min(at.sequence, end))
            self._compare_position(report, right)
            pending: list[tuple[str, int]] = []
            for name in TABLES:
                there = self._digests(connection, name)
                report.rows[name] = sum(count for count, _ in here[name].values())
                pending += [
                    (name, chunk)
                    for chunk in sorted(here[name].keys() | there.keys())
                    if not digested(name) or here[name].get(chunk) != there.get(chunk)
                ]
            while pending:
                now, pending = pending[:CHUNKS_MAX], pending[CHUNKS_MAX:]
                wrong = self._look(connection, report, now, right.sequence)
                if self._repair:
                    connection.rollback()  # SQLite's readers and writers see one another's
                    report.repaired += self._rewrite(at, right, wrong)
                elif report.different >= SHOWN_MAX:
                    report.chunks_left = len(pending)
                    break
        if self._repair and right != at:
            self._rewrite(at, right, {}, final=True)
        return report

    def _position(self, connection: sa.Connection, lock: bool = False) -> Position:
        wanted = sa.select(POSITIONS.c.epoch, POSITIONS.c.seq).where(
            POSITIONS.c.shard == self._shard
        )
        row = connection.execute(wanted.with_for_update() if lock else wanted).first()
        if row is None:
            raise SinkError(f"{self._store.shown} has no position of shard {self._shard}")
        return Position(*row)

    def _compare_position(self, report: Report, right: Position) -> None:
        at = report.position
        for column, found, wanted in (("seq", at.sequence, right.sequence),
                                      ("epoch", at.epoch, right.epoch)):  # fmt: skip
            if found != wanted:
                key = {"shard": self._shard}
                self._note(report, Difference("positions", key, "different", column, wanted, found))

    def _digests(self, connection: sa.Connection, table: str) -> Digests:
        if not digested(table):
            chunk = sa.type_coerce(SQL_TABLES[table].c.seq, sa.BigInteger()).bitwise_rshift(
                sa.literal_column(str(CHUNK_BITS), sa.BigInteger())
            )
            found = connection.execute(
                sa.select(chunk).where(SQL_TABLES[table].c.shard == self._shard).distinct()
            )
            return {int(row[0]): (0, 0) for row in found}
        found = connection.execute(query(table, self._shard))
        return {int(chunk): (int(rows), int(digest)) for chunk, rows, digest in found}

    # ------------------------------------------------------------------ the journal's rows

    def _replay(self, last: int, take: Take) -> tuple[int, int]:
        """Gives out every row of the commands up to `last`; the log's end, and the epoch there.

        Rows that change later come once, as they are at `last`.
        """
        bars: dict[int, NDArray[np.void]] = {}

        def read(table: str, column: str, values: Sequence[int]) -> Array:
            known = [bar for bar in bars.values() if bar["day"] in values]
            made = np.zeros(len(known) if table == "daily_bars" else 0, TABLES[table].dtype)
            for at, bar in enumerate(known[: len(made)]):
                made[at] = bar
            return made

        machine, maker = machine_class("cython")(), RowMaker(self._shard, read)
        end = epoch = 0

        def noted(frames: Iterator[Frame]) -> Iterator[Frame]:
            # A batch may go on into a later epoch than that of `last`.
            nonlocal epoch
            for frame in frames:
                if frame.first_sequence <= last:
                    epoch = frame.epoch
                yield frame

        with open_reader(self._path, keys=self._keys) as reader:
            for batch in batches(noted(reader.read()), BUNDLE_COMMANDS):
                first = batch.first_sequence
                end = first + len(batch.commands) - 1
                self._progress(len(batch.commands))
                if first > last:
                    continue
                events = apply(machine, batch, upto=last)
                rows = maker.make(first, batch.commands[: last - first + 1], events)
                maker.accept()
                for name, new in rows.new.items():
                    if name == "daily_bars":
                        bars.update(zip(new["seq"].tolist(), new.copy(), strict=True))
                    elif name != "open_orders":
                        take(name, new)
        take("open_orders", maker.open_orders.rows())
        take("daily_bars", np.array(list(bars.values()), TABLES["daily_bars"].dtype))
        return end, epoch

    # ------------------------------------------------------------------ row by row

    def _look(
        self, connection: sa.Connection, report: Report, places: list[tuple[str, int]], last: int
    ) -> dict[tuple[str, int], tuple[list[int], Array]]:
        """By chunk: the sequences whose rows differ, and what the journal has of them."""
        wanted: dict[tuple[str, int], list[Array]] = {place: [] for place in places}

        def take(table: str, rows: Array) -> None:
            for chunk in np.unique(rows["seq"] >> CHUNK_BITS).tolist():
                if (table, chunk) in wanted:
                    wanted[table, chunk].append(rows[rows["seq"] >> CHUNK_BITS == chunk])

        self._replay(last, take)
        wrong = {}
        for (table, chunk), parts in wanted.items():
            rows = np.concatenate([np.zeros(0, TABLES[table].dtype), *parts])
            seqs = self._differing(connection, report, table, chunk, rows)
            if seqs:
                wrong[table, chunk] = seqs, rows[np.isin(rows["seq"], seqs)]
        return wrong

    def _differing(
        self, connection: sa.Connection, report: Report, table: str, chunk: int, rows: Array
    ) -> list[int]:
        spec, source = TABLES[table], SQL_TABLES[table]
        names = list(spec.columns)
        low = chunk << CHUNK_BITS
        within = source.c.seq.between(low, low + 2**CHUNK_BITS - 1)
        found = connection.execute(sa.select(source).where(source.c.shard == self._shard, within))
        places = [names.index(name) for name in spec.key]

        def keyed(all_rows: Any) -> dict[tuple[int, ...], tuple[Any, ...]]:
            return {tuple(row[at] for at in places): tuple(row) for row in all_rows}

        here, there = keyed(as_stored(self._store, table, rows)), keyed(found)
        seqs = set()
        for key in sorted(here.keys() | there.keys()):
            mine, theirs = here.get(key), there.get(key)
            if mine != theirs:
                self._note(report, _difference(table, key, names, mine, theirs))
                seqs.add(key[1])
        return sorted(seqs)

    def _note(self, report: Report, one: Difference) -> None:
        report.different += 1
        if len(report.differences) < SHOWN_MAX:
            report.differences.append(one)

    # ------------------------------------------------------------------ repair

    def _rewrite(
        self,
        at: Position,
        right: Position,
        wrong: dict[tuple[str, int], tuple[list[int], Array]],
        final: bool = False,
    ) -> int:
        """A transaction a chunk; the position last.  Returns how many sequences' rows were
        rewritten."""
        done = 0
        places: list[tuple[str, int] | None] = [*wrong, *([None] if final else [])]
        for place in places:
            with transaction(self._store) as connection:
                if self._position(connection, lock=True) != at:
                    raise SinkError(f"{self._store.shown} is being written to: stop its follower")
                if place is None:
                    connection.execute(
                        sa.update(POSITIONS)
                        .where(POSITIONS.c.shard == self._shard)
                        .values(epoch=right.epoch, seq=right.sequence)
                    )
                    continue
                seqs, rows = wrong[place]
                replace(self._store, connection, place[0], np.array(seqs, np.int64), rows)
                done += len(seqs)
        return done


def _difference(
    table: str,
    key: tuple[int, ...],
    names: list[str],
    mine: tuple[Any, ...] | None,
    theirs: tuple[Any, ...] | None,
) -> Difference:
    place = dict(zip(TABLES[table].key, key, strict=True))
    if mine is None or theirs is None:
        return Difference(table, place, "missing" if theirs is None else "extra")
    column, one, other = next(
        (name, a, b) for name, a, b in zip(names, mine, theirs, strict=True) if a != b
    )
    return Difference(table, place, "different", column, one, other)
