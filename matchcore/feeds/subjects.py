"""A market on the subjects of a NATS server: numbered messages, and snapshots on request.

Nothing is queued for a server that is away: when it is there again, every instrument begins with a
snapshot.  The messages are those of the WebSocket's channels as JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ..errors import FeedError, InvalidArgument, MissingExtra, UnknownInstrument
from ..journal.stream import Address
from ..records.changes import ChangeKind
from ..serving.rates import Bucket
from ..serving.tasks import end
from .serving import Feed
from .stream import Changes
from .web import frames, texts
from .web.topics import NOTICES, Key, Known, Topic, topic_of
from .web.windows import NOTHING, Window, windows_since

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

CHANNELS = ("book.l1", "book.l2", "trades", "bars.1m", "status")
DEPTH = 50  # levels of a side, in book.l2
FLUSH_SECONDS = 0.005  # between two rounds; a level is said once in each
PENDING_MAX = 500_000  # changes that wait; beyond, everything begins with snapshots
TRADED_ROWS_MAX = 4096  # changes in whose trades a message may be: a server takes 1 MiB
BEGUN_MAX = 16  # instruments that begin in a round
SNAPSHOTS_PER_SECOND, SNAPSHOTS_BURST = 500.0, 1000
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 2.0  # between two attempts
ANSWER_SECONDS, END_SECONDS = 5.0, 1.0
DEFINED = int(ChangeKind.DEFINED)  # an enumeration compares slowly

Message = tuple[str, bytes]  # subject and payload


class NatsOutlet:
    """Publishes to ``address``, ``nats://[USER:PASSWORD@]HOST:PORT,…/PREFIX``.

    ``say``: is told what it waits for.  docs/feeds/subjects.md has the subjects.  `MissingExtra`
    without the client library, `FeedError` for an address that is none.
    """

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        try:
            from nats.errors import Error
        except ImportError:
            raise MissingExtra("a feed on NATS", "nats") from None
        try:
            self._address = Address.of(address)
        except InvalidArgument:  # its message is about logs
            raise FeedError(
                "the address of a NATS server: must be nats://HOST:PORT/PREFIX, tls:// to encrypt,"
                " with a PREFIX of letters, digits, - and _"
            ) from None
        self._failures = (Error, OSError, asyncio.TimeoutError)
        self._say, self._said = say, ""
        self._prefix = self._address.name
        self._changed = asyncio.Event()
        self._pending: list[Changes] = []
        self._count = 0  # of changes in them
        self._topics: dict[int, list[Topic]] = {}  # by instrument; what has begun
        self._dirty: set[int] = set()  # instruments that are to begin
        self._defined: set[int] = set()  # and that are to be said
        self._beat = self._live = False
        self._time = 0
        self._rate = Bucket(SNAPSHOTS_PER_SECOND, SNAPSHOTS_BURST, time.monotonic())
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    # -- an outlet

    async def start(self, feed: Feed) -> None:
        """Begins to connect; does not wait for it."""
        self._feed = feed
        self._known = Known(feed, texts.NoticeTexts(feed, None), orders_max=0)
        self._task = asyncio.ensure_future(self._run())

    def take(self, changes: Changes, live: bool) -> None:
        """Notes them while there is a connection."""
        self._time = int(changes.rows["time"][-1])
        if not (live and self._live):
            return
        self._pending.append(changes)
        self._count += len(changes.rows)
        if changes.rows["kind"][-1] == DEFINED:  # perhaps with another tick
            number = int(changes.rows["instrument"][-1])
            self._topics.pop(number, None)
            self._dirty.add(number)
            self._defined.add(number)
        if self._count > PENDING_MAX:
            self._say("NATS is slow: every instrument begins with a snapshot again")
            self._begin_again()
        self._changed.set()

    def beat(self) -> None:
        """Has a heartbeat published."""
        self._beat = True
        self._changed.set()

    async def close(self) -> None:
        """Says the end."""
        assert self._task is not None
        await end([self._task])
        if self._client is None:
            return
        with suppress(*self._failures):
            if self._live:
                sending = self._sent([*self._round(), self._heartbeat(ended=True)])
                await asyncio.wait_for(sending, END_SECONDS)
        with suppress(*self._failures):
            await asyncio.wait_for(self._client.close(), END_SECONDS)

    # -- the connection

    async def _run(self) -> None:
        pause = PAUSE_SECONDS
        while True:
            try:
                await self._connect()
                if self._said:
                    self._said = ""
                    self._say("NATS takes messages again")
                pause = PAUSE_SECONDS
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._sent([*self._round()])
                    await asyncio.sleep(FLUSH_SECONDS)
            except self._failures as error:
                self._wait_for(error)
            self._live = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _wait_for(self, error: Exception) -> None:
        said = str(error).removeprefix("nats: ") or type(error).__name__
        if said != self._said:
            self._said = said
            self._say(f"NATS: {said}; retrying")

    async def _connect(self) -> None:
        from nats.aio.client import Client

        if self._client is not None:
            with suppress(*self._failures):
                await asyncio.wait_for(self._client.close(), END_SECONDS)
        self._client = client = Client()
        connecting = client.connect(
            **self._address.connect_options(), name=f"matchcore feed {self._feed.stream.session}",
            allow_reconnect=False, error_cb=self._heard, connect_timeout=int(ANSWER_SECONDS),
        )  # fmt: skip
        await asyncio.wait_for(connecting, ANSWER_SECONDS)
        asked = f"{self._prefix}_snapshot"
        for subject in (asked, f"{asked}.>"):
            await client.subscribe(subject, queue="matchcore", cb=self._answer)
        self._live = True
        self._begin_again()

    async def _heard(self, error: Exception) -> None:
        """What ends the connection is raised by the next message."""

    async def _sent(self, messages: list[Message]) -> None:
        """Until the server has them; what the feed's other work needs comes between."""
        client = self._client
        assert client is not None
        if not client.is_connected:
            raise ConnectionError("the connection was closed")
        for subject, payload in messages:
            await client.publish(subject, payload)
        await client.flush(int(ANSWER_SECONDS))

    def _begin_again(self) -> None:
        self._pending, self._count = [], 0
        self._topics.clear()
        self._dirty = set(range(len(self._feed.stream.instruments) + 1))  # 0: the notices
        self._changed.set()

    # -- messages

    def _round(self) -> Iterator[Message]:
        """All that is to be said now.  To be taken at once: it is of one moment."""
        pending, self._pending, self._count = self._pending, [], 0
        instruments = self._feed.stream.instruments
        for number in sorted(self._defined):
            said = texts.instrument_said(number, instruments[number])
            told = texts.message("instrument", number=self._feed.history.last, instrument=said)
            yield f"{self._prefix}_instruments", told
        self._defined.clear()
        if pending:
            yield from self._updates(pending)
        for number in [*islice(self._dirty, BEGUN_MAX)]:
            self._dirty.discard(number)
            self._topics[number] = [topic_of(key, self._known, self._feed.history.last)
                                    for key in keys_of(number)]  # fmt: skip
            for topic in self._topics[number]:
                yield self._subject(topic), frames.payload(topic.snapshot(self._time))
                topic.forget()
        if self._dirty:
            self._changed.set()
        if self._beat:
            self._beat = False
            yield self._heartbeat()

    def _updates(self, pending: list[Changes]) -> Iterator[Message]:
        for number, window in windows_since(pending, self._topics).items():
            for topic in self._topics.get(number, ()):
                yield from self._update(topic, window)
        for topic in self._topics.get(0, ()):
            yield from self._update(topic, NOTHING)

    def _update(self, topic: Topic, window: Window) -> Iterator[Message]:
        parts = [window] if topic.key.channel != "trades" else window.parts(TRADED_ROWS_MAX)
        for part in parts:
            frame = topic.update(part, self._time)
            if frame is not None:
                yield self._subject(topic), frames.payload(frame)

    def _subject(self, topic: Topic) -> str:
        if topic.symbol is None:
            return f"{self._prefix}.{topic.key.channel}"
        return f"{self._prefix}.{token_of(topic.symbol)}.{topic.key.channel}"

    def _heartbeat(self, ended: bool = False) -> Message:
        said = texts.message("heartbeat", session=self._feed.stream.session, ended=ended,
                             number=self._feed.history.last, time=str(self._time))  # fmt: skip
        return f"{self._prefix}_heartbeat", said

    # -- snapshots

    async def _answer(self, message: Msg) -> None:
        asked = message.subject.removeprefix(f"{self._prefix}_snapshot").removeprefix(".")
        try:
            if not self._rate.take(1, time.monotonic()):
                raise FeedError("too many requests: wait a second")
            said = self._snapshot(asked) if asked else self._instruments()
        except (FeedError, UnknownInstrument, ValueError) as error:
            said = texts.message("error", message=str(error))
        with suppress(*self._failures):
            await message.respond(said)

    def _snapshot(self, asked: str) -> bytes:
        token, _, channel = asked.partition(".")
        number = 0
        if asked != NOTICES:
            number = self._feed.stream.instruments.number(unquote(token))
        key = next((one for one in keys_of(number) if one.channel in (channel, asked)), None)
        if key is None:
            raise FeedError(f"no such channel: one of {', '.join(CHANNELS)}")
        topic = topic_of(key, self._known, self._feed.history.last)
        return frames.payload(topic.snapshot(self._time))

    def _instruments(self) -> bytes:
        stream = self._feed.stream
        said = [texts.instrument_said(at, one) for at, one in enumerate(stream.instruments, 1)]
        told = json.dumps({"session": stream.session, "number": self._feed.history.last,
                           "instruments": said}).encode()  # fmt: skip
        assert self._client is not None
        if len(told) > self._client.max_payload:
            raise FeedError("there are too many instruments for a message")
        return told


def keys_of(number: int) -> list[Key]:
    """The topics of an instrument; of 0, the notices."""
    if not number:
        return [Key(NOTICES, 0)]
    return [Key(name, number, DEPTH if name == "book.l2" else 0) for name in CHANNELS]


def token_of(symbol: str) -> str:
    """A symbol as a part of a subject: what may not be in one as % and two digits."""
    return quote(symbol, safe="").replace(".", "%2E")
