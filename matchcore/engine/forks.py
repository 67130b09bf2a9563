"""What-if: an exchange in memory that continues from a state of another one.

It executes own commands and recorded ones in any order.  An exchange assigns ids by counting, so
an own order would shift the ids of all later recorded orders, and a recorded cancel would reach
another order.  Therefore a second machine, the record, executes the recorded commands alone.  It
assigns the ids that the log's exchange assigned, and the fork gives them to the recorded orders.
Own orders get ids from `OWN_IDS` on, which no exchange reaches by counting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand, LogError, NotInTheLog, UnknownInstrument
from ..journal import Frame
from ..machine import Machine
from ..machine.state import State
from ..records.arguments import UINT64_MAX, integer
from ..records.codec import pack
from ..records.commands import COMMAND, INSTRUMENT, among, checked, defines, joined
from ..records.events import EVENT, fresh
from ..records.instruments import read_instrument
from ..records.schema import ORDER_KINDS, REPEATABLE_KINDS, EventKind, Kind
from ..records.times import Moment, nanoseconds
from ..records.typed import Command
from .answers import Answer
from .calls import Calls
from .reads import Reads
from .recovery import upgrade

Frames = Callable[[int], Iterator[Frame]]  # the frames of a log after a sequence
OWN_IDS = 2**63  # the first id of an own order


class Fork(Reads, Calls):
    """An exchange in memory, made by `Engine.fork`, with the reads and calls of an engine.

    Any thread may use it.  Own commands (`submit`, `submit_batch`, `cancel`, …) may refer to own
    and recorded orders.  `replay` executes the commands that the log recorded after the fork,
    `feed` does the same with an array.  Recorded orders keep their ids; own orders get ids from
    2^63 on.  Sequences and trade ids are those of the fork; `recorded` is the log's sequence.

    >>> from matchcore import Engine, Instrument, MemoryLog, NewOrder, Side
    >>> engine = Engine.memory(instruments=[Instrument("ANA", "0.05")], log=MemoryLog())
    >>> fork = engine.fork()
    >>> order = engine.submit(NewOrder("ANA", Side.BUY, 10, "95.70"))
    >>> mine = fork.submit(NewOrder("ANA", Side.BUY, 5, "95.75"))
    >>> events = fork.replay()
    >>> order.order_id, events["order_id"].tolist(), mine.order_id - 2**63
    (1, [1], 0)
    """

    def __init__(
        self,
        made: type[Machine],
        state: State,
        frames: Frames | None = None,
    ) -> None:
        """Use `Engine.fork`.  ``frames``: reads the log after a sequence; None without a log."""
        if state.next_order_id >= OWN_IDS:
            raise LogError(f"order ids from {OWN_IDS} are in use: this exchange cannot be forked")
        self._lock = threading.RLock()
        self._record = made.from_state(state)
        state.next_order_id = OWN_IDS
        self._machine = made.from_state(state)
        self._frames = frames
        self._own_ids: set[int] = set()
        self._own_requests: set[tuple[int, int]] = set()  # account and client order id

    def _seen(self) -> Machine:
        return self._machine

    @property
    def recorded(self) -> int:
        """The log's sequence of the last recorded command that was executed."""
        with self._lock:
            return self._record.sequence

    # ------------------------------------------------------------------ own commands

    def submit(self, command: Command) -> Answer:
        """Executes one own ``command``; returns and raises as `Engine.submit`.

        A fork has no clock: a command with time 0 keeps it.

        Also `InvalidCommand` for `AddInstrument` and `ChangeInstrument`, because the log defines
        the instruments, and for a new order with an ``order_id`` below 2^63 other than 0.
        """
        with self._lock:
            directory = self._machine.instruments
            commands = np.frombuffer(pack(command, directory), COMMAND)
            events, time = self._apply_own(commands), int(commands["time"][0])
            return Answer(events.tobytes(), directory, time=time)

    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Executes own ``commands``, a `COMMAND` array; returns their events, an `EVENT` array.

        Raises as `submit`.
        """
        with self._lock:
            return self._apply_own(checked(commands))

    def _apply_own(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        kind, ids = commands["kind"], commands["order_id"]
        if defines(commands).any():
            raise InvalidCommand(
                "a fork has the instruments of its log: they cannot be added or changed"
            )
        low = ids[(kind == Kind.NEW) & (ids > 0) & (ids < OWN_IDS)]
        if len(low):
            raise InvalidCommand(
                f"order_id {low[0]}: own orders of a fork have ids from {OWN_IDS}; 0 assigns one"
            )
        events = self._machine.apply(commands)
        told, first = fresh(events), self._machine.sequence + 1 - len(commands)
        self._own_ids.update(told["order_id"][told["kind"] == EventKind.ACCEPTED].tolist())
        named = _requests(commands)
        named[(told["sequence"][told["kind"] == EventKind.REPEATED] - first).astype(int)] = False
        self._own_requests.update(commands[["account", "client_order_id"]][named].tolist())
        return events

    # ------------------------------------------------------------------ recorded commands

    def replay(
        self, *, sequence: int | None = None, time: Moment | None = None
    ) -> NDArray[np.void]:
        """Executes the log's commands after `recorded`; returns their `EVENT`s in this fork.

        - ``sequence``: up to this command of the log.
        - ``time``: up to the last command whose time is at or before it, in a form of `Engine.at`.
          Without both: up to the log's durable end.

        Events take 96 bytes each in memory: replay a long log in steps.  `NotInTheLog` for a
        sequence beyond the log's end, after all commands were executed.  `LogError` without a log.
        ValueError for both arguments.  Otherwise raises as `feed`.
        """
        if sequence is not None and time is not None:
            raise ValueError("give sequence or time, not both")
        if self._frames is None:
            raise LogError("this fork has no log: pass recorded commands to feed")
        with self._lock:
            upto = None
            if sequence is not None:
                upto = integer(sequence, "sequence", self.recorded, UINT64_MAX)
            if time is not None:
                upto = self._sequence_at(nanoseconds(time))
            told = [np.empty(0, EVENT)]
            for frame in self._frames(self.recorded) if upto != self.recorded else ():
                start = self.recorded + 1 - frame.first_sequence
                end = None if upto is None else upto + 1 - frame.first_sequence
                if frame.rules:
                    upgrade(self._record, frame)
                    told.append(upgrade(self._machine, frame))
                else:
                    told.append(self.feed(frame.commands[start:end]))
                if self.recorded == upto:
                    break
            if upto is not None and self.recorded < upto:
                raise NotInTheLog(f"sequence {upto}: the log ends with {self.recorded}")
            return joined(told)

    def _sequence_at(self, limit: int) -> int:
        """Sequence of the last command at or before a time in nanoseconds; at least `recorded`."""
        assert self._frames is not None
        found = self.recorded
        for frame in self._frames(found):
            early = np.flatnonzero(frame.commands["time"] <= limit)
            if len(early):
                found = max(found, frame.first_sequence + int(early[-1]))
        return found

    def feed(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Executes the log's next ``commands``, a `COMMAND` array; returns their `EVENT`s here.

        `InvalidCommand` at a command with the order id, or with account and client order id, of an
        own command; and at a change of tick if orders of the instrument rest only in this fork or
        only in the log.  `recorded` shows how far it came.  UPGRADE_RULES is refused as
        UNKNOWN_KIND: only `replay` reads the mark of its frame.
        """
        commands = joined([checked(commands)])  # a copy: ids are written into it
        changes = np.flatnonzero(commands["kind"] == Kind.CHANGE_INSTRUMENT)
        with self._lock:
            told = [np.empty(0, EVENT)]
            for piece in np.split(commands, np.unique([changes, changes + 1])):
                told.append(self._feed(piece))
            return joined(told)

    def _feed(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        self._check_apart(commands)
        said = fresh(self._record.apply(commands))
        said = said[said["kind"] == EventKind.ACCEPTED]
        first = self._record.sequence + 1 - len(commands)
        commands["order_id"][(said["sequence"] - first).astype(int)] = said["order_id"]
        events = self._machine.apply(commands)
        told, first = fresh(events), self._machine.sequence + 1 - len(commands)
        told = told[told["kind"] == EventKind.ACCEPTED]
        # the exchange refused these and gave them no id: here they have one of the fork's
        unknown = commands["order_id"][(told["sequence"] - first).astype(int)] == 0
        self._own_ids.update(told["order_id"][unknown].tolist())
        return events

    def _check_apart(self, commands: NDArray[np.void]) -> None:
        """`InvalidCommand` for recorded commands that this fork would mistake for own ones."""
        kind, next_one = commands["kind"], self._record.sequence + 1
        if len(commands) == 1 and kind[0] == Kind.CHANGE_INSTRUMENT:
            self._check_tick(commands.view(INSTRUMENT)[0], next_one)
        about = np.where(among(kind, ORDER_KINDS), commands["order_id"], 0)
        for at, order_id in enumerate(about.tolist() if self._own_ids else ()):
            if order_id in self._own_ids:
                raise InvalidCommand(
                    f"sequence {next_one + at} of the log uses order id {order_id}, and so does an"
                    " own order of this fork: fork again and use other ids for own orders"
                )
        named = _requests(commands)
        pairs = commands[["account", "client_order_id"]].tolist() if self._own_requests else ()
        for at, pair in enumerate(pairs):
            if named[at] and pair in self._own_requests:
                raise InvalidCommand(
                    f"sequence {next_one + at} of the log has client order id {pair[1]} of account"
                    f" {pair[0]}, and so has an own command of this fork: fork again and use others"
                )

    def _check_tick(self, row: np.void, sequence: int) -> None:
        number, directory = int(row["instrument"]), self._machine.instruments
        try:
            known = directory[number]
            if read_instrument(row).tick == known.tick:
                return
        except (InvalidCommand, UnknownInstrument):
            return  # refused, with or without orders
        if bool(len(self._machine.orders(number))) != bool(len(self._record.orders(number))):
            raise InvalidCommand(
                f"sequence {sequence} of the log changes the tick of {known.symbol}, which needs an"
                " empty book: orders rest in this fork and not in the log, or the other way round"
            )


def _requests(commands: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which commands have a client order id, and so are executed once only."""
    return among(commands["kind"], REPEATABLE_KINDS) & (commands["client_order_id"] > 0)
