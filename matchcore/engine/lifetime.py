"""What must happen to engines when their process forks or ends."""

from __future__ import annotations

import atexit
import os
import weakref
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from .._closing import Closing
from ..errors import LogError

if TYPE_CHECKING:
    from ..sinks.process import Persistence


class Living(Closing):
    """Closed at the end of a `with`, and at the interpreter's if its thread still runs."""

    #: The process that keeps a database equal to the log, with its `lag`; None without one.
    persistence: Persistence | None = None

    @property
    @abstractmethod
    def has_thread(self) -> bool: ...

    @abstractmethod
    def forked(self) -> None:
        """Called in the child, where no other thread lives."""

    def watch(self) -> None:
        """From now on, as long as somebody else holds it."""
        _alive.add(self)


_alive: weakref.WeakSet[Living] = weakref.WeakSet()


def _close_all() -> None:
    """Before the interpreter ends: what was taken is answered, and no thread is left."""
    for engine in list(_alive):
        if engine.has_thread:
            with suppress(LogError):
                engine.close()


def _forked_all() -> None:
    for engine in list(_alive):
        engine.forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked_all)
