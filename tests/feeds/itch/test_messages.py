"""One message for each change, in the standard's form where it has one, and back."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from flows import definitions, flow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itch_kit import blocks_of, messages_of
from numpy.typing import NDArray

from matchcore import Instrument, Machine
from matchcore.errors import FeedError
from matchcore.feeds.itch import Decoder, Encoder
from matchcore.records.changes import CHANGE, ChangeFlag, ChangeKind
from matchcore.records.instruments import Directory
from matchcore.records.schema import BOOK_CHANGES

UINT32_MAX, INT64_MAX = 2**32 - 1, 2**63 - 1
DAY_NS = 86_400 * 10**9
#: Three are special: a tick that ITCH has no decimals for, a long symbol, a large lot.
WORLD = (
    Instrument("ONE", "0.01"),
    Instrument("FINE", "0.00001"),
    Instrument("LONGSYMBOL", "0.5", lot=3, max_quantity=999),
    Instrument("LARGE", "9000", lot=2**33),
)


def change(kind: ChangeKind, **fields: int) -> NDArray[np.void]:
    row = np.zeros(1, CHANGE)
    row["kind"], row["instrument"], row["side"], row["price"] = kind, 1, 1, 100
    for name, value in fields.items():
        row[name] = value
    return row


def encoder(*instruments: Instrument) -> Encoder:
    return Encoder(Directory(instruments or WORLD))


def one(row: NDArray[np.void], *instruments: Instrument) -> bytes:
    (message,) = messages_of(encoder(*instruments).blocks(row))
    return message


def head(letter: bytes, locate: int = 1, tracking: int = 0, time: int = 5) -> bytes:
    return letter + struct.pack(">HH", locate, tracking) + time.to_bytes(6, "big")


REFERENCE = (1 << 48 | 77).to_bytes(8, "big")
AT = 3 * DAY_NS + 5


def test_the_layout_of_each_standard_message() -> None:
    added = one(change(ChangeKind.ADDED, order_id=77, quantity=9, left=9, time=AT))
    assert added == head(b"A") + REFERENCE + struct.pack(">cI8sI", b"B", 9, b"ONE     ", 10_000)
    executed = change(ChangeKind.EXECUTED, order_id=77, quantity=4, left=5, trade_id=6, time=AT)
    assert one(executed) == head(b"E") + REFERENCE + struct.pack(">IQ", 4, 6)
    reduced = change(ChangeKind.REDUCED, order_id=77, quantity=4, left=5, time=AT)
    assert one(reduced) == head(b"X") + REFERENCE + struct.pack(">I", 4)
    deleted = change(
        ChangeKind.DELETED, order_id=77, quantity=5, flags=ChangeFlag.REPLACING, time=AT
    )
    assert one(deleted) == head(b"D", tracking=1) + REFERENCE
    assert one(change(ChangeKind.DAY_ENDED, instrument=0, time=AT)) == head(b"S", 0) + b"M"
    defined = one(change(ChangeKind.DEFINED, time=AT))
    assert len(defined) == 39 and defined[:19] == head(b"R", tracking=1 << 3 | 2) + b"ONE     "


def test_the_layout_of_our_own_messages() -> None:
    who = struct.pack(">IQ", 1, 2**48)
    added = change(ChangeKind.ADDED, order_id=2**48, quantity=9, left=9, side=2, time=AT)
    assert one(added) == head(b"a") + who + struct.pack(">qqc", 9, 100, b"S")
    executed = change(ChangeKind.EXECUTED, order_id=2**48, quantity=9, trade_id=6, time=AT)
    assert one(executed) == head(b"e") + who + struct.pack(">qQ", 9, 6)
    reduced = change(ChangeKind.REDUCED, order_id=2**48, quantity=4, left=5, time=AT)
    assert one(reduced) == head(b"x") + who + struct.pack(">q", 4)
    assert one(change(ChangeKind.DELETED, order_id=2**48, quantity=4, time=AT)) == (
        head(b"d") + who + struct.pack(">q", 4)
    )
    assert one(change(ChangeKind.DAY_ENDED, time=AT)) == head(b"s") + struct.pack(">I", 1)
    defined = one(change(ChangeKind.DEFINED, instrument=3, time=AT))
    assert defined == head(b"r", 3) + struct.pack(
        ">I24sqBqq", 3, b"LONGSYMBOL".ljust(24), 5, 1, 3, 999
    )


@pytest.mark.parametrize(
    ("fields", "letter"),
    [
        ({}, b"A"),
        ({"price": UINT32_MAX // 100}, b"A"),
        ({"price": UINT32_MAX // 100 + 1}, b"a"),
        ({"price": 0}, b"a"),
        ({"price": -1}, b"a"),
        ({"price": -(2**63)}, b"a"),
        ({"price": INT64_MAX}, b"a"),
        ({"quantity": UINT32_MAX, "left": UINT32_MAX}, b"A"),
        ({"quantity": UINT32_MAX + 1, "left": UINT32_MAX + 1}, b"a"),
        ({"quantity": INT64_MAX, "left": INT64_MAX}, b"a"),
        ({"order_id": 2**48 - 1}, b"A"),
        ({"order_id": 2**48}, b"a"),
        ({"instrument": 2}, b"a"),
        ({"instrument": 3}, b"a"),
        ({"instrument": 4}, b"A"),  # its lot concerns the directory only
    ],
)
def test_what_the_standard_cannot_say_has_a_form_of_ours(
    fields: dict[str, int], letter: bytes
) -> None:
    row = change(ChangeKind.ADDED, **{"price": 1, "quantity": 1, "left": 1, **fields})
    assert one(row)[:1] == letter
    assert np.array_equal(decoded(row)[["price", "quantity", "order_id"]],
                          row[["price", "quantity", "order_id"]])  # fmt: skip


def decoded(row: NDArray[np.void]) -> NDArray[np.void]:
    return Decoder(Directory(WORLD)).changes(encoder().blocks(row))


def test_an_order_has_one_form_until_its_quantity_fits() -> None:
    """What a decoder of the standard alone has to be told on the page."""
    letters = [
        one(change(ChangeKind.ADDED, quantity=2**32 + 5, left=2**32 + 5))[:1],
        one(change(ChangeKind.EXECUTED, quantity=3, left=2**32 + 2))[:1],
        one(change(ChangeKind.REDUCED, quantity=3, left=2**32 - 1))[:1],
        one(change(ChangeKind.EXECUTED, quantity=3, left=2**32 - 4))[:1],
        one(change(ChangeKind.DELETED, quantity=2**32 - 4))[:1],
    ]
    assert letters == [b"a", b"e", b"x", b"E", b"D"]


def test_more_instruments_than_a_locate_counts() -> None:
    many = [Instrument(f"S{number}", "0.01") for number in range(1, 65_538)]
    made = encoder(*many)
    for number, letters in ((65_535, (b"A", b"R")), (65_536, (b"a", b"r"))):
        rows = [change(kind, instrument=number, quantity=1, left=1)
                for kind in (ChangeKind.ADDED, ChangeKind.DEFINED)]  # fmt: skip
        messages = messages_of(made.blocks(np.concatenate(rows)))
        assert tuple(message[:1] for message in messages) == letters
        assert messages[0][1:3] == (number if number < 65_536 else 0).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("tick", "letter"),
    [("0.0001", b"R"), ("0.125", b"R"), ("8191", b"R"), ("8192", b"r"), ("0.00005", b"r")],
)
def test_ticks_that_a_directory_message_can_say(tick: str, letter: bytes) -> None:
    instrument = Instrument("ONE", tick, lot=7)
    made = encoder(instrument).blocks(change(ChangeKind.DEFINED))
    assert made[2:3] == letter
    back = Decoder()
    back.changes(made)
    (found,) = back.instruments.in_order()
    assert (found.symbol, found.tick, found.lot) == ("ONE", instrument.tick, 7)


def kept(rows: NDArray[np.void], letters: list[bytes]) -> NDArray[np.void]:
    """What messages of these types say of changes."""
    said = rows.copy()
    said["time"] %= DAY_NS
    for name in ("sequence", "taker_order_id", "level_quantity", "level_orders", "left"):
        said[name] = 0
    added = rows["kind"] == ChangeKind.ADDED
    said["left"][added] = rows["left"][added]
    of_order = np.isin(rows["kind"], [*BOOK_CHANGES])
    said["price"][of_order & ~added] = 0
    said["side"][of_order & ~added] = 0
    said["quantity"][np.array([letter in b"DSs" for letter in letters])] = 0
    defined = rows["kind"] == ChangeKind.DEFINED
    said["left"][defined] = rows["left"][defined]
    said["left"][np.array([letter == b"R" for letter in letters])] = INT64_MAX
    return said


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 300), st.booleans(), st.integers(1, 90))
def test_back_from_messages(seed: int, count: int, extreme: bool, step: int) -> None:
    machine = Machine()
    start = machine.changes(definitions(*WORLD))
    rows = machine.changes(flow(seed, count, instruments=4, extreme=extreme, again=0.2))
    rows["time"] += AT
    made, back = encoder(), Decoder()
    parts = [start, *(rows[at : at + step] for at in range(0, len(rows), step))]
    blocks = [made.blocks(part) for part in parts]
    assert b"".join(blocks) == Encoder(machine.instruments).blocks(np.concatenate(parts))
    got = np.concatenate([back.changes(block) for block in blocks])
    whole = np.concatenate(parts)
    letters = [message[:1] for message in messages_of(b"".join(blocks))]
    assert got.tobytes() == kept(whole, letters).tobytes()
    # R says all but the largest quantity, and nothing that only an engine needs
    for found, meant in zip(back.instruments.in_order(), WORLD, strict=True):
        assert (found.symbol, found.tick, found.lot) == (meant.symbol, meant.tick, meant.lot)


def test_a_change_of_the_tick() -> None:
    instruments = Directory([Instrument("ONE", "0.01")])
    made, back = Encoder(instruments), Decoder()
    defined = change(ChangeKind.DEFINED)
    added = change(ChangeKind.ADDED, order_id=1, quantity=1, left=1)
    blocks = made.blocks(np.concatenate([defined, added]))
    instruments.replace(1, Instrument("ONE", "0.5"))
    assert made.blocks(added) == blocks[-38:]  # not before a change says so
    blocks += made.blocks(np.concatenate([defined, added]))
    prices = [int.from_bytes(one[32:], "big") for one in messages_of(blocks) if one[:1] == b"A"]
    assert prices == [10_000, 500_000]
    assert back.changes(blocks)["price"].tolist() == [1, 100, 5, 100]


@pytest.mark.parametrize(
    "row",
    [change(ChangeKind.ADDED, instrument=0), change(ChangeKind.ADDED, instrument=5),
     change(ChangeKind.DEFINED, instrument=5), np.zeros(1, CHANGE)],
)  # fmt: skip
def test_changes_that_no_machine_says_are_refused(row: NDArray[np.void]) -> None:
    with pytest.raises(FeedError, match="no such thing among 4 instruments"):
        encoder().blocks(row)


def test_only_changes_are_encoded() -> None:
    for wrong in (np.zeros(3), [], np.zeros((2, 2), CHANGE)):
        with pytest.raises(FeedError, match="1-D array of CHANGE"):
            encoder().blocks(wrong)  # type: ignore[arg-type]
    assert encoder().blocks(np.zeros(0, CHANGE)) == b""


GOOD = one(change(ChangeKind.ADDED, order_id=7, quantity=9, left=9))


@pytest.mark.parametrize(
    ("blocks", "what"),
    [
        (b"\x00", "not whole"),
        (b"\x00\x24" + GOOD[:-1], "not whole"),
        (blocks_of(GOOD[:-1]), "says nothing"),
        (blocks_of(GOOD + b"\x00"), "says nothing"),
        (blocks_of(GOOD[:19] + b"?" + GOOD[20:]), "says nothing"),
        (blocks_of(GOOD[:1] + b"\x00\x05" + GOOD[3:]), "says nothing"),
        (blocks_of(GOOD[:-1] + b"\x01"), "says nothing"),  # off the tick
        (blocks_of(GOOD[:1] + b"\x00\x02" + GOOD[3:11] + b"\x00\x02" + GOOD[13:]), "says nothing"),
        (blocks_of(b"S" + bytes(10) + b"Q"), "says nothing"),
        (blocks_of(b"R" + bytes(38)), "defines no instrument"),
        (blocks_of(b"r" + bytes(63)), "defines no instrument"),
        (blocks_of(b"r" + b"\xff" * 63), "defines no instrument"),
        (encoder().blocks(change(ChangeKind.DEFINED))[:3] + b"\x00\x09"
         + encoder().blocks(change(ChangeKind.DEFINED))[5:], "is defined before 5"),
    ],
)  # fmt: skip
def test_wrong_messages_are_refused(blocks: bytes, what: str) -> None:
    with pytest.raises(FeedError, match=what):
        Decoder(Directory(WORLD)).changes(blocks)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(b"AEXDSRaexdsrQ\x00"), st.binary(max_size=70))))
def test_any_bytes_are_decoded_or_refused(messages: list[tuple[int, bytes]]) -> None:
    blocks = b"".join(blocks_of(bytes([letter]) + rest) for letter, rest in messages)
    with suppress(FeedError):
        assert len(Decoder(Directory(WORLD)).changes(blocks)) == len(messages)


def test_a_message_of_another_type_counts_and_says_nothing() -> None:
    rows = Decoder(Directory(WORLD)).changes(
        blocks_of(b"Q" + bytes(39)) + b"\x00\x00" + blocks_of(GOOD)
    )
    assert rows["kind"].tolist() == [0, 0, ChangeKind.ADDED]
