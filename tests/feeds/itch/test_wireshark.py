"""tshark, which nobody here wrote, reads what a feed sends without a malformed packet."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture import WRONG, Capture, faults, tshark
from itch_kit import HOST, SoupClient, logins, mold_socket, serving, trade, traded

import matchcore as mc
from matchcore.feeds.itch import Glimpse, MoldPublisher, MoldRequests, SoupFeed


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    return traded(tmp_path / "e", 50)


def test_moldudp64(exchange: Path, tmp_path: Path) -> None:
    capture, port = Capture(), 31_000
    with mold_socket() as heard:
        requests = MoldRequests(HOST, 0)
        with serving(exchange, MoldPublisher(HOST, heard.getsockname()[1]), requests) as feed:
            session, start = feed.stream.session, feed.stream.number
            with mc.Engine.open(exchange, policy="os") as engine:
                trade(engine, 300)
            asked = session.encode() + (2).to_bytes(8, "big") + (5).to_bytes(2, "big")
            heard.sendto(asked, requests.address)
            capture.udp(asked, port=port, ours=True)
            last, beats = start - 1, 0
            while last < feed.stream.number - 1 or not beats:
                data = heard.recv(2000)
                capture.udp(data, port=port)
                first, count = (
                    int.from_bytes(data[10:18], "big"),
                    int.from_bytes(data[18:20], "big"),
                )
                last = max(last, first + count - 1)
                beats += count == 0
        while data[18:20] != b"\xff\xff":
            data = heard.recv(2000)
            capture.udp(data, port=port)
    capture.save(tmp_path / "mold.pcap")
    fields = ("moldudp64.session", "moldudp64.sequence", "moldudp64.msgseq", "moldudp64.msglen",
              "moldudp64.msglen.invalid", "moldudp64.count.invalid", *WRONG)  # fmt: skip
    packets = tshark(tmp_path / "mold.pcap", decode=f"udp.port=={port},moldudp64", fields=fields)
    assert not faults(packets)
    assert {packet["moldudp64.session"][0] for packet in packets} == {session}
    numbers = [int(one) for packet in packets for one in packet.get("moldudp64.msgseq", [])]
    again, live = [2, 3, 4, 5, 6], list(range(start, last + 1))
    assert sorted(numbers) == sorted(again + live)
    assert packets[-1]["moldudp64.sequence"] == [str(last + 1)]


@pytest.mark.parametrize("kind", [SoupFeed, Glimpse])
def test_soupbintcp(kind: type[SoupFeed] | type[Glimpse], exchange: Path, tmp_path: Path) -> None:
    capture, port = Capture(), 32_000
    face = kind(HOST, 0, logins(tmp_path))
    with serving(exchange, face) as feed, SoupClient(face.address) as client:
        last = feed.stream.number - 1
        assert client.login(1)[0] == b"A"
        client.send(b"\x00\x01R" + b"\x00\x06+hello" + b"\x00\x03Uxy")
        messages = client.messages(last if kind is SoupFeed else 1000)
        if kind is SoupFeed:
            while client.packet()[0] != b"H":
                pass
            client.send(b"\x00\x01O")
        while client.packet()[0]:
            pass
    capture.connection(client.exchanged, port=port)
    capture.save(tmp_path / "soup.pcap")
    fields = ("soupbintcp.packet_type", "soupbintcp.message", "soupbintcp.username",
              "soupbintcp.next_seq_num", "soupbintcp.session", *WRONG)  # fmt: skip
    packets = tshark(tmp_path / "soup.pcap", decode=f"tcp.port=={port},soupbintcp", fields=fields)
    assert not faults(packets)
    read = [bytes.fromhex(one) for packet in packets
            for one in packet.get("soupbintcp.message", [])]  # fmt: skip
    kinds = [one for packet in packets for one in packet.get("soupbintcp.packet_type", [])]
    assert [one for one in read if one != b"xy"] == messages
    said = "".join(kinds).replace("'", "")
    assert said.startswith("LA") and said.count("S") == len(messages)
    if kind is SoupFeed:
        assert said.endswith("HO")
    else:  # what the client said may stand anywhere between
        assert "".join(one for one in said if one not in "R+UH").endswith("SZ")
