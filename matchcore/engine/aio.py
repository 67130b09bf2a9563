"""The engine for asyncio: the same calls, awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import QueueFull
from ..records.instruments import Price
from ..records.market import Market
from ..records.market_faces import Bust, Clock, Quote
from ..records.order_faces import Amend, Cancel, Reduce
from ..records.schema import Phase
from ..records.times import Moment
from ..records.typed import Command
from ._queue import Submission
from .answers import Answer
from .engine import Engine
from .markets import set_phase
from .orders import FILLS_MAX, Fill, Name, OrderState
from .streaming import Stream
from .submissions import Bell
from .taps import Logged

Result = TypeVar("Result")


class AsyncEngine:
    """An `Engine` for the tasks of one or several event loops.

    `submit` and `submit_batch` are awaited, and tasks share syncs.  Matching runs in the thread of
    the loop.  Each sync wakes a loop once.  A cancelled task stops waiting; its command stays sent.
    While the queue is full a submit waits without blocking the loop.  Reads (`engine.book`, …) are
    those of ``engine``, and may block for a sync.

    The other methods take what those of `Engine` take: ``symbol``, ``order_id``, ``quantity``,
    ``price``, ``account``, ``client_order_id``, ``original_client_order_id``, ``after``, ``limit``.

    >>> import asyncio
    >>> from matchcore import AsyncEngine, Engine, Instrument, NewOrder, Side
    >>> exchange = Engine.memory(instruments=[Instrument("ANA", "0.05")])
    >>> async def trade():
    ...     async with AsyncEngine(exchange) as engine:
    ...         answer = await engine.submit(NewOrder("ANA", Side.BUY, 10, "95.70"))
    ...         return answer.status.name
    >>> asyncio.run(trade())
    'OPEN'
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._box: _Box | None = None  # of the loop that the last submit came from
        self._boxes: dict[asyncio.AbstractEventLoop, _Box] = {}

    def submit(self, command: Command) -> Coroutine[Any, Any, Answer]:
        """Sends one typed ``command``; awaited, it returns and raises as `Engine.submit`."""
        return self._send(command)

    def submit_batch(self, commands: NDArray[np.void]) -> Coroutine[Any, Any, NDArray[np.void]]:
        """Sends ``commands``, a `COMMAND` array; returns and raises as `Engine.submit_batch`.

        The array may be changed as soon as the call is awaited.
        """
        return self._send(commands)

    async def upgrade_rules(self) -> Answer | None:
        """As `Engine.upgrade_rules`, in another thread."""
        return await self._aside(self.engine.upgrade_rules)

    def events(self, *, after: int = 0) -> AsyncEvents:
        """As `Engine.events` beyond the sequence ``after``; an asynchronous iterator.

        To be called in the loop that takes the parts.  The log is read in another thread.
        """
        return AsyncEvents(self.engine, after)

    async def cancel(
        self,
        symbol: str | None = None,
        order_id: int | None = None,
        *,
        account: int = 0,
        client_order_id: int = 0,
        original_client_order_id: int | str | None = None,
    ) -> Answer:
        """As `Engine.cancel`."""
        which = await self._which(symbol, order_id, account, original_client_order_id)
        return await self.submit(Cancel(*which, account, client_order_id=client_order_id))

    async def amend(
        self,
        symbol: str | None = None,
        order_id: int | None = None,
        quantity: int | None = None,
        price: Price | None = None,
        *,
        account: int = 0,
        client_order_id: int = 0,
        original_client_order_id: int | str | None = None,
        **more: Any,
    ) -> Answer:
        """As `Engine.amend`, whose other arguments are ``more``."""
        which = await self._which(symbol, order_id, account, original_client_order_id)
        return await self.submit(
            Amend(*which, quantity, price, account, client_order_id=client_order_id, **more)
        )

    async def reduce(
        self,
        symbol: str | None = None,
        order_id: int | None = None,
        quantity: int = 0,
        *,
        account: int = 0,
        client_order_id: int = 0,
        original_client_order_id: int | str | None = None,
    ) -> Answer:
        """As `Engine.reduce`."""
        which = await self._which(symbol, order_id, account, original_client_order_id)
        return await self.submit(Reduce(*which, quantity, account, client_order_id=client_order_id))

    async def set_market(self, symbol: str, market: Market | None = None, **changes: Any) -> int:
        """As `Engine.set_market` with ``market`` and ``changes``, in another thread."""
        return await self._aside(partial(self.engine.set_market, symbol, market, **changes))

    async def set_phase(
        self,
        symbol: str | None,
        phase: Phase,
        *,
        group: int = 0,
        until: Moment = 0,
        cancel_orders: bool = False,
    ) -> Answer:
        """As `Engine.set_phase`: ``phase``, ``group``, ``until``, ``cancel_orders`` as there."""
        return await self.submit(set_phase(symbol, phase, group, until, cancel_orders))

    async def clock(self, symbol: str | None = None) -> Answer:
        """As `Engine.clock`."""
        return await self.submit(Clock(symbol))

    async def quote(self, symbol: str, account: int, *sides: Any, **more: Any) -> Answer:
        """As `Engine.quote`, whose other arguments are ``sides`` and ``more``."""
        return await self.submit(Quote(symbol, account, *sides, **more))

    async def bust(self, symbol: str, trade_id: int, price: Price, quantity: int) -> Answer:
        """As `Engine.bust` of the trade ``trade_id``."""
        return await self.submit(Bust(symbol, trade_id, price, quantity))

    async def order(self, account: int, client_order_id: Name) -> OrderState | None:
        """As `Engine.order`, in another thread."""
        return await self._aside(self.engine.order, account, client_order_id)

    async def open_orders(self, account: int) -> list[OrderState]:
        """As `Engine.open_orders`, in another thread."""
        return await self._aside(self.engine.open_orders, account)

    async def fills(self, account: int, *, after: int = 0, limit: int = FILLS_MAX) -> list[Fill]:
        """As `Engine.fills`, in another thread."""
        return await self._aside(partial(self.engine.fills, account, after=after, limit=limit))

    async def _which(
        self, symbol: str | None, order_id: int | None, account: int, original: Name | None
    ) -> tuple[str, int]:
        """Symbol and order id; in another thread if they have to be looked up."""
        which = partial(self.engine._which, symbol, order_id, account, original)
        return which() if original is None else await self._aside(which)

    async def _aside(self, call: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)

    async def _send(self, commands: Any) -> Any:
        loop = asyncio.get_running_loop()
        box = self._box
        if box is None or box.loop is not loop:
            box = self._box = self._box_of(loop)
        while True:
            letter = _Letter(box)
            if not box.rings:
                box.ring_soon(self.engine._ring)
            try:
                self.engine._place(commands, letter, block=False)
            except QueueFull:
                if box.under_way:
                    await box.answered()
                else:  # others fill it: nothing will ring here
                    await asyncio.sleep(0.001)
                continue
            box.under_way += 1
            await letter.future
            if letter.error is not None:
                raise letter.error
            return letter.result

    def _box_of(self, loop: asyncio.AbstractEventLoop) -> _Box:
        box = self._boxes.get(loop)
        if box is None:
            for other in list(self._boxes):
                if other.is_closed():
                    self._boxes.pop(other, None)
            box = self._boxes[loop] = _Box(loop)
        return box

    async def close(self) -> None:
        """Calls `Engine.close` in another thread, because it may wait for the disk."""
        await self._aside(self.engine.close)

    async def __aenter__(self) -> AsyncEngine:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncEvents:
    """An asynchronous iterator over the log of an engine; see `AsyncEngine.events`.  For one task.

    `close`, or the end of an `async with`, stops following.
    """

    def __init__(self, engine: Engine, after: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self._ready: deque[Logged] = deque()
        self._stream = Stream(engine, after, self._ring)
        self._reading: asyncio.Future[list[Logged]] | None = None  # what a cancelled task left

    def _ring(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self._loop.call_soon_threadsafe(self._rung.set)

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> Logged:
        stream = self._stream
        while not self._ready:
            self._rung.clear()
            ended = stream.ended
            if self._reading or stream.reads:
                self._ready.extend(await self._read())
            else:
                self._ready.extend(stream.poll())
            if not self._ready:
                if ended:
                    raise StopAsyncIteration
                await self._rung.wait()
        return self._ready.popleft()

    async def _read(self) -> list[Logged]:
        if self._reading is None:
            self._reading = self._loop.run_in_executor(None, self._stream.poll)
        if not self._reading.done():  # cancelled here, it is kept for the next task
            await asyncio.wait({self._reading})
        done, self._reading = self._reading, None
        return done.result()

    def close(self) -> None:
        """Stops following."""
        if self._reading is None:
            self._stream.close()
        else:
            self._reading.add_done_callback(self._end)

    def _end(self, reading: asyncio.Future[list[Logged]]) -> None:
        if not reading.cancelled():
            reading.exception()  # nobody waits for it
        self._stream.close()

    async def __aenter__(self) -> AsyncEvents:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Box:
    """Collects the answers for one loop until it is woken."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.letters: deque[_Letter] = deque()
        self.bell = self._wake
        self.under_way = 0
        self._next: asyncio.Future[None] | None = None
        self.rings = False  # as soon as the loop has gone round

    def ring_soon(self, ring: Callable[[], None]) -> None:
        """Submissions of one iteration of the loop form one group, without waking it between."""
        self.rings = True
        self.loop.call_soon(_Later(self, ring))

    def _wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self._open)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            self.letters.clear()

    def _open(self) -> None:
        while self.letters:
            letter = self.letters.popleft()
            self.under_way -= 1
            if not letter.future.done():  # its task was cancelled
                letter.future.set_result(None)
        if self._next is not None:
            self._next.set_result(None)
            self._next = None

    async def answered(self) -> None:
        """Returns when at least one submission was answered."""
        if self._next is None:
            self._next = self.loop.create_future()
        await asyncio.shield(self._next)


class _Later:
    """Rings when the loop calls it, or lets go of it uncalled: a loop may be closed before."""

    __slots__ = ("_box", "_ring")

    def __init__(self, box: _Box, ring: Callable[[], None]) -> None:
        self._box = box
        self._ring: Callable[[], None] | None = ring

    def __call__(self) -> None:
        ring, self._ring = self._ring, None
        self._box.rings = False
        if ring is not None:
            ring()

    def __del__(self) -> None:
        if self._ring is not None:
            self()


class _Letter(Submission):
    """The submission of a task."""

    __slots__ = ("box", "future")

    def __init__(self, box: _Box) -> None:
        self.box = box
        self.future: asyncio.Future[None] = box.loop.create_future()
        self.rings_later = True

    def done(self) -> Bell:
        self.box.letters.append(self)
        return self.box.bell
