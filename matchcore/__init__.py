"""matchcore: an exchange core.  One log, one deterministic machine, many followers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import VERSION
from .engine.answers import Answer, BookView, Depth, Durability, PriceLevel, RestingOrder, Top
from .engine.engine import Engine
from .engine.follower import Follower, Sink, SinkBehind
from .engine.forks import Fork
from .engine.markets import Indicative, TradingDay
from .engine.orders import Fill, OrderState
from .engine.recovery import Recovery
from .engine.streaming import Events
from .engine.submissions import Commit
from .engine.taps import Logged
from .engine.terms import Terms
from .errors import (
    FeedError,
    InstrumentConflict,
    InvalidArgument,
    InvalidCommand,
    InvalidEvent,
    KeyRefused,
    LogClosed,
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
    ReportsError,
    ShardError,
    SinkError,
    SnapshotDamaged,
    TooManyRows,
    UnknownDay,
    UnknownInstrument,
)
from .journal import Keys, MemoryLog, Position
from .machine._machine import Machine
from .machine._orderbook import OrderBook
from .machine.state import State
from .records.changes import CHANGE
from .records.codec import encode, encode_all
from .records.commands import COMMAND, INSTRUMENT, LEVEL, LIMITS, ORDER, TEXT
from .records.events import EVENT, fresh, times_of
from .records.instruments import Directory, Instrument
from .records.market import Market
from .records.market_faces import Bust, Clock, Quote, SetMarket, SetPhase, SetProtection
from .records.markets import PARAMETER, PHASE, PROTECTION
from .records.operating import Notice, Register, SetLimits
from .records.order_faces import Amend, Cancel, EndDay, MassCancel, NewOrder, Reduce
from .records.register import Place
from .records.schema import (
    AuctionRule,
    CageMode,
    ChangeFlag,
    ChangeKind,
    ClosingRule,
    EventKind,
    Field,
    Flag,
    Kind,
    LimitFlag,
    OrderStatus,
    OrderType,
    Parameter,
    Phase,
    Reason,
    SelfTrade,
    Side,
    Status,
    TimeInForce,
    Topic,
)
from .records.typed import (
    AddInstrument,
    ChangeInstrument,
    Command,
    OrderEvent,
    Trade,
    UpgradeRules,
    as_plain,
    decode,
    decode_event,
)

if TYPE_CHECKING:
    from . import markets
    from .engine.aio import AsyncEngine

__version__ = VERSION


def __getattr__(name: str) -> object:
    """`AsyncEngine` brings in asyncio and `markets` rule tables: most programs do without."""
    if name == "markets":
        from importlib import import_module

        return import_module(".markets", __name__)
    if name != "AsyncEngine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .engine.aio import AsyncEngine

    globals()[name] = AsyncEngine
    return AsyncEngine


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def get_include() -> str:
    """The directory of matchcore's headers, for a C compiler."""
    from pathlib import Path

    return str(Path(__file__).with_name("include"))


__all__ = [
    "CHANGE",
    "COMMAND",
    "EVENT",
    "INSTRUMENT",
    "LEVEL",
    "LIMITS",
    "ORDER",
    "PARAMETER",
    "PHASE",
    "PROTECTION",
    "TEXT",
    "AddInstrument",
    "Amend",
    "Answer",
    "AsyncEngine",
    "AuctionRule",
    "BookView",
    "Bust",
    "CageMode",
    "Cancel",
    "ChangeFlag",
    "ChangeInstrument",
    "ChangeKind",
    "Clock",
    "ClosingRule",
    "Command",
    "Commit",
    "Depth",
    "Directory",
    "Durability",
    "EndDay",
    "Engine",
    "EventKind",
    "Events",
    "FeedError",
    "Field",
    "Fill",
    "Flag",
    "Follower",
    "Fork",
    "Indicative",
    "Instrument",
    "InstrumentConflict",
    "InvalidArgument",
    "InvalidCommand",
    "InvalidEvent",
    "KeyRefused",
    "Keys",
    "Kind",
    "LimitFlag",
    "LogClosed",
    "LogDamaged",
    "LogError",
    "LogFailed",
    "LogLocked",
    "Logged",
    "Machine",
    "Market",
    "MassCancel",
    "MatchcoreError",
    "MemoryLog",
    "MissingExtra",
    "NewOrder",
    "NotInTheLog",
    "Notice",
    "OrderBook",
    "OrderEvent",
    "OrderRejected",
    "OrderState",
    "OrderStatus",
    "OrderType",
    "Parameter",
    "Phase",
    "Place",
    "Position",
    "PriceError",
    "PriceLevel",
    "QueueFull",
    "Quote",
    "ReadOnly",
    "Reason",
    "Recovery",
    "Reduce",
    "Register",
    "ReportsError",
    "RestingOrder",
    "SelfTrade",
    "SetLimits",
    "SetMarket",
    "SetPhase",
    "SetProtection",
    "ShardError",
    "Side",
    "Sink",
    "SinkBehind",
    "SinkError",
    "SnapshotDamaged",
    "State",
    "Status",
    "Terms",
    "TimeInForce",
    "TooManyRows",
    "Top",
    "Topic",
    "Trade",
    "TradingDay",
    "UnknownDay",
    "UnknownInstrument",
    "UpgradeRules",
    "__version__",
    "as_plain",
    "decode",
    "decode_event",
    "encode",
    "encode_all",
    "fresh",
    "get_include",
    "markets",
    "times_of",
]
