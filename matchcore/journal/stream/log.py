"""The one writer of a replicated log: opening, appends, waiting for the majority."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import LogDamaged, LogError, LogFailed, LogLocked
from ...records.rules import first_rules
from ..copies import check_open
from ..crypto.hashes import HASHES, SHA256, hash_maker, hash_number
from ..crypto.keys import Keys
from ..format import NO_CHAIN, FrameHeader, SegmentHeader
from ..packing import Packed, packed
from ..segments import Frame
from ..writer import Recovered
from .address import Address
from .link import PATIENCE_SECONDS, RETRY_SECONDS, Link
from .messages import WINDOW, Message, StreamWalk, frame_of, split
from .reader import StreamReader
from .sender import Sender, Sending, message_at, raised, send_one
from .settings import check_monitors, check_payload, wanted, wrong_in

if TYPE_CHECKING:
    from nats.js.api import StreamInfo

WATCH_SECONDS = 5.0  # between two looks at the stream's settings


class StreamLog:
    """A log that several servers keep.  One writer: whoever opens it next ends this one.

    Not for two threads at once, but that one may `sync` while another appends.  After a failure
    it takes nothing more (`LogFailed`): what the servers have is decided by opening it again.
    """

    interval_ms = 0
    keys: Keys | None = None
    sync_due: float | None = None

    def __init__(self, link: Link, walk: StreamWalk) -> None:
        assert walk.header is not None
        self.address = link.address
        self.policy = "replicated" if link.address.replicas > 1 else "sync"
        self.identity = walk.header.identity
        self.hash = walk.header.hash
        self.epoch = walk.epoch
        self.sequence = walk.sequence - 1
        self.rules = walk.rules  # in force for the next command
        self.chain = walk.chain
        self.appended_bytes = 0  # since opening
        self.recovered = Recovered(1, walk.frames, self.sequence)
        self._link = link
        calm = walk.epoch_at + WINDOW if walk.epoch_at > 1 else 0
        self._sender = Sender(link, walk.at, walk.epoch, self.sequence, calm)
        self._closing = threading.Lock()
        link.call(self._begin_watch())

    # ------------------------------------------------------------------ opening

    @classmethod
    def open(
        cls,
        where: str | Address,
        *,
        after: int = 0,
        chain: bytes | None = None,
        on_frame: Callable[[Frame], None] = lambda frame: None,
        hash: str | None = None,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], int] = time.time_ns,
        next_epoch: Callable[[int], int] = lambda before: before + 1,
    ) -> StreamLog:
        """Opens or makes the log at an address, for appending, and ends its writer before this.

        Each verified frame that holds a sequence beyond ``after`` is handed to ``on_frame``.  With
        ``chain``, the log must have that digest there.  ``patience``: seconds that the servers may
        take for anything, as for the election of a leader.  ``next_epoch``: of this writer, from
        that of the one before it.

        `LogClosed` for a log that was closed for ever, `LogDamaged` for a stream with anything in
        it that no writer of a log put there, `LogError` for servers or a stream that promise less
        than a log needs, `LogLocked` when another writer does not stop, `LogFailed` if the servers
        cannot be reached.
        """
        number = SHA256 if hash is None else hash_number(hash)
        hash_maker(number)
        link = Link(Address.of(where), patience)
        try:
            opening = _Opening(link, clock, number, next_epoch)
            walk = opening.run(after, chain, on_frame)
            if hash is not None and walk.header is not None and walk.header.hash != number:
                raise LogError(
                    f"{link.address}: created with hash {HASHES[walk.header.hash]!r}, which cannot"
                    f" change; it cannot be opened with hash {hash!r}"
                )
            return cls(link, walk)
        except BaseException:
            link.close()
            raise

    async def _begin_watch(self) -> None:
        import asyncio

        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Ends the log when somebody has the servers promise less."""
        import asyncio

        while not self._sender.failure:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                info = await self._link.streams.stream_info(self.address.name)
            except Exception:  # of the client: appends will show
                continue
            wrong = wrong_in(info.config, self.address)
            if wrong:
                self._sender.fail(wrong)

    # ------------------------------------------------------------------ appending

    @property
    def durable(self) -> int:
        """The last sequence that a majority has on disk."""
        return self._sender.durable

    @property
    def on_disk(self) -> int:
        """The same."""
        return self._sender.durable

    @property
    def failure(self) -> str:
        """Why it takes nothing more, or ""."""
        return self._sender.failure

    def append(self, commands: NDArray[np.void] | Packed, now: int, *, rules: int = 0) -> None:
        """Sends commands as frames; they are safe only after `sync`.

        ``now``: nanoseconds; the time of commands that have none.  ``rules``: the version that the
        one command, UPGRADE_RULES, changes to.
        """
        self._usable()
        made = packed(commands, now)
        try:
            for codec, count, payload in made.frames:
                self._append(codec, count, payload, now, rules)
        except BaseException as error:
            self._sender.fail(f"interrupted by {type(error).__name__}")
            raise
        self._usable()

    def _append(self, codec: int, count: int, payload: bytes, now: int, rules: int) -> None:
        header = FrameHeader(
            codec, count, len(payload), self.epoch, self.sequence + 1, self.durable, now, NO_CHAIN,
            rules,
        )  # fmt: skip
        self.chain = header.chain = header.chain_after(self.chain, payload, self.hash)
        frame = frame_of(header, payload)
        messages = [Sending(part, note) for part, note in split(frame, header, self.rules)]
        messages[-1].end = header.last_sequence
        self._sender.put(messages)
        self.appended_bytes += len(frame)
        self.sequence += count
        self.rules = rules or self.rules

    def sync(self, *, to_disk: bool = False) -> None:
        """Returns when a majority of the servers has on disk what was appended before."""
        upto = self.sequence
        self._sender.wait(upto)
        if self._sender.durable < upto:
            self._usable()

    def _usable(self) -> None:
        if self._sender.failure:
            raise raised(self._link, self._sender.failure)

    # ------------------------------------------------------------------ reading and closing

    def frames(self, after: int = 0) -> Iterator[Frame]:
        """The durable frames that hold sequences beyond ``after``, verified."""
        upto = self.durable
        with StreamReader(self.address, after=after) as reader:
            for frame in reader.read():
                if frame.first_sequence > upto:
                    return
                yield frame

    def close(self) -> None:
        """Returns when everything appended is safe, and ends the connection."""
        with self._closing:
            if not self._link.is_alive:
                return
            try:
                if not self._sender.failure:
                    self._sender.wait_empty()
                    self._usable()
            finally:
                self.abandon("the log is closed")

    def abandon(self, why: str) -> None:
        """Sends nothing more, as in a child of the process that writes."""
        self._sender.failure = self._sender.failure or why  # no lock: a fork may have left it held
        with suppress(LogError):
            self._link.close()


