"""Puts messages at the end of a stream, each once and at its place.

Every message names the number of the one before it, and the servers refuse it anywhere else.  So
several can be under way, and one whose outcome nobody knows can be sent again: what stands at its
place tells whether it came.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import LogFailed
from ..format import BadBytes
from .link import REQUEST_SECONDS, RETRY_SECONDS, Link, told
from .messages import EXPECTED, HEADER, WINDOW, Message, head_of

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

WAITING_BYTES_MAX = 64 << 20  # not acknowledged: then `put` waits
WRONG_SEQUENCE = 10071  # what the servers say to a message that names another predecessor
LOOK_SECONDS = 1.0  # between two looks whether the connection's thread lives


@dataclass(slots=True, eq=False)
class Sending:
    """A message; ``end``: the last sequence of the frame that it completes, or 0."""

    data: bytes
    note: str
    end: int = 0
    at: int = 0  # its place in the stream; 0 before it was sent
    sent: float = 0.0  # when
    done: bool = False


@dataclass(slots=True)
class Answered:
    """What the servers say to one message: it is there, or an error."""

    at: int = 0
    code: int = 0
    error: str = ""
    waiting: asyncio.Future[None] | None = field(default=None, repr=False)


class Sender:
    """Sends messages behind number ``last`` of a stream, as the writer of an ``epoch``.

    ``calm``: a message of an earlier writer may still come in up to that place.  Until then one is
    sent at a time, because such a message takes the place of the next one: were others under way
    behind that, they would come in without it.

    After `failure` is set nothing is sent any more.
    """

    def __init__(self, link: Link, last: int, epoch: int, durable: int, calm: int) -> None:
        self._link, self._epoch, self._calm = link, epoch, calm
        self._last = last  # the last place given to a message
        self.durable = durable  # last sequence of a frame that is there
        self.failure = ""
        self.changed = threading.Condition()
        self._waiting: deque[Sending] = deque()
        self._under_way: deque[Sending] = deque()
        self._bytes = 0
        self._trouble = ""  # why what is under way is asked for one by one
        self._replies: dict[str, tuple[Sending, asyncio.Future[Answered] | None]] = {}
        self._number = 0
        self._client: Client | None = None  # whose answers come in
        self._inbox = ""
        self._stir = asyncio.Event()
        link.bells.add(self._on_change)
        link.call(self._begin())

    async def _begin(self) -> None:
        await self._listen()
        self._task = asyncio.create_task(self._run())

    async def _listen(self) -> None:
        """Takes the answers of the client there is now."""
        client = self._link.client
        if client is self._client:
            return
        inbox = f"{client.new_inbox()}."
        await client.subscribe(inbox + "*", cb=self._answered)
        self._client, self._inbox = client, inbox

    # ------------------------------------------------------------------ for the log

    def put(self, messages: Iterable[Sending]) -> None:
        """Takes messages to be sent in this order; waits while too many bytes are under way."""
        with self.changed:
            while self._bytes > WAITING_BYTES_MAX and not self.failure:
                self._look_after()
            for message in messages:
                self._waiting.append(message)
                self._bytes += len(message.data)
        self._link.soon(self._stir.set)

    def wait(self, sequence: int) -> None:
        """Returns when the frames up to a sequence are there, or after a failure."""
        with self.changed:
            while self.durable < sequence and not self.failure:
                self._look_after()

    def wait_empty(self) -> None:
        """Returns when every message is there, or after a failure."""
        with self.changed:
            while self._bytes and not self.failure:
                self._look_after()

    def _look_after(self) -> None:
        if not self.changed.wait(LOOK_SECONDS) and not self._link.is_alive:
            self.failure = self.failure or "its connection has ended"

    def fail(self, why: str) -> None:
        """Nothing is sent any more."""
        with self.changed:
            self.failure = self.failure or why
            self.changed.notify_all()
        self._link.soon(self._stir.set)

    # ------------------------------------------------------------------ in the loop

    def _on_change(self) -> None:
        if self._link.closed_because:
            self.fail(self._link.closed_because)
        elif self._under_way:
            self._trouble = "the connection changed"
        self._stir.set()

    async def _run(self) -> None:
        try:
            while not self.failure:
                calm = self._last >= self._calm or not self._waiting
                if not calm or (self._under_way and self._trouble):
                    await self._one_by_one()
                elif self._waiting and len(self._under_way) < WINDOW:
                    await self._send(self._placed())
                else:
                    await self._rest()
        except asyncio.CancelledError:
            self.fail("its connection was closed")
            raise
        except Exception as error:
            self.fail(f"{type(error).__name__}: {told(error)}")

    async def _rest(self) -> None:
        """Until an answer or another message comes, or one is overdue."""
        self._stir.clear()
        seconds = None
        if self._under_way:
            seconds = self._under_way[0].sent + REQUEST_SECONDS - self._link.loop.time()
            if seconds <= 0:
                self._trouble = "no answer"
                return
        with suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._stir.wait(), seconds)

    def _placed(self) -> Sending:
        """The next message, which has its place from now on."""
        message = self._waiting.popleft()
        self._last += 1
        message.at = self._last
        self._under_way.append(message)
        return message

    async def _send(self, message: Sending, answer: asyncio.Future[Answered] | None = None) -> str:
        self._number += 1
        name = str(self._number)
        self._replies[name] = message, answer
        message.sent = self._link.loop.time()
        headers = {EXPECTED: str(message.at - 1), HEADER: message.note}
        if not message.note:
            del headers[HEADER]
        try:
            await self._listen()
            await self._link.client.publish(
                self._link.address.name, message.data, reply=self._inbox + name, headers=headers
            )
        except Exception as error:  # of the client: it has no connection now
            self._trouble = told(error)
        return name

    async def _answered(self, message: Msg) -> None:
        sent, waiting = self._replies.pop(message.subject.rpartition(".")[2], (None, None))
        if sent is None or sent.done:
            return
        answer = _read(message)
        if answer.at == sent.at and not answer.error:
            sent.done = True
            self._advance()
        elif not answer.error:
            self.fail(f"message {sent.at} was acknowledged as {answer.at}: another stream?")
        elif waiting is None:
            self._trouble = answer.error
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        self._stir.set()

    def _advance(self) -> None:
        """What is there without a gap is durable."""
        if not self._under_way or not self._under_way[0].done:
            return
        with self.changed:
            while self._under_way and self._under_way[0].done:
                message = self._under_way.popleft()
                self._bytes -= len(message.data)
                self.durable = max(self.durable, message.end)
            self.changed.notify_all()

    # ------------------------------------------------------------------ when something is unknown

    async def _one_by_one(self) -> None:
        """Sends what is under way again, or the next message, each when the one before is there."""
        if not self._under_way:
            self._placed()
        while self._under_way and not self.failure:
            await self._settle(self._under_way[0])
            self._advance()
        self._trouble = ""
        self._replies.clear()

    async def _settle(self, message: Sending) -> None:
        """Returns when a message is there, or after a failure."""
        until = self._link.loop.time() + self._link.patience
        while not (message.done or self.failure):
            answer = await self._asked(message)
            if message.done or self.failure:
                return
            if answer.code == WRONG_SEQUENCE:
                answer.error = await self._look(message) or answer.error
                if message.done or self.failure or not answer.error:
                    continue
            if self._link.loop.time() > until:
                said = f"for {self._link.patience:g} s: {answer.error}"
                self.fail(f"message {message.at} could not be appended {said}")
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _asked(self, message: Sending) -> Answered:
        if not self._link.client.is_connected:
            return Answered(error="no server can be reached")
        waiting: asyncio.Future[Answered] = self._link.loop.create_future()
        name = await self._send(message, waiting)
        try:
            return await asyncio.wait_for(waiting, REQUEST_SECONDS)
        except (TimeoutError, asyncio.TimeoutError):
            return Answered(error="no answer")
        finally:
            if not message.done:  # an answer that comes later is looked at as well
                self._replies[name] = message, None

    async def _look(self, message: Sending) -> str:
        """Whether a message is at its place; else what is there.  Says why that is not known."""
        try:
            there = await message_at(self._link, message.at)
        except Exception as error:  # of the client, while the servers change
            return told(error)
        if there is None:
            return f"the stream ends before message {message.at}, though all before it were there"
        if there.data == message.data and there.note == message.note:
            message.done = True
            return ""
        try:
            head = head_of(there)
        except BadBytes as error:
            self.fail(f"somebody else writes to this stream: message {message.at}: {error}")
            return ""
        if head.epoch < self._epoch and message.at <= self._calm:
            message.at = self._last = message.at + 1  # readers pass over what is there
            return ""
        if head.epoch > self._epoch:
            self.fail(
                f"another engine writes it now: its epoch is {head.epoch}, and this one's was"
                f" {self._epoch}. Close this engine"
            )
        else:
            self.fail(
                f"message {message.at} is of epoch {head.epoch} and not what this writer of epoch"
                f" {self._epoch} sent"
            )
        return ""


def _read(message: Msg) -> Answered:
    status = (message.headers or {}).get("Status")
    if status is not None:
        return Answered(error=f"no server leads the stream ({status})")
    try:
        said: dict[str, Any] = json.loads(message.data)
        if "error" in said:
            error = said["error"]
            return Answered(0, int(error.get("err_code", 0)), str(error.get("description")))
        return Answered(int(said["seq"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Answered(error="an answer that no log server gives")


async def message_at(link: Link, at: int) -> Message | None:
    """A message of the stream as its leader has it; None if there is none."""
    from nats.js.errors import NotFoundError

    try:
        found = await link.streams.get_msg(link.address.name, at)
    except NotFoundError:
        return None
    headers = found.headers or {}
    return Message(at, found.data or b"", headers.get(HEADER, ""))


async def send_one(link: Link, message: Sending) -> Answered:
    """Sends a message, its place given, and tells what the servers say to it."""
    headers = {EXPECTED: str(message.at - 1), HEADER: message.note}
    if not message.note:
        del headers[HEADER]
    try:
        return _read(
            await link.client.request(
                link.address.name, message.data, timeout=REQUEST_SECONDS, headers=headers
            )
        )
    except Exception as error:  # of the client: no server, no answer
        return Answered(error=told(error))


def raised(link: Link, failure: str) -> LogFailed:
    return LogFailed(f"{link.address}: the log accepts no more commands: {failure}")
