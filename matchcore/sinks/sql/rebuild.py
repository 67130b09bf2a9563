"""Drops the rows of an exchange from a database and writes them again from the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from ...engine.follower import Follower
from ...journal import Keys, Position, Where, identity_of, open_reader, place_of
from ..opening import built_in, open_sink, open_store
from .access import empty, open_existing
from .whole import whole_log


def rebuild(
    path: Where,
    url: str,
    *,
    shard: int = 0,
    archives: Sequence[Path] = (),
    keys: Keys | None = None,
    expect: Callable[[int], None] = lambda total: None,
    progress: Callable[[int], None] = lambda count: None,
) -> Position:
    """Drops the rows of a shard and follows the log from its beginning to its end.

    The whole log is read first: what cannot be made again is not dropped.  ``archives``: where
    archived segments are; ``expect`` receives the number of commands once, ``progress`` how many
    more were written.  `LogDamaged`, `LogError` for segments that are nowhere, `SinkError`.
    """
    place = place_of(path)
    identity = identity_of(place)
    with whole_log(place, archives) as whole:
        with closing(open_reader(whole, keys=keys)) as reader:
            expect(sum(frame.count for frame in reader.read()))
        built_in(url, shard).close()  # a plug-in's is refused before it is opened
        open_store(url, identity, shard).close()  # whose it is, and the tables
        with closing(open_existing(url, identity, shard)) as store:
            empty(store)
        sink = open_sink(url, identity, shard=shard)
        with Follower(whole, sink, keys=keys) as follower:
            return follower.run(progress=progress)
