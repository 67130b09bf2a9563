"""What a request says: its fields, and what is appended; in plain Python."""

from __future__ import annotations

from . import layout


class Fault(ValueError):
    """A packet that is no request."""


def fields_of(known: layout.Message, message: bytes) -> tuple[dict[str, int | bytes], bytes]:
    """The fields by name, and what is appended; `Fault` if the length is wrong."""
    packer = known.packer
    rest = message[packer.size :]
    if len(message) < packer.size or (known.appendage and len(rest) < 2) or len(rest) == 1:
        raise Fault(wrong_size(message))
    if rest and int.from_bytes(rest[:2], "big") != len(rest) - 2:
        raise Fault(wrong_size(message))
    values = packer.unpack(message[: packer.size])[1:]
    return dict(zip(known.names, values, strict=True)), rest[2:]


def wrong_size(message: bytes) -> str:
    return f"a request of type {message[:1]!r} with {len(message)} bytes"


def items_of(appended: bytes) -> dict[int, int] | None:
    """Values by tag; None if one is unknown, has a wrong size, or comes twice."""
    found: dict[int, int] = {}
    at = 0
    while at < len(appended):
        size = appended[at]
        if size == 0 or at + 1 + size > len(appended):
            return None
        tag, value = appended[at + 1], appended[at + 2 : at + 1 + size]
        at += 1 + size
        if tag in layout.PASSED_OVER:
            continue
        if tag in found or tag in layout.TOLD or layout.TAGS.get(tag) != len(value):
            return None
        found[tag] = int.from_bytes(value, "big")
    return found


def number_of(value: int | bytes) -> int:
    return int(value)


def text_of(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
