"""Every exception matchcore raises on purpose.

Mistakes in a call and damage on a disk are different families, so that a caller can
catch the one and never hide the other.  A command that the exchange refuses is *not* an
exception: it is an answer (an event of kind ``REJECTED``), because it is part of the log.
"""

from __future__ import annotations


class MatchcoreError(Exception):
    """Base of all errors of matchcore.  Errors keep their attributes between processes."""

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[MatchcoreError], args: tuple[object, ...], said: dict[str, object]) -> object:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(said)
    return error


class InvalidArgument(MatchcoreError, ValueError, TypeError):
    """An argument has a wrong type or value; the message names the argument."""


class InvalidCommand(MatchcoreError, ValueError):
    """A typed command has no form as a record, or a record none as a typed command.

    When it is sent: nothing was sent or logged.  When a log is read: the exchange refused the
    command; only its record exists.
    """


class InvalidEvent(MatchcoreError, ValueError):
    """No exchange emits this `EVENT` record; the message names the field at fault."""


class PriceError(InvalidCommand):
    """A price is not a number, not on a tick, or outside 64 bits of ticks."""


class UnknownInstrument(MatchcoreError, KeyError):
    """No instrument has this symbol or number."""

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


class InstrumentConflict(MatchcoreError):
    """An instrument is defined twice, or differs from the one in the log."""


class OrderRejected(MatchcoreError):
    """`OrderBook` refused an order for a `reason` (`Reason`) about a `field` (`Field`)."""

    def __init__(self, reason: object, field: object) -> None:
        super().__init__(f"refused: {reason!r} (field {field!r})")
        self.reason = reason
        self.field = field


class MissingExtra(MatchcoreError, ImportError):
    """An optional dependency is not installed; the message names the extra."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional dependency: pip install 'matchcore[{extra}]'")
        self.extra = extra


class LogError(MatchcoreError):
    """Base of the errors of a log and its files."""


class LogLocked(LogError):
    """Another engine has this log open; a log has one writer at a time."""


class LogClosed(LogError):
    """The log was closed for ever: another region was promoted, and goes on without it."""


class LogDamaged(LogError):
    """Bytes of the log differ from what was written.

    ``path``, ``offset`` in bytes, and ``sequence`` (first command of the damaged frame, or the last
    good one plus one) name the place.  Of a replicated log ``path`` is its address, and ``offset``
    the number of the message.
    """

    def __init__(self, what: str, path: str, offset: int, sequence: int) -> None:
        unit = "message" if "://" in path else "byte"
        super().__init__(f"{what}: {path} at {unit} {offset}, sequence {sequence}")
        self.what = what
        self.path = path
        self.offset = offset
        self.sequence = sequence


class KeyRefused(LogError):
    """The key of an encrypted file is missing or wrong; nothing was changed.

    The message contains the id of the key, never the key.
    """


class UnknownRules(LogError):
    """A log or a state needs a version of the rules that this matchcore does not know."""


class LogFailed(LogError):
    """The system refused an operation on a file; the message has path and reason.

    After a failed write or sync, a log accepts no commands until it is opened again.
    """


class NotInTheLog(MatchcoreError, LookupError):
    """The log does not have this sequence or time; the message says where it begins or ends."""


class ReadOnly(LogError):
    """An engine of `Engine.at` is read-only and accepts no commands."""


class QueueFull(LogError):
    """The queue of the engine is full; nothing was sent, so send it again."""


class SnapshotDamaged(LogError):
    """A snapshot differs from what was written; recovery uses an older one, or the log."""


class SinkError(MatchcoreError):
    """A sink cannot follow the log: it belongs to another one, is ahead, or has another schema."""


class FeedError(MatchcoreError):
    """A feed cannot follow the log, or a subscriber a feed: another exchange, history or number."""


class ReportsError(MatchcoreError):
    """Reports cannot be derived or kept: events of other commands or unknown orders, or a file."""


class ShardError(MatchcoreError):
    """A plan of shards is wrong, an instrument is not where it says, or one cannot move."""


class UnknownDay(MatchcoreError, LookupError):
    """A rule table or a calendar does not know a day; the message says where it begins or ends."""


class TooManyRows(MatchcoreError, ValueError):
    """A query has more rows than its limit."""


class ImportFormatError(MatchcoreError, ValueError):
    """A row of a market data file is invalid; ``line`` counts from 1."""

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}, line {line}: {what}")
        self.path = path
        self.line = line
        self.what = what
