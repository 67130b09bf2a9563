"""Keys of exchanges that are tortured, and whether a nonce ever comes twice under one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ..errors import LogError, MissingExtra
from ..journal import Keys
from ..journal.crypto.hashes import Bytes, hash_maker, hash_number
from ..journal.crypto.keys import Encryption, FileCipher

Seen = dict[bytes, bytes]


class Secret(Keys):
    """Master keys made from their ids.  ``wrong``: what was encrypted as it must never be."""

    def __init__(self, cipher: str, key_id: Callable[[], str]) -> None:
        super().__init__(lambda name: hashlib.sha512(name.encode()).digest(), key_id, cipher)
        self.wrong: list[str] = []
        self._seen: Seen = {}

    def encrypt(self, said: Encryption, hash_number: int, head: bytes) -> tuple[FileCipher, bytes]:
        cipher, check = super().encrypt(said, hash_number, head)
        return _Once(cipher, said.key_id.encode() + head, self), check


class _Once(FileCipher):
    """The cipher of a file that remembers its nonces, over all openings of the file."""

    __slots__ = ("_key", "_secret")

    def __init__(self, cipher: FileCipher, key: bytes, secret: Secret) -> None:
        super().__init__(cipher._gcm)
        self._key, self._secret = key, secret

    def encrypt(self, nonce: bytes, plain: Bytes, associated: bytes) -> bytearray:
        what = hashlib.sha256(bytes(plain) + associated).digest()
        if self._secret._seen.setdefault(self._key + nonce, what) != what:
            self._secret.wrong.append("a nonce came twice under one key, for other bytes")
        return super().encrypt(nonce, plain, associated)


def lacking(hash: str, cipher: str) -> str:
    """Why this machine cannot make exchanges with these; "" if it can."""
    try:
        number = hash_number(hash)
        hash_maker(number)
        if cipher:
            Secret(cipher, lambda: "k").check(number)
    except (MissingExtra, LogError) as error:
        return f"{hash} and {cipher or 'no cipher'}: {error}"
    return ""
