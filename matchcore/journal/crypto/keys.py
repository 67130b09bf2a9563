"""Encryption of files at rest: AES-256-GCM or SM4-GCM, with a key of its own for every file.

A file's header names the master key and a random salt.  The file's key is derived from the
master key, the salt and the whole header, so no two files share one.  docs/journal.md says
why a nonce never comes twice, and what stays in the clear.
"""

from __future__ import annotations

import hmac
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...errors import KeyRefused, LogError, MissingExtra
from .hashes import Bytes

if TYPE_CHECKING:
    from .gm import Gcm

CIPHERS = ("none", "aes-256-gcm", "sm4-gcm")  # a header names one by its place here
KEY_BYTES = (0, 32, 16)
NONCE_BYTES, TAG_BYTES = 12, 16
ENCRYPTED_BYTES = NONCE_BYTES + TAG_BYTES  # what a piece grows by
PIECE_BYTES_MAX = 2**36 - 32  # of GCM, for one nonce
_MARK = struct.Struct("<16s8s4s")  # key id, salt, check; in a header from byte 96
DERIVED_OFFSET = 120  # a header's bytes before its check go into the key
KEY_ID_BYTES_MAX, SALT_BYTES, CHECK_BYTES = 16, 8, 4
KEYS_VARIABLE = "MATCHCORE_KEYS"  # of the environment: names a file for `Keys.from_file`
KEY_FILE_BYTES_MAX = 1 << 20


class Encryption(NamedTuple):
    """The encryption that a file's header names.  ``check`` detects a wrong key."""

    cipher: int = 0
    key_id: str = ""
    salt: bytes = bytes(SALT_BYTES)
    check: bytes = bytes(CHECK_BYTES)

    def to_bytes(self) -> bytes:
        return _MARK.pack(self.key_id.encode("ascii"), self.salt, self.check)

    @classmethod
    def from_bytes(cls, cipher: int, data: bytes) -> Encryption:
        """ValueError for what no writer of version 1 says."""
        if cipher >= len(CIPHERS):
            raise ValueError(f"cipher {cipher}: unknown to this version")
        key_id, salt, check = _MARK.unpack(data)
        name = key_id.rstrip(b"\0")
        if not cipher:
            if any(data):
                raise ValueError("header with values that version 1 does not know")
            return PLAIN
        if not _is_key_id(name):
            raise ValueError("header without a key id")
        return cls(cipher, name.decode("ascii"), salt, check)


PLAIN = Encryption()


def _is_key_id(name: bytes) -> bool:
    return 0 < len(name) <= KEY_ID_BYTES_MAX and all(0x20 < one < 0x7F for one in name)


class FileCipher:
    """Encrypts and decrypts the pieces of one file."""

    __slots__ = ("_gcm",)

    def __init__(self, gcm: Gcm) -> None:
        self._gcm = gcm

    def encrypt(self, nonce: bytes, plain: Bytes, associated: bytes) -> bytearray:
        """Nonce, ciphertext, tag.  A nonce must not come twice in the life of a file."""
        if len(plain) > PIECE_BYTES_MAX:
            raise LogError(f"{len(plain)} bytes are too many for GCM, which takes 64 GiB")
        out = bytearray(len(plain) + ENCRYPTED_BYTES)
        out[:NONCE_BYTES] = nonce
        body = memoryview(out)[NONCE_BYTES:-TAG_BYTES]
        out[-TAG_BYTES:] = self._gcm.encrypt(nonce, plain, associated, body)
        return out

    def decrypt(self, stored: Bytes, associated: bytes) -> bytearray:
        """What was encrypted; ValueError if key, bytes or what belongs to them are others."""
        if len(stored) < ENCRYPTED_BYTES:
            raise ValueError(f"{len(stored)} bytes are not an encrypted payload")
        view = memoryview(stored)
        nonce, tag = bytes(view[:NONCE_BYTES]), bytes(view[-TAG_BYTES:])
        out = bytearray(len(stored) - ENCRYPTED_BYTES)
        body = view[NONCE_BYTES:-TAG_BYTES]
        if not self._gcm.decrypt(nonce, tag, body, associated, memoryview(out)):
            raise ValueError("encrypted bytes that do not decrypt with this key")
        return out


