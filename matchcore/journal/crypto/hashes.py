"""The hash of the chain and of snapshots: SHA-256, or SM3 where the rules of a country ask for it.

Chosen when an exchange is made and kept for its life.  The digest of a state is always SHA-256:
it compares machines, not files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, partial
from typing import Protocol

from ...errors import MissingExtra

HASHES = ("sha256", "sm3")  # a header names one by its place here
SHA256 = 0
Bytes = bytes | bytearray | memoryview


class Hash(Protocol):
    """What `hashlib` gives."""

    def update(self, data: Bytes, /) -> None: ...

    def digest(self) -> bytes: ...


def hash_number(name: str) -> int:
    """The number of a hash in a header; ValueError for a name that is none."""
    if name not in HASHES:
        raise ValueError(f"hash {name!r}: must be one of {', '.join(HASHES)}")
    return HASHES.index(name)


@cache
def hash_maker(number: int) -> Callable[[Bytes], Hash]:
    """What begins a hash with its first bytes.  `MissingExtra` if this machine has no SM3."""
    if number == SHA256:
        return hashlib.sha256
    try:
        hashlib.new(HASHES[number])
    except ValueError:  # an OpenSSL without it
        return sm3_of_extra()
    return partial(hashlib.new, HASHES[number])


def sm3_of_extra() -> Callable[[Bytes], Hash]:
    """SM3 of the package `cryptography`, which brings an OpenSSL of its own."""
    try:
        from .gm import Sm3
    except ImportError:
        raise MissingExtra("the hash SM3 (this Python's OpenSSL is without it)", "gm") from None
    return Sm3
