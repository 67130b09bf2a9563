"""Who may connect: a limit on connections, one on those of an address, and a time to say
something."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import cast

from ...serving.addresses import takes_last_files
from .limits import WebLimits


class Entrance:
    """Makes the protocols of a server: each is that of ``inner`` behind a `_Gate`."""

    def __init__(self, inner: Callable[[], asyncio.Protocol], limits: WebLimits) -> None:
        self.inner, self.limits = inner, limits
        self.count, self.refused = 0, 0
        self.addresses: Counter[str] = Counter()
        self._silent: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Gate(self)

    def expects(self, transport: asyncio.Transport) -> None:
        """A connection that has asked for nothing after a time is cut."""
        loop = asyncio.get_running_loop()
        self._silent[transport] = loop.call_later(self.limits.first_seconds, transport.abort)

    def heard(self, transport: asyncio.BaseTransport | None) -> None:
        """It has asked for something, or is gone."""
        timer = self._silent.pop(transport, None) if transport else None
        if timer is not None:
            timer.cancel()


class _Gate(asyncio.Protocol):
    """Hands everything on, unless there are too many connections."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._inner: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        entrance, self._transport = self._entrance, cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else "local"
        entrance.count += 1
        entrance.addresses[self._address] += 1
        limits = entrance.limits
        there = entrance.addresses[self._address]
        full = entrance.count > limits.connections or there > limits.connections_per_address
        if full or takes_last_files(self._transport):
            entrance.refused += 1
            self._transport.abort()
            return
        entrance.expects(self._transport)
        self._inner = entrance.inner()
        self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        entrance = self._entrance
        entrance.heard(self._transport)
        entrance.count -= 1
        entrance.addresses[self._address] -= 1
        if not entrance.addresses[self._address]:
            del entrance.addresses[self._address]
        if self._inner is not None:
            self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()