class Keys:
    """The source of the keys of an exchange's files, and the key for new files.

    - ``source``: returns the master key of a key id, as bytes; KeyError if there is none. It is
      called once for each file that is opened or created; the key is not kept.
    - ``key_id``: of the key for new files, up to 16 ASCII letters or digits; or a callable that
      returns it. Readers need none.
    - ``cipher``: for new files, "aes-256-gcm" (master keys of at least 32 bytes) or "sm4-gcm" (16).
      ValueError for others.
    """

    def __init__(
        self,
        source: Callable[[str], bytes],
        key_id: str | Callable[[], str] = "",
        cipher: str = "aes-256-gcm",
    ) -> None:
        if cipher not in CIPHERS[1:]:
            raise ValueError(f"cipher {cipher!r}: must be one of {', '.join(CIPHERS[1:])}")
        self._source = source
        self._key_id = key_id
        self._cipher = CIPHERS.index(cipher)
        #: The file of `from_file`, which another process can read; otherwise None.
        self.file: Path | None = None

    def __repr__(self) -> str:
        return f"Keys(cipher={CIPHERS[self._cipher]!r})"

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Keys:
        """The keys in the text file ``path``.

        Each line has a key id, a cipher and the key in hexadecimal digits.  The last line is the
        key for new files.  Empty lines and lines that begin with # are ignored.  `KeyRefused` if
        other users may read the file, and for any other line.
        """
        ciphers: dict[str, str] = {}
        found: dict[str, bytes] = {}
        for number, line in enumerate(_private_text(Path(path)).splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                key_id, cipher, digits = line.split()
                if cipher not in CIPHERS[1:] or key_id in found:
                    raise ValueError
                found[key_id], ciphers[key_id] = bytes.fromhex(digits), cipher
            except ValueError:
                raise KeyRefused(
                    f"{path}, line {number}: not a new key id, a cipher"
                    f" ({' or '.join(CIPHERS[1:])}) and a key in hexadecimal digits"
                ) from None
        if not found:
            raise KeyRefused(f"{path}: no key in this file")
        newest = next(reversed(found))
        keys = cls(found.__getitem__, newest, ciphers[newest])
        keys.file = Path(path).absolute()
        return keys

    @classmethod
    def from_environment(cls) -> Keys | None:
        """The keys in the file that MATCHCORE_KEYS names, as `from_file`; None if it is not set."""
        path = os.environ.get(KEYS_VARIABLE)
        return cls.from_file(path) if path else None

    def check(self, hash_number: int) -> None:
        """Raises what creating a file would: `KeyRefused`, `MissingExtra`, `LogError`.

        ``hash_number``: the hash of the log, as its header has it.
        """
        self.encrypt(self.new_file(os.urandom), hash_number, b"")

    def new_file(self, random: Callable[[int], bytes]) -> Encryption:
        """The `Encryption` of a new file, without its check.

        ``random``: returns so many random bytes, for the salt.  `KeyRefused` for a bad key id.
        """
        key_id = self._key_id if isinstance(self._key_id, str) else self._key_id()
        if not _is_key_id(key_id.encode("ascii", "replace")):
            raise KeyRefused(
                f"key id {key_id!r} for new files: 1 to {KEY_ID_BYTES_MAX} ASCII letters or digits"
            )
        return Encryption(self._cipher, key_id, random(SALT_BYTES))

    def is_for_new_files(self, said: Encryption) -> bool:
        """True if ``said``, the `Encryption` of a file, has cipher and key of new files."""
        return said[:2] == self.new_file(os.urandom)[:2]

    def encrypt(self, said: Encryption, hash_number: int, head: bytes) -> tuple[FileCipher, bytes]:
        """The cipher of a file, and the check that its header must have.

        - ``said``: the `Encryption` of the file.
        - ``hash_number``: the hash of the log, as its header has it.
        - ``head``: the bytes of the file's header before the check.

        `KeyRefused` for a missing or short key; `MissingExtra` without the extra `gm`.
        """
        try:
            from .gm import Gcm, derived
        except ImportError:
            raise MissingExtra("encryption at rest", "gm") from None
        size = KEY_BYTES[said.cipher]
        master = self._master(said, size)
        made = derived(master, said.salt, head, size + CHECK_BYTES, hash_number)
        return FileCipher(Gcm(CIPHERS[said.cipher], made[:size])), made[size:]

    def _master(self, said: Encryption, size: int) -> bytes:
        try:
            key = self._source(said.key_id)
        except KeyError:
            raise KeyRefused(f"there is no key {said.key_id!r}") from None
        if not isinstance(key, bytes):
            raise KeyRefused(f"key {said.key_id!r}: must be bytes, not {type(key).__name__}")
        if len(key) < size:
            raise KeyRefused(
                f"key {said.key_id!r} has {len(key)} bytes:"
                f" {CIPHERS[said.cipher]} needs at least {size}"
            )
        return key


def unlock(
    keys: Keys | None, said: Encryption, hash_number: int, head: bytes, file: Path
) -> FileCipher | None:
    """The cipher of a file that is there; None if it is not encrypted.

    `KeyRefused` without keys, or when the key is not the file's.
    """
    if not said.cipher:
        return None
    if keys is None:
        raise KeyRefused(
            f"{file} is encrypted with key {said.key_id!r}, and there are no keys: give keys=,"
            f" or {KEYS_VARIABLE} on the command line"
        )
    try:
        cipher, check = keys.encrypt(said, hash_number, head[:DERIVED_OFFSET])
    except KeyRefused as error:
        raise KeyRefused(f"{file}: {error}") from None
    if not hmac.compare_digest(check, said.check):
        raise KeyRefused(f"{file}: key {said.key_id!r} does not open this file")
    return cipher


def _private_text(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for
    with open(fd, "rb") as source:
        about = os.fstat(source.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077:
            raise KeyRefused(f"{path}: keys must be in a file that only its owner may read (600)")
        if about.st_size > KEY_FILE_BYTES_MAX:
            raise KeyRefused(f"{path}: {about.st_size} bytes are too many for a file of keys")
        return source.read().decode("ascii", "replace")
