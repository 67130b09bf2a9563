#!/usr/bin/env bash
# Debian's tshark 4.0.17 loses SoupBinTCP messages, or shows malformed ones, if a TCP segment holds
# the server's "login accepted" and a part of a later packet.  With that answer in a segment of its
# own, the same bytes are read well.  A server that answers a login and goes on with data, as every
# replay does, gets there whenever TCP puts both into one segment.
# One would expect the segments of one connection to be put together wherever they are cut.  From
# the answer on tshark sees another stream (tcp.stream 1), whose beginning is the middle of a packet.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
if ! command -v tshark >/dev/null; then
    apt-get update -q && apt-get install -q -y --no-install-recommends tshark
fi
tshark --version 2>/dev/null | head -n 1
python3 - "$place" <<'PYTHON'
import socket
import struct
import subprocess
import sys
from pathlib import Path

place = Path(sys.argv[1])


def packet(kind, payload):
    return struct.pack(">Hc", 1 + len(payload), kind) + payload


def saved(name, segments):
    """A capture of one connection: (from the client, flags, bytes)."""
    sent, out = {True: 100, False: 200}, []
    for client, flags, data in segments:
        ports, ends = ((40000, 32000), "12") if client else ((32000, 40000), "21")
        heard = sent[not client] if flags & 16 else 0
        tcp = struct.pack(">HHIIBBHHH", *ports, sent[client], heard, 80, flags, 65535, 0, 0) + data
        addresses = b"".join(socket.inet_aton("10.0.0." + end) for end in ends)
        out.append(struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses + tcp)
        sent[client] += len(data) + bool(flags & 3)
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    frames = (struct.pack("<IIII", 0, at, len(one), len(one)) + one for at, one in enumerate(out))
    (place / name).write_bytes(head + b"".join(frames))
    return place / name


SYN, ACK, PUSH = 2, 16, 24
login = packet(b"L", b"user  password  " + b"session".rjust(10) + b"1".rjust(20))
answer = packet(b"A", b"session".rjust(10) + b"1".rjust(20))
data = b"".join(packet(b"S", bytes([65 + at]) * 20) for at in range(4))
opening = [(True, SYN, b""), (False, SYN | ACK, b""), (True, ACK, b""), (True, PUSH, login)]
ways = {
    "the answer alone": [answer, data[:30], data[30:]],
    "the answer with data": [answer + data[:30], data[30:]],
}
seen = {}
for way, parts in ways.items():
    path = saved("one.pcap", opening + [(False, PUSH, part) for part in parts])
    line = ["tshark", "-r", str(path), "-d", "tcp.port==32000,soupbintcp", "-T", "fields"]
    fields = ["-e", "tcp.stream", "-e", "soupbintcp.message", "-e", "_ws.malformed"]
    ran = subprocess.run(line + fields, capture_output=True, text=True, check=True)
    rows = [row.split("\t") for row in ran.stdout.splitlines()]
    messages = [one for row in rows for one in row[1].split(",") if one]
    malformed = sum(bool(row[2]) for row in rows)
    print(f"{way}: streams {sorted({row[0] for row in rows})}, {malformed} packets malformed,"
          f" messages {[bytes.fromhex(one)[:3] for one in messages]}")
    seen[way] = [bytes.fromhex(one) for one in messages] == [bytes([65 + at]) * 20 for at in range(4)]
assert seen == {"the answer alone": True, "the answer with data": False}, seen
PYTHON
echo "as described"
