"""One WebSocket: what it has subscribed to, what waits for it, and what it did not keep to."""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from ...serving.rates import Bucket
from . import frames, texts
from .requests import Id, Refused, Request, parse
from .tokens import Rights, digest_of
from .topics import Key, Topic

if TYPE_CHECKING:
    from .groups import Group
    from .server import WebOutlet

LOG = logging.getLogger("matchcore.feeds.web")
HIGH_WATER, LOW_WATER = 1 << 16, 1 << 14  # bytes that wait: no more snapshots, again some
GOODBYE_SECONDS = 1.0  # for the last bytes of a connection that is closed
REASON_BYTES_MAX = 120


class Due(NamedTuple):
    """A topic that is to begin with a snapshot, or behind a number."""

    key: Key
    after: int | None = None
    id: Id = None
    conflated: bool = False


class Subscriber(WSListener):
    """A connection.  All its calls are in the event loop of the feed."""

    def __init__(self, outlet: WebOutlet, rights: Rights | None, digest: str = "") -> None:
        self.outlet = outlet
        self.group: Group | None = None
        self.rights = rights  # None: it has to say a token first
        self.digest = digest  # of its token
        self.wanted: dict[tuple[str, int], Key] = {}  # by channel and instrument
        self.all: dict[str, Key] = {}  # channels of which every instrument is wanted; their options
        self.due: deque[Due] = deque()
        self.slow_since: float | None = None
        self.closing = self.paused = False
        self.heard = False
        self.since = time.monotonic()
        self._tried = 0
        limits = outlet.limits
        self._rate = Bucket(limits.messages_per_second, limits.messages_burst, self.since)
        self._partial = b""

    # -- from picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        under = transport.underlying_transport
        under.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        kernel = self.outlet.limits.kernel_bytes
        if kernel:
            wire = under.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel)
        #: For whoever has looked at what waits.
        self.write_at_once: Callable[[bytes], None] = under.write
        self.waiting: Callable[[], int] = under.get_write_buffer_size
        peer = under.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else "local"
        self.outlet.connected(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closing = True
        self.outlet.disconnected(self)

    def pause_writing(self) -> None:
        """More than `HIGH_WATER` waits; only then is it worth asking how much."""
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.due and not self.closing:
            self.outlet.pump(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.closing:
            return
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self.close(WSCloseCode.OK, "")
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._partial += frame.get_payload_as_bytes()
            if not self._rate.take(1, time.monotonic()):
                self.drop(WSCloseCode.POLICY_VIOLATION, "rate", "too many messages")
            elif len(self._partial) > self.outlet.limits.message_bytes:
                self.drop(WSCloseCode.MESSAGE_TOO_BIG, "too_large", "the message is too large")
            elif frame.fin:
                text, self._partial = self._partial, b""
                self._receive(text)

    # -- requests

    def _receive(self, text: bytes) -> None:
        self.heard = True
        try:
            request = parse(text)
            try:
                self._ask(request)
            except Refused as refused:
                refused.id = request.id
                raise
        except Refused as refused:
            self.say("error", code=refused.code, message=str(refused), id=refused.id)

    def _ask(self, request: Request) -> None:
        if request.op == "ping":
            self.outlet.flush()  # so that what has this number or a lower one is there before
            self.say("pong", id=request.id, number=self.outlet.number)
        elif request.op == "auth":
            self._authenticate(request)
        elif self.rights is None:
            raise Refused("token", "say a token first")
        elif request.op == "subscribe":
            self.outlet.subscribe(self, request)
        else:
            self.outlet.unsubscribe(self, request)

    def _authenticate(self, request: Request) -> None:
        digest = digest_of(request.token)
        rights = self.outlet.rights_of(digest)
        if rights is None:
            self._tried += 1
            LOG.info("wrong token from %s", self.address)
            if self._tried >= self.outlet.limits.tokens_tried:
                return self.drop(WSCloseCode.POLICY_VIOLATION, "token", "too many wrong tokens")
            raise Refused("token", "this token is not known, or has expired")
        self.admit(digest, rights, request.id)

    def admit(self, digest: str, rights: Rights, id: Id = None) -> None:
        """It has a token, or needs none."""
        self.digest, self.rights = digest, rights
        self.say("authenticated", id=id, **self.outlet.instruments_said())

    # -- writing

    def say(self, kind: str, **fields: object) -> None:
        """A message that is no market data; also to one that is slow."""
        self.write(frames.frame(frames.TEXT, texts.message(kind, **fields)))

    def write(self, data: bytes) -> None:
        """Hands frames to the connection, which never waits.  One that takes nothing, and asks and
        asks, is dropped."""
        if self.closing:
            return
        if self.waiting() > 2 * self.outlet.limits.buffer_bytes + len(data):
            self.drop(WSCloseCode.POLICY_VIOLATION, "slow", "nothing was read")
        else:
            self.write_at_once(data)

    def topics(self) -> frozenset[Topic]:
        return self.group.topics if self.group else frozenset()

    def drop(self, code: WSCloseCode, short: str, reason: str) -> None:
        """Ends the connection with a reason."""
        if self.closing:
            return
        LOG.info("dropped %s: %s", self.address, reason)
        bye = texts.message("bye", code=short, reason=reason, number=self.outlet.number)
        self.write_at_once(frames.frame(frames.TEXT, bye))
        self.close(code, reason)

    def close(self, code: WSCloseCode, reason: str) -> None:
        """Says goodbye; what is not taken soon is thrown away."""
        if self.closing:
            return
        self.closing = True
        self.outlet.forget(self)
        self._transport.send_close(code, reason.encode()[:REASON_BYTES_MAX])
        self._transport.disconnect()
        self.outlet.later(GOODBYE_SECONDS, self.abort)

    def abort(self) -> None:
        """Cuts the connection, if it is still there."""
        if not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)
