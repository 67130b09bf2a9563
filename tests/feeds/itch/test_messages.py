"""One message for each change, in the standard's form where it has one, and back."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

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
    row["order_id"], row["sequence"] = 2**64 - 1, 77
    for name, value in fields.items():
        row[name] = value
    return row


def encoder(*instruments: Instrument) -> Encoder:
    return Encoder(Directory(instruments or WORLD))


def messages(*rows: NDArray[np.void]) -> list[bytes]:
    return messages_of(encoder().blocks(np.concatenate(rows)))


def head(letter: bytes, locate: int = 1, tracking: int = 0, time: int = 5) -> bytes:
    return letter + struct.pack(">HH", locate, tracking) + time.to_bytes(6, "big")


AT = 3 * DAY_NS + 5
REFERENCE_77 = (77).to_bytes(8, "big")


def life(**fields: int) -> list[bytes]:
    """An order that is added, executed, reduced and deleted by later commands."""
    row = {"time": AT, **fields}
    added = change(ChangeKind.ADDED, **row)
    quantity = int(added["quantity"][0])
    row["sequence"] = 99
    return messages(
        added,
        change(ChangeKind.EXECUTED, **{**row, "quantity": 4, "left": quantity - 4, "trade_id": 6}),
        change(ChangeKind.REDUCED, **{**row, "quantity": 3, "left": quantity - 7}),
        change(ChangeKind.DELETED, **{**row, "quantity": quantity - 7, "left": 0, "flags": 1}),
    )


def test_the_layout_of_each_standard_message() -> None:
    assert life(quantity=9, left=9) == [
        head(b"A") + REFERENCE_77 + struct.pack(">cI8sI", b"B", 9, b"ONE     ", 10_000),
        head(b"E") + REFERENCE_77 + struct.pack(">IQ", 4, 6),
        head(b"X") + REFERENCE_77 + struct.pack(">I", 3),
        head(b"D", tracking=ChangeFlag.REPLACING) + REFERENCE_77,
    ]
    ended, defined = messages(
        change(ChangeKind.DAY_ENDED, instrument=0, time=AT), change(ChangeKind.DEFINED, time=AT)
    )
    assert ended == head(b"S", 0) + b"M"
    assert len(defined) == 39 and defined[:19] == head(b"R", tracking=1 << 3 | 2) + b"ONE     "


def test_the_layout_of_our_own_messages() -> None:
    who = REFERENCE_77 + struct.pack(">I", 1)
    assert life(price=-5, side=2, quantity=9, left=9) == [
        head(b"a") + who + struct.pack(">qqc", 9, -5, b"S"),
        head(b"e") + who + struct.pack(">qQ", 4, 6),
        head(b"x") + who + struct.pack(">q", 3),
        head(b"d", tracking=ChangeFlag.REPLACING) + who + struct.pack(">q", 2),
    ]
    ended, defined = messages(
        change(ChangeKind.DAY_ENDED, time=AT), change(ChangeKind.DEFINED, instrument=3, time=AT)
    )
    assert ended == head(b"s") + struct.pack(">I", 1)
    assert defined == head(b"r", 3) + struct.pack(
        ">I24sqBqq", 3, b"LONGSYMBOL".ljust(24), 5, 1, 3, 999
    )


@pytest.mark.parametrize(
    ("fields", "letters"),
    [
        ({}, b"AEXD"),
        ({"price": UINT32_MAX // 100}, b"AEXD"),
        ({"price": UINT32_MAX // 100 + 1}, b"aexd"),
        ({"price": 0}, b"aexd"),
        ({"price": -1}, b"aexd"),
        ({"price": -(2**63)}, b"aexd"),
        ({"price": INT64_MAX}, b"aexd"),
        ({"quantity": UINT32_MAX}, b"AEXD"),
        ({"quantity": UINT32_MAX + 1}, b"aexd"),  # also when it is smaller by then
        ({"quantity": INT64_MAX}, b"aexd"),
        ({"instrument": 2}, b"aexd"),
        ({"instrument": 3}, b"aexd"),
        ({"instrument": 4}, b"AEXD"),  # its lot concerns the directory only
    ],
)
def test_what_the_standard_cannot_say_has_a_form_of_ours(
    fields: dict[str, int], letters: bytes
) -> None:
    fields = {"price": 1, "quantity": 10, **fields}
    made = life(left=fields["quantity"], **fields)
    assert b"".join(one[:1] for one in made) == letters
    row = Decoder(Directory(WORLD)).changes(blocks_of(made[0]))
    assert (row["price"], row["quantity"]) == (fields["price"], fields["quantity"])
    assert row["left"] == row["quantity"]


def test_more_instruments_than_a_locate_counts() -> None:
    made = encoder(*(Instrument(f"S{number}", "0.01") for number in range(1, 65_538)))
    for number, letters in ((65_535, b"AR"), (65_536, b"ar")):
        rows = [change(kind, instrument=number, quantity=1, left=1)
                for kind in (ChangeKind.ADDED, ChangeKind.DEFINED)]  # fmt: skip
        found = messages_of(made.blocks(np.concatenate(rows)))
        assert b"".join(one[:1] for one in found) == letters
        assert found[0][1:3] == (number if number < 65_536 else 0).to_bytes(2, "big")


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


def said_of(rows: NDArray[np.void], letters: list[bytes]) -> NDArray[np.void]:
    """What messages of these types say of changes."""
    said = rows.copy()
    names: dict[tuple[int, int], int] = {}
    for at, row in enumerate(rows):
        order = int(row["instrument"]), int(row["order_id"])
        if row["kind"] == ChangeKind.ADDED:
            names[order] = int(row["sequence"])
        said["order_id"][at] = names[order] if row["kind"] in BOOK_CHANGES else 0
    said["time"] %= DAY_NS
    for name in ("sequence", "taker_order_id", "level_quantity", "level_orders", "left"):
        said[name] = 0
    added, defined = (rows["kind"] == kind for kind in (ChangeKind.ADDED, ChangeKind.DEFINED))
    said["left"][added | defined] = rows["left"][added | defined]
    of_old = np.isin(rows["kind"], [*BOOK_CHANGES]) & ~added
    said["price"][of_old] = said["side"][of_old] = 0
    said["quantity"][np.isin(letters, [b"D", b"S", b"s"])] = 0
    said["left"][np.isin(letters, [b"R"])] = INT64_MAX  # R has no largest quantity
    notices = rows["kind"] == ChangeKind.NOTICE
    said[notices] = rows[notices]
    said["sequence"] = 0
    said["time"] = rows["time"] % DAY_NS
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
    # another that goes on anywhere with the references says the same
    middle = int(step) % len(parts)
    first = Encoder(machine.instruments)
    for part in parts[:middle]:
        first.blocks(part)
    second = Encoder(machine.instruments, first.references())
    assert [second.blocks(part) for part in parts[middle:]] == blocks[middle:]
    assert sorted(second.references().tolist()) == sorted(made.references().tolist())
    live = sum(len(machine.orders(number)) for number in range(1, len(WORLD) + 1))
    assert len(made.references()) == live
    got = np.concatenate([back.changes(block) for block in blocks])
    whole = np.concatenate(parts)
    letters = [message[:1] for message in messages_of(b"".join(blocks))]
    assert got.tobytes() == said_of(whole, letters).tobytes()
    for found, meant in zip(back.instruments.in_order(), WORLD, strict=True):
        assert (found.symbol, found.tick, found.lot) == (meant.symbol, meant.tick, meant.lot)


def test_a_change_of_the_tick() -> None:
    instruments = Directory([Instrument("ONE", "0.01")])
    made, back = Encoder(instruments), Decoder()
    defined = change(ChangeKind.DEFINED)
    added = change(ChangeKind.ADDED, quantity=1, left=1)
    blocks = made.blocks(np.concatenate([defined, added]))
    instruments.replace(1, Instrument("ONE", "0.5"))
    assert made.blocks(added) == blocks[-38:]  # not before a change says so
    blocks += made.blocks(np.concatenate([defined, added]))
    prices = [int.from_bytes(m[32:], "big") for m in messages_of(blocks) if m[:1] == b"A"]
    assert prices == [10_000, 500_000]
    assert back.changes(blocks)["price"].tolist() == [1, 100, 5, 100]


@pytest.mark.parametrize(
    "row",
    [change(ChangeKind.ADDED, instrument=0), change(ChangeKind.ADDED, instrument=5),
     change(ChangeKind.EXECUTED, quantity=1), change(ChangeKind.DELETED, instrument=2),
     change(ChangeKind.DEFINED, instrument=5), np.zeros(1, CHANGE)],
)  # fmt: skip
def test_changes_that_no_machine_says_are_refused(row: NDArray[np.void]) -> None:
    with pytest.raises(FeedError, match="is not known among 0 orders of 4 instruments"):
        encoder().blocks(row)


def test_references_that_no_encoder_gives_are_refused() -> None:
    made = encoder()
    made.blocks(change(ChangeKind.ADDED, quantity=1, left=1))
    kept = made.references()
    assert kept.tolist() == [(2**64 - 1, 77, 1, 0)]
    with pytest.raises(FeedError, match="reference number 2 is 0, or of an order named before"):
        Encoder(Directory(WORLD), np.concatenate([kept, kept]))


def test_only_changes_are_encoded() -> None:
    wrongs: tuple[Any, ...] = (np.zeros(3), [], np.zeros((2, 2), CHANGE))
    for wrong in wrongs:
        with pytest.raises(FeedError, match="1-D array of CHANGE"):
            encoder().blocks(wrong)
    assert encoder().blocks(np.zeros(0, CHANGE)) == b""


(GOOD,) = messages(change(ChangeKind.ADDED, quantity=9, left=9))


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
        (blocks_of(GOOD[:1] + b"\x00\x02" + GOOD[3:]), "says nothing"),  # no standard tick
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
def test_any_bytes_are_decoded_or_refused(given: list[tuple[int, bytes]]) -> None:
    blocks = b"".join(blocks_of(bytes([letter]) + rest) for letter, rest in given)
    with suppress(FeedError):
        assert len(Decoder(Directory(WORLD)).changes(blocks)) == len(given)


def test_a_message_of_another_type_counts_and_says_nothing() -> None:
    rows = Decoder(Directory(WORLD)).changes(
        blocks_of(b"Y" + bytes(19)) + b"\x00\x00" + blocks_of(GOOD)
    )
    assert rows["kind"].tolist() == [0, 0, ChangeKind.ADDED]
