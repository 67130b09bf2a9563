"""Reads of an exchange; each shows one moment."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager

from ..machine import Machine
from ..machine.state import State
from ..records.arguments import UINT64_MAX, integer
from ..records.instruments import Directory
from ..records.operating import SetLimits, limits_set
from ..records.register import Place
from .answers import BookView
from .markets import MarketReads


class Reads(MarketReads):
    """Reads the machine of `_seen` under the lock; a read may wait until it is durable."""

    _lock: AbstractContextManager[object]

    @abstractmethod
    def _seen(self) -> Machine:
        """The machine to read; called under the lock."""

    @property
    def instruments(self) -> Directory:
        """The instruments, by symbol and by number; only commands change them."""
        with self._lock:
            return self._seen().instruments

    @property
    def sequence(self) -> int:
        """Sequence of the last command; 0 before the first."""
        with self._lock:
            return self._seen().sequence

    @property
    def rules(self) -> int:
        """The version of the rules that commands are applied under."""
        with self._lock:
            return self._seen().rules

    def register(self) -> dict[Place, bytes]:
        """The entries of the register: data of 56 bytes by topic, key and part."""
        with self._lock:
            return dict(self._seen().register)

    def limits(self, account: int | None = None) -> list[SetLimits]:
        """The limits of ``account``, or of all, as the commands that set them (docs/limits.md)."""
        with self._lock:
            machine = self._seen()
            rows, directory = machine.limits(), machine.instruments
        if account is not None:
            rows = rows[rows["account"] == integer(account, "account", 0, UINT64_MAX)]
        return limits_set(rows, directory)

    def book(self, symbol: str | bytes) -> BookView:
        """A view of the book of the instrument ``symbol``; `UnknownInstrument` if none has it."""
        return BookView(self._seen, self.instruments.number(symbol), self._lock)

    def state(self) -> State:
        """The whole state, as new arrays."""
        with self._lock:
            return self._seen().state()

    def digest(self) -> str:
        """SHA-256 of the whole state in hexadecimal; equal after the same commands."""
        return self.state().digest()
