"""What must happen to an engine, and to a process beside one, when its process forks or ends."""

from __future__ import annotations

import atexit
import os
import weakref
from abc import abstractmethod
from contextlib import suppress

from .._closing import Closing
from ..errors import LogError


class Living(Closing):
    """Closed at the end of a `with`, and when the interpreter ends if its thread still runs."""

    @property
    @abstractmethod
    def _has_thread(self) -> bool: ...

    @abstractmethod
    def _forked(self) -> None:
        """Called in the child, where no other thread lives."""

    def _register(self) -> None:
        """From now on, as long as anything else refers to it."""
        _alive.add(self)


_alive: weakref.WeakSet[Living] = weakref.WeakSet()


def _close_all() -> None:
    """Before the interpreter ends: what was taken is answered, and no thread is left."""
    for one in list(_alive):
        if one._has_thread:
            with suppress(LogError):
                one.close()


def _forked_all() -> None:
    for one in list(_alive):
        one._forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked_all)
