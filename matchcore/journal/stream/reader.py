"""Reading a replicated log, also while it grows."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..._closing import Closing
from ...errors import LogDamaged, LogError
from ...records.arguments import UINT64_MAX, integer
from ..format import BadBytes, FrameHeader, SegmentHeader
from ..growth import LOOK_SECONDS
from ..segments import Frame
from .address import Address
from .feed import Feed
from .link import PATIENCE_SECONDS, RETRY_SECONDS, Link
from .messages import PARTS_MAX, WINDOW, Message, StreamWalk, head_of, taken_apart
from .sender import message_at
from .settings import wrong_in

if TYPE_CHECKING:
    from nats.js.api import StreamInfo

ASK_SECONDS = 1.0
HEARD_NS = 3 * 10**9  # heartbeats come every two seconds, and an election begins after four
LEAD = WINDOW + 2 * PARTS_MAX  # messages read before the wanted one; see `_stand`


class NoLog(LogError):
    """There is no log at an address yet."""


class StreamReader(Closing):
    """Hands out the frames of a replicated log, as `LogReader` those of a directory.

    All of them are durable: the servers show a message when a majority has it.  Frames that hold
    sequences beyond ``after`` are given.  With ``chain``, the log must have that digest there.
    Not for two threads.

    `NoLog`, a LogError, when there is none, `LogDamaged` for one with anything in it that no writer
    put there, `LogFailed` if the servers cannot be reached; then `read` may be called again.
    """

    torn_bytes = 0  # what is not whole is nobody's

    def __init__(
        self,
        where: str | Address,
        *,
        after: int = 0,
        chain: bytes | None = None,
        patience: float = PATIENCE_SECONDS,
        link: Link | None = None,
    ) -> None:
        self.address = Address.of(where)
        self._after, self._chain = integer(after, "after", 0, UINT64_MAX), chain
        self._owns = link is None
        self._asks_at = 0.0  # when the servers are to be asked where the log ends
        self._lead: deque[Message] = deque()  # taken from the feed, and to be read first
        self._link = link or Link(self.address, patience)
        try:
            self.walk, self._feed = self._begin()
        except BaseException:
            self._close_link()
            raise

    # ------------------------------------------------------------------ what it has read

    @property
    def hash(self) -> int:
        """The number of the chain's hash."""
        return self._header.hash

    @property
    def identity(self) -> bytes:
        """16 bytes that name the exchange."""
        return self._header.identity

    @property
    def _header(self) -> SegmentHeader:
        return _header_of(self.walk)

    @property
    def chain(self) -> bytes:
        """The log's digest at the end of the last frame read."""
        return self.walk.chain

    @property
    def epoch(self) -> int:
        """Of the writer that made the last frame read, or that began behind it."""
        return self.walk.epoch

    @property
    def rules(self) -> int:
        """The version of the rules at the end of the last frame read."""
        return self.walk.rules

    @property
    def sequence(self) -> int:
        """Of the last command read."""
        return self.walk.sequence - 1

    def promises_less(self) -> str:
        """What the servers promise less than a log needs, and the setting to change; or ""."""
        link = self._link
        info = link.call(link.retried(lambda: link.streams.stream_info(link.address.name)))
        return wrong_in(info.config, self.address)

    def sync(self) -> None:
        """Does nothing: what can be read is on the disks of a majority."""

    # ------------------------------------------------------------------ reading

    def read(self) -> Iterator[Frame]:
        """The frames that are there now; call again for more, or after `LogFailed`.

        At the end of the log the servers are asked once a second whether there is more; what they
        push meanwhile is given at once.
        """
        end = self._end()
        self._compare()  # reading may begin just there
        while self.walk.at < end:
            frame = self.walk.take(self._lead.popleft() if self._lead else self._came(self._feed))
            self._compare()
            if frame is not None and frame.first_sequence + frame.count - 1 > self._after:
                yield frame
        if self._chain is not None:
            raise self._damaged("the log ends before its snapshot")

    def _came(self, feed: Feed) -> Message:
        message = feed.take(self._link.patience)
        if message is None:
            raise self._link.failed(f"no message came: {feed.trouble or 'silence'}")
        return message

    def _compare(self) -> None:
        """`LogDamaged` unless the log has the chain asked for where it was asked for."""
        if self._chain is None or self.walk.sequence <= self._after:
            return
        if self.walk.sequence != self._after + 1 or self.walk.chain != self._chain:
            raise self._damaged("the log and its snapshot have different histories")
        self._chain = None

    def _damaged(self, what: str) -> LogDamaged:
        return LogDamaged(what, str(self.address), self.walk.at, self._after)

    def _end(self) -> int:
        """The last message that is there."""
        received = self._feed.received
        more = received > self.walk.at
        if self._asks_at and (more or time.monotonic() < self._asks_at):
            return received
        _, end = self._link.call(state_of(self._link))
        self._asks_at = time.monotonic() + ASK_SECONDS if end <= received else 0.0
        return end

    def growth(self) -> Pushes:
        """Tells when there may be more; to be closed by whoever asks."""
        return Pushes(self._feed)

    def close(self) -> None:
        self._feed.close()
        self._close_link()

    def _close_link(self) -> None:
        if self._owns:
            self._link.close()

    # ------------------------------------------------------------------ where it begins

    def _begin(self) -> tuple[StreamWalk, Feed]:
        first, last = self._link.call(state_of(self._link))
        place = str(self.address)
        if not last:
            raise NoLog(f"{place}: no journal here: the stream is empty")
        if first != 1:
            what = f"the messages before {first} are missing: removed"
            raise LogDamaged(what, place, 1, 1)
        walk = StreamWalk(place)
        header = self._message(1)
        walk.take(header)
        wanted = self._place_of(last) if self._after else 1
        start = wanted - LEAD
        if start <= 1:
            return walk, Feed(self._link, 2)
        feed = Feed(self._link, start)
        lead = self._read_lead(feed, start, wanted)
        if not _stand(walk, lead):
            feed.close()
            return walk, Feed(self._link, 2)  # from the very beginning
        self._lead.extend(message for message in lead if message.at > walk.at)
        return walk, feed

    def _read_lead(self, feed: Feed, start: int, end: int) -> list[Message]:
        lead = [self._came(feed) for _ in range(start, end)]
        for at, message in enumerate(lead, start):
            if message.at != at:
                what = f"messages {at} to {message.at - 1} are missing: removed"
                raise LogDamaged(what, str(self.address), message.at, 0)
        return lead

    def _place_of(self, last: int) -> int:
        """A message that begins at or before the sequence wanted, but for old writers' ones."""
        low, high = 1, last + 1  # low begins early enough, high does not
        while high - low > 1:
            middle = (low + high) // 2
            message = self._message(middle)
            try:
                early = head_of(message).first <= self._after + 1
            except BadBytes as error:
                raise LogDamaged(str(error), str(self.address), middle, 0) from None
            low, high = (middle, high) if early else (low, middle)
        return low

    def _message(self, at: int) -> Message:
        message = self._link.call(self._get(at))
        if message is None:
            raise LogDamaged(f"message {at} is missing: removed", str(self.address), at, 0)
        return message

    async def _get(self, at: int) -> Message | None:
        """A message that is there; None if it is not, which one server alone may be wrong about."""
        link = self._link
        until = link.loop.time() + link.patience / 2
        while True:
            message = await link.retried(lambda: message_at(link, at))
            if message is not None or link.loop.time() > until:
                return message
            await state_of(link)  # finds what was removed
            await asyncio.sleep(RETRY_SECONDS)


