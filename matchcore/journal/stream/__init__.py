"""A log that several servers keep: a stream of NATS JetStream, replicated and synced."""

from __future__ import annotations

from .address import Address
from .log import StreamLog
from .reader import StreamReader
from .servers import Servers

__all__ = ["Address", "Servers", "StreamLog", "StreamReader"]
