"""Packing commands into payloads gives them back, and a bad payload is only ever BadBytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_kit import noise, orders, same
from numpy.typing import NDArray

from matchcore import COMMAND
from matchcore.journal import _columns as _columns
from matchcore.journal.format import (
    CODEC_PLANES,
    CODEC_PLANES_LZ4,
    CODEC_RAW,
    RAW_COMMANDS_MAX,
    BadBytes,
    Payload,
    pack_commands,
)

EDGES = st.sampled_from([0, 1, 255, 256, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1])
WORD = st.one_of(EDGES, st.integers(0, 2**64 - 1), st.integers(0, 100))


@st.composite
def records(draw: st.DrawFn, most: int = 300) -> NDArray:
    """Up to `most` commands: some columns constant, some small, some over 64 bits."""
    count = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    words = np.zeros((count, 12), "<u8")
    for column in range(12):
        shape = draw(st.sampled_from(["zero", "constant", "steps", "wild", "edges"]))
        if shape == "constant":
            words[:, column] = draw(WORD)
        elif shape == "steps":
            words[:, column] = np.cumsum(rng.integers(0, 300, count))
        elif shape == "wild":
            words[:, column] = rng.integers(0, 2**64, count, dtype="u8")
        elif shape == "edges":
            words[:, column] = rng.choice(
                np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], "u8"), count
            )
    return words.reshape(-1).view(COMMAND)


def unpacked(codec: int, payload: bytes, count: int) -> NDArray:
    return Payload.checked(codec, payload, count).commands()


@given(records())
@settings(max_examples=150, deadline=None)
def test_commands_come_back_bit_for_bit(commands: NDArray) -> None:
    codec, payload = pack_commands(commands)
    assert same(unpacked(codec, payload, len(commands)), commands)
    assert len(payload) <= commands.nbytes


@given(records())
@settings(max_examples=100, deadline=None)
def test_packing_is_a_function_of_the_values_only(commands: NDArray) -> None:
    strided = np.repeat(commands, 2)[::2]
    assert not strided.flags.c_contiguous or len(strided) == 1
    assert pack_commands(strided) == pack_commands(commands)


@pytest.mark.parametrize("count", [1, 2, 15, RAW_COMMANDS_MAX])
def test_small_frames_stay_raw(count: int) -> None:
    commands = orders(count)
    assert pack_commands(commands) == (CODEC_RAW, commands.tobytes())


@pytest.mark.parametrize("count", [RAW_COMMANDS_MAX + 1, 255, 256, 257, 512, 513, 8192, 65536])
def test_larger_frames_are_columns_and_smaller_than_raw(count: int) -> None:
    commands = orders(count)
    codec, payload = pack_commands(commands)
    assert codec == CODEC_PLANES
    assert len(payload) < commands.nbytes // 3
    assert same(unpacked(codec, payload, count), commands)


def test_what_does_not_shrink_stays_raw() -> None:
    commands = noise(100)
    assert pack_commands(commands) == (CODEC_RAW, commands.tobytes())


def test_a_plane_with_a_sector_of_zeros_goes_behind_lz4() -> None:
    commands = orders(4096)
    commands["account"] = np.arange(4096) == 4095  # one byte in a plane of zeros
    codec, payload = pack_commands(commands)
    assert codec == CODEC_PLANES_LZ4
    assert same(unpacked(codec, payload, 4096), commands)


@given(records(most=2000))
@settings(max_examples=60, deadline=None)
def test_a_packed_payload_has_no_sector_of_zeros(commands: NDArray) -> None:
    commands["time"] |= 1  # an engine never logs a command without a time
    assert bytes(512) not in pack_commands(commands)[1]


@given(records(), st.sampled_from([1, 10**18, 2**63 - 1]), st.sets(st.integers(0, 299)))
@settings(max_examples=100, deadline=None)
def test_where_there_is_no_time_now_is_packed(commands: NDArray, now: int, bare: set[int]) -> None:
    commands["time"][[at for at in bare if at < len(commands)]] = 0
    before = commands.tobytes()
    codec, payload = pack_commands(commands, now)
    wanted = commands.copy()
    wanted["time"][commands["time"] == 0] = now
    assert same(unpacked(codec, payload, len(commands)), wanted)
    assert commands.tobytes() == before  # it is the caller's


@given(st.integers(0, 400), st.integers(250, 520), st.integers(0, 400), st.integers(255, 512))
def test_zeros_in_a_row_are_found_wherever_they_begin(
    before: int, zeros: int, behind: int, wanted: int
) -> None:
    data = b"\1" * before + bytes(zeros) + b"\2" * behind + bytes(200) + b"\3"
    assert _columns.has_zeros(data, wanted) == (bytes(wanted) in data)
    assert not _columns.has_zeros(b"", wanted)


def test_fewer_zeros_than_it_looks_at_are_not_asked_for() -> None:
    with pytest.raises(ValueError, match="at least 255"):
        _columns.has_zeros(bytes(300), 254)


def plain(words: NDArray, now: int) -> bytes:
    """The layout as docs/journal.md states it, in NumPy."""
    words = words.copy()
    words[:, 0][words[:, 0] == 0] = now
    steps = np.zeros_like(words)
    steps[1:, :9] = words[1:, :9] - words[:-1, :9]
    steps = steps << np.uint64(1) ^ (np.uint64(0) - (steps >> np.uint64(63)))
    steps[1:, 9:] = words[1:, 9:] ^ words[:-1, 9:]
    planes = steps.view("u1").reshape(-1, 12, 8).transpose(1, 2, 0)
    there = planes.any(axis=2)
    masks = (there << np.arange(8)).sum(axis=1).astype("u1")
    return masks.tobytes() + words[0].tobytes() + planes[there].tobytes()


@pytest.mark.parametrize("lanes", _columns.LANES)
@given(records(), st.sampled_from([0, 1, 10**18]), st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_every_width_writes_the_layout_and_reads_it(
    lanes: int, commands: NDArray, now: int, bare: int
) -> None:
    commands["time"][bare:] = 0
    words = commands.view("<u8").reshape(-1, 12)
    packed = _columns.pack(words, now, lanes)
    assert packed == plain(words, now)
    words[:, 0][words[:, 0] == 0] = now
    back = np.empty_like(words)
    _columns.unpack(packed, back, lanes)
    assert back.tobytes() == words.tobytes()


@pytest.mark.parametrize("lanes", _columns.LANES)
@given(st.binary(max_size=12), st.integers(1, 70), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_columns_that_nobody_packs_are_read_all_the_same(
    lanes: int, masks: bytes, count: int, seed: int
) -> None:
    masks = masks.ljust(12, b"\0")
    rest = 96 + count * sum(mask.bit_count() for mask in masks)
    payload = masks + np.random.default_rng(seed).bytes(rest)
    words = np.empty((count, 12), "<u8")
    _columns.unpack(payload, words, lanes)
    steps = np.zeros((count, 12), "<u8")
    at = 108
    for column, mask in enumerate(masks):
        for p in range(8):
            if mask >> p & 1:
                plane = np.frombuffer(payload, "u1", count, at).astype("u8")
                steps[:, column] |= plane << np.uint64(8 * p)
                at += count
    first = np.frombuffer(payload, "<u8", 12, 12)
    steps[:, :9] = steps[:, :9] >> np.uint64(1) ^ (np.uint64(0) - (steps[:, :9] & np.uint64(1)))
    assert (words[:, :9] == first[:9] + np.cumsum(steps[:, :9], axis=0, dtype="u8")).all()
    assert (words[:, 9:] == first[9:] ^ np.bitwise_xor.accumulate(steps[:, 9:], axis=0)).all()


def test_a_width_that_this_processor_has_not_is_refused() -> None:
    assert _columns.LANES[0] == 2  # what every processor can do is always tested
    with pytest.raises(ValueError, match="8 lanes: must be one of"):
        _columns.pack(np.zeros((1, 12), "u8"), 0, 8)
    with pytest.raises(ValueError, match="8 lanes: must be one of"):
        _columns.unpack(bytes(108), np.zeros((1, 12), "u8"), 8)


def payloads() -> list[tuple[int, bytes, int]]:
    sparse = orders(2000)
    sparse["account"] = np.arange(2000) == 1999
    batches = orders(3), orders(40), noise(30), sparse
    return [(*pack_commands(batch), len(batch)) for batch in batches]


def test_the_mutated_payloads_are_of_every_codec() -> None:
    assert {codec for codec, _, _ in payloads()} == {CODEC_RAW, CODEC_PLANES, CODEC_PLANES_LZ4}


@given(data=st.data(), which=st.integers(0, 3))
@settings(max_examples=400, deadline=None)
def test_a_mutated_payload_gives_commands_or_bad_bytes(data: st.DataObject, which: int) -> None:
    codec, payload, count = payloads()[which]
    mutated = bytearray(payload)
    for _ in range(data.draw(st.integers(0, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(mutated)), st.integers(0, len(mutated))))
    tail = data.draw(st.one_of(st.just(b""), st.binary(max_size=200)))
    wanted = data.draw(st.sampled_from([count, 0, 1, count - 1, count + 1, 65536]))
    codec = data.draw(st.sampled_from([codec, CODEC_RAW, CODEC_PLANES, CODEC_PLANES_LZ4]))
    try:
        got = unpacked(codec, bytes(mutated[:cut]) + tail, wanted)
    except BadBytes:
        return
    assert got.dtype == COMMAND and len(got) == wanted


@given(st.sampled_from([0, 1, 2]), st.binary(max_size=500), st.integers(0, 65536))
@settings(max_examples=300, deadline=None)
def test_random_bytes_give_commands_or_bad_bytes(codec: int, payload: bytes, count: int) -> None:
    try:
        got = unpacked(codec, payload, count)
    except BadBytes:
        return
    assert got.dtype == COMMAND and len(got) == count


@pytest.mark.parametrize("claim", [2**31 - 1, 2**31, 2**32 - 1, 10**6])
def test_lz4_that_claims_a_huge_size_is_refused(claim: int) -> None:
    codec, payload, count = payloads()[3]
    assert codec == CODEC_PLANES_LZ4
    with pytest.raises(BadBytes, match="impossible size"):
        unpacked(codec, claim.to_bytes(4, "little") + payload[4:], count)


def test_a_raw_payload_of_another_length_is_refused() -> None:
    with pytest.raises(BadBytes, match="191 bytes for 2 commands"):
        unpacked(CODEC_RAW, bytes(191), 2)
