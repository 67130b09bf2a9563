"""The engine: sequence, group commit, answers, recovery, followers, forks and metrics."""

from __future__ import annotations

from .aio import AsyncEngine
from .engine import Engine
from .follower import Follower, Sink
from .forks import Fork
from .metrics import Meter, export

__all__ = ["AsyncEngine", "Engine", "Follower", "Fork", "Meter", "Sink", "export"]
