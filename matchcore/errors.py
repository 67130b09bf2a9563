"""Every exception matchcore raises on purpose.

Mistakes in a call and damage on a disk are different families, so that a caller can
catch the one and never hide the other.  A command that the exchange refuses is *not* an
exception: it is an answer (an event of kind ``REJECTED``), because it is part of the log.
"""

from __future__ import annotations


class MatchcoreError(Exception):
    """Base of all errors below.  Each can be handed to another process, with all it says."""

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[MatchcoreError], args: tuple[object, ...], said: dict[str, object]) -> object:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(said)
    return error


class InvalidArgument(MatchcoreError, ValueError, TypeError):
    """An argument has a type or a value that the call does not take: the message names it."""


class InvalidCommand(MatchcoreError, ValueError):
    """A typed command cannot be written as a record, or a record shown as a typed command.

    When sending: nothing was sent or logged.  When reading a log: the exchange has refused
    the command, and the record is all there is to see of it.
    """


class InvalidEvent(MatchcoreError, ValueError):
    """An `EVENT` record is none that an exchange says: the message names the field."""


class PriceError(InvalidCommand):
    """A price is not a number, not on a tick, or outside 64 bits of ticks."""


class UnknownInstrument(MatchcoreError, KeyError):
    """No instrument has this symbol or number."""

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


class InstrumentConflict(MatchcoreError):
    """An instrument is defined twice, or differs from what the log says of it."""


class OrderRejected(MatchcoreError):
    """`OrderBook` refused an order; `reason` and `field` say why (see `Reason`, `Field`)."""

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
    """Base of what can be wrong with a log or its files."""


class LogLocked(LogError):
    """Another process writes this log; there is one writer at a time."""


class LogDamaged(LogError):
    """Bytes of the log are not what was written.

    `path`, `offset` (bytes) and `sequence` (first command of the damaged frame, or the
    last good one plus one) name the place.
    """

    def __init__(self, what: str, path: str, offset: int, sequence: int) -> None:
        super().__init__(f"{what}: {path} at byte {offset}, sequence {sequence}")
        self.what = what
        self.path = path
        self.offset = offset
        self.sequence = sequence


class KeyRefused(LogError):
    """Files are encrypted, and the key for them is missing or another one; nothing was changed.

    The message has the key's id, never the key.
    """


class UnknownRules(LogError):
    """A log or a state needs a version of the rules that this matchcore does not know."""


class LogFailed(LogError):
    """The system refused a file; the message has its path and the reason.

    A log whose write or sync failed takes nothing more until it is opened again.
    """


class NotInTheLog(MatchcoreError, LookupError):
    """A sequence or a time that a log does not hold; the message says where it begins or ends."""


class ReadOnly(LogError):
    """An engine to look at only, as `Engine.at` gives it: it takes no commands."""


class QueueFull(LogError):
    """More waits for the log than the engine's limits allow: nothing was sent, send it again."""


class SnapshotDamaged(LogError):
    """A snapshot file is not what was written; recovery then uses an older one or the log."""


class SinkError(MatchcoreError):
    """A sink refuses to take part: foreign, ahead of the log, or of another schema."""


class TooManyRows(MatchcoreError, ValueError):
    """A question to a database has more rows as its answer than are given at once."""


class ImportFormatError(MatchcoreError, ValueError):
    """A row of a market data file makes no sense; `line` counts from 1."""

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}, line {line}: {what}")
        self.path = path
        self.line = line
        self.what = what
