"""A flipped bit anywhere is found, and never costs a frame that a later one vouches for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from journal_kit import (
    SMALL,
    closed_log,
    crashed_log,
    flip,
    frame_ends,
    only_segment,
    orders,
    read_back,
    reopen,
    same,
    write,
)
from numpy.typing import NDArray

from matchcore import LogDamaged
from matchcore.journal import FileLog, LogReader, verify
from matchcore.journal.segments import segment_files

COUNTS = [1, 2, 18, 1, 3]


def is_found(path: Path) -> bool:
    """Both `verify` and opening refuse the log."""
    if verify(path).good:
        return False
    try:
        FileLog.open(path).close()
    except LogDamaged:
        return True
    return False


def test_a_flip_of_any_byte_of_a_closed_log_is_found(tmp_path: Path, quick_disk: None) -> None:
    closed_log(tmp_path, COUNTS)
    file, dice = only_segment(tmp_path), random.Random(1)
    data = file.read_bytes()
    assert data[-1] != 0 and frame_ends(file)[-1] == len(data)
    for offset in range(len(data)):
        mask = 1 << dice.randrange(8)
        flip(file, offset, mask)
        assert is_found(tmp_path), (offset, mask)
        flip(file, offset, mask)
    assert file.read_bytes() == data and verify(tmp_path).good


def test_a_flip_of_any_bit_of_the_headers_and_the_seal_is_found(
    tmp_path: Path, quick_disk: None
) -> None:
    closed_log(tmp_path, COUNTS)
    file = only_segment(tmp_path)
    ends = frame_ends(file)
    for offset in [*range(256), *range(ends[-2], ends[-1])]:
        for bit in range(8):
            flip(file, offset, 1 << bit)
            assert is_found(tmp_path), (offset, bit)
            flip(file, offset, 1 << bit)


def test_a_flip_in_any_of_many_segments_is_found(tmp_path: Path, quick_disk: None) -> None:
    closed_log(tmp_path, [1, 30, 16, 2, 16, 60] * 3, SMALL)
    files, dice = segment_files(tmp_path), random.Random(2)
    assert len(files) > 2
    for file in files:
        for offset in dice.sample(range(file.stat().st_size), 150):
            mask = dice.randrange(1, 256)
            flip(file, offset, mask)
            assert is_found(tmp_path), (file.name, offset, mask)
            flip(file, offset, mask)
    assert verify(tmp_path).good


def test_damage_is_named_by_file_offset_and_sequence(tmp_path: Path) -> None:
    closed_log(tmp_path, COUNTS)
    file = only_segment(tmp_path)
    ends = frame_ends(file)
    flip(file, ends[1] + 200, 4)  # in the payload of the third frame, of sequence 4
    with pytest.raises(LogDamaged) as caught:
        FileLog.open(tmp_path)
    assert (caught.value.path, caught.value.offset, caught.value.sequence) == (
        str(file),
        ends[1],
        4,
    )
    (finding,) = verify(tmp_path).findings
    assert (finding.path, finding.offset, finding.sequence) == (str(file), ends[1], 4)


def test_a_reader_gives_what_is_before_the_damage_and_then_says_so(tmp_path: Path) -> None:
    commands = closed_log(tmp_path, COUNTS)
    file = only_segment(tmp_path)
    flip(file, frame_ends(file)[1] + 200, 4)
    got = []
    with LogReader(tmp_path) as reader, pytest.raises(LogDamaged):
        got.extend(frame.commands for frame in reader.read())
    assert b"".join(part.tobytes() for part in got) == commands[:3].tobytes()


def recovered(path: Path) -> NDArray | None:
    """What opening gives without changing the log for the next try; None for LogDamaged."""
    file = only_segment(path)
    before = file.read_bytes()
    try:
        return reopen(path)[0]
    except LogDamaged:
        assert file.read_bytes() == before
        return None
    finally:
        file.write_bytes(before)


def test_a_flip_in_a_crashed_log_never_loses_what_a_later_frame_certifies(
    tmp_path: Path, quick_disk: None
) -> None:
    path = tmp_path / "log"
    commands = crashed_log(path, COUNTS, SMALL)
    file, dice = only_segment(path), random.Random(3)
    ends = frame_ends(file)
    for offset in range(ends[-1]):
        mask = 1 << dice.randrange(8)
        flip(file, offset, mask)
        assert recovered(path) is None, (offset, mask)
        flip(file, offset, mask)
    for offset in range(ends[-1], file.stat().st_size, 11):  # zeros that no frame has used
        flip(file, offset, 1)
        got = recovered(path)
        assert got is None or same(got, commands), offset
        flip(file, offset, 1)


def test_a_flip_and_a_torn_tail_together_are_still_damage(tmp_path: Path, quick_disk: None) -> None:
    path = tmp_path / "log"
    crashed_log(path, [1, 2, 3, 17, 150], 1 << 14)
    file, dice = only_segment(path), random.Random(4)
    ends, data = frame_ends(file), bytearray(file.read_bytes())
    sector = -(-(ends[-2] + 128) // 512) * 512  # in the last frame, behind its header
    assert sector + 512 < ends[-1]
    data[sector : sector + 512] = bytes(512)
    file.write_bytes(data)
    for offset in dice.sample(range(128, ends[-3]), 300):
        flip(file, offset, 16)
        assert recovered(path) is None, offset
        flip(file, offset, 16)
    assert len(recovered(path)) == 1 + 2 + 3 + 17


@pytest.mark.parametrize("zeroed", [(0, 8), (128, 136), (40, 48)])
def test_zeros_over_a_certified_frame_are_damage(tmp_path: Path, zeroed: tuple[int, int]) -> None:
    path = tmp_path / "log"
    crashed_log(path, [16, 16, 16, 16])
    file = only_segment(path)
    ends, data = frame_ends(file), bytearray(file.read_bytes())
    begin, end = (ends[0] + edge for edge in zeroed)
    data[begin:end] = bytes(end - begin)
    file.write_bytes(data)
    assert recovered(path) is None
    data[ends[0] : ends[1]] = bytes(ends[1] - ends[0])  # the whole frame, and all sectors of it
    file.write_bytes(data)
    assert recovered(path) is None
    assert not verify(path).good


def test_an_older_version_of_the_end_of_a_live_log_is_damage_for_its_reader(
    tmp_path: Path,
) -> None:
    log = FileLog.open(tmp_path)
    write(log, [16, 16])
    file = only_segment(tmp_path)
    flip(file, 400, 1)
    try:
        with pytest.raises(LogDamaged):
            read_back(tmp_path)
    finally:
        log.append(orders(1), 1)
        log.close()
