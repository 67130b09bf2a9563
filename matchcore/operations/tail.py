"""The commands of a log, one by one and with names, from the end or from any sequence on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.recovery import look, replay
from ..errors import InvalidCommand, LogDamaged, NotInTheLog
from ..journal import (
    Frame,
    Keys,
    Place,
    Reader,
    Where,
    despite_archiving,
    first_sequence,
    last_sequence,
    open_reader,
    place_of,
)
from ..machine import Machine
from ..records.commands import defines
from ..records.instruments import Instrument
from ..records.market_faces import SetMarket
from ..records.order_faces import Amend, NewOrder
from ..records.schema import Kind, SelfTrade
from ..records.times import text_of
from ..records.typed import Command, as_plain, decode


@dataclass(frozen=True, slots=True)
class Line:
    """One command of a log.  ``command`` is None for a record that no typed command can say,
    and where it is not known which instruments there are; ``record`` has its fields then."""

    sequence: int
    epoch: int
    time: int
    command: Command | None
    record: dict[str, int]

    def as_plain(self) -> dict[str, Any]:
        """JSON-ready values, prices as text."""
        said = as_plain(self.command) if self.command is not None else {"type": "record"}
        return {"sequence": self.sequence, "epoch": self.epoch, **said, **self.record}

    def __str__(self) -> str:
        start = f"{self.sequence:>10}  {text_of(self.time)}  "
        if self.command is None:
            return start + "record " + " ".join(f"{k}={v}" for k, v in self.record.items())
        return start + _text(self.command)


def lines(
    path: Where,
    *,
    count: int | None = None,
    sequence: int | None = None,
    follow: bool = False,
    keys: Keys | None = None,
) -> Iterator[Line]:
    """The commands from `sequence` on, or the last `count`; with `follow` those to come, too.

    With both, at most `count` from there.  `NotInTheLog` for a sequence beyond the next one;
    `LogDamaged` behind the last good command, `KeyRefused` for an encrypted segment without
    its key.
    """
    place = place_of(path)
    left = None if sequence is None else count

    def begin() -> tuple[int, Machine | None, Reader]:
        first = first_sequence(place)
        if sequence is None:
            after = max(first - 1, last_sequence(place) - (count or 0))
        else:
            after = sequence - 1
        if after < first - 1:
            raise NotInTheLog(f"sequence {after + 1}: the log in {place} begins with {first}")
        try:
            machine = _machine_at(place, after, keys)
        except NotInTheLog:
            end = last_sequence(place)
            raise NotInTheLog(f"sequence {sequence}: the log in {place} ends with {end}") from None
        return after, machine, open_reader(place, after=after, keys=keys)

    def begin_whole() -> tuple[int, Machine | None, list[Frame]]:
        after, machine, found = begin()
        with found:
            return after, machine, _frames(found, after + (count or 0))

    if count is not None and not follow:
        # all of them at once, so that none is archived before its turn
        after, machine, frames = despite_archiving(place, begin_whole)
        for frame in frames:
            for line in _lines(frame, after, machine):
                if line.sequence > after + count:
                    return
                yield line
        return
    after, machine, found = despite_archiving(place, begin)
    with found as reader, closing(reader.growth()) as growth:
        while True:
            for frame in reader.read():
                for line in _lines(frame, after, machine):
                    if left is not None and left <= 0:
                        return
                    left = None if left is None else left - 1
                    yield line
            if not follow:
                return
            growth.wait()


def _frames(reader: Reader, last: int) -> list[Frame]:
    """Those that hold sequences up to `last`."""
    frames: list[Frame] = []
    for frame in reader.read():
        if frame.first_sequence > last:
            break
        frames.append(frame)
    return frames


def _machine_at(place: Place, sequence: int, keys: Keys | None) -> Machine | None:
    """Knows the instruments there; None when what led there is archived."""
    try:
        return look(place, sequence=sequence, keys=keys).machine
    except LogDamaged:
        if first_sequence(place) > 1:
            return None
        raise


def _lines(frame: Frame, after: int, machine: Machine | None) -> Iterator[Line]:
    """A frame's commands, each with the instruments as they were before it."""
    skipped = max(0, after + 1 - frame.first_sequence)
    at = frame.first_sequence + skipped
    commands = frame.commands[skipped:]
    for part in np.split(commands, np.flatnonzero(defines(commands)) + 1):
        for row in part:
            yield _line(row, at, frame, machine)
            at += 1
        if machine is not None and not frame.rules:
            machine.replay(part)
    if machine is not None and frame.rules:
        replay(machine, frame)


def _line(row: np.void, sequence: int, frame: Frame, machine: Machine | None) -> Line:
    epoch, moment = frame.epoch, int(row["time"])
    # of the same kind in an ordinary frame nothing came: it was refused
    if machine is not None and bool(frame.rules) == (row["kind"] == Kind.UPGRADE_RULES):
        try:
            return Line(sequence, epoch, moment, decode(row, machine.instruments), {})
        except InvalidCommand:
            pass
    names = row.dtype.names or ()
    record = {name: int(row[name]) for name in names if row[name] or name == "kind"}
    return Line(sequence, epoch, moment, None, record)


def _text(command: Command) -> str:
    """Kind, symbol, side, quantity @ price, then whatever else it says."""
    plain = as_plain(command)
    instrument = getattr(command, "instrument", None)
    if isinstance(instrument, Instrument):
        plain = {**plain.pop("instrument"), "type": plain["type"]}
    parts = [f"{plain.pop('type'):<16}", f"{plain.pop('symbol', None) or 'all':<8}"]
    side = plain.pop("side", None)
    if side is not None:
        parts.append(f"{side:<4}")
    if isinstance(command, NewOrder):
        kind = plain.pop("order_type")
        if kind is not None:
            parts.append(kind.lower().replace("_", " "))
        parts.append(f"{plain.pop('quantity')} @ {plain.pop('price') or 'market'}")
    if isinstance(command, Amend):
        quantity, price = plain.pop("quantity"), plain.pop("price")
        if plain["total_quantity"] is not None:
            quantity = f"{plain.pop('total_quantity')} in all"
        parts.append(f"{'same' if quantity is None else quantity} @ {price or 'same'}")
    if isinstance(command, SetMarket):
        parts += [plain.pop("parameter"), *(f"{k} {v}" for k, v in plain.pop("values").items())]
    for name, value in plain.items():
        if value not in (None, 0, False, "", SelfTrade.ALLOWED.name) and name != "time":
            parts.append(f"{name.replace('_', ' ')} {value}")
    return " ".join(parts).rstrip()
