"""The status port of an engine that is a standby or the primary; needs the extra `gateway`.

/health, /ready, /metrics and /standby say how it is; /book shows a book and /digest the digest of
the state, with the sequence that they were read at.  It has no login, and belongs in the network of
the operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ..errors import LogError, UnknownInstrument
from .member import Role
from .state import Watched, digest, look

LEVELS_MAX = 1000
PREFIX = "matchcore_member_"
#: What `Watched.said` has -> what it is; numbers only.
_GAUGES = {
    "epoch": "Of the writer of the last command applied",
    "sequence": "Of the last command applied",
    "lag_commands": "Commands that the log is known to have and that are not applied here",
    "lag_ms": "How long, at most, a command has waited in the log to be applied here",
    "lease_left_ms": "For how long this engine has the lease at least; 0: it has none",
}


class StatusPort:
    """Serves ``host``:``port`` (0: any free port).

    - ``watched``: the engine.
    - ``registry``: has other metrics already.
    - ``more``: for the primary: status of HTTP, and what else is said, of a path; or None.
    """

    def __init__(
        self,
        host: str,
        port: int,
        watched: Watched,
        *,
        registry: CollectorRegistry | None = None,
        more: Callable[[str], tuple[int, dict[str, Any]] | None] = lambda path: None,
    ) -> None:
        self._host, self._port, self._watched, self._more = host, port, watched, more
        self.registry = registry or CollectorRegistry(auto_describe=False)
        self.registry.register(_Collector(watched))

    async def start(self) -> None:
        """Listens."""
        app = web.Application()
        app.add_routes([
            web.get("/health", self._health), web.get("/ready", self._ready),
            web.get("/standby", self._said), web.get("/metrics", self._metrics),
            web.get("/book", self._book), web.get("/digest", self._digest),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        host, port, *_ = self._runner.addresses[0]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Ends it."""
        await self._runner.cleanup()

    async def _said(self, request: web.Request) -> web.Response:
        return web.json_response(self._watched.said())

    async def _health(self, request: web.Request) -> web.Response:
        """This process follows, or serves."""
        status, said = self._more(request.path) or (200, {})
        role = self._watched.role
        if role is Role.ENDED:
            status = 503
        return web.json_response({"status": role.value, **said}, status=status)

    async def _ready(self, request: web.Request) -> web.Response:
        """Clients should come here: it is the primary, and may answer."""
        said, why = self._watched.said(), self._watched.why_silent
        if why:
            return web.json_response({"status": said["role"], "why": why}, status=503)
        status, more = self._more(request.path) or (200, {"status": "ok"})
        return web.json_response({**more, "epoch": said["epoch"]}, status=status)

    async def _digest(self, request: web.Request) -> web.Response:
        try:
            said = await asyncio.to_thread(digest, self._watched)
        except LogError as error:
            return web.json_response({"error": str(error)}, status=503)
        return web.json_response(said)

    async def _metrics(self, request: web.Request) -> web.Response:
        text = generate_latest(self.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _book(self, request: web.Request) -> web.Response:
        levels = request.query.get("levels", "10")
        if not (levels.isascii() and levels.isdigit() and 0 < int(levels) <= LEVELS_MAX):
            what = f"levels must be a number from 1 to {LEVELS_MAX}"
            return web.json_response({"error": what}, status=400)
        try:
            shown = look(self._watched, request.query.get("symbol", ""), int(levels))
        except UnknownInstrument as error:
            return web.json_response({"error": str(error)}, status=404)
        except LogError as error:
            return web.json_response({"error": str(error)}, status=503)
        return web.json_response(shown)


class _Collector:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All metrics, with their values of now."""
        said = self._watched.said()
        roles = GaugeMetricFamily(PREFIX + "role", "1 for what this engine is", labels=["role"])
        for role in Role:
            roles.add_metric([role.value.replace(" ", "_")], float(said["role"] == role.value))
        yield roles
        for name, what in _GAUGES.items():
            yield GaugeMetricFamily(PREFIX + name, what, value=float(said[name]))
        ready = not self._watched.why_silent
        yield GaugeMetricFamily(
            PREFIX + "ready", "1 while it is the primary and may answer", value=float(ready)
        )
