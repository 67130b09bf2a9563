"""What can be read of an exchange, each answer as of one moment."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager

from ..machine import Machine
from ..machine.state import State
from ..records.instruments import Directory
from .answers import BookView


class Reads:
    """Reads what `_seen` gives, under the lock; a read may wait for what it shows to be safe."""

    _lock: AbstractContextManager[object]

    @abstractmethod
    def _seen(self) -> Machine:
        """The machine to read; called under the lock."""

    @property
    def instruments(self) -> Directory:
        """By symbol and by number; change them through commands only."""
        with self._lock:
            return self._seen().instruments

    @property
    def sequence(self) -> int:
        """Of the last command; 0 before the first."""
        with self._lock:
            return self._seen().sequence

    @property
    def rules(self) -> int:
        """The version of the rules that commands are applied under."""
        with self._lock:
            return self._seen().rules

    def book(self, symbol: str | bytes) -> BookView:
        """A look into one instrument's book; `UnknownInstrument` if there is none."""
        return BookView(self._seen, self.instruments.number(symbol), self._lock)

    def state(self) -> State:
        """The whole state as fresh arrays."""
        with self._lock:
            return self._seen().state()

    def digest(self) -> str:
        """SHA-256 of the whole state: equal for live, replayed, restored and reference."""
        return self.state().digest()
