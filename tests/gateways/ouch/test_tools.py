"""Programs of other people read what the door sends, and drive it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from capture import WRONG, Capture, faults, tshark
from ouch_kit import answer, request
from test_door import Client, run, served

from matchcore.gateways.ouch import layout

nasdaq_soup = pytest.importorskip("nasdaq_protocols.soup", reason="nasdaq-protocols is missing")
simple_ouch = pytest.importorskip("SimpleOUCH.Parser", reason="simpleouch is missing")

REQUESTS = (
    request(b"O", user_ref=1, side=b"S", quantity=30, price=957_000, cl_ord_id=b"FIRST"),
    request(b"O", user_ref=2, quantity=10, price=957_000, cl_ord_id=b"SECOND"),
    request(b"U", original_ref=1, user_ref=3, quantity=50, price=958_000),
    request(b"X", user_ref=3, quantity=20),
    request(b"X", user_ref=3, quantity=0),
    request(b"X", user_ref=3, quantity=0),
    request(b"O", user_ref=4, price=1),
)
SAID = [b"A", b"A", b"E", b"E", b"U", b"C", b"C", b"J"]


def test_wireshark_reads_a_session(tmp_path: Path) -> None:
    capture, port = Capture(), 32_000
    heard: list[bytes] = []

    async def test() -> None:
        async with served() as (_, door):
            client = await Client.logged_in(door, number=1)
            client.send(*REQUESTS)
            await client.answers(len(SAID))
            client.send(b"\x00\x01R", b"\x00\x06+hello")
            while (await client.packet())[0] != b"H":
                pass
            client.send(b"\x00\x01O")
            await client.rest()
            heard.extend(data for ours, data in client.exchanged if not ours)
            capture.connection(client.exchanged, port=port)

    run(test())
    capture.save(tmp_path / "ouch.pcap")
    fields = ("soupbintcp.packet_type", "soupbintcp.message", "soupbintcp.next_seq_num",
              "soupbintcp.session", *WRONG)  # fmt: skip
    packets = tshark(tmp_path / "ouch.pcap", decode=f"tcp.port=={port},soupbintcp", fields=fields)
    assert packets and not faults(packets)
    kinds = "".join(one for packet in packets for one in packet.get("soupbintcp.packet_type", []))
    assert kinds.replace("'", "").replace("H", "").startswith("LA" + "U" * len(REQUESTS))
    read = [bytes.fromhex(one) for packet in packets
            for one in packet.get("soupbintcp.message", [])]  # fmt: skip
    sequenced = [one for one in read if one in {data[3:] for data in heard}]
    assert [one[:1] for one in sequenced] == SAID


def test_nasdaq_protocols_drives_the_door() -> None:
    async def test() -> None:
        async with served() as (_, door):
            client = await nasdaq_soup.connect_async(
                door.address, "user1", "secret", "", sequence=1,
                client_heartbeat_interval=1, server_heartbeat_interval=15,
            )  # fmt: skip
            for one in REQUESTS:
                client.send_unseq_data(one[3:])
            found: list[bytes] = []
            while len(found) < len(SAID):
                message = await asyncio.wait_for(client.receive_msg(), 20)
                if isinstance(message, nasdaq_soup.SequencedData):
                    found.append(message.data)
            assert [one[:1] for one in found] == SAID
            assert answer(found[-1])["reason"] == layout.BAD_PRICE
            client.logout()
            await client.close()
            with pytest.raises(ConnectionRefusedError):
                await nasdaq_soup.connect_async(door.address, "user1", "wrong", "", sequence=1)

    run(test())


def test_simpleouch_reads_the_answers() -> None:
    """By its methods for single messages: its `parse` takes answers for requests by their type."""
    parser = simple_ouch.Parser().Cache()
    readers = {b"A": parser._order_accepted, b"E": parser._order_executed,
               b"C": parser._order_canceled, b"J": parser._rejected}  # fmt: skip
    names = {
        b"A": {3: "side", 4: "quantity", 5: "symbol", 7: "time_in_force", 9: "order_reference",
               13: "state", 14: "cl_ord_id"},
        b"E": {3: "quantity", 5: "liquidity", 6: "match"},
        b"C": {3: "quantity", 4: "reason"},
        b"J": {3: "reason", 4: "cl_ord_id"},
    }  # fmt: skip

    async def test() -> None:
        async with served() as (_, door):
            client = await Client.logged_in(door)
            client.send(*REQUESTS)
            seen = set()
            for _ in range(len(SAID)):
                kind = b""
                while kind != b"S":
                    kind, payload = await client.packet()
                reader = readers.get(payload[:1])
                if reader is None:
                    continue
                seen.add(payload[:1])
                read: list[Any] = reader([bytes([byte]) for byte in payload])
                said = answer(payload)
                for place, name in names[payload[:1]].items():
                    value = said[name].decode() if isinstance(said[name], bytes) else said[name]
                    got = read[place].rstrip() if isinstance(read[place], str) else read[place]
                    if (payload[:1], name) == (b"C", "reason"):
                        value = ord(value)  # which it shows as a number
                    assert got == value, (payload[:1], name)
                if payload[:1] in (b"A", b"E"):  # it divides by 1,000 and not by 10,000
                    price = read[6] if payload[:1] == b"A" else read[4]
                    assert round(price * 1000) == said["price"]
            assert seen == set(readers)

    run(test())
