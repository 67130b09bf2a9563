"""The messages of a stream in order: those that are there, and then each as it comes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..._closing import Closing
from .link import REQUEST_SECONDS, RETRY_SECONDS, Link, told
from .messages import HEADER, Message

if TYPE_CHECKING:
    from nats.aio.msg import Msg

BATCH = 64  # messages that are asked for in one request, at most
BATCH_BYTES_MAX = 32 << 20  # if all of them are as large as the servers allow
WAITING_BYTES_MAX = 16 << 20  # that nobody has taken; then no more are asked for
EXPIRES_SECONDS, HEARTBEAT_SECONDS = 60, 1
SILENCE_SECONDS = 3.5 * HEARTBEAT_SECONDS  # then the consumer is gone
INACTIVE_SECONDS = 60  # after which the servers forget a consumer that asks for nothing
_REPLY_FIELDS = 9  # of an acknowledgement's subject, counted from its end where domains are


class Feed(Closing):
    """Follows a stream from message ``start`` on; the servers push, nobody polls.

    It survives changes of servers, connections and consumers: what comes twice is dropped, and a
    gap is asked for again.  A gap that stays is given as it is, for the reader to judge.
    """

    def __init__(self, link: Link, start: int) -> None:
        self._link = link
        self._next = start  # to be received
        self._came = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._asked = 0  # messages under way
        self._heard = 0.0
        self._gap = 0  # message before which something was missing the last time
        self._broken = asyncio.Event()
        self._inbox = self._consumer = ""
        self._bells: tuple[Callable[[], object], ...] = ()
        self.trouble = ""  # why nothing comes
        link.bells.add(self._broken.set)  # what was asked for is lost with the connection
        self._task = link.call(self._begin())

    async def _begin(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._run())

    # ------------------------------------------------------------------ for the reader's thread

    @property
    def received(self) -> int:
        """The last message that is here."""
        return self._next - 1

    def take(self, seconds: float = 0) -> Message | None:
        """The next message; None if there is none within so many ``seconds``."""
        if not self._waiting and not self.wait(seconds):
            return None
        with self._came:
            message = self._waiting.popleft()
            before = self._bytes
            self._bytes -= len(message.data)
        if before > WAITING_BYTES_MAX >= self._bytes:
            self._link.soon(self._ask)
        return message

    def wait(self, seconds: float) -> bool:
        """Returns when a message waits, at the latest after so many ``seconds``."""
        until = time.monotonic() + seconds
        with self._came:
            while not self._waiting:
                left = until - time.monotonic()
                if left <= 0 or not self._link.is_alive:
                    return False
                self._came.wait(left)
        return True

    def ring(self, bell: Callable[[], object]) -> None:
        """From now on ``bell`` is called in the connection's thread when messages come."""
        self._bells = (*self._bells, bell)

    def silence(self, bell: Callable[[], object]) -> None:
        """Calls ``bell`` no more."""
        self._bells = tuple(one for one in self._bells if one is not bell)

    def close(self) -> None:
        self._link.soon(self._end)

    # ------------------------------------------------------------------ in the loop

    def _end(self) -> None:
        self._link.bells.discard(self._broken.set)
        self._task.cancel()

    async def _run(self) -> None:
        while not self._link.closed_because:
            self._broken.clear()
            try:
                await self._consume()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # of the client: it is asked again until the reader gives up
                self.trouble = told(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _consume(self) -> None:
        client = self._link.client
        self._inbox = f"{client.new_inbox()}"
        listening = await client.subscribe(self._inbox, cb=self._take)
        try:
            self._consumer = await self._make_consumer()
            self._asked, self._heard = 0, self._link.loop.time()
            self.trouble = ""
            self._ask()
            while not self._broken.is_set():
                with suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(self._broken.wait(), HEARTBEAT_SECONDS)
                if self._asked and self._link.loop.time() - self._heard > SILENCE_SECONDS:
                    self.trouble = "the servers are silent"
                    return
        finally:
            with suppress(Exception):  # the connection may be gone
                await listening.unsubscribe()
            with suppress(Exception):
                await client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}")

    @property
    def _stream(self) -> str:
        return self._link.address.name

    async def _make_consumer(self) -> str:
        wanted = {
            "deliver_policy": "by_start_sequence", "opt_start_seq": self._next,
            "ack_policy": "none", "mem_storage": True, "num_replicas": 1, "max_deliver": 1,
            "inactive_threshold": INACTIVE_SECONDS * 10**9,
        }  # fmt: skip
        request = json.dumps({"stream_name": self._stream, "config": wanted}).encode()
        subject = f"$JS.API.CONSUMER.CREATE.{self._stream}"
        answer = await self._link.client.request(subject, request, timeout=REQUEST_SECONDS)
        said: dict[str, Any] = json.loads(answer.data)
        if "error" in said:
            raise RuntimeError(str(said["error"].get("description")))
        return str(said["name"])

    def _ask(self) -> None:
        """Asks for more, unless enough is under way or waits."""
        batch = max(1, min(BATCH, BATCH_BYTES_MAX // self._link.client.max_payload))
        if self._asked > batch // 2 or self._bytes > WAITING_BYTES_MAX or not self._consumer:
            return
        asked = {"batch": batch, "expires": EXPIRES_SECONDS * 10**9,
                 "idle_heartbeat": HEARTBEAT_SECONDS * 10**9}  # fmt: skip
        self._asked += batch
        self._heard = self._link.loop.time()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        self._asking = asyncio.ensure_future(self._publish(subject, json.dumps(asked).encode()))

    async def _publish(self, subject: str, request: bytes) -> None:
        try:
            await self._link.client.publish(subject, request, reply=self._inbox)
        except Exception as error:
            self.trouble = told(error)
            self._broken.set()

    async def _take(self, message: Msg) -> None:
        if self._broken.is_set():
            return
        self._heard = self._link.loop.time()
        headers = message.headers or {}
        status = headers.get("Status")
        if status is not None:
            self._told(status, headers)
            return
        self._asked -= 1
        at = int(message.reply.split(".")[5 if message.reply.count(".") < _REPLY_FIELDS else 7])
        if at < self._next:
            return
        if at > self._next and self._gap != at:  # once more: only what stays missing is missing
            self._gap = at
            self._broken.set()
            return
        self._next = at + 1
        with self._came:
            self._waiting.append(Message(at, message.data, headers.get(HEADER, "")))
            self._bytes += len(message.data)
            self._came.notify_all()
        for bell in self._bells:
            bell()
        self._ask()

    def _told(self, status: str, headers: dict[str, str]) -> None:
        if status == "100":  # a heartbeat
            return
        if status == "408":  # a request has expired
            left = int(headers.get("Nats-Pending-Messages", BATCH))
            self._asked = max(0, self._asked - left)
            self._ask()
            return
        self.trouble = headers.get("Description", status)
        self._broken.set()
