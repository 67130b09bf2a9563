"""Requests as bytes, answers as fields, from the tables of the standard."""

from __future__ import annotations

import struct
from typing import Any

from matchcore.gateways.ouch import layout

DEFAULTS: dict[str, Any] = {
    "side": b"B", "quantity": 100, "symbol": b"ANA", "price": 10_000, "time_in_force": b"0",
    "display": b"Y", "firm": b"", "capacity": b"P", "sweep": b"N", "cross": b"N", "cl_ord_id": b"",
}  # fmt: skip
TEXTS = {"symbol": 8, "firm": 4, "cl_ord_id": 14}


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">H", 1 + len(payload)) + kind + payload


def items(**values: bytes) -> bytes:
    """Appended items, by the names of tags in `layout`."""
    return b"".join(
        bytes([1 + len(value), getattr(layout, name.upper())]) + value
        for name, value in values.items()
    )


def message(letter: bytes, appended: bytes | None = None, **fields: Any) -> bytes:
    """A request; fields that are not given have a usual value."""
    known = layout.REQUESTS[letter]
    values = []
    for name in known.names:
        value = fields.get(name, DEFAULTS.get(name))
        assert value is not None, name
        values.append(value.ljust(TEXTS[name]) if name in TEXTS else value)
    made = known.packer.pack(letter, *values)
    if known.appendage or appended is not None:
        made += struct.pack(">H", len(appended or b"")) + (appended or b"")
    return made


def request(letter: bytes, appended: bytes | None = None, **fields: Any) -> bytes:
    """The same in its packet."""
    return packet(b"U", message(letter, appended, **fields))


def payloads(data: bytes) -> list[tuple[bytes, bytes]]:
    """The packets: (type, payload)."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        found.append((data[at + 2 : at + 3], data[at + 3 : at + 2 + size]))
        assert len(found[-1][1]) == size - 1
        at += 2 + size
    return found


def answer(payload: bytes) -> dict[str, Any]:
    """The fields of an answer, its type as ``type`` and appended values by tag as ``items``."""
    known = layout.ANSWERS[payload[:1]]
    values = known.packer.unpack(payload[: known.size])[1:]
    rest = payload[known.size :]
    found: dict[int, bytes] = {}
    if rest:
        assert int.from_bytes(rest[:2], "big") == len(rest) - 2
        at = 2
        while at < len(rest):
            found[rest[at + 1]] = rest[at + 2 : at + 1 + rest[at]]
            at += 1 + rest[at]
    fields = {
        name: value.rstrip() if name in TEXTS else value
        for name, value in zip(known.names, values, strict=True)
    }
    return {"type": payload[:1], "items": found, **fields}


def answers(data: bytes) -> list[dict[str, Any]]:
    """The sequenced messages of packets."""
    return [answer(payload) for kind, payload in payloads(data) if kind == b"S"]
