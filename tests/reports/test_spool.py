"""The file of reports: any mixture of streams, any extent, any read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore.errors import ReportsError
from matchcore.reports import REPORT
from matchcore.reports._spool import Spool

WAITING = 4096  # reports in the buffer of a spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = fresh()
    yield made
    made.close()


def fresh() -> Spool:
    with tempfile.TemporaryFile() as file:
        return Spool(os.dup(file.fileno()))


def rows(count: int, first: int = 0) -> np.ndarray:
    made = np.zeros(count, REPORT)
    made["sequence"] = np.arange(first, first + count)
    made["flags"] = 255  # the last byte
    return made


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(0, 2**32),
)
def test_every_stream_reads_back_in_order(batches: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    spool, expected, at = fresh(), {}, 0
    keys = rng.integers(0, 2**64, 40, dtype=np.uint64)
    for count, streams in batches:
        batch, chosen = rows(count, at), rng.choice(keys[:streams], count)
        spool.append(batch, chosen)
        for row, key in zip(batch, chosen.tolist(), strict=True):
            expected.setdefault(key, []).append(row)
        at += count
        if rng.random() < 0.3:
            spool.flush()
    assert sorted(spool.streams()) == sorted(expected)
    for key, want in expected.items():
        whole = np.array(want, REPORT)
        assert spool.count_of(key) == len(want)
        assert spool.read(key, 1, len(want) + 5).tobytes() == whole.tobytes()
        first, count = int(rng.integers(1, len(want) + 3)), int(rng.integers(0, 50))
        some = spool.read(key, first, count)
        assert some.tobytes() == whole[first - 1 : first - 1 + count].tobytes()
    spool.close()


def test_long_streams_beside_each_other(spool: Spool) -> None:
    """Past the buffer many times, and over many extents."""
    count = 10 * WAITING + 17
    for at in range(0, count, 1000):
        batch = rows(min(1000, count - at), at)
        spool.append(batch, batch["sequence"] % 3)
    for stream in range(3):
        found = spool.read(stream, 1, count)
        assert found["sequence"].tolist() == list(range(stream, count, 3))
        assert spool.read(stream, len(found), 5)["sequence"].tolist() == [found["sequence"][-1]]


@pytest.mark.parametrize(
    ("first", "count", "found"),
    [
        (1, 0, 0), (0, 3, 3), (-5, 3, 3), (9, 5, 2), (11, 5, 0), (1, -1, 0), (2**70, 5, 0),
        (1, 2**70, 10),
    ],
)  # fmt: skip
def test_reads_at_the_edges(spool: Spool, first: int, count: int, found: int) -> None:
    spool.append(rows(10), np.zeros(10, np.uint64))
    assert len(spool.read(0, first, count)) == found
    assert len(spool.read(1, first, count)) == 0


def test_the_same_appends_in_other_cuts_give_the_same_file() -> None:
    """So what a killed process left half written is written over with the same bytes."""
    batch, files = rows(3000), []
    streams = np.random.default_rng(3).integers(0, 9, 3000).astype(np.uint64)
    for step in (3000, 7, 500):
        with tempfile.NamedTemporaryFile() as file:
            spool = Spool(os.dup(file.fileno()))
            for at in range(0, 3000, step):
                spool.append(batch[at : at + step], streams[at : at + step])
                if step == 500:
                    spool.flush()
            spool.flush()
            spool.close()
            files.append(file.read())
    assert files[0] == files[1] == files[2]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 200), st.integers(0, 2**32))
def test_a_spool_goes_on_from_its_state(count: int, streams: int, seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, streams, 2 * count).astype(np.uint64)
    batch = rows(2 * count)
    with tempfile.NamedTemporaryFile() as file:
        before = Spool(os.dup(file.fileno()))
        before.append(batch[:count], keys[:count])
        before.sync()
        after = Spool(os.dup(file.fileno()))
        after.restore(before.state())
        after.append(batch[count:], keys[count:])
        for key in set(keys.tolist()):
            want = batch[keys == key]
            assert after.read(key, 1, 2 * count).tobytes() == want.tobytes()
        before.close()
        after.close()


def test_a_file_that_was_cut_off_is_named() -> None:
    with tempfile.NamedTemporaryFile() as file:
        spool = Spool(os.dup(file.fileno()))
        spool.append(rows(100), np.zeros(100, np.uint64))
        spool.flush()
        os.truncate(file.name, 5000)
        with pytest.raises(ReportsError, match="cut off"):
            spool.read(0, 1, 100)
        spool.close()


def test_a_file_that_cannot_be_written_is_named() -> None:
    with tempfile.NamedTemporaryFile() as file:
        spool = Spool(os.open(file.name, os.O_RDONLY))
        spool.append(rows(1), np.zeros(1, np.uint64))
        with pytest.raises(ReportsError, match="Bad file descriptor"):
            spool.flush()
        spool.close()
        with pytest.raises(ReportsError):
            spool.flush()


def test_wrong_arrays_are_refused(spool: Spool) -> None:
    with pytest.raises(TypeError, match="REPORT"):
        spool.append(np.zeros(1), np.zeros(1, np.uint64))
    with pytest.raises(ValueError, match="one for each"):
        spool.append(rows(2), np.zeros(1, np.uint64))
    spool.append(rows(20)[::2], np.zeros(10, np.uint64))  # gaps are none of its business
    assert spool.read(0, 1, 10)["sequence"].tolist() == list(range(0, 20, 2))
