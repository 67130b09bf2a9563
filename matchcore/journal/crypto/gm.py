"""What the package `cryptography` is needed for (extra `[gm]`); imported late, by who needs it."""

from __future__ import annotations

import cryptography
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ...errors import LogError
from .hashes import HASHES, Bytes

ALGORITHMS = {"aes-256-gcm": algorithms.AES, "sm4-gcm": algorithms.SM4}
CALL_BYTES = 1 << 30  # the package takes up to 2 GiB at once


class Sm3:
    """SM3 with the face of `hashlib`."""

    def __init__(self, data: Bytes = b"") -> None:
        self._hash = hashes.Hash(hashes.SM3())
        self._hash.update(data)

    def update(self, data: Bytes, /) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        return self._hash.copy().finalize()


def derived(master: bytes, salt: bytes, info: bytes, size: int, hash_number: int) -> bytes:
    """HKDF with the hash of the exchange."""
    made = hashes.SM3() if HASHES[hash_number] == "sm3" else hashes.SHA256()
    return HKDF(algorithm=made, length=size, salt=salt, info=info).derive(master)


class Gcm:
    """One key under one cipher.  LogError if the installed build is without that cipher."""

    __slots__ = ("_algorithm",)

    def __init__(self, cipher: str, key: bytes) -> None:
        self._algorithm = ALGORITHMS[cipher](key)
        try:
            Cipher(self._algorithm, modes.GCM(bytes(12))).encryptor()
        except UnsupportedAlgorithm:
            raise LogError(
                f"{cipher} is not in the OpenSSL of the installed package cryptography"
                f" {cryptography.__version__}: install a build that has it"
            ) from None

    def encrypt(self, nonce: bytes, plain: Bytes, associated: bytes, out: memoryview) -> bytes:
        """Fills `out` with the ciphertext; returns the tag."""
        made = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(associated)
        view = memoryview(plain)
        for at in range(0, len(view), CALL_BYTES):
            made.update_into(view[at : at + CALL_BYTES], out[at : at + CALL_BYTES])
        made.finalize()
        return made.tag

    def decrypt(
        self, nonce: bytes, tag: bytes, stored: memoryview, associated: bytes, out: memoryview
    ) -> bool:
        """Fills `out`; False if the tag is not that of these bytes, and `out` is not to be used."""
        made = Cipher(self._algorithm, modes.GCM(nonce, tag)).decryptor()
        made.authenticate_additional_data(associated)
        for at in range(0, len(stored), CALL_BYTES):
            made.update_into(stored[at : at + CALL_BYTES], out[at : at + CALL_BYTES])
        try:
            made.finalize()
        except InvalidTag:
            return False
        return True
