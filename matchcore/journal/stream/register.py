"""Small records that all engines of a replicated log share: a key-value bucket of its servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._closing import Closing
from ...errors import LogError
from .address import Address
from .link import Link

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

RECORD_BYTES_MAX = 4096


class Changed(LogError):
    """A record has another revision than expected: somebody else has written it."""


class Register(Closing):
    """The records of the log at ``address``, over a connection of its own.

    The bucket is made if it is not there.  Every replica writes a record to its disk; records do
    not expire.  For any thread.  `LogFailed` if the servers cannot be reached.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._link = Link(address)
        try:
            self._bucket = self._link.call(self._link.retried(self._made))
        except BaseException:
            self._link.close()
            raise

    async def _made(self) -> KeyValue:
        from nats.js.api import KeyValueConfig, StorageType
        from nats.js.errors import NotFoundError

        streams, name = self._link.streams, f"matchcore-{self.address.name}"
        try:
            return await streams.key_value(name)
        except NotFoundError:
            config = KeyValueConfig(
                bucket=name, history=1, storage=StorageType.FILE, direct=False,
                replicas=self.address.replicas, max_value_size=RECORD_BYTES_MAX,
            )  # fmt: skip
            return await streams.create_key_value(config)

    def read(self, key: str, seconds: float) -> tuple[int, bytes]:
        """Revision and bytes of a record, as the servers' leader has it; 0 and nothing without."""
        return self._link.call(self._read(key), seconds)

    async def _read(self, key: str) -> tuple[int, bytes]:
        from nats.js.errors import KeyNotFoundError

        try:
            entry = await self._bucket.get(key)
        except KeyNotFoundError as error:
            deleted = error.entry
            return (deleted.revision or 0, b"") if deleted is not None else (0, b"")
        return entry.revision or 0, entry.value or b""

    def write(self, key: str, record: bytes, revision: int, seconds: float) -> int:
        """Writes a record in the place of its revision, 0 for a new one; returns the new one.

        `Changed` if it has another.  After `LogFailed` it may be written or not.
        """
        return self._link.call(self._write(key, record, revision), seconds)

    async def _write(self, key: str, record: bytes, revision: int) -> int:
        from nats.js.errors import KeyWrongLastSequenceError

        try:
            return await self._bucket.update(key, record, last=revision)
        except KeyWrongLastSequenceError:
            raise Changed(
                f"{self.address}: the record {key} was written by somebody else"
            ) from None

    def keys(self, seconds: float) -> list[str]:
        """The keys of all records."""
        return self._link.call(self._keys(), seconds)

    async def _keys(self) -> list[str]:
        from nats.js.errors import NoKeysError

        try:
            return await self._bucket.keys()
        except NoKeysError:
            return []

    def close(self) -> None:
        """Ends the connection."""
        self._link.close()


class Entry:
    """One record of a register, as `Register` reads and writes it."""

    def __init__(self, register: Register, key: str) -> None:
        self._register, self._key = register, key

    def read(self, seconds: float) -> tuple[int, bytes]:
        """Revision and bytes."""
        return self._register.read(self._key, seconds)

    def write(self, record: bytes, revision: int, seconds: float) -> int:
        """The new revision."""
        return self._register.write(self._key, record, revision, seconds)
