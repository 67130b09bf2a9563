"""A replicated log: the frames of a file log, in a stream that several servers keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_kit import noise, orders
from stream_kit import asked, frame, publish, read_back, write

from matchcore import LogDamaged, LogFailed
from matchcore.journal import FileLog, LogReader, last_sequence, open_reader
from matchcore.journal.packing import FRAME_COMMANDS
from matchcore.journal.stream import Address, StreamLog, StreamReader
from matchcore.journal.stream.messages import PART_BYTES, WINDOW


def test_a_log_has_what_was_appended(address: str) -> None:
    log = StreamLog.open(address)
    commands = write(log, [1, 17, 4096, 3])
    assert (log.sequence, log.durable, log.on_disk, log.epoch) == (4117, 4117, 4117, 1)
    log.close()
    assert read_back(address).tobytes() == commands.tobytes()


_ROUNDS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([1, 5, 16, 17, 300, 9000]), st.booleans()),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rounds=_ROUNDS, hash=st.sampled_from(["sha256", "sm3"]))
def test_frames_and_chain_are_those_of_a_file_log(
    addresses: Callable[[], str], tmp_path_factory: pytest.TempPathFactory,
    rounds: list[tuple[int, int, bool]], hash: str,
) -> None:  # fmt: skip
    """Byte for byte, over openings and closings, whatever the sizes."""
    place, path = addresses(), tmp_path_factory.mktemp("log")
    files, stream = FileLog.open(path, hash=hash), StreamLog.open(place, hash=hash)
    for seed, count, reopens in rounds:
        commands = orders(count, seed)
        # A frame at a time: its header says what is durable by then, which two of them race for.
        for part in (commands[:FRAME_COMMANDS], commands[FRAME_COMMANDS:]):
            for log in (files, stream) if len(part) else ():
                log.append(part, 7)
                log.sync()
        if reopens:
            files.close()
            stream.close()
            files, stream = FileLog.open(path), StreamLog.open(place)
        assert (files.chain, files.sequence, files.epoch) == (
            stream.chain, stream.sequence, stream.epoch,
        )  # fmt: skip
    files.close()
    stream.close()
    with LogReader(path) as one, StreamReader(place) as other:
        for mine, theirs in zip(one.read(), other.read(), strict=True):
            assert (mine.chain, mine.epoch, mine.first_sequence, mine.under, mine.rules) == (
                theirs.chain, theirs.epoch, theirs.first_sequence, theirs.under, theirs.rules,
            )  # fmt: skip
            assert mine.commands.tobytes() == theirs.commands.tobytes()


def test_a_message_is_a_frame_of_the_file_log_byte_for_byte(address: str, tmp_path: Path) -> None:
    files, stream = FileLog.open(tmp_path), StreamLog.open(address)
    for log in (files, stream):
        write(log, [1, 100])
    name = Address.of(address).name
    first = asked(address, lambda streams: streams.get_msg(name, 1)).data
    told = b"".join(asked(address, lambda s, at=at: s.get_msg(name, at)).data for at in (2, 3))
    stream.close()
    [file] = tmp_path.glob("journal-*.mcj")
    held = file.read_bytes()
    files.close()
    assert len(first) == 128 and first[:24] == held[:24]  # then identities and times
    assert told == held[128 : 128 + len(told)]
    assert not held[128 + len(told) :].strip(b"\0")


def test_frames_beyond_half_a_megabyte_are_split(address: str) -> None:
    log = StreamLog.open(address)
    commands = np.concatenate([noise(20_000, 1), noise(8192, 2), noise(3, 3)])
    log.append(commands[:20_000], 1)
    log.append(commands[20_000:28_192], 1)
    log.append(commands[28_192:], 1)
    log.sync()
    log.close()
    state = asked(address, lambda s: s.stream_info(Address.of(address).name)).state
    assert state.last_seq == 1 + 2 + 2 + 1 + 2 + 1  # 8,192 commands of noise are two messages
    assert noise(8192).nbytes > PART_BYTES
    assert read_back(address).tobytes() == commands.tobytes()
    assert read_back(address, 28_192).tobytes() == commands[28_192:].tobytes()


def test_many_frames_are_under_way_at_once(address: str) -> None:
    log = StreamLog.open(address)
    commands = write(log, [50] * (4 * WINDOW), sync=False)
    log.close()
    assert read_back(address).tobytes() == commands.tobytes()


@pytest.fixture(scope="module")
def long_log(servers) -> tuple[str, np.ndarray, list[int]]:  # type: ignore[no-untyped-def]  # fixture
    """A log with several writers, longer than what a reader looks back: commands and ends."""
    address = servers.address("long")
    parts, ends = [], [0]
    for writer, frames in enumerate([30, 200, 1, 0, 90, 3]):
        log = StreamLog.open(address)
        counts = [1 + (writer + n) % 7 for n in range(frames)]
        parts += [write(log, counts, seed=writer, sync=False)] if counts else []
        for count in counts:
            ends.append(ends[-1] + count)
        log.close()
    return address, np.concatenate(parts), ends


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_reading_begins_anywhere(
    long_log: tuple[str, np.ndarray, list[int]], data: st.DataObject
) -> None:
    address, commands, ends = long_log
    after = data.draw(st.integers(0, len(commands) + 3))
    with StreamReader(address, after=after) as reader:
        frames = list(reader.read())
        assert reader.sequence == len(commands)
        assert reader.epoch == 6
    first = max((end for end in ends if end <= after), default=0)
    if after < len(commands):
        assert frames[0].first_sequence == first + 1
        got = np.concatenate([frame.commands for frame in frames])
        assert got.tobytes() == commands[first:].tobytes()
    else:
        assert frames == []


def test_the_last_sequence_is_found_without_reading_all(
    long_log: tuple[str, np.ndarray, list[int]],
) -> None:
    address, commands, _ = long_log
    assert last_sequence(address) == len(commands)


def test_a_reader_compares_the_past(long_log: tuple[str, np.ndarray, list[int]]) -> None:
    address, _, ends = long_log
    with open_reader(address, after=ends[-5] - 1) as reader:
        frames = list(reader.read())
    chain, after = frames[0].chain, ends[-5]
    with StreamReader(address, after=after, chain=chain) as good:
        assert len(list(good.read())) == len(frames) - 1
    with (
        StreamReader(address, after=after, chain=bytes(32)) as bad,
        pytest.raises(LogDamaged, match="different histories"),
    ):
        list(bad.read())
    with (
        StreamReader(address, after=after - 1, chain=chain) as inside,
        pytest.raises(LogDamaged, match="different histories"),
    ):
        list(inside.read())
    with (
        StreamReader(address, after=ends[-1] + 5, chain=chain) as beyond,
        pytest.raises(LogDamaged, match="ends before its snapshot"),
    ):
        list(beyond.read())


def test_a_reader_is_told_of_what_comes(address: str) -> None:
    log = StreamLog.open(address)
    write(log, [5])
    with StreamReader(address) as reader:
        growth = reader.growth()
        assert [frame.count for frame in reader.read()] == [5]
        write(log, [7, 2])
        counts: list[int] = []
        while len(counts) < 2:
            growth.wait(10)
            counts += [frame.count for frame in reader.read()]
        assert counts == [7, 2]
    log.close()


def test_a_second_writer_ends_the_first(address: str) -> None:
    old = StreamLog.open(address)
    commands = write(old, [5, 5])
    new = StreamLog.open(address)
    assert (new.epoch, new.sequence, new.chain) == (2, 10, old.chain)
    with pytest.raises(LogFailed, match=r"another engine writes it now: its epoch is 2.*was 1"):
        old.append(orders(1), 1)  # refused here, when it has heard already of the new one
        old.sync()
    with pytest.raises(LogFailed, match="accepts no more commands"):
        old.append(orders(1), 1)
    assert old.durable == 10
    more = write(new, [3], seed=9)
    new.close()
    old.close()
    assert read_back(address).tobytes() == np.concatenate([commands, more]).tobytes()


@pytest.mark.parametrize("late", [0, 1, 5])
def test_what_an_older_writer_had_under_way_does_not_count(address: str, late: int) -> None:
    """It was sent before the new writer began, and comes in behind that."""
    old = StreamLog.open(address)
    commands = write(old, [4])
    chain = old.chain
    old.close()
    stale, place = [], 3  # where the old writer's next message would have come
    for n in range(late + 1):
        data, note = frame(orders(2, n), epoch=1, first=5 + 2 * n, chain=chain)
        stale.append((data, note, place - 1 + n))
    new = StreamLog.open(address)  # its first message takes the place of the first of them
    for data, note, expected in stale[1:]:
        assert publish(address, data, note, expected=expected) == expected + 1
    more = write(new, [3, 1, 90], seed=5, sync=False)
    new.close()
    assert read_back(address).tobytes() == np.concatenate([commands, more]).tobytes()
    for after in (3, 4, 6, 8, 50):
        with StreamReader(address, after=after) as reader:
            last = list(reader.read())[-1]
            assert (last.epoch, last.first_sequence, last.count) == (2, 9, 90)
    third = StreamLog.open(address)
    assert (third.epoch, third.chain) == (3, new.chain)
    third.close()


def test_half_a_frame_of_a_writer_that_died_does_not_count(address: str) -> None:
    log = StreamLog.open(address)
    commands = write(log, [4])
    codec = frame(noise(8192, 1)[:5000], epoch=1, first=5, chain=log.chain)
    log.close()
    note = f"{codec[1]} part=1/2 epoch=1 first=5"
    publish(address, codec[0][:1000], note)
    new = StreamLog.open(address)
    more = write(new, [2], seed=3)
    new.close()
    assert read_back(address).tobytes() == np.concatenate([commands, more]).tobytes()


def test_closing_waits_for_what_was_appended(address: str) -> None:
    log = StreamLog.open(address)
    for n in range(20):
        log.append(orders(30, n), 1)
    log.close()
    log.close()
    assert last_sequence(address) == 600
    with pytest.raises(LogFailed, match="closed"):
        log.append(orders(1), 1)
