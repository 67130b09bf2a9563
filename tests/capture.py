"""A capture file of bytes that a publisher and a server really sent, and what tshark says of it."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any

from missing import missing

UDP, TCP = 17, 6
SERVER, CLIENT = "10.0.0.1", "10.0.0.2"
SEGMENT_BYTES = 1400
ANSWER_BYTES = 33
#: What tshark finds wrong with a packet; it also marks requests, and both ends of a connection.
WRONG = ("_ws.malformed", "_ws.expert.message", "_ws.expert.severity")
WARNING = 0x600000
FIN, SYN, PUSH, ACK = 1, 2, 8, 16


def _ip(protocol: int, source: str, target: str, payload: bytes) -> bytes:
    size = 20 + len(payload)
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, protocol, 0) + ends + payload


def _alone(exchanged: list[tuple[bool, bytes]]) -> list[tuple[bool, bytes]]:
    """The same with the first answer as a part of its own."""
    at = next(at for at, (ours, _) in enumerate(exchanged) if not ours)
    answer = exchanged[at][1]
    parts = [(False, answer[:ANSWER_BYTES]), (False, answer[ANSWER_BYTES:])]
    return exchanged[:at] + parts + exchanged[at + 1 :]


class Capture:
    """Packets of a file in the format of tcpdump; checksums are left out."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []
        self._sent = {True: 100, False: 200}  # numbers of the next bytes

    def udp(self, payload: bytes, *, port: int, ours: bool = False) -> None:
        """A datagram from the server's ``port``, or to it if it is ``ours``."""
        ports = (40_000, port) if ours else (port, 40_000)
        ends = (CLIENT, SERVER) if ours else (SERVER, CLIENT)
        head = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
        self._packets.append(_ip(UDP, *ends, head + payload))

    def connection(self, exchanged: list[tuple[bool, bytes]], *, port: int) -> None:
        """A whole connection to the server's ``port``: (ours, bytes) in their order.

        The answer to the login, which the server wrote alone, has a segment of its own: see
        findings/tshark_soupbintcp.sh.
        """
        self._segment(True, port, SYN)
        self._segment(False, port, SYN | ACK)
        self._segment(True, port, ACK)
        for ours, data in _alone(exchanged):
            for at in range(0, len(data), SEGMENT_BYTES):
                self._segment(ours, port, ACK | PUSH, data[at : at + SEGMENT_BYTES])
                self._segment(not ours, port, ACK)
        for ours in (False, True):
            self._segment(ours, port, FIN | ACK)

    def _segment(self, ours: bool, port: int, flags: int, data: bytes = b"") -> None:
        ports = (40_000, port) if ours else (port, 40_000)
        ends = (CLIENT, SERVER) if ours else (SERVER, CLIENT)
        heard = self._sent[not ours] if flags & ACK else 0
        head = struct.pack(
            ">HHIIBBHHH", *ports, self._sent[ours], heard, 5 << 4, flags, 65_535, 0, 0
        )
        self._packets.append(_ip(TCP, *ends, head + data))
        self._sent[ours] += len(data) + bool(flags & (SYN | FIN))

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101))
            for at, packet in enumerate(self._packets):
                file.write(struct.pack("<IIII", at // 1000, at % 1000, len(packet), len(packet)))
                file.write(packet)


def tshark(path: Path, *, decode: str, fields: tuple[str, ...]) -> list[dict[str, list[str]]]:
    """The fields of each packet; with ``decode`` like ``udp.port==1,moldudp64``."""
    if shutil.which("tshark") is None:
        missing("tshark", "tshark")
    line = ["tshark", "-r", str(path), "-d", decode, "-T", "json", "-o", "tcp.check_checksum:FALSE"]
    for field in fields:
        line += ["-e", field]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    packets: list[dict[str, Any]] = json.loads(ran.stdout)
    return [packet["_source"].get("layers", {}) for packet in packets]


def faults(packets: list[dict[str, list[str]]]) -> list[dict[str, list[str]]]:
    """The packets that are malformed, or that Wireshark warns of."""
    return [
        packet
        for packet in packets
        if any("malformed" in name or "invalid" in name for name in packet)
        or any(int(one) >= WARNING for one in packet.get("_ws.expert.severity", []))
    ]
