"""How a gateway reaches the engine, and hears what the log has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..engine._queue import Submission
from ..engine.engine import Engine
from ..engine.streaming import Stream, first_followed
from ..engine.taps import Logged
from ..errors import LogError, ReportsError
from ..records.instruments import Directory

Take = Callable[[NDArray[np.void], NDArray[np.void]], None]


class Way(Protocol):
    """The way to an engine.  Everything is called in the event loop of the desk."""

    @property
    def instruments(self) -> Directory:
        """The instruments, as of the last commands that were taken."""

    @property
    def incarnation(self) -> int:
        """A number that no other gateway of this engine has; once it has started."""

    @property
    def durable(self) -> int:
        """Sequence of the last durable command, as far as it is known here."""

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        """Hands all durable commands and their events to ``take``, from the log's first on.

        Returns when it has come to the log's end.  ``down`` is called with the reason once no
        command is taken any more.
        """

    def send(self, commands: NDArray[np.void]) -> None:
        """Sends commands, which it copies; never waits.

        `QueueFull` while the engine is behind, `LogError` if it takes nothing more.
        """

    async def close(self) -> None:
        """Lets go of the engine, which stays open."""


class Reached(NamedTuple):
    """An engine: ``durable`` is the sequence of its last durable command."""

    identity: bytes
    epoch: int
    durable: int


class Past(NamedTuple):
    """What was taken before: all up to ``sequence``.

    ``recent``: `digests` of the last of these commands; ``image``: what `Resumable.image` gave.
    """

    sequence: int
    recent: bytes
    image: bytes

    @property
    def first(self) -> int:
        """Sequence of the first command that ``recent`` has."""
        return self.sequence + 1 - len(self.recent) // DIGEST_BYTES

    def check(self, first: int, commands: NDArray[np.void]) -> None:
        """`ReportsError` unless the log's commands from ``first`` on are those taken before."""
        begin = max(first, self.first)
        rows = commands[begin - first : max(0, self.sequence + 1 - first)]
        at = (begin - self.first) * DIGEST_BYTES
        found = digests(rows)
        if self.recent[at : at + len(found)] != found:
            raise ReportsError(
                f"it is of another history of the exchange: the log differs before {self.sequence}"
            )


@runtime_checkable
class Resumable(Way, Protocol):
    """A way that can go on where an earlier one stood."""

    async def reach(self) -> Reached:
        """Waits for the engine; before `start`.  LogError if it refuses."""

    async def resume(self, past: Past | None) -> None:
        """`start` goes on behind ``past``; None: it begins with the log's first command.

        `ReportsError` if that cannot be: of this call, or of `start` before it hands on anything.
        """

    @property
    def epoch(self) -> int:
        """The newest of the log that is known here."""

    def image(self) -> bytes:
        """What this way needs to go on behind the last command that it handed on."""


DIGEST_BYTES = 16


def digests(commands: NDArray[np.void]) -> bytes:
    """One of each command, `DIGEST_BYTES` long."""
    return b"".join(blake2b(row, digest_size=DIGEST_BYTES).digest() for row in rows_of(commands))


def rows_of(commands: NDArray[np.void]) -> list[bytes]:
    """The bytes of each command."""
    size, data = commands.itemsize, commands.tobytes()
    return [data[at : at + size] for at in range(0, len(data), size)]


AGAIN_SECONDS = 0.02  # until an engine that may tell nothing is asked again
INCARNATIONS_MAX = 1 << 10  # of one epoch
EPOCHS = 1 << 16  # until incarnations begin again


def incarnation_of(epoch: int, number: int) -> int:
    """Of the gateway ``number``, 0 to `INCARNATIONS_MAX` - 1, that has come in this epoch."""
    return epoch % EPOCHS * INCARNATIONS_MAX + number


