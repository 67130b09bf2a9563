"""Makes a replicated log of the frames of another one, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..._closing import Closing
from ...errors import LogDamaged, LogError
from ..format import FrameHeader, SegmentHeader
from .address import Address
from .link import PATIENCE_SECONDS, Link
from .messages import split
from .reader import StreamReader
from .sender import Sender, Sending, message_at, raised, send_one
from .settings import UNFINISHED, check_monitors, check_payload, wanted, wrong_in

if TYPE_CHECKING:
    from nats.js.api import StreamInfo


class Restoring(Closing):
    """A stream that becomes the log of exchange ``identity``; until then nobody can open it.

    What was interrupted goes on where it was.  LogError if another stream is there, or servers
    promise less than a log needs; `LogFailed` if they cannot be reached.
    """

    def __init__(
        self, address: Address, identity: bytes, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.address, self._identity = address, identity
        self._link = Link(address, patience)
        try:
            check_payload(address, self._link.client.max_payload)
            check_monitors(address)
            info = self._link.call(self._link.retried(self._made), 2 * patience)
            metadata = info.config.metadata or {}
            #: somebody can open it: it was finished before
            self.is_open = UNFINISHED not in metadata
            if wrong := wrong_in(_finished(info), address):
                raise LogError(f"{address}: {wrong}")
            if not self.is_open and metadata[UNFINISHED] != identity.hex():
                raise self._other()
            self._last = info.state.last_seq
        except BaseException:
            self.close()
            raise

    async def _made(self) -> StreamInfo:
        from nats.js.api import StreamConfig
        from nats.js.errors import NotFoundError

        streams, name = self._link.streams, self.address.name
        with suppress(NotFoundError):
            return await streams.stream_info(name)
        marked: dict[str, Any] = {"metadata": {UNFINISHED: self._identity.hex()}}
        await streams.add_stream(StreamConfig(**wanted(self.address), **marked))
        return await streams.stream_info(name)

    def _other(self) -> LogError:
        return LogError(
            f"{self.address}: there is a stream of this name, with something else in it: choose"
            " another name"
        )

    def check_finished(self, sequence: int, chain: bytes, epoch: int) -> None:
        """LogError unless a log that is open has this history, and a writer of that epoch."""
        try:
            with StreamReader(self.address, after=sequence, chain=chain, link=self._link) as reader:
                for _ in reader.read():
                    pass
                same = reader.identity == self._identity and reader.epoch >= epoch
        except LogDamaged:
            same = False
        if not same:
            raise self._other()

    def write(self, header: SegmentHeader, frames: Iterable[tuple[bytes, int]]) -> None:
        """Writes what is not there yet, and lets the log be opened.

        ``frames``: each with the version of the rules in force before it; the last one is that of
        a new writer.  `LogFailed` if the servers do not take them.
        """
        self._begin(header)
        sender = Sender(self._link, self._last, 2**63, 0, 0)
        at = 1
        for message in _messages(frames):
            at += 1
            if at == self._last:
                self._compare(replace(message, at=at))
            if at > self._last:
                sender.put([message])
            if sender.failure:
                break
        sender.wait_empty()
        if sender.failure:
            raise raised(self._link, sender.failure)
        if at < self._last:
            raise self._other()
        sender.fail("all is there")
        self._link.call(self._link.retried(self._opened))

    def _begin(self, header: SegmentHeader) -> None:
        first = Sending(header.to_bytes(), "", 0, 1)
        if self._last:
            self._compare(first)
            return
        answer = self._link.call(send_one(self._link, first))
        if answer.error:  # it may be there all the same
            self._compare(first)
        self._last = 1

    def _compare(self, message: Sending) -> None:
        """LogError unless a message is at its place."""
        there = self._link.call(self._link.retried(lambda: message_at(self._link, message.at)))
        if there is None or (there.data, there.note) != (message.data, message.note):
            raise self._other()

    async def _opened(self) -> None:
        from nats.js.api import StreamConfig

        await self._link.streams.update_stream(StreamConfig(**wanted(self.address)))

    def close(self) -> None:
        """Ends the connection; what is there stays."""
        self._link.close()


def _finished(info: StreamInfo) -> Any:
    """The configuration that it will have."""
    return info.config.evolve(metadata=None)


def _messages(frames: Iterable[tuple[bytes, int]]) -> Iterator[Sending]:
    for frame, rules in frames:
        for data, note in split(frame, FrameHeader.from_bytes(frame), rules):
            yield Sending(data, note)
