"""Detached SM2 signatures (GB/T 32918) over SM3, of files that leave the exchange.

The package tongsuopy (extra `[gm-sign]`) does the arithmetic; imported late, by who needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import InvalidArgument, MissingExtra

USER_ID = "1234567812345678"  # that signatures are bound to unless parties agree on another one
FILE_BYTES_MAX = 1 << 30


class Signer:
    """Signs with the private key of a PEM file; `InvalidArgument` if it holds no SM2 key."""

    def __init__(self, path: Path) -> None:
        library, pem = _Library(), _read(path)
        try:
            self._key = library.serialization.load_pem_private_key(pem, None)
        except library.other:
            raise InvalidArgument(f"{path}: a key of another kind than SM2") from None
        except (ValueError, TypeError):
            raise InvalidArgument(f"{path}: no PEM of a private key without a password") from None
        self._how = library.how

    def sign(self, data: bytes) -> bytes:
        """A DER signature of ``data``, each time another one."""
        made: bytes = self._key.sign(data, self._how)
        return made


class Verifier:
    """Verifies with the public key of a PEM file; `InvalidArgument` if it holds no SM2 key."""

    def __init__(self, path: Path) -> None:
        library, pem = _Library(), _read(path)
        try:
            self._key = library.serialization.load_pem_public_key(pem)
        except library.other:
            raise InvalidArgument(f"{path}: a key of another kind than SM2") from None
        except (ValueError, TypeError):
            raise InvalidArgument(f"{path}: no PEM of a public key") from None
        self._how, self._wrong = library.how, library.wrong

    def fits(self, data: bytes, signature: bytes) -> bool:
        """True if ``signature`` is one of these bytes by this key."""
        try:
            self._key.verify(signature, data, self._how)
        except self._wrong:
            return False
        return True


class _Library:
    """What is used of tongsuopy; `MissingExtra` without it."""

    def __init__(self) -> None:
        try:
            from tongsuopy.crypto import exceptions, hashes, serialization
            from tongsuopy.crypto.asymciphers import ec
        except ImportError:
            raise MissingExtra("SM2 signatures", "gm-sign") from None
        self.serialization: Any = serialization
        self.how: Any = ec.ECDSA(hashes.SM3())  # of an SM2 key: the SM2 algorithm
        self.other: Any = exceptions.UnsupportedAlgorithm
        # the second one is of bytes that are no signature at all
        self.wrong: Any = exceptions.InvalidSignature, exceptions.InternalError


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror}") from None


def file_bytes(path: Path) -> bytes:
    """What is signed of a file: its bytes, of which there must be at most 1 GiB."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise InvalidArgument(f"{path}: more than {FILE_BYTES_MAX} bytes")
    return path.read_bytes()