class Pushes(Closing):
    """As `Growth`: a replicated log tells by itself that it has grown."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def wait(self, seconds: float = LOOK_SECONDS) -> None:
        """Returns when there is more, at the latest after so many ``seconds``."""
        self._feed.wait(seconds)

    async def grown(self, seconds: float = LOOK_SECONDS) -> None:
        """The same in an event loop, where other tasks have their turn meanwhile."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(over.set)

        self._feed.ring(tell)
        try:
            if not self._feed.wait(0):
                with suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(over.wait(), seconds)
        finally:
            self._feed.silence(tell)

    def close(self) -> None:
        """Does nothing: the reader has the connection."""


def _stand(walk: StreamWalk, lead: list[Message]) -> bool:
    """Puts a walk behind a frame from which all that follows can be verified.

    That is the last frame before the newest writer began, whose first message vouches for it.  Or
    a frame so far behind that message that no earlier writer's can be there: see `WINDOW`.
    """
    frames = list(_whole(lead))
    began = next((one for one in reversed(frames) if not one.header.count), None)
    calm = (lead[0].at if began is None else began.at) + WINDOW
    for one in frames:
        vouched = began is not None and one.at < began.at and began.header.chain == (
            began.header.chain_after(one.header.chain, b"", _header_of(walk).hash)
        )  # fmt: skip
        if one.header.count and (vouched or one.at > calm):
            walk.at, walk.epoch, walk.epoch_at = one.at, one.header.epoch, 1
            walk.sequence, walk.chain = one.header.last_sequence + 1, one.header.chain
            walk.rules = one.header.rules or one.rules
            return True
    return False


class _Whole(NamedTuple):
    """A frame that ends with message ``at``; ``rules``: in force before it."""

    at: int
    header: FrameHeader
    rules: int


def _whole(lead: list[Message]) -> Iterator[_Whole]:
    """The frames among messages, of whatever writer; parts that are not all there are none."""
    parts: list[Message] = []
    for message in lead:
        note = head_of(message).note
        parts = [*parts, message] if note.part > 1 else [message]
        if note.part == note.parts and len(parts) == (note.part or 1):
            header, _ = taken_apart(b"".join(part.data for part in parts))
            yield _Whole(message.at, header, note.rules)


def _header_of(walk: StreamWalk) -> SegmentHeader:
    assert walk.header is not None
    return walk.header


def is_led(info: StreamInfo) -> bool:
    """Whether the leader that tells this heard a majority of the servers a moment ago."""
    servers = info.cluster.replicas if info.cluster is not None else None
    if not servers:
        return True
    heard = 1 + sum(0 < (one.active or 0) < HEARD_NS for one in servers)  # 0: never
    return heard > (1 + len(servers)) // 2


def _leader_of(info: StreamInfo) -> str:
    return str(info.cluster.leader) if info.cluster is not None else ""


async def state_of(link: Link) -> tuple[int, int]:
    """The first and the last message of a stream, which are 0 without one; LogError without it.

    Asks again while the server that answers is not in touch with a majority: one that was cut off
    takes itself for the leader for some seconds more, and shows an end that was.
    """
    from nats.errors import Error
    from nats.js.errors import NotFoundError

    async def ask() -> StreamInfo:
        info = await link.streams.stream_info(link.address.name)
        if not is_led(info):
            raise Error(f"server {_leader_of(info)} has not heard a majority of the servers lately")
        return info

    try:
        info = await link.retried(ask, link.patience * 0.9)  # and then says why
    except NotFoundError:
        raise NoLog(f"{link.address}: no journal here: there is no such stream") from None
    if info.state.first_seq <= 1 and (missing := info.state.last_seq - info.state.messages):
        raise LogDamaged(f"{missing} messages are missing: removed", str(link.address), 0, 0)
    return info.state.first_seq, info.state.last_seq