class Direct:
    """An engine in this process.  Without a log it is followed from now on.

    ``after``: the last command that was taken elsewhere.  ``lost``: says why the engine must tell
    nothing now, or "".
    """

    def __init__(self, engine: Engine, after: int = 0, lost: Callable[[], str] = str) -> None:
        self._engine, self._after, self._lost = engine, after, lost
        self._instruments = engine.instruments
        self._past: Past | None = None
        self._woken = threading.Event()  # the loop will look
        self._reading: asyncio.Task[None] | None = None  # old parts of the log
        self._rung = False  # meanwhile

    @property
    def instruments(self) -> Directory:
        return self._instruments

    @property
    def incarnation(self) -> int:
        log = self._engine.log
        return incarnation_of(log.epoch if log is not None else 1, 0)

    @property
    def durable(self) -> int:
        return self._engine.durable

    async def start(self, take: Take, down: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._take, self._down = take, down
        after = self._engine.sequence if self._engine.log is None else self._after
        self._stream = Stream(self._engine, after, self._ring)
        try:
            await self._catch_up()
        except BaseException as error:
            self._stream.close()
            if self._past and self._stream.sequence == after and isinstance(error, LogError):
                raise ReportsError(
                    f"it ends with sequence {after}, and the log cannot be matched from there on,"
                    f" for want of a snapshot at or before that: {error}"
                ) from error
            raise

    async def reach(self) -> Reached:
        """As `Resumable.reach`.  An engine without a log has no identity."""
        return Reached(self._engine.identity, self.epoch, self._engine.durable)

    async def resume(self, past: Past | None) -> None:
        """As `Resumable.resume`."""
        self._after, self._past = 0, past
        if past is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._compare, past)
            self._after = past.sequence

    def _compare(self, past: Past) -> None:
        first = max(past.first, first_followed(self._engine))
        if first > past.sequence + 1:
            raise ReportsError(
                f"it ends with sequence {past.sequence}, and the log begins with {first}"
            )
        with Stream(self._engine, first - 1, bool, matched=False) as stream:
            while stream.sequence < past.sequence and (parts := stream.poll()):
                for part in parts:
                    past.check(part.first, part.commands)

    @property
    def epoch(self) -> int:
        """Of the log."""
        log = self._engine.log
        return log.epoch if log is not None else 0

    def image(self) -> bytes:
        """Nothing: the engine has it all."""
        return b""

    def send(self, commands: NDArray[np.void]) -> None:
        self._engine._place(commands, _Sent(), block=False)

    def _ring(self) -> None:
        """In the log's thread: there may be more."""
        if not self._woken.is_set():
            self._woken.set()
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if self._lost():
            self._loop.call_later(AGAIN_SECONDS, self._look)
            return
        self._woken.clear()
        if self._reading is not None:
            self._rung = True
        elif self._stream.reads:
            self._reading = self._loop.create_task(self._read())
        else:
            self._poll()

    def _poll(self) -> bool:
        ended = self._stream.ended
        try:
            parts = self._stream.poll()
        except LogError as error:
            self._down(str(error))
            return False
        if ended and not parts:
            self._down("the engine is closed")
        return self._deliver(parts)

    def _deliver(self, parts: list[Logged]) -> bool:
        for part in parts:
            self._take(part.commands, part.events)
        return bool(parts)

    async def _catch_up(self) -> None:
        """Files are read in another thread; what the engine has is taken here."""
        while True:
            if self._stream.reads:
                parts = await self._loop.run_in_executor(None, self._stream.poll)
                more = self._deliver(parts)
                await asyncio.sleep(0)
            else:
                more = self._poll()
            if not more and not self._rung:
                return
            self._rung = False

    async def _read(self) -> None:
        try:
            await self._catch_up()
        except LogError as error:
            self._down(str(error))
        finally:
            self._reading = None

    async def close(self) -> None:
        """Stops following; the engine is its owner's."""
        if self._reading is not None:
            await asyncio.wait({self._reading})
        self._stream.close()


class _Sent(Submission):
    """Commands whose answer comes with the log."""

    def done(self) -> None:
        """A failure comes with the log, too."""
