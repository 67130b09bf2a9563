"""The status port of a gateway: /health, /ready and /metrics, without a login.

It belongs in the network of the operators, and of the balancer, which asks it who is ready.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .desk import Desk
from .metrics import Collector
from .wellness import HEALTH_PATHS, answer_of


class StatusDoor:
    """Serves ``host``:``port`` (0: any free port).

    - ``directory``: of the exchange, if it is on this machine.
    - ``registry``: has other metrics already, such as those of the engine.
    - ``started``: called with the address once it is served.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        directory: Path | None = None,
        registry: CollectorRegistry | None = None,
        started: Callable[[str], None] | None = None,
    ) -> None:
        self._host, self._port, self._started = host, port, started
        self._directory = directory
        self._registry = registry or CollectorRegistry(auto_describe=False)
        self._draining = False
        self._runner: web.AppRunner | None = None

    async def start(self, desk: Desk) -> None:
        self._desk = desk
        self._registry.register(Collector(desk, self._directory))
        app = web.Application()
        app.add_routes([web.get(path, self._health) for path in HEALTH_PATHS])
        app.add_routes([web.get("/metrics", self._metrics)])
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        if self._started is not None:
            self._started(self.url)

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        assert self._runner is not None
        host, port, *_ = self._runner.addresses[0]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def _health(self, request: web.Request) -> web.Response:
        status, said = answer_of(request.path, self._desk, self._draining)
        return web.json_response(said, status=status)

    async def _metrics(self, request: web.Request) -> web.Response:
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def beat(self) -> None:
        """Nothing to do: it is asked."""

    async def drain(self) -> None:
        """Says that it is not ready; the balancer sends nobody here any more."""
        self._draining = True

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
