"""What-if: an exchange in memory that goes its own way from a state of another one.

It takes own commands and the ones that the log recorded, in any mixture.  The exchange assigns
ids by counting, so an own order would shift the ids of all that were recorded behind it, and a
recorded cancel would hit another order.  Here a second machine, the record, takes the recorded
commands alone: the id that it assigns is the one in the log, and is given to the fork with the
order.  Own orders get ids from `OWN_IDS` on, to which no exchange counts.
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

Frames = Callable[[int], Iterator[Frame]]  # those of a log behind a sequence
OWN_IDS = 2**63  # the first id of an own order


class Fork(Reads, Calls):
    """An `Engine.fork`: reads and calls as an engine has them, in memory, for any thread.

    Own commands (`submit`, `submit_batch`, `cancel`, …) may be about own and recorded orders.
    `replay` gives it what the log recorded behind the moment of the fork, `feed` the same from an
    array.  Recorded orders keep their ids; own orders get theirs from 2^63 on.  Sequences and
    trade ids are the fork's own; ``recorded`` is the log's sequence that it has come to.

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
        """``frames``: of the log that the state is of; None if there is none."""
        if state.next_order_id >= OWN_IDS:
            raise LogError(f"ids from {OWN_IDS} on are assigned already: none is left for a fork")
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
        """The log's sequence of the last recorded command that this has taken."""
        with self._lock:
            return self._record.sequence

    # ------------------------------------------------------------------ own commands

    def submit(self, command: Command) -> Answer:
        """One own command; as `Engine.submit`, but its time is its own: a fork has no clock.

        `InvalidCommand` for an instrument command, because numbers of instruments are the log's,
        and for a new order with an id below 2^63 that is not 0.
        """
        with self._lock:
            directory = self._machine.instruments
            commands = np.frombuffer(pack(command, directory), COMMAND)
            events, time = self._apply_own(commands), int(commands["time"][0])
            return Answer(events.tobytes(), directory, time=time)

    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Own commands as a `COMMAND` array; their `EVENT`s.  Raises as `submit` does."""
        with self._lock:
            return self._apply_own(checked(commands))

    def _apply_own(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        kind, ids = commands["kind"], commands["order_id"]
        if defines(commands).any():
            raise InvalidCommand(
                "a fork has the instruments of the log: none can be added or changed"
            )
        low = ids[(kind == Kind.NEW) & (ids > 0) & (ids < OWN_IDS)]
        if len(low):
            raise InvalidCommand(
                f"order_id {low[0]}: own orders of a fork have ids from {OWN_IDS} on; 0 assigns one"
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
        """Feeds what the log recorded behind `recorded`; returns its events in this fork.

        ``sequence``: up to this command of the log; ``time``: up to the last command whose time is
        at or before it (see `Engine.at`); neither: to the log's durable end.  96 bytes an event:
        go through a long log in steps.  `NotInTheLog` beyond its end, with all before it fed;
        `LogError` without a log; else as `feed`.
        """
        if sequence is not None and time is not None:
            raise ValueError("sequence or time, not both")
        if self._frames is None:
            raise LogError("this fork has no log: give recorded commands to feed")
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
        """The last command at or before a time, in nanoseconds; `recorded` if none is later."""
        assert self._frames is not None
        found = self.recorded
        for frame in self._frames(found):
            early = np.flatnonzero(frame.commands["time"] <= limit)
            if len(early):
                found = max(found, frame.first_sequence + int(early[-1]))
        return found

    def feed(self, commands: NDArray[np.void]) -> NDArray[np.void]:
        """Takes the log's next commands, a `COMMAND` array; returns their events in this fork.

        `InvalidCommand` before the first one that no fork can follow; `recorded` tells how far it
        came: one with the order id, or the account and client order id, of an own command, which
        would be taken for it; and a change of tick while only in this fork orders rest there.
        UPGRADE_RULES is refused as UNKNOWN_KIND here: only `replay` sees the mark of its frame.
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
        """`InvalidCommand` for recorded commands that this fork would take for other ones."""
        kind, next_one = commands["kind"], self._record.sequence + 1
        if len(commands) == 1 and kind[0] == Kind.CHANGE_INSTRUMENT:
            self._check_tick(commands.view(INSTRUMENT)[0], next_one)
        about = np.where(among(kind, ORDER_KINDS), commands["order_id"], 0)
        for at, order_id in enumerate(about.tolist() if self._own_ids else ()):
            if order_id in self._own_ids:
                raise InvalidCommand(
                    f"sequence {next_one + at} of the log is about order {order_id}, and so is an"
                    " own order of this fork: fork again and give own orders other ids"
                )
        named = _requests(commands)
        pairs = commands[["account", "client_order_id"]].tolist() if self._own_requests else ()
        for at, pair in enumerate(pairs):
            if named[at] and pair in self._own_requests:
                raise InvalidCommand(
                    f"sequence {next_one + at} of the log has client order id {pair[1]} of account"
                    f" {pair[0]}, and so has an own command of this fork: fork again without that"
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
                f"sequence {sequence} of the log is another tick of {known.symbol}, which an empty"
                " book takes only: in this fork orders rest there, and in the log they do not, or"
                " the other way round"
            )


def _requests(commands: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which commands have a client order id, and so are done once only."""
    return among(commands["kind"], REPEATABLE_KINDS) & (commands["client_order_id"] > 0)
