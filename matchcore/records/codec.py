"""Typed commands as records: what a record cannot hold is refused here, and nothing else.

The rules of the exchange are the machine's, and its refusals are in the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand
from ._quick import quick
from .arguments import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX, flag, integer, shown
from .commands import COMMAND, INSTRUMENT
from .instruments import Directory, Instrument, write_instrument
from .operating import Notice, Register, SetLimits, operating_record
from .schema import COMMAND_RECORD, SWEEP_KINDS, Flag, Kind, OrderType, TimeInForce
from .typed import (
    AddInstrument,
    Amend,
    Cancel,
    ChangeInstrument,
    Command,
    EndDay,
    MassCancel,
    NewOrder,
    Reduce,
    UpgradeRules,
)

# Fields that are not named here are zero, also those that the record does not have yet.
_pack_order = COMMAND_RECORD.packer(
    "time", "order_id", "client_order_id", "account", "price", "quantity", "instrument", "kind",
    "side", "order_type", "time_in_force", "flags", "session", "client_order_tail",
).pack  # fmt: skip


def encode(command: Command, directory: Directory) -> NDArray[np.void]:
    """The typed ``command`` as a `COMMAND` array of length 1.

    ``directory``: the instruments.  `InvalidCommand`, `PriceError` or `UnknownInstrument` if the
    record cannot hold the command: wrong types, more than 64 bits, a price off the tick, an unknown
    symbol.  The machine checks the rules of the exchange, and the log has its refusals.
    """
    return np.frombuffer(pack(command, directory), COMMAND)


def pack(command: Command, directory: Directory, now: int = 0) -> bytes:
    """The bytes of `encode`, with ``now`` as the time of a command with time 0."""
    # `quick` gives None where it may not be right: `_pack` finds out, and says what is wrong
    return quick(command, directory, now) or _pack(command, directory, now)


def _pack(command: Command, directory: Directory, now: int) -> bytes:
    match command:
        case NewOrder():
            market = command.price is None
            usual = TimeInForce.IOC if market else TimeInForce.GTC
            return _record(
                directory, command, now, Kind.NEW,
                side=command.side,
                tif=usual if command.time_in_force is None else command.time_in_force,
                order_type=OrderType.MARKET if market else OrderType.LIMIT,
                flags=flag(command.post_only, "NewOrder.post_only", InvalidCommand),
            )  # fmt: skip
        case Cancel():
            return _record(directory, command, now, Kind.CANCEL)
        case Amend():
            keep = Flag.KEEP_PRICE if command.price is None else 0
            keep |= Flag.KEEP_QUANTITY if command.quantity is None else 0
            return _record(directory, command, now, Kind.AMEND, flags=keep)
        case Reduce():
            return _record(directory, command, now, Kind.REDUCE)
        case MassCancel():
            return _record(
                directory,
                command,
                now,
                Kind.MASS_CANCEL,
                side=0 if command.side is None else command.side,
            )
        case EndDay():
            return _record(directory, command, now, Kind.END_DAY)
        case AddInstrument() | ChangeInstrument():
            return _instrument_record(directory, command, now)
        case Register() | Notice() | SetLimits():
            return operating_record(command, directory, now)
        case UpgradeRules():
            raise InvalidCommand("UpgradeRules cannot be sent: call engine.upgrade_rules()")
    raise InvalidCommand(f"{shown(command)} is not a command")


def upgrade_record(version: int, now: int) -> NDArray[np.void]:
    """The command UPGRADE_RULES, for a marked frame of its own; `now` in nanoseconds."""
    record = np.zeros(1, COMMAND)
    record["kind"], record["quantity"], record["time"] = Kind.UPGRADE_RULES, version, now
    return record


def encode_all(commands: Iterable[Command], directory: Directory) -> NDArray[np.void]:
    """The typed ``commands`` as one `COMMAND` array, for `Engine.submit_batch`.

    ``directory``: the instruments.  It must have those of all commands: an `AddInstrument` takes
    effect when it is applied.  Raises as `encode`.
    """
    records = bytearray().join(pack(command, directory) for command in commands)
    return np.frombuffer(records, COMMAND) if records else np.empty(0, COMMAND)


def _whole(command: Any, name: str, low: int, high: int) -> int:
    """The field of a command as an integer; 0 if its face does not have it."""
    return _within(command, name, getattr(command, name, 0), low, high)


def _within(command: Any, name: str, value: Any, low: int, high: int) -> int:
    return integer(value, f"{type(command).__name__}.{name}", low, high, InvalidCommand)


def _record(
    directory: Directory,
    command: Any,
    now: int,
    kind: Kind,
    *,
    side: int = 0,
    order_type: int = 0,
    tif: int = 0,
    flags: int = 0,
) -> bytes:
    every = command.symbol is None and kind in SWEEP_KINDS
    number = 0 if every else directory.number(command.symbol)
    price = getattr(command, "price", None)
    return _pack_order(
        _whole(command, "time", INT64_MIN, INT64_MAX) or now,
        _whole(command, "order_id", 0, UINT64_MAX),
        _whole(command, "client_order_id", 0, UINT64_MAX),
        _whole(command, "account", 0, UINT64_MAX),
        directory[number].ticks(price) if price is not None else 0,
        0 if flags & Flag.KEEP_QUANTITY else _whole(command, "quantity", INT64_MIN, INT64_MAX),
        number,
        kind,
        _within(command, "side", side, 0, 255),
        order_type,
        _within(command, "time_in_force", tif, 0, 255),
        flags,
        _whole(command, "session", 0, UINT32_MAX),
        _whole(command, "client_order_tail", 0, UINT64_MAX),
    )


def _instrument_record(
    directory: Directory, command: AddInstrument | ChangeInstrument, now: int
) -> bytes:
    if not isinstance(command.instrument, Instrument):
        name = f"{type(command).__name__}.instrument"
        raise InvalidCommand(f"{name} {shown(command.instrument)}: an Instrument")
    record = np.zeros(1, INSTRUMENT)
    row = record[0]
    write_instrument(row, command.instrument)
    row["time"] = _whole(command, "time", INT64_MIN, INT64_MAX) or now
    if isinstance(command, AddInstrument):
        row["kind"] = Kind.ADD_INSTRUMENT
    else:
        row["kind"] = Kind.CHANGE_INSTRUMENT
        row["instrument"] = directory.number(command.instrument.symbol)
    return record.tobytes()
