"""Any instance says the same, wherever it starts: from the log's beginning, a state, or memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from itch_kit import ANA, HOST, SoupClient, logins, serving, trade

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds.itch import Glimpse, SoupFeed, outlet
from matchcore.feeds.itch.deriving import STATE_FILE, Log, Place
from matchcore.feeds.itch.tape import PART_BYTES, Tape
from matchcore.operations.archive import archive

NEW = mc.Instrument("NEW", "0.5")


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    """Orders of two instruments under the same ids, and one that gets another tick."""
    path = tmp_path / "e"
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=8192) as engine:
        trade(engine, 200)
        engine.add_instrument(NEW)
        trade(engine, 100, symbol="NEW")
        engine.mass_cancel("NEW")
        engine.change_instrument(mc.Instrument("NEW", "0.05"))
        for order_id in (7_001, 7_002):
            for symbol in ("ANA", "NEW"):
                engine.submit(mc.NewOrder(symbol, mc.Side.BUY, 5, price="10.50", order_id=order_id))
    return path


def every_message(directory: Path) -> bytes:
    return b"".join(
        encoder.blocks(changes.rows) for encoder, changes in Log(directory).messages(Place())
    )


def told(face: SoupFeed, number: int, count: int) -> bytes:
    with SoupClient(face.address) as client:
        assert client.login(number)[0] == b"A"
        messages = client.messages(count)
    assert len(messages) == count
    return b"".join(len(one).to_bytes(2, "big") + one for one in messages)


def test_two_instances_and_a_restart_say_the_same(exchange: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first, second = (SoupFeed(HOST, 0, logins(tmp_path)) for _ in range(2))
    with serving(exchange, first, state=state) as feed, serving(exchange, second):
        count = feed.stream.number - 1
        whole = every_message(exchange)
        assert told(first, 1, count) == told(second, 1, count) == whole
    assert (state / STATE_FILE).exists()
    with mc.Engine.open(exchange, policy="os") as engine:
        engine.cancel("ANA", 7_001)
        engine.cancel("NEW", 7_002)
        trade(engine, 50)
    third = SoupFeed(HOST, 0, logins(tmp_path))
    with serving(exchange, third, state=state) as feed:
        whole, count = every_message(exchange), feed.stream.number - 1
        assert told(third, 1, count) == whole  # before the state: from the log's beginning
        assert told(third, count, 1) == whole[-len(told(third, count, 1)) :]
        with mc.Engine.open(exchange, policy="os") as engine:
            engine.cancel("ANA", 7_002)
        more = every_message(exchange)[len(whole) :]
        assert told(third, count + 1, 1) == more


def test_older_than_memory(exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "KEPT_BYTES", 1)  # one part, the newest
    monkeypatch.setattr("matchcore.feeds.itch.tape.PART_BYTES", 500)
    face = SoupFeed(HOST, 0, logins(tmp_path))
    with serving(exchange, face) as feed:
        assert told(face, 1, feed.stream.number - 1) == every_message(exchange)
        assert told(face, 3, 5) in every_message(exchange)


def test_an_archived_beginning_with_a_state_and_without(exchange: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    face = SoupFeed(HOST, 0, logins(tmp_path))
    with serving(exchange, face, state=state) as feed:
        count = feed.stream.number - 1
    with mc.Engine.open(exchange, policy="os") as engine:
        engine.snapshot()
    archive(exchange, drop=True, keep_snapshots=1)
    face, glimpse = SoupFeed(HOST, 0, logins(tmp_path)), Glimpse(HOST, 0, logins(tmp_path))
    with serving(exchange, face, glimpse, state=state):
        with SoupClient(face.address) as client:  # what is archived cannot be had
            assert client.login(1)[0] == b"A"
            assert client.messages(1) == []
        with SoupClient(glimpse.address) as client:
            assert client.login(1)[0] == b"A"
            *orders, end = client.messages(1000)
            assert int(end[1:]) == count + 1
        with mc.Engine.open(exchange, policy="os") as engine:
            engine.cancel("ANA", 7_001)
        (deleted,) = (told(face, count + 1, 1),)
        assert deleted[2:3] == b"D"
        assert deleted[13:21] in {order[11:19] for order in orders}
    (state / STATE_FILE).unlink()
    with (
        pytest.raises(FeedError, match="restore the archived segments"),
        serving(exchange, SoupFeed(HOST, 0, logins(tmp_path)), state=state),
    ):
        pass


@pytest.mark.parametrize("text", [b"", b"x", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_state_is_refused(exchange: Path, tmp_path: Path, text: bytes) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / STATE_FILE).write_bytes(text)
    with (
        pytest.raises(FeedError, match="not the state of ITCH messages"),
        serving(exchange, SoupFeed(HOST, 0, logins(tmp_path)), state=state),
    ):
        pass


def test_a_tape_keeps_the_newest() -> None:
    tape = Tape(5, 3 * PART_BYTES)
    message = b"\x00\x0a" + bytes(10)
    for count in (1, 20_000, 3, 7_000):
        tape.take(message * count, count)
    assert tape.next == 5 + 27_004
    assert PART_BYTES < (tape.next - tape.first) * len(message) <= 3 * PART_BYTES
    assert tape.blocks(tape.next - 2, 10, 1000) == (message * 2, 2)
    assert tape.blocks(tape.first, 100, 50) == (message * 4, 4)
    assert tape.blocks(tape.first, 2, 1000) == (message * 2, 2)
    for number in (tape.first - 1, tape.next, 0, 2**64):
        assert tape.blocks(number, 1, 1000) == (b"", 0)
    number, seen = tape.first, 0
    while (found := tape.blocks(number, 10**6, 10**6)[1]) > 0:
        number, seen = number + found, seen + found
    assert number == tape.next and seen == tape.next - tape.first
