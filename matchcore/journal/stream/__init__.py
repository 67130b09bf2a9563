"""A log that several servers keep: a stream of NATS JetStream, replicated and synced."""

from __future__ import annotations

from .servers import Servers

__all__ = ["Servers"]
