"""The web door: HTTP and WebSocket on one port, in the event loop of the desk."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from ...serving.certificates import shown
from ...serving.rates import Bucket
from ...serving.secrets import token_hash
from ..desk import Desk
from ..logins import Login, Unavailable
from ..wellness import HEALTH_PATHS, answer_of
from .asked import of_query
from .entrance import Entrance
from .limits import WebLimits
from .openapi import document
from .refusals import Refused, refusal_of
from .routes import Routes
from .sessions import Sessions
from .streams import FAULT, LOG, Stream

BACKLOG = 2048
STREAM_PATH = "/stream"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# A hostile client is not worth a line of the library's log.
_QUIET = logging.getLogger("matchcore.gateways.web.aiohttp")
_QUIET.setLevel(logging.CRITICAL)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebDoor:
    """Serves ``host``:``port`` (0: any free port).

    - ``tls``: a server's context; None: not encrypted.
    - ``origins``: of pages that browsers may connect from, beside the server's own.
    - ``started``: called with the address once it is served.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        origins: Iterable[str] = (),
        limits: WebLimits | None = None,
        started: Callable[[str], None] | None = None,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._origins, self._started = frozenset(origins), started
        self.limits = limits or WebLimits()
        self._logins: OrderedDict[bytes, tuple[float, Login]] = OrderedDict()
        self._questions: dict[int, Bucket] = {}  # of logins
        self._streams: dict[Stream, web.WebSocketResponse] = {}
        self._server: asyncio.Server | None = None
        self._draining = False

    # -- a door

    async def start(self, desk: Desk) -> None:
        self.desk, self.sessions = desk, Sessions(desk)
        limits = self.limits
        self._openapi = json.dumps(document(limits)).encode()
        app = web.Application(
            middlewares=[self._around], client_max_size=limits.body_bytes, logger=_QUIET
        )
        app.add_routes([*Routes(self).table(), web.get(STREAM_PATH, self._stream)])
        app.add_routes([web.get(path, self._open) for path in (*HEALTH_PATHS, "/openapi.json")])
        self._runner = web.AppRunner(
            app, access_log=None, logger=_QUIET, keepalive_timeout=limits.keepalive_seconds,
            max_line_size=limits.head_bytes, max_field_size=limits.head_bytes,
            handle_signals=False,
        )  # fmt: skip
        await self._runner.setup()
        assert self._runner.server is not None
        self._entrance = Entrance(self._runner.server, limits)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._entrance, self._host, self._port, ssl=self._tls, backlog=BACKLOG
        )
        if self._started is not None:
            self._started(self.url)

    @property
    def files_max(self) -> int:
        """How many files its clients may need."""
        return self.limits.connections

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def beat(self) -> None:
        """Forgets logins that were kept long enough."""
        now = time.monotonic()
        while self._logins:
            known, (since, _) = next(iter(self._logins.items()))
            if now - since < self.limits.login_seconds:
                break
            del self._logins[known]

    async def drain(self) -> None:
        """Listens no more; ends streams, and lets requests have their answers."""
        self._draining = True
        if self._server is not None:
            self._server.close()
        for stream in self._streams:
            stream.drop("the gateway is closing")
        until = time.monotonic() + self.limits.close_seconds
        while len(self.sessions) and time.monotonic() < until:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._runner.cleanup()

    @property
    def counts(self) -> dict[str, int]:
        """For the metrics."""
        return {
            "connections": self._entrance.count,
            "connections_refused": self._entrance.refused,
            "streams": len(self._streams),
            "requests_waiting": sum(session.requests for session in self.sessions),
        }

    # -- requests

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What all requests have in common: errors as JSON, and no foreign pages."""
        self._entrance.heard(request.transport)
        try:
            self._welcome(request)
            self._may_tell(request)
            response = await handler(request)
            self._may_tell(request)  # it may have waited
        except web.HTTPException as error:  # of the library: no such path, too large, …
            code = error.reason.lower().replace(" ", "_")
            response = self.refusal(Refused(error.status, code, error.reason))
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                LOG.exception("%s %s", request.method, request.path)
                refused = FAULT
            response = self.refusal(refused)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _may_tell(self, request: web.Request) -> None:
        """`Unavailable` while the engine behind this may not be the primary."""
        if request.path not in HEALTH_PATHS and (why := self.desk.muted()):
            raise Unavailable(why)

    def _welcome(self, request: web.Request) -> None:
        """Browsers send passwords that they know with requests of any page."""
        origin = request.headers.get("Origin")
        careless = request.method in SAFE_METHODS and request.path != STREAM_PATH
        if origin is None or careless or origin in self._origins:
            return
        if origin.partition("://")[2] != request.headers.get("Host"):
            raise Refused(403, "origin", "pages of this origin may not connect")

    @staticmethod
    def refusal(refused: Refused) -> web.Response:
        return web.json_response(
            {"error": refused.said()}, status=refused.status, headers=refused.headers()
        )

    async def login(self, request: web.Request) -> Login:
        """Who asks, by the header Authorization: Basic with user and password, or Bearer with a
        token; without it, by the certificate that the client has shown."""
        said, certificate = request.headers.get("Authorization", ""), shown(request.transport)
        known = token_hash(said) if said else certificate
        _, kept = self._logins.get(known, (0.0, None))
        login = None if kept is None else self.desk.renew(kept)
        if login is None:
            self._logins.pop(known, None)
            user, secret = ("", "") if certificate and not said else credentials(said)
            login = await self.desk.login(user, secret, host_of(request), certificate)
            self._logins[known] = time.monotonic(), login
            if len(self._logins) > self.limits.logins_kept:
                self._logins.popitem(last=False)
        if request.method in SAFE_METHODS:
            self._question(login)
        return login

    def _question(self, login: Login) -> None:
        """Counts a question of a login: what it asks for may be long."""
        limits, now = self.limits, time.monotonic()
        bucket = self._questions.get(login.session)
        if bucket is None:
            bucket = Bucket(limits.questions_per_second, limits.questions_burst, now)
            self._questions[login.session] = bucket
        if not bucket.take(1, now):
            after = int(min(bucket.wait(1, now), 3600.0) * 1e9)
            raise Refused(429, "throttled", "too many questions", after_ns=max(1, after))

    async def body(self, request: web.Request) -> bytes:
        """The whole body; a client has some time for it."""
        try:
            return await asyncio.wait_for(request.read(), self.limits.body_seconds)
        except asyncio.TimeoutError:
            raise Refused(408, "slow", "the body did not come in time") from None
        except ConnectionError:  # nobody will read this, and our log has nothing to say about it
            raise Refused(400, "cut", "the body did not come whole") from None

    async def _open(self, request: web.Request) -> web.Response:
        """What needs no login."""
        if request.path == "/openapi.json":
            return web.Response(body=self._openapi, content_type="application/json")
        status, said = answer_of(request.path, self.desk, self._draining)
        return web.json_response(said, status=status)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        says = "Authorization" in request.headers or shown(request.transport)
        login = await self.login(request) if says else None
        socket = web.WebSocketResponse(
            heartbeat=self.limits.ping_seconds, max_msg_size=self.limits.message_bytes,
            timeout=self.limits.close_seconds, compress=False,  # which takes memory for each
        )  # fmt: skip
        stream = Stream(self, socket, host_of(request))
        stream.resume_from(of_query(request.query))
        if self._draining:
            raise Refused(503, "closing", "the gateway is closing", after_ns=1_000_000_000)
        await socket.prepare(request)
        self._streams[stream] = socket
        try:
            await stream.serve(login)
        finally:
            del self._streams[stream]
        return socket


def host_of(request: web.Request) -> str:
    """Where a request comes from."""
    return request.remote or "local"


def credentials(said: str) -> tuple[str, str]:
    """User and secret of the header Authorization; the user is empty with a token."""
    scheme, _, rest = said.partition(" ")
    if scheme.lower() == "bearer":
        return "", rest.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = b64decode(rest.strip(), validate=True).decode().partition(":")
        except ValueError:
            raise Refused(401, "login", "Authorization: not Basic as it should be") from None
        return user, password
    raise Refused(401, "login", "Authorization: Basic (user and password) or Bearer (token)")
