"""The engine: sequence, group commit, answers, recovery, followers, forks and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine import Engine
from .follower import Follower, Sink
from .forks import Fork
from .metrics import Meter, export

if TYPE_CHECKING:
    from .aio import AsyncEngine

__all__ = ["AsyncEngine", "Engine", "Follower", "Fork", "Meter", "Sink", "export"]


def __getattr__(name: str) -> Any:
    """`AsyncEngine` on first use: it takes asyncio, which is slow to import."""
    if name != "AsyncEngine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .aio import AsyncEngine

    return AsyncEngine
