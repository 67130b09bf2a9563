"""From a URL to a sink: built-in databases, plug-ins, and patience with one that is away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..engine.follower import SinkBehind
from ..errors import LogFailed, MissingExtra, SinkError
from ..journal import Position
from ..records.arguments import shard_number
from ..records.events import fresh
from .cache.keys import SCHEMES as CACHES
from .interface import SinkAway, Store
from .rows.rows import RowMaker
from .urls import check, shown

if TYPE_CHECKING:
    from .sql.store import SqlStore

GROUP = "matchcore.sinks"
BUILT_IN = {
    "sqlite": ("sql.sqlite", "SqliteStore"),
    "mysql": ("sql.mysql", "MysqlStore"),
    "mariadb": ("sql.mysql", "MysqlStore"),
    "postgresql": ("sql.postgres", "PostgresStore"),
}
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.05, 5.0
SAME_MAX = 8  # failures in a row, all the same: the last one says so, after 6 seconds of pauses
_T = TypeVar("_T")


def open_store(url: str, identity: bytes, shard: int = 0) -> Store:
    """The database of a URL, e.g. ``sqlite:///exchange.db``, ready for an exchange's rows.

    `identity` is the exchange's 16 bytes, `shard` the number of its log where several logs share
    a database.  `SinkError` says what is wrong, without the password; `MissingExtra` which
    driver is to be installed.
    """
    shard = shard_number(shard)
    scheme = url.split("://", 1)[0] if "://" in url else ""
    plugins = _plugins()
    if scheme in plugins:
        made: Store = plugins[scheme].load()(url, identity, shard)
        return made
    store: Store
    if scheme in CACHES:
        from .cache.store import RedisStore

        store = cache = RedisStore(url, identity, shard)
        prepare = cache.prepare
    else:
        store = database = built_in(url, shard)
        prepare = partial(database.prepare, identity)
    try:
        prepare()
    except BaseException:
        store.close()
        raise
    return store


def built_in(url: str, shard: int = 0) -> SqlStore:
    """The store of a URL that needs no plug-in; nothing is connected yet."""
    shard = shard_number(shard)
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme in _plugins():
        raise SinkError(f"{shown(url)!r} belongs to a plug-in, which supports followers only")
    if scheme in CACHES:
        raise SinkError(f"{shown(url)!r} is a cache, which supports followers only")
    if scheme not in BUILT_IN:
        known = ", ".join(f"{name}://" for name in (*BUILT_IN, *sorted(CACHES), *_plugins()))
        raise SinkError(f"{shown(url)!r}: the scheme must be one of these: {known}")
    if scheme != "sqlite":  # whose own class says what its URLs are like
        check(url)
    try:
        import sqlalchemy as sa
    except ImportError:
        raise MissingExtra(f"a {scheme}:// sink", "sql") from None
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise SinkError(f"{shown(url)!r} is not a database URL: {type(error).__name__}") from None
    module, name = BUILT_IN[scheme]
    try:
        made: SqlStore = getattr(import_module(f".{module}", __package__), name)(parsed, shard)
    except (TypeError, ValueError, sa.exc.SQLAlchemyError) as error:
        raise SinkError(f"{shown(url)!r}: {error}; check its parameters") from None
    return made


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


class RowSink:
    """`Sink` of a follower into a `Store`: makes the rows of each batch and writes them.

    `patience`: seconds for which a database that is away is asked again, with growing pauses;
    0 raises at once.  `waiting` hears each time why.  `SinkBehind` when the database stands
    earlier than it did: nothing is remembered of it then.  Not for two threads.
    """

    def __init__(
        self,
        store: Store,
        shard: int = 0,
        *,
        patience: float = 0.0,
        waiting: Callable[[SinkAway], object] = lambda error: None,
    ) -> None:
        self.store = store
        self._waiting = waiting
        self._shard = shard_number(shard)
        self.patience = patience
        self._maker: RowMaker | None = None
        self._at = Position(0, 0)  # where the maker stands
        self._wrote = False

    def position(self) -> Position | None:
        at = self._ask(lambda: self.store.position(self._shard))
        if (at.sequence if at else 0) < self._at.sequence:
            self._forget()
        return at

    def _forget(self) -> None:
        """The database was set back: nothing holds that is remembered of it."""
        self._maker, self._wrote, self._at = None, False, Position(0, 0)

    def _ask(self, ask: Callable[[], _T]) -> _T:
        return patiently(ask, self.patience, self._waiting)

    def write(
        self, position: Position, commands: NDArray[np.void], events: NDArray[np.void]
    ) -> None:
        """One transaction.  What is there already is skipped by position, never by its keys."""
        to = position.sequence
        first = to - len(commands) + 1
        while True:
            if self._maker is None:
                self._at, self._maker = self._ask(self._begin)
            maker, at = self._maker, self._at
            if first > at.sequence + 1:
                self._forget()
                raise SinkBehind(at, first)
            if to <= at.sequence:
                return
            start = at.sequence + 1
            new, told = commands[start - first :], fresh(events)
            told = told[told["sequence"] >= start]
            try:
                rows = self._ask(partial(maker.make, start, new, told))
                self._ask(partial(self.store.write, self._shard, position.epoch, start, to, rows))
                break
            except SinkAway:
                raise
            except SinkError as error:
                self._look_again(error)
        maker.accept()
        self._at, self._wrote = position, True

    def _look_again(self, error: SinkError) -> None:
        """Forgets the rows of a database that stands elsewhere now; raises what lasts.

        It may be ahead before the first write: a follower died, and its last commit came late.
        """
        at = self._ask(self._stands)
        ahead = at.sequence > self._at.sequence
        if at.sequence == self._at.sequence or (ahead and self._wrote):
            raise error
        self._maker = None

    def _stands(self) -> Position:
        return self.store.position(self._shard) or Position(0, 0)

    def _begin(self) -> tuple[Position, RowMaker]:
        """Where the database stands, all of it at one sequence: nobody wrote meanwhile."""
        while True:
            before = self._stands()
            maker = RowMaker(self._shard, self._read)
            if self._stands() == before:
                return before, maker

    def _read(self, table: str, column: str, values: Sequence[int]) -> NDArray[np.void]:
        """Rows as of the sequence that the maker stands at."""
        found = self.store.read(self._shard, table, column, values)
        if column:  # later than the beginning, which looks itself
            at = self._stands()
            if at.sequence != self._at.sequence:
                raise SinkError(
                    f"the database is at sequence {at.sequence}, and was at {self._at.sequence}:"
                    " another follower writes here"
                )
        return found

    def close(self) -> None:
        self.store.close()


def open_sink(
    url: str,
    identity: bytes,
    *,
    shard: int = 0,
    patience: float = 0.0,
    waiting: Callable[[SinkAway], object] = lambda error: None,
) -> RowSink:
    """What a `Follower` delivers into: the sink of a URL (see `open_store` and `RowSink`)."""
    store = patiently(lambda: open_store(url, identity, shard), patience, waiting)
    return RowSink(store, shard, patience=patience, waiting=waiting)


def patiently(
    ask: Callable[[], _T],
    patience: float,
    waiting: Callable[[Any], object] = lambda error: None,
    passing: type[SinkAway] | type[LogFailed] = SinkAway,
) -> _T:
    """Asks until the database is there, for so many seconds at most; `waiting` hears why not.

    With `LogFailed` as ``passing``: until the files of the log are.

    A failure that is the same `SAME_MAX` times in a row is said to be one that may last.
    """
    until, pause = time.monotonic() + patience, PAUSE_SECONDS_MIN
    before, times = "", 0
    while True:
        try:
            return ask()
        except passing as error:
            # Numbers of connections and processes differ; so does how one cause shows itself.
            kind = getattr(error, "advice", "") or re.sub(r"\d+", "#", str(error))
            before, times = kind, (times + 1 if kind == before else 1)
            said = error if times < SAME_MAX else _lasting(error)
            if time.monotonic() + pause > until:
                raise said from None
            waiting(said)
        time.sleep(pause)
        pause = min(2 * pause, PAUSE_SECONDS_MAX)


def _lasting(error: SinkAway | LogFailed) -> SinkAway | LogFailed:
    advice = f"; {error.advice}" if isinstance(error, SinkAway) and error.advice else ""
    return type(error)(
        f"{error}; the same {SAME_MAX} times in a row, so it may be permanent{advice}"
    )
