"""Every transport gives every message under the number of its change."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from itch_kit import (
    HOST,
    PATIENCE,
    SoupClient,
    changes_of,
    datagram,
    logins,
    messages_of,
    mold_socket,
    rows_of,
    serving,
    trade,
    traded,
)

import matchcore as mc
from matchcore.feeds import Stream
from matchcore.feeds.itch import Decoder, Encoder, Glimpse, MoldPublisher, MoldRequests, SoupFeed
from matchcore.feeds.itch.mold import sending_socket
from matchcore.records.changes import ChangeKind


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    return traded(tmp_path / "e", 300)


def expected(directory: Path) -> list[bytes]:
    """The messages of the whole log."""
    found: list[bytes] = []
    with Stream(directory) as stream:
        encoder = Encoder(stream.instruments)
        for changes in stream.poll():
            found += messages_of(encoder.blocks(changes.rows))
    return found


def test_soup_from_any_number_and_on(exchange: Path, tmp_path: Path) -> None:
    soup = SoupFeed(HOST, 0, logins(tmp_path))
    with serving(exchange, soup) as feed:
        before = expected(exchange)
        with SoupClient(soup.address) as all_of_it, SoupClient(soup.address) as rest:
            assert all_of_it.login(1) == (b"A", feed.stream.session.encode() + b"1".rjust(20))
            assert rest.login(100)[0] == b"A"
            assert all_of_it.messages(len(before)) == before
            assert rest.messages(len(before) - 99) == before[99:]
            with mc.Engine.open(exchange, policy="os") as engine:
                trade(engine, 40)
            more = expected(exchange)[len(before) :]
            assert all_of_it.messages(len(more)) == more
            assert rest.messages(len(more)) == more


def test_mold_and_requests(exchange: Path) -> None:
    with mold_socket() as heard:
        mold = MoldPublisher(HOST, heard.getsockname()[1])
        requests = MoldRequests(HOST, 0)
        with serving(exchange, mold, requests) as feed:
            start = feed.stream.number
            with mc.Engine.open(exchange, policy="os") as engine:
                trade(engine, 200)
            whole = expected(exchange)
            got: list[bytes] = []
            while len(got) < len(whole) - start + 1:
                session, first, count, messages = datagram(heard.recv(2000))
                assert session == feed.stream.session
                if count:
                    assert first == start + len(got) and count == len(messages)
                got += messages
            assert got == whole[start - 1 :]
            heard.sendto(
                feed.stream.session.encode() + (7).to_bytes(8, "big") + b"\x00\x05",
                requests.address,
            )
            while (answer := datagram(heard.recv(2000)))[1] != 7:
                pass
            assert answer[2:] == (5, whole[6:11])
        while (answer := datagram(heard.recv(2000)))[2] != 0xFFFF:
            pass
        assert answer[1] == len(whole) + 1


def test_mold_to_a_group(exchange: Path) -> None:
    group = "239.255.77.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("", 0))
        heard.settimeout(PATIENCE)
        member = socket.inet_aton(group) + socket.inet_aton(HOST)
        heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        mold = MoldPublisher(group, heard.getsockname()[1], interface=HOST)
        with serving(exchange, mold) as feed:
            start = feed.stream.number
            with mc.Engine.open(exchange, policy="os") as engine:
                trade(engine, 2)
            found = [datagram(heard.recv(2000))]
            while not found[-1][2]:
                found.append(datagram(heard.recv(2000)))
            assert found[-1][:2] == (feed.stream.session, start)
        assert mold.lost == 0


def test_a_group_of_ipv6_is_sent_through_the_card_that_is_named() -> None:
    with sending_socket("ff11::4d:1", "lo", 3) as made:
        assert made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS) == 3
        card = made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF)
        assert card == socket.if_nametoindex("lo")
    with pytest.raises(OSError):
        sending_socket("ff11::4d:1", "no-such-card", 1)


def test_mold_over_ipv6(exchange: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as heard:
        try:
            heard.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        heard.settimeout(PATIENCE)
        mold = MoldPublisher("::1", heard.getsockname()[1])
        requests = MoldRequests("::1", 0)
        with serving(exchange, mold, requests) as feed:
            start = feed.stream.number
            with mc.Engine.open(exchange, policy="os") as engine:
                trade(engine, 2)
            found = [datagram(heard.recv(2000))]
            while not found[-1][2]:
                found.append(datagram(heard.recv(2000)))
            assert found[-1][:2] == (feed.stream.session, start)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
                asking.settimeout(PATIENCE)
                request = feed.stream.session.encode() + (7).to_bytes(8, "big") + b"\x00\x05"
                asking.sendto(request, requests.address)
                assert datagram(asking.recv(2000))[1:3] == (7, 5)
        assert mold.lost == 0


def test_glimpse_is_the_book_at_its_number(exchange: Path, tmp_path: Path) -> None:
    glimpse = Glimpse(HOST, 0, logins(tmp_path))
    with serving(exchange, glimpse), SoupClient(glimpse.address) as client:
        assert client.login(1)[0] == b"A"
        messages = client.messages(10**6)
    assert messages[-1][:1] == b"G"
    number = len(rows_of(exchange)) + 1
    assert int(messages[-1][1:]) == number
    decoder = Decoder()
    rows = decoder.changes(b"".join(len(one).to_bytes(2, "big") + one for one in messages[:-1]))
    with mc.Engine.open(exchange, policy="os") as engine:
        orders = engine._machine.orders(1)
    added = rows[1:]
    for name in ("price", "quantity", "side"):
        assert np.array_equal(added[name], orders[name])
    changes = rows_of(exchange)
    put = changes[changes["kind"] == ChangeKind.ADDED]
    named = dict(zip(put["sequence"].tolist(), put["order_id"].tolist(), strict=True))
    assert [named[reference] for reference in added["order_id"].tolist()] == orders[
        "order_id"
    ].tolist()
    assert changes_of(exchange)[-1].last == number - 1