class _Opening:
    """Reads a log to its end and begins there as its writer."""

    def __init__(
        self, link: Link, clock: Callable[[], int], hash: int, next_epoch: Callable[[int], int]
    ) -> None:
        self._link, self._clock, self._hash, self._next = link, clock, hash, next_epoch
        self._place = str(link.address)

    def run(self, after: int, chain: bytes | None, on_frame: Callable[[Frame], None]) -> StreamWalk:
        link = self._link
        check_payload(link.address, link.client.max_payload)
        check_monitors(link.address)
        info = link.call(self._stream(), 2 * link.patience)
        if wrong := wrong_in(info.config, link.address):
            raise LogError(f"{link.address}: {wrong}")
        if info.state.last_seq == 0:
            if after:
                raise LogDamaged("there are snapshots, but no journal", self._place, 0, after + 1)
            walk = StreamWalk(self._place)
            header = SegmentHeader(
                1,
                os.urandom(16),
                1,
                1,
                self._clock(),
                NO_CHAIN,
                self._hash,
                rules=first_rules(None),
            )
            first = Message(1, header.to_bytes(), "")
            if self._placed(first):
                walk.take(first)
                return walk
        with StreamReader(link.address, after=after, chain=chain, link=link) as reader:
            return self._take_over(reader, on_frame)

    async def _stream(self) -> StreamInfo:
        """What the servers say of the stream, which is made if there is none."""
        from nats.js.api import StreamConfig
        from nats.js.errors import NotFoundError

        async def ask() -> StreamInfo:
            try:
                return await self._link.streams.stream_info(self._link.address.name)
            except NotFoundError:
                await self._link.streams.add_stream(StreamConfig(**wanted(self._link.address)))
            return await self._link.streams.stream_info(self._link.address.name)

        return await self._link.retried(ask)

    def _take_over(self, reader: StreamReader, on_frame: Callable[[Frame], None]) -> StreamWalk:
        """Writes the frame of a new writer behind all there is."""
        link, until = self._link, time.monotonic() + self._link.patience
        while True:
            for frame in reader.read():
                on_frame(frame)
            walk = reader.walk
            assert walk.header is not None
            check_open(walk.epoch, str(link.address))
            header = FrameHeader(
                0, 0, 0, self._next(walk.epoch), walk.sequence, walk.sequence - 1, self._clock(),
                NO_CHAIN,
            )  # fmt: skip
            header.chain = header.chain_after(walk.chain, b"", walk.header.hash)
            data, note = next(split(frame_of(header, b""), header, walk.rules))
            first = Message(walk.at + 1, data, note)
            if self._placed(first):
                walk.take(first)
                return walk
            if time.monotonic() > until:
                raise LogLocked(
                    f"{link.address}: another engine, of epoch {walk.epoch}, writes all the time:"
                    " stop it first"
                )

    def _placed(self, message: Message) -> bool:
        """Whether a message came to its place; False if another one did."""
        return self._link.call(self._place_it(message), 2 * self._link.patience)

    async def _place_it(self, message: Message) -> bool:
        import asyncio

        loop = asyncio.get_running_loop()
        until = loop.time() + self._link.patience
        sending = Sending(message.data, message.note, 0, message.at)
        while True:
            answer = await send_one(self._link, sending)
            if not answer.error:
                if answer.at != message.at:
                    what = f"message {message.at} was acknowledged as {answer.at}"
                    raise LogFailed(f"{self._link.address}: {what}: another stream?")
                return True
            with suppress(Exception):  # of the client: it is tried again
                there = await message_at(self._link, message.at)
                if there is not None:
                    return there == message
            if loop.time() > until:
                raise self._link.failed(f"cannot write: {answer.error}")
            await asyncio.sleep(RETRY_SECONDS)
