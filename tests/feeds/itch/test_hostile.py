"""Whatever a subscriber sends or does not read: a clear answer or a close, and the others go on."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from itch_kit import (
    HOST,
    PASSWORD,
    PATIENCE,
    USER,
    SoupClient,
    datagram,
    logins,
    mold_socket,
    serving,
    traded,
)

import matchcore as mc
from matchcore.feeds.itch import MoldRequests, SoupFeed, entering, mold
from matchcore.feeds.serving import Feed
from matchcore.serving import soup


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    return traded(tmp_path / "e", 60)


@pytest.fixture
def served(exchange: Path, tmp_path: Path) -> Iterator[tuple[SoupFeed, Feed]]:
    face = SoupFeed(HOST, 0, logins(tmp_path))
    with serving(exchange, face) as feed:
        yield face, feed


def serves(face: SoupFeed, feed: Feed) -> None:
    """A good subscriber gets all there is."""
    with SoupClient(face.address) as client:
        assert client.login(1)[0] == b"A"
        assert len(client.messages(feed.stream.number - 1)) == feed.stream.number - 1


LOGIN = b"\x00\x2fL" + b"alice " + b"correct-1 " + b" " * 10 + b"1".rjust(20)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x00",  # no type
        b"\x00\x01R",  # a heartbeat before the login
        b"\x00\x03Uab",
        b"\x00\x01Z",
        b"\x00\x02Lx",
        LOGIN + LOGIN,
        LOGIN + b"\x00\x01S",
        b"GET / HTTP/1.1\r\n\r\n" * 2000,
        b"\xff\xffU" + bytes(70_000),
        b"\x00\x05+spam" * 20_000,
    ],
    ids=lambda sent: repr(sent[:12]),
)
def test_what_is_no_subscriber_is_closed(served: tuple[SoupFeed, Feed], sent: bytes) -> None:
    with SoupClient(served[0].address) as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # closed while it is sent
            client.send(sent)
        while client.packet()[0]:
            pass
    serves(*served)


def test_a_login_in_single_bytes(served: tuple[SoupFeed, Feed]) -> None:
    with SoupClient(served[0].address) as client:
        for byte in LOGIN:
            client.send(bytes([byte]))
        assert client.packet()[0] == b"A"
        assert len(client.messages(10)) == 10


def test_half_a_login_and_silence_are_closed(
    served: tuple[SoupFeed, Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soup, "LOGIN_SECONDS", 0.1)
    with SoupClient(served[0].address) as client:
        client.send(LOGIN[:20])
        assert client.packet() == (b"", b"")
    monkeypatch.setattr(soup, "LOGIN_SECONDS", PATIENCE)
    monkeypatch.setattr(soup, "IDLE_SECONDS", 0.1)
    with SoupClient(served[0].address) as client:
        assert client.login(1)[0] == b"A"
        while client.packet()[0]:
            pass


def test_numbers_and_sessions_that_there_are_not(served: tuple[SoupFeed, Feed]) -> None:
    face, feed = served
    number, session = feed.stream.number, feed.stream.session
    for wanted, name, answer in [
        (number + 1, "", b"J"), (10**19, "", b"J"), ("x", "", b"J"), ("-1", "", b"J"),
        (1, "OTHER", b"J"), (number, session, b"A"), (0, session, b"A"), ("", "", b"A"),
    ]:  # fmt: skip
        with SoupClient(face.address) as client:
            kind, payload = client.login(wanted, session=name)
            assert kind == answer
            if kind == b"J":
                assert payload == b"S" and client.packet() == (b"", b"")
            else:
                assert int(payload[10:]) == number


def test_wrong_passwords_make_one_wait(
    served: tuple[SoupFeed, Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    face, feed = served
    monkeypatch.setattr(entering, "FAILURES_MAX", 3)
    for user, password in [(USER, "wrong"), ("nobody", PASSWORD), (USER, PASSWORD + "x")]:
        with SoupClient(face.address) as client:
            assert client.login(1, user, password) == (b"J", b"A")
            assert client.packet() == (b"", b"")
    with SoupClient(face.address) as client:
        assert client.login(1) == (b"J", b"A")
    said = b"".join(data for ours, data in client.exchanged if not ours)
    assert b"too many wrong passwords" in said
    monkeypatch.setattr(entering, "FAILURES_MAX", 10)
    serves(face, feed)


def test_short_connections_and_too_many(
    served: tuple[SoupFeed, Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    face, feed = served
    assert face._entry is not None
    monkeypatch.setattr(face._entry.server._addresses, "most_of_one", 1000)
    for at in range(500):
        made = socket.create_connection(face.address, PATIENCE)
        if at % 3:
            made.send(LOGIN[: at % len(LOGIN)])
        made.close()
    serves(face, feed)
    deadline = time.monotonic() + PATIENCE
    while face._entry.server._sessions:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    monkeypatch.setattr(face._entry.server._addresses, "most_of_one", 3)
    open_ones = [SoupClient(face.address) for _ in range(3)]
    for client in open_ones:
        assert client.login(1)[0] == b"A"
    with SoupClient(face.address) as one_more:
        assert one_more.packet() == (b"", b"")
    open_ones.pop().socket.close()
    deadline = time.monotonic() + PATIENCE
    answer = b""
    while answer != b"A" and time.monotonic() < deadline:
        with (
            SoupClient(face.address) as client,
            suppress(BrokenPipeError, ConnectionResetError),
        ):
            answer = client.login(1)[0]
    assert answer == b"A"
    for client in open_ones:
        client.socket.close()


def flood(engine: mc.Engine, count: int) -> None:
    """So many orders that rest."""
    rows = np.zeros(count, mc.COMMAND)
    rows["kind"], rows["instrument"], rows["side"] = mc.Kind.NEW, 1, mc.Side.BUY
    rows["order_type"], rows["time_in_force"] = mc.OrderType.LIMIT, mc.TimeInForce.GTC
    rows["price"], rows["quantity"] = 1 + np.arange(count) % 50, 1
    for at in range(0, count, 20_000):
        engine.submit_batch(rows[at : at + 20_000])


def test_who_reads_late_gets_all_and_holds_up_nobody(
    exchange: Path, served: tuple[SoupFeed, Feed]
) -> None:
    face, _ = served
    with SoupClient(face.address) as late, SoupClient(face.address) as client:
        assert late.login(0)[0] == client.login(0)[0] == b"A"
        with mc.Engine.open(exchange, policy="os") as engine:
            flood(engine, 300_000)  # 11.7 MB: more than the system and the server keep for one
        whole = client.messages(300_000)
        held = [
            session.transport.get_write_buffer_size() for session in face._entry.server._sessions
        ]
        assert max(held) <= 2 * soup.BUFFER_BYTES_MAX
        assert late.messages(300_000) == whole and len(whole) == 300_000
        with mc.Engine.open(exchange, policy="os") as engine:
            flood(engine, 1)
        assert late.messages(1) == client.messages(1)


def test_who_never_reads_is_dropped_and_may_come_back(
    exchange: Path, served: tuple[SoupFeed, Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    face, feed = served
    monkeypatch.setattr(soup, "IDLE_SECONDS", 2.0)
    with SoupClient(face.address) as dead:
        assert dead.login(0)[0] == b"A"
        with mc.Engine.open(exchange, policy="os") as engine:
            flood(engine, 300_000)
        deadline = time.monotonic() + PATIENCE
        while face._entry.server._sessions and time.monotonic() < deadline:
            with suppress(OSError):
                dead.send(b"\x00\x01R")
            time.sleep(0.2)
        assert not face._entry.server._sessions
    monkeypatch.undo()
    with SoupClient(face.address) as back:
        assert back.login(feed.stream.number - 1000)[0] == b"A"
        assert len(back.messages(1000)) == 1000


def test_who_reads_slower_than_memory_goes_on_is_dropped(
    exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matchcore.feeds.itch.outlet.KEPT_BYTES", 1 << 20)
    face = SoupFeed(HOST, 0, logins(tmp_path))
    with serving(exchange, face), SoupClient(face.address) as slow:
        assert slow.login(0)[0] == b"A"
        with mc.Engine.open(exchange, policy="os") as engine:
            flood(engine, 300_000)
        assert len(slow.messages(300_000)) < 300_000


def request(session: bytes, number: int, count: int) -> bytes:
    return session + number.to_bytes(8, "big") + count.to_bytes(2, "big")


def test_requests_that_nobody_answers_and_floods_of_them(
    exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = MoldRequests(HOST, 0)
    with serving(exchange, face) as feed, mold_socket() as asking:
        session = feed.stream.session.encode()
        wrong = [b"", b"x", os.urandom(20), os.urandom(1400), request(b"OTHER".rjust(10), 1, 5),
                 request(session, 1, 0), request(session, 1, 5)[:-1]]  # fmt: skip
        for data in wrong:
            asking.sendto(data, face.address)
        asking.sendto(request(session, 1, 0xFFFF), face.address)
        assert datagram(asking.recv(2000))[1] == 1  # the first answer is to the only good one
        for number in (feed.stream.number, 2**64 - 1):
            asking.sendto(request(session, number, 1), face.address)
            assert datagram(asking.recv(2000)) == (session.decode(), feed.stream.number, 0, [])
        monkeypatch.setattr(mold, "ANSWERS_PER_HOST", 10)
        for _ in range(500):
            asking.sendto(request(session, 1, 100), face.address)
        asking.settimeout(0.5)
        answers = 0
        with pytest.raises(TimeoutError):
            while True:
                assert len(asking.recv(2000)) <= mold.DATAGRAM_BYTES
                answers += 1
        assert answers <= 10 * 3  # the beats meanwhile


def test_a_port_that_is_taken_is_said(exchange: Path, tmp_path: Path) -> None:
    makers: list[Callable[[int], SoupFeed | MoldRequests]] = [
        lambda port: SoupFeed(HOST, port, logins(tmp_path)),
        lambda port: MoldRequests(HOST, port),
    ]
    for kind, maker in zip((socket.SOCK_STREAM, socket.SOCK_DGRAM), makers, strict=True):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind((HOST, 0))
            with (
                pytest.raises(mc.errors.FeedError, match=r"on 127\.0\.0\.1:"),
                serving(exchange, maker(taken.getsockname()[1])),
            ):
                pass
