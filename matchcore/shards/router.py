"""The engines of a plan in one process: each command goes to the shard of its instrument."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from .._closing import Closing
from ..engine.answers import Answer, BookView
from ..engine.engine import Engine
from ..engine.orders import Name, OrderState
from ..errors import MatchcoreError, ShardError, UnknownInstrument
from ..records.instruments import Instrument
from ..records.order_faces import EndDay, MassCancel
from ..records.schema import Side
from ..records.typed import AddInstrument, ChangeInstrument, Command
from .moving import Moved, move
from .plan import Plan
from .standing import Standing, State, standing


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command for each shard came to.

    ``answers``: of the shards that answered, in the plan's order; ``failures``: errors of the
    others, whose command is in their log or not: send it again.
    """

    answers: dict[str, Answer]
    failures: dict[str, MatchcoreError]

    @property
    def is_complete(self) -> bool:
        """True if every shard has answered."""
        return not self.failures


class Shards(Closing):
    """The engines of a plan, in this process; methods may be called from any thread.

    ``plan``: a `Plan`; ``engines``: an engine by the name of each shard, which `close` closes.
    ``moving``: an instrument that may be under way, as after a move that was cut off.  `ShardError`
    if another instrument is not where the plan says.

    >>> from matchcore import Engine, Instrument, MemoryLog, NewOrder, Side
    >>> from matchcore.shards import Plan, Shard
    >>> plan = Plan([Shard("a", 1, "a.d", ("ANA",)), Shard("b", 2, "b.d", ("TEF",))])
    >>> engines = {
    ...     name: Engine.memory(log=MemoryLog(), instruments=[Instrument(symbol, "0.05")])
    ...     for name, symbol in [("a", "ANA"), ("b", "TEF")]
    ... }
    >>> with Shards(plan, engines) as shards:
    ...     answer = shards.submit(NewOrder("TEF", Side.BUY, 10, "7.20", account=7))
    ...     outcome = shards.mass_cancel(account=7)
    >>> {name: len(answer.events) for name, answer in outcome.answers.items()}
    {'a': 1, 'b': 2}
    """

    def __init__(self, plan: Plan, engines: Mapping[str, Engine], *, moving: str = "") -> None:
        if set(engines) != set(plan.shards):
            raise ShardError(f"{plan.path}: engines are given for {', '.join(sorted(engines))}")
        self.plan = plan
        self.engines = {name: engines[name] for name in plan.shards}
        self._check(moving)

    @classmethod
    def open(cls, path: str | os.PathLike[str], **options: Any) -> Shards:
        """Opens the engines of the plan in the file ``path``.

        ``options``: as of `Engine.open`, for each.  Raises what `Plan.read` and `Engine.open`
        raise; then none stays open.
        """
        plan = Plan.read(path)
        engines: dict[str, Engine] = {}
        try:
            for shard in plan.shards.values():
                engines[shard.name] = Engine.open(shard.log, **options)
            return cls(plan, engines)
        except BaseException:
            for engine in engines.values():
                engine.close()
            raise

    def _check(self, moving: str) -> None:
        """Every instrument is on the shard that the plan names, and on no other."""
        for name, engine in self.engines.items():
            symbols = {one.symbol for one in engine.instruments} | set(self.plan[name].instruments)
            for symbol in sorted(symbols - {moving}):
                self._check_one(name, symbol, standing(engine, symbol))

    def _check_one(self, name: str, symbol: str, found: Standing) -> None:
        planned = self.plan.places.get(symbol)
        if planned is not None and planned.name == name:
            if found.state in (State.HERE, State.ABSENT):
                return
            what = f"left for {found.other}" if found.state == State.LEFT else "has not arrived"
            raise ShardError(
                f"{self.plan.path}: {symbol} {what}, by the log of shard {name}: correct the plan,"
                " or finish the move with `matchcore shards move`"
            )
        if found.state == State.ARRIVING:
            raise ShardError(
                f"{symbol} is on its way to shard {name}: finish the move with"
                f" `matchcore shards move {self.plan.path} {symbol} {name}`"
            )
        if found.state == State.HERE:
            where = "no shard" if planned is None else f"shard {planned.name}"
            raise ShardError(
                f"{self.plan.path}: {symbol} is on shard {name}, and the plan has it on {where}"
            )

    def close(self) -> None:
        """Closes every engine."""
        for engine in self.engines.values():
            engine.close()

    # ------------------------------------------------------------------ one shard

    def engine(self, symbol: str) -> Engine:
        """The engine of the instrument ``symbol``; `UnknownInstrument` if none has it."""
        shard = self.plan.places.get(symbol)
        if shard is None:
            raise UnknownInstrument(f"no shard has the instrument {symbol!r}")
        return self.engines[shard.name]

    def submit(self, command: Command) -> Answer:
        """Sends ``command`` to the shard of its instrument and waits, as `Engine.submit`.

        `ShardError` for a command without an instrument: see `mass_cancel`, `end_day`, `each`.
        """
        return self._for(command).submit(command)

    def submit_async(self, command: Command, *, block: bool = True) -> Future[Answer]:
        """As `Engine.submit_async`: ``command`` to its shard; ``block``: as there."""
        return self._for(command).submit_async(command, block=block)

    def _for(self, command: Command) -> Engine:
        if isinstance(command, AddInstrument | ChangeInstrument):
            return self.engine(command.instrument.symbol)
        symbol = getattr(command, "symbol", None)
        if symbol is None:
            raise ShardError(f"{type(command).__name__} without an instrument is for every shard")
        return self.engine(symbol)

    def add_instrument(self, instrument: Instrument) -> int:
        """Adds ``instrument`` to the shard that the plan names; returns its number there."""
        return self.engine(instrument.symbol).add_instrument(instrument)

    def book(self, symbol: str) -> BookView:
        """As `Engine.book` for ``symbol``."""
        return self.engine(symbol).book(symbol)

    def order(self, account: int, client_order_id: Name) -> OrderState | None:
        """As `Engine.order` for ``account`` and ``client_order_id``.

        Of the first shard, in the plan's order, that knows the order.
        """
        for engine in self.engines.values():
            found = engine.order(account, client_order_id)
            if found is not None:
                return found
        return None

    def open_orders(self, account: int) -> list[OrderState]:
        """As `Engine.open_orders` for ``account``: of the first shard, then of the next."""
        return [order for engine in self.engines.values() for order in engine.open_orders(account)]

    # ------------------------------------------------------------------ every shard

    def each(self, command: Command) -> Outcome:
        """Sends ``command`` to every shard, in the plan's order, and waits for all.

        The shards work at the same time, and there is no moment at which all have done it.  One
        that fails stops no other.  Send it again with the same client order id until the outcome is
        complete: a shard that has done it answers again with its first answer.
        """
        return self._each(lambda engine: engine.submit_async(command))

    def _each(self, send: Callable[[Engine], Future[Answer]]) -> Outcome:
        under_way: dict[str, Future[Answer]] = {}
        outcome = Outcome({}, {})
        for name, engine in self.engines.items():
            try:
                under_way[name] = send(engine)
            except MatchcoreError as error:
                outcome.failures[name] = error
        for name, future in under_way.items():
            try:
                outcome.answers[name] = future.result()
            except MatchcoreError as error:
                outcome.failures[name] = error
        return outcome

    def mass_cancel(
        self, *, account: int = 0, side: Side | None = None, client_order_id: int = 0
    ) -> Outcome:
        """As `Engine.mass_cancel` on every shard.

        ``account``, ``side``, ``client_order_id``: as there.
        """
        return self.each(MassCancel(None, account, side, client_order_id=client_order_id))

    def end_day(self) -> Outcome:
        """As `Engine.end_day`, on every shard."""
        return self.each(EndDay(None))

    def digests(self) -> dict[str, str]:
        """The digest of each shard's state."""
        return {name: engine.digest() for name, engine in self.engines.items()}

    def move(self, symbol: str, to: str) -> Moved:
        """Moves the instrument ``symbol`` to the shard ``to``, as the function `move`.

        The plan follows; its file does not: change it before the next `open`.
        """
        origin, target = self.plan.shard_of(symbol).name, self.plan[to].name
        if origin == target:
            raise ShardError(f"{symbol} is on the shard {to} already")
        done = move(self.engines[origin], self.engines[to], symbol, origin=origin, to=to)
        self.plan = self.plan.moved(symbol, to)
        return done
