"""Typed commands as records: what a record cannot hold is refused here, and nothing else.

The rules of the exchange are the machine's, and its refusals are in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand
from ._quick import quick
from .arguments import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX, shown
from .commands import COMMAND, INSTRUMENT
from .fields import Values, whole
from .instruments import Directory, Instrument, write_instrument
from .market_faces import Bust, Clock, Quote, SetMarket, SetPhase, SetProtection, market_record
from .operating import Notice, Register, SetLimits, operating_record
from .order_faces import Amend, Cancel, EndDay, MassCancel, NewOrder, Reduce
from .order_records import amend_fields, mass_cancel_fields, order_fields
from .schema import COMMAND_RECORD, SWEEP_KINDS, Kind
from .typed import AddInstrument, ChangeInstrument, Command, UpgradeRules

# Fields that are not named here are zero, also those that the record does not have yet.
_pack_order = COMMAND_RECORD.packer(
    "time", "order_id", "client_order_id", "account", "price", "stop_price", "quantity",
    "display_quantity", "expiry", "instrument", "kind", "side", "order_type", "time_in_force",
    "self_trade", "flags", "session", "client_order_tail",
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
            return _record(directory, command, now, Kind.NEW, order_fields)
        case Cancel():
            return _record(directory, command, now, Kind.CANCEL)
        case Amend():
            return _record(directory, command, now, Kind.AMEND, amend_fields)
        case Reduce():
            return _record(directory, command, now, Kind.REDUCE)
        case MassCancel():
            return _record(directory, command, now, Kind.MASS_CANCEL, mass_cancel_fields)
        case EndDay():
            return _record(directory, command, now, Kind.END_DAY)
        case AddInstrument() | ChangeInstrument():
            return _instrument_record(directory, command, now)
        case Register() | Notice() | SetLimits():
            return operating_record(command, directory, now)
        case SetMarket() | SetPhase() | Clock() | Quote() | SetProtection() | Bust():
            return market_record(command, directory, now)
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


def _record(
    directory: Directory,
    command: Any,
    now: int,
    kind: Kind,
    more: Callable[[Any, Directory, int], Values] | None = None,
) -> bytes:
    """``more``: makes the fields that only commands of this kind have."""
    every = command.symbol is None and kind in SWEEP_KINDS
    number = 0 if every else directory.number(command.symbol)
    fields = more(command, directory, number) if more is not None else {}
    price = getattr(command, "price", None)
    if "price" not in fields:
        fields["price"] = directory[number].ticks(price) if price is not None else 0
    if "quantity" not in fields:
        fields["quantity"] = whole(command, "quantity", INT64_MIN, INT64_MAX)
    given = fields.get
    return _pack_order(
        whole(command, "time", INT64_MIN, INT64_MAX) or now,
        whole(command, "order_id", 0, UINT64_MAX),
        whole(command, "client_order_id", 0, UINT64_MAX),
        whole(command, "account", 0, UINT64_MAX),
        fields["price"],
        given("stop_price", 0),
        fields["quantity"],
        given("display_quantity", 0),
        given("expiry", 0),
        number,
        kind,
        given("side", 0),
        given("order_type", 0),
        given("time_in_force", 0),
        given("self_trade", 0),
        given("flags", 0),
        whole(command, "session", 0, UINT32_MAX),
        whole(command, "client_order_tail", 0, UINT64_MAX),
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
    row["time"] = whole(command, "time", INT64_MIN, INT64_MAX) or now
    if isinstance(command, AddInstrument):
        row["kind"] = Kind.ADD_INSTRUMENT
    else:
        row["kind"] = Kind.CHANGE_INSTRUMENT
        row["instrument"] = directory.number(command.instrument.symbol)
    return record.tobytes()
