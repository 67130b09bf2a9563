"""The web face of a feed: one port for WebSocket and HTTP, in the feed's event loop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from picows import (
    WSCloseCode,
    WSUpgradeRequest,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from ...errors import FeedError, UnknownInstrument
from ...records.changes import CHANGE, ChangeKind
from ...serving.rates import Bucket
from ..rings import joined
from ..serving import BEAT_SECONDS, Feed
from ..stream import Changes
from . import frames, texts
from .groups import Groups
from .http import Pages, refusal
from .limits import Limits
from .requests import Refused, Request
from .subscriber import HIGH_WATER, LOG, Due, Subscriber
from .tokens import EVERYTHING, Rights, Tokens, digest_of
from .topics import NOTICES, Key, Known, TooLarge, Topic, topic_of
from .windows import NOTHING, Window, windows_of, windows_since

VERSION = 1
HELLO_INSTRUMENTS = 1000  # more are asked for over HTTP
BACKLOG = 2048
END_SECONDS = 2.0  # for the last bytes to everybody
WEBSOCKET_PATH = "/ws"
DEFINED = int(ChangeKind.DEFINED)  # an enumeration compares slowly

# A hostile client is not worth a line of the library's log; ours says who was dropped and why.
_QUIET = logging.getLogger("matchcore.feeds.web.picows")
_QUIET.setLevel(logging.CRITICAL)


class WebOutlet:
    """Serves ``host``:``port`` (0: any free port).

    - ``tokens``: who may see what; None: everybody may see everything.
    - ``tls``: a server's context; None: not encrypted.
    - ``origins``: of pages that browsers may connect from, beside the server's own; "*": any.
    - ``page``: the directory of static files; None: none.
    - ``sign``: makes the signature of an answer over HTTP and of a notice; None: not signed.
    - ``started``: called with the address once it is served.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tokens: Tokens | None = None,
        tls: ssl.SSLContext | None = None,
        origins: Iterable[str] = (),
        limits: Limits | None = None,
        page: Path | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        started: Callable[[str], None] | None = None,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self.limits = limits or Limits()
        self._tokens, self._origins = tokens, frozenset(origins)
        self._page, self._sign, self._started = page, sign, started
        self._subscribers: set[Subscriber] = set()
        self._addresses: Counter[str] = Counter()
        self._groups = Groups()
        self._topics: dict[int, dict[Key, Topic]] = {}  # by instrument
        self._pending: list[Changes] = []
        self._time = 0  # of the last change
        self._scheduled: asyncio.Handle | None = None
        self._server: asyncio.Server | None = None

    # -- an outlet

    async def start(self, feed: Feed) -> None:
        self._feed, self._loop = feed, asyncio.get_running_loop()
        self._gets = Bucket(self.limits.gets_per_second, self.limits.gets_burst, time.monotonic())
        self._known = Known(feed, texts.NoticeTexts(feed, self._sign), self.limits.orders)
        self._pages = Pages(feed, self.limits, self._page, self._sign)
        self._server = await ws_create_server(
            self._request, self._host, self._port, ssl=self._tls, backlog=BACKLOG,
            logger_name=_QUIET, max_frame_size=self.limits.message_bytes, use_aiofastnet=False,
            enable_auto_ping=True, auto_ping_idle_timeout=self.limits.ping_seconds,
            auto_ping_reply_timeout=self.limits.ping_seconds, read_buffer_init_size=2048,
        )  # fmt: skip
        if self._started is not None:
            self._started(self.url)

    @property
    def url(self) -> str:
        """Of the page."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/"

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def number(self) -> int:
        """Of the last change."""
        return self._feed.history.last

    def take(self, changes: Changes, live: bool) -> None:
        self._time = int(changes.rows["time"][-1])
        if not live:
            return
        if self._topics:
            self._pending.append(changes)
        if changes.rows["kind"][-1] == DEFINED:
            self._define(int(changes.rows["instrument"][-1]))
        elif self._pending and self._scheduled is None:
            # In the next turn of the loop: the longer writing to all takes, the more is in a flush.
            self._scheduled = self._loop.call_soon(self.flush)

    def beat(self) -> None:
        self.flush()
        beat = texts.message("heartbeat", number=self.number, time=str(self._time))
        frame = frames.frame(frames.TEXT, beat)
        self._refresh_tokens()
        now = time.monotonic()
        for subscriber in [*self._subscribers]:
            self._check(subscriber, now)
            if not subscriber.closing and not subscriber.due:
                subscriber.write(frame)
        for topics in self._topics.values():
            for topic in topics.values():
                topic.forget()

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for subscriber in [*self._subscribers]:
            subscriber.drop(WSCloseCode.GOING_AWAY, "end", "the feed ends")
        deadline = self._loop.time() + END_SECONDS
        while self._subscribers and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for subscriber in [*self._subscribers]:
            subscriber.abort()
        await asyncio.sleep(0)
        await self._server.wait_closed()

    # -- market data

    def flush(self) -> None:
        """Encodes what has happened since the last time, and writes it to all."""
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        for topic, window in self._concerned(pending):
            frame = topic.update(window, self._time)
            if frame is not None:
                topic.forget()
                self._groups.send(topic, frame)
        self._write()

    def _concerned(self, pending: list[Changes]) -> Iterable[tuple[Topic, Window]]:
        """The topics of the instruments that have changed, with their changes."""
        for number, window in windows_since(pending, self._topics).items():
            for topic in self._topics.get(number, {}).values():
                yield topic, window
        for topic in self._topics.get(0, {}).values():
            yield topic, NOTHING

    def _write(self) -> None:
        most = self.limits.buffer_bytes
        for group, data in self._groups.flush():
            for subscriber in [*group.members]:
                if subscriber.paused and subscriber.waiting() > most:
                    self._conflate(subscriber)
                else:
                    subscriber.write_at_once(data)

    def _define(self, number: int) -> None:
        """An instrument is new, or has another tick: snapshots for those that want it."""
        self.flush()
        said = texts.instrument_said(number, self._feed.stream.instruments[number])
        frame = frames.frame(
            frames.TEXT, texts.message("instrument", number=self.number, instrument=said)
        )
        for topic in self._topics.get(number, {}).values():
            topic.define()
            topic.forget()
            topic.last = self.number
            self._groups.send(topic, topic.snapshot(self._time))
        self._write()
        for subscriber in [*self._subscribers]:
            if subscriber.rights is not None:
                subscriber.write(frame)
                self._add_all(subscriber, number)

    def _add_all(self, subscriber: Subscriber, number: int) -> None:
        """Subscribes it to a new instrument, if it has asked for all."""
        fresh = [key._replace(instrument=number) for channel, key in subscriber.all.items()
                 if (channel, number) not in subscriber.wanted]  # fmt: skip
        symbol = self._feed.stream.instruments[number].symbol
        rights = subscriber.rights or EVERYTHING
        for key in fresh:
            room = len(subscriber.wanted) < self.limits.subscriptions
            if room and rights.allow(key.channel, symbol):
                subscriber.wanted[key.channel, number] = key
                subscriber.due.append(Due(key))
        if fresh:
            self.pump(subscriber)

    # -- subscriptions

    def subscribe(self, subscriber: Subscriber, request: Request) -> None:
        """`Refused` if it may not, or is too much; nothing is subscribed then."""
        if request.after is not None:
            if request.session and request.session != self._feed.stream.session:
                raise Refused("session", f"this is session {self._feed.stream.session}")
            if request.after > self.number:
                raise Refused(
                    "ahead", f"from {request.after}: the stream has come to {self.number}"
                )
        keys = self._keys(subscriber, request)
        wanted = subscriber.wanted | {key.place: key for key in keys}
        if len(wanted) > self.limits.subscriptions:
            raise Refused("limit", f"at most {self.limits.subscriptions} subscriptions")
        self.flush()
        again = {key.place for key in keys} & subscriber.wanted.keys()
        if again:
            self._leave(subscriber, again)
        subscriber.wanted = wanted
        if not request.symbols:
            for channel in request.channels:
                if channel == NOTICES:
                    continue
                depth = request.depth if channel == "book.l2" else 0
                subscriber.all[channel] = Key(channel, 0, depth, request.binary)
        subscriber.due.extend(Due(key, request.after, request.id) for key in keys)
        self.pump(subscriber)

    def _keys(self, subscriber: Subscriber, request: Request) -> list[Key]:
        rights = subscriber.rights or EVERYTHING
        keys = []
        if NOTICES in request.channels:
            if not rights.allow(NOTICES, None):
                raise Refused("forbidden", f"no right to {NOTICES}")
            keys.append(Key(NOTICES, 0, symbols=rights.symbols))
        channels = [channel for channel in request.channels if channel != NOTICES]
        for number, symbol in self._numbers(request.symbols):
            for channel in channels:
                if rights.allow(channel, symbol):
                    depth = request.depth if channel == "book.l2" else 0
                    keys.append(Key(channel, number, depth, request.binary))
                elif request.symbols:
                    raise Refused("forbidden", f"no right to {channel} of {symbol}")
        return keys

    def _numbers(self, symbols: Iterable[str]) -> list[tuple[int, str]]:
        """Numbers and symbols; of all instruments without ``symbols``."""
        instruments = self._feed.stream.instruments
        if not symbols:
            return [(number, one.symbol) for number, one in enumerate(instruments, 1)]
        try:
            return [(instruments.number(symbol), symbol) for symbol in symbols]
        except (UnknownInstrument, ValueError) as error:
            raise Refused("unknown_symbol", str(error)) from None

    def unsubscribe(self, subscriber: Subscriber, request: Request) -> None:
        """What is not subscribed to is passed over."""
        self.flush()
        if request.symbols:
            numbers = [number for number, _ in self._numbers(request.symbols)]
            places = {(channel, number) for channel in request.channels for number in numbers}
            places |= {(channel, 0) for channel in request.channels if channel == NOTICES}
            places &= subscriber.wanted.keys()
        else:
            places = {place for place in subscriber.wanted if place[0] in request.channels}
            for channel in request.channels:
                subscriber.all.pop(channel, None)
        self._leave(subscriber, places)
        for channel, number in sorted(places):
            symbol = self._feed.stream.instruments[number].symbol if number else None
            subscriber.say("unsubscribed", channel=channel, symbol=symbol, id=request.id)

    def _leave(self, subscriber: Subscriber, places: set[tuple[str, int]]) -> None:
        for place in places:
            subscriber.wanted.pop(place, None)
        subscriber.due = deque(due for due in subscriber.due if due.key.place not in places)
        topics = subscriber.topics()
        left = frozenset(topic for topic in topics if topic.key.place not in places)
        if left != topics:
            self._move(subscriber, left)

    def pump(self, subscriber: Subscriber) -> None:
        """Begins what is due for it, as far as the connection takes it without waiting."""
        self.flush()
        begun: list[Topic] = []
        while subscriber.due and not subscriber.closing and subscriber.waiting() <= HIGH_WATER:
            due = subscriber.due.popleft()
            topics = self._topics.setdefault(due.key.instrument, {})
            topic = topics.get(due.key) or self._topic(due.key)
            try:
                subscriber.write(self._beginning(topic, due))
            except TooLarge as error:
                subscriber.wanted.pop(due.key.place, None)
                subscriber.say("error", code="too_large", message=str(error), id=due.id)
            topics[due.key] = topic
            begun.append(topic)
        if subscriber.closing:
            self._move(subscriber, frozenset())
        elif begun:
            wanted = {*subscriber.wanted.values()}
            topics_now = subscriber.topics().union(begun)
            self._move(subscriber, frozenset(one for one in topics_now if one.key in wanted))
        for topic in begun:
            self._drop_unused(topic)
        if not subscriber.due:
            subscriber.slow_since = None
        elif begun or subscriber.slow_since is None:
            subscriber.slow_since = time.monotonic()

    def _topic(self, key: Key) -> Topic:
        """As it is at the last change: only behind a `flush`."""
        return topic_of(key, self._known, self.number)

    def _beginning(self, topic: Topic, due: Due) -> bytes:
        """What a subscriber of a topic gets first."""
        channel, symbol = due.key.channel, topic.symbol
        if due.conflated:
            said = texts.message("conflated", channel=channel, symbol=symbol, number=topic.last,
                                 reason="updates were not read in time")  # fmt: skip
            return frames.frame(frames.TEXT, said) + topic.snapshot(self._time)
        window = None if due.after is None else self._since(topic, due.after)
        if window is None or due.after is None:
            number, resumed = topic.last, None if due.after is None else False
            data = topic.snapshot(self._time)
        else:
            number, resumed = due.after, True
            data = topic.resumed(window, due.after, self._time)
        said = texts.message("subscribed", channel=channel, symbol=symbol, id=due.id,
                             number=number, resumed=resumed)  # fmt: skip
        return frames.frame(frames.TEXT, said) + data

    def _since(self, topic: Topic, after: int) -> Window | None:
        """What came after a number, if it is in memory and the topic can be told from it."""
        history, number = self._feed.history, topic.key.instrument
        near = history.last - after <= self.limits.resume_changes
        if not topic.resumes or topic.key.depth or not near or after + 1 < history.first:
            return None
        parts, numbers = [np.empty(0, CHANGE)], [np.empty(0, np.int64)]
        for changes in history.between(after + 1, history.last):
            at = np.flatnonzero(changes.rows["instrument"] == number)
            parts.append(changes.rows.take(at))
            numbers.append(changes.first + at)
        rows = joined(parts)
        if (rows["kind"] == DEFINED).any():
            return None  # prices before and after may be in other ticks
        return windows_of(rows, np.concatenate(numbers)).get(number, NOTHING)

    def _drop_unused(self, topic: Topic) -> None:
        topics = self._topics.get(topic.key.instrument, {})
        if not topic.groups and topics.get(topic.key) is topic:
            del topics[topic.key]
        if not topics:
            self._topics.pop(topic.key.instrument, None)

    def _move(self, subscriber: Subscriber, topics: frozenset[Topic]) -> None:
        for topic in self._groups.move(subscriber, topics):
            self._drop_unused(topic)

    def _conflate(self, subscriber: Subscriber) -> None:
        """It has not read: no more updates, and snapshots when it has."""
        if subscriber.slow_since is None:
            subscriber.slow_since = time.monotonic()
        keys = sorted(topic.key for topic in subscriber.topics())
        subscriber.due.extend(Due(key, conflated=True) for key in keys)
        self._move(subscriber, frozenset())

    # -- connections

    def _request(self, request: WSUpgradeRequest) -> Subscriber | WSUpgradeResponseWithListener:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest = digest_of(token) if scheme.lower() == "bearer" else ""
        rights = self.rights_of(digest)
        if request.path.partition(b"?")[0] != WEBSOCKET_PATH.encode():
            if not self._gets.take(1, time.monotonic()):
                return refusal(429, "busy", "too many requests: try again in a second")
            return self._pages.answer(request, rights, len(self._subscribers))
        if not self._welcome(request):
            return refusal(403, "origin", "pages of this origin may not connect")
        if len(self._subscribers) >= self.limits.connections:
            return refusal(503, "full", f"{self.limits.connections} connections are open")
        # Firefox says "keep-alive, Upgrade", which the library does not take apart.
        if "upgrade" in request.headers.get("Connection", "").lower().replace(" ", "").split(","):
            request.headers["Connection"] = "Upgrade"
        return Subscriber(self, rights, digest)

    def _welcome(self, request: WSUpgradeRequest) -> bool:
        """Whether the page that a browser shows may connect; other programs name no origin."""
        origin = request.headers.get("Origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        return bool(origin.partition("://")[2] == request.headers.get("Host"))

    def rights_of(self, digest: str) -> Rights | None:
        return EVERYTHING if self._tokens is None else self._tokens.rights(digest)

    def connected(self, subscriber: Subscriber) -> None:
        """Says hello, if there is room for it."""
        self._subscribers.add(subscriber)
        self._addresses[subscriber.address] += 1
        if len(self._subscribers) > self.limits.connections:
            subscriber.drop(WSCloseCode.TRY_AGAIN_LATER, "full", "too many connections")
        elif self._addresses[subscriber.address] > self.limits.connections_per_address:
            subscriber.drop(WSCloseCode.TRY_AGAIN_LATER, "full", "too many from this address")
        else:
            self.flush()
            subscriber.write(self._hello(subscriber.rights is not None))

    def _hello(self, admitted: bool) -> bytes:
        said: dict[str, Any] = {
            "session": self._feed.stream.session,
            "number": self.number,
            "version": VERSION,
            "heartbeat_ms": int(BEAT_SECONDS * 1000),
            "token_needed": not admitted,
        }
        if admitted:
            said |= self.instruments_said()
        return frames.frame(frames.TEXT, texts.message("hello", **said))

    def instruments_said(self) -> dict[str, Any]:
        """All of them, if that is not too long."""
        found = self._feed.stream.instruments
        said = [texts.instrument_said(number, one) for number, one in enumerate(found, 1)]
        count = {"instrument_count": len(said)}
        return count if len(said) > HELLO_INSTRUMENTS else count | {"instruments": said}

    def disconnected(self, subscriber: Subscriber) -> None:
        """The connection has ended."""
        self.forget(subscriber)
        if subscriber in self._subscribers:
            self._subscribers.discard(subscriber)
            self._addresses[subscriber.address] -= 1
            if not self._addresses[subscriber.address]:
                del self._addresses[subscriber.address]

    def forget(self, subscriber: Subscriber) -> None:
        """Nothing more is for it."""
        subscriber.due.clear()
        self._move(subscriber, frozenset())

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._loop.call_later(seconds, call)

    def _refresh_tokens(self) -> None:
        try:
            if self._tokens is not None:
                self._tokens.refresh()
        except FeedError as error:
            LOG.error("%s; until it is one, nobody has a right", error)

    def _check(self, subscriber: Subscriber, now: float) -> None:
        """Whether it may stay, and whether it can have more."""
        limits, policy = self.limits, WSCloseCode.POLICY_VIOLATION
        if not subscriber.heard and now - subscriber.since > limits.first_message_seconds:
            subscriber.drop(policy, "idle", "nothing was asked for")
        elif subscriber.digest and self.rights_of(subscriber.digest) != subscriber.rights:
            subscriber.drop(policy, "token", "the token has expired, or has other rights")
        elif subscriber.slow_since and now - subscriber.slow_since > limits.slow_seconds:
            subscriber.drop(policy, "slow", "updates were not read in time")
        elif subscriber.due:
            self.pump(subscriber)
