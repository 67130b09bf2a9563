"""matchcore: an exchange core.  One log, one deterministic machine, many followers."""

from __future__ import annotations

from ._machine import Machine
from ._orderbook import OrderBook
from ._version import VERSION
from .aio import AsyncEngine
from .answers import Answer, BookView, Depth, Durability, PriceLevel, RestingOrder, Top
from .commands import (
    COMMAND,
    INSTRUMENT,
    LEVEL,
    ORDER,
    Flag,
    Kind,
    OrderType,
    Side,
    TimeInForce,
)
from .encoding import encode, encode_all
from .engine import Engine
from .errors import (
    InstrumentConflict,
    InvalidArgument,
    InvalidCommand,
    InvalidEvent,
    KeyRefused,
    LogDamaged,
    LogError,
    LogFailed,
    LogLocked,
    MatchcoreError,
    MissingExtra,
    NotInTheLog,
    OrderRejected,
    PriceError,
    QueueFull,
    ReadOnly,
    SinkError,
    SnapshotDamaged,
    TooManyRows,
    UnknownInstrument,
)
from .events import EVENT, EventKind, Field, Reason, Status, fresh
from .follower import Follower, Sink, SinkBehind
from .forks import Fork
from .instruments import Directory, Instrument
from .journal import Keys, MemoryLog, Position
from .recovery import Recovery
from .state import State
from .submissions import Commit
from .typed import (
    AddInstrument,
    Amend,
    Cancel,
    ChangeInstrument,
    Command,
    EndDay,
    MassCancel,
    NewOrder,
    OrderEvent,
    Reduce,
    Trade,
    as_plain,
    decode,
    decode_event,
)

__version__ = VERSION


def get_include() -> str:
    """The directory of matchcore's headers, for a C compiler."""
    from pathlib import Path

    return str(Path(__file__).parent)


__all__ = [
    "COMMAND",
    "EVENT",
    "INSTRUMENT",
    "LEVEL",
    "ORDER",
    "AddInstrument",
    "Amend",
    "Answer",
    "AsyncEngine",
    "BookView",
    "Cancel",
    "ChangeInstrument",
    "Command",
    "Commit",
    "Depth",
    "Directory",
    "Durability",
    "EndDay",
    "Engine",
    "EventKind",
    "Field",
    "Flag",
    "Follower",
    "Fork",
    "Instrument",
    "InstrumentConflict",
    "InvalidArgument",
    "InvalidCommand",
    "InvalidEvent",
    "KeyRefused",
    "Keys",
    "Kind",
    "LogDamaged",
    "LogError",
    "LogFailed",
    "LogLocked",
    "Machine",
    "MassCancel",
    "MatchcoreError",
    "MemoryLog",
    "MissingExtra",
    "NewOrder",
    "NotInTheLog",
    "OrderBook",
    "OrderEvent",
    "OrderRejected",
    "OrderType",
    "Position",
    "PriceError",
    "PriceLevel",
    "QueueFull",
    "ReadOnly",
    "Reason",
    "Recovery",
    "Reduce",
    "RestingOrder",
    "Side",
    "Sink",
    "SinkBehind",
    "SinkError",
    "SnapshotDamaged",
    "State",
    "Status",
    "TimeInForce",
    "TooManyRows",
    "Top",
    "Trade",
    "UnknownInstrument",
    "__version__",
    "as_plain",
    "decode",
    "decode_event",
    "encode",
    "encode_all",
    "fresh",
    "get_include",
]
