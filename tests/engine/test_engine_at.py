"""Time travel: the exchange behind any command or moment, read-only, also while it goes on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from engine_kit import opened, run, segment, spoil
from flows import flow

import matchcore as mc
from matchcore.journal import snapshots
from matchcore.journal.segments import segment_files
from matchcore.records import times as moments

UTC = timezone.utc


def digests(path: Path, upto: int) -> list[str]:
    """The digest behind each command, from a machine that goes through all of them."""
    machine, said = mc.Machine(), []
    with mc.journal.LogReader(path) as reader:
        commands = np.concatenate([frame.commands for frame in reader.read()])
    said.append(machine.digest())
    for at in range(upto):
        machine.apply(commands[at : at + 1])
        said.append(machine.digest())
    return said


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_every_sequence_is_the_state_behind_it(tmp_path: Path, machine: str) -> None:
    with opened(tmp_path) as engine:
        for seed in range(2):
            run(engine, seed, 40, 7)
            engine.snapshot()
        run(engine, 9, 40, 7)
    for sequence, digest in enumerate(digests(tmp_path, 122)):
        at = mc.Engine.at(tmp_path, sequence=sequence, machine=machine)
        assert (at.sequence, at.digest()) == (sequence, digest)
        assert at.recovery.snapshot_sequence == max(s for s in (0, 42, 82) if s <= sequence)
        assert at.recovery.commands == sequence - at.recovery.snapshot_sequence


def test_it_is_for_looking_only(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 50)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with mc.Engine.at(tmp_path, sequence=30) as at:
        assert at.book("ONE").instrument.symbol == "ONE"
        for refused in (
            lambda: at.submit(mc.EndDay()),
            lambda: at.submit_batch(flow(1, 3)),
            lambda: at.add_instrument(mc.Instrument("NEW", 1)),
            at.snapshot,
        ):
            with pytest.raises(mc.ReadOnly, match=r"at sequence 30 and is read-only.*Engine\.open"):
                refused()
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_it_works_beside_an_engine_at_work(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=4096) as engine:
        run(engine, 1, 100)
        then = engine.digest()
        run(engine, 2, 100)
        assert mc.Engine.at(tmp_path, sequence=102).digest() == then
        assert mc.Engine.at(tmp_path).digest() == engine.digest()


def test_beyond_the_end_says_where_the_end_is(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 50)
        engine.snapshot()
    with pytest.raises(mc.NotInTheLog, match=r"sequence 53: the log in .* ends with 52"):
        mc.Engine.at(tmp_path, sequence=53)
    with pytest.raises(mc.NotInTheLog, match="sequence -1"):
        mc.Engine.at(tmp_path, sequence=-1)
    with pytest.raises(ValueError, match="not both"):
        mc.Engine.at(tmp_path, sequence=3, time=3)


def test_a_torn_tail_is_not_there_and_stays(tmp_path: Path) -> None:
    with opened(tmp_path / "live") as engine:
        run(engine, 1, 50, 25)
        data = segment(tmp_path / "live").read_bytes().rstrip(b"\0")
    (tmp_path / "torn").mkdir()
    file = tmp_path / "torn" / segment(tmp_path / "live").name
    file.write_bytes(data[:-20])
    at = mc.Engine.at(tmp_path / "torn")
    assert at.sequence == 27 and at.recovery.cut_bytes > 0
    assert file.read_bytes() == data[:-20]


def timed(path: Path, times: list[int]) -> None:
    with mc.Engine.open(path, clock=lambda: 1) as engine:
        commands = mc.encode_all([mc.EndDay()] * len(times), engine.instruments)
        commands["time"] = times
        for at in range(0, len(times), 3):
            engine.submit_batch(commands[at : at + 3])


@pytest.mark.parametrize(
    ("time", "sequence"),
    [(99, 0), (100, 1), (249, 1), (250, 3), (599, 3), (600, 4), (10**18, 5)],
)
def test_a_time_is_the_last_command_at_or_before_it(
    tmp_path: Path, time: int, sequence: int
) -> None:
    """Times come with the commands: here one is earlier than the one before it."""
    timed(tmp_path, [100, 500, 250, 600, 700])
    assert mc.Engine.at(tmp_path, time=time).sequence == sequence


def test_a_datetime_is_exact_and_needs_its_zone(tmp_path: Path) -> None:
    moment = datetime(2019, 5, 21, 9, 0, 0, 123456, tzinfo=UTC)
    time = moments.nanoseconds(moment)
    timed(tmp_path, [time - 1, time, time + 1])
    assert mc.Engine.at(tmp_path, time=moment).sequence == 2
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    assert mc.Engine.at(tmp_path, time=elsewhere).sequence == 2
    with pytest.raises(ValueError, match="time zone"):
        mc.Engine.at(tmp_path, time=datetime(2019, 5, 21))


def test_what_was_archived_is_refused_by_name(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=4096) as engine:
        run(engine, 1, 400, 20)
        engine.snapshot()
        run(engine, 2, 100, 20)
        last = engine.digest()
    segment_files(tmp_path)[0].unlink()
    with pytest.raises(mc.LogDamaged, match="the log begins with sequence"):
        mc.Engine.at(tmp_path, sequence=10)
    with pytest.raises(mc.NotInTheLog, match="begins later, with sequence"):
        mc.Engine.at(tmp_path, time=0)
    assert mc.Engine.at(tmp_path).digest() == last


def test_a_bad_snapshot_is_said_and_gone_around(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 50)
        engine.snapshot()
    spoil(snapshots.listing(tmp_path)[0])
    at = mc.Engine.at(tmp_path, sequence=52)
    assert len(at.recovery.skipped) == 1 and at.recovery.commands == 52


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:00.000000001Z", 1), ("1969-12-31 23:59:59.9", -(10**8)),
        ("2019-05-21", 1_558_396_800 * 10**9), ("2019-05-21T02:00+02:00", 1_558_396_800 * 10**9),
        ("2262-04-11T23:47:16.854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_a_moment_reads_back_as_it_is_written(text: str, time: int) -> None:
    assert moments.parse(text) == time
    assert moments.parse(moments.text_of(time)) == time


@pytest.mark.parametrize(
    "text",
    ["", "2019", "2019-13-01", "2019-05-21T24:00", "2019-05-21T09:00:00.1234567890",
     "2019-05-21T09:00:00,1", "9999-01-01", "yesterday", "\uff12019-05-21"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        moments.parse(text)
