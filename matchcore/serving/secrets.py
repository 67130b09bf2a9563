"""Passwords and tokens, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import secrets

SALT_BYTES = 16
TOKEN_BYTES = 32
COST_LOG2 = 14  # of scrypt: some 50 ms and 16 MiB
COST_LOG2_MAX = 20  # of a hash that somebody else has written: 1 GiB


def password_hash(
    password: str, salt: bytes, *, size: int = 32, cost_log2: int = COST_LOG2
) -> bytes:
    """``size`` bytes of scrypt with r = 8, p = 1 and N = 2 ** ``cost_log2``."""
    cost = 2**cost_log2
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt, n=cost, r=8, p=1, dklen=size, maxmem=2 * 128 * 8 * cost,
    )  # fmt: skip


def new_salt() -> bytes:
    """Random bytes for one password."""
    return secrets.token_bytes(SALT_BYTES)


def new_token() -> str:
    """A text that nobody can guess, for HTTP headers and files."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """Tokens are long and random, so a plain hash (SHA-256) cannot be reversed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
