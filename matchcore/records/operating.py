"""Typed commands of those who operate an exchange, and their records both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand
from .arguments import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX, flag, integer, shown
from .commands import COMMAND, LIMITS, TEXT
from .instruments import Directory
from .limits import VALUES
from .register import DATA_BYTES, NOTICE_BYTES_MAX
from .schema import Kind, LimitFlag, Topic


@dataclass(slots=True, unsafe_hash=True)
class Register:
    """Sets an entry of the register (docs/register.md).

    - ``topic``: a `Topic`, or another number from 1 to 255.
    - ``key``, ``part``: with the topic, the place of the entry.
    - ``data``: up to 56 bytes, filled up with zeros; without any other byte it removes the entry.
    - ``time``, ``session``: as of `NewOrder`.
    """

    topic: int
    key: int
    data: bytes = field(default=b"", repr=False)  # which may be a secret
    part: int = 0
    time: int = 0
    session: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Notice:
    """One part of a text that the exchange tells everybody; `Engine.notify` sends a whole one.

    - ``text``: up to 56 bytes of UTF-8, without control characters.
    - ``symbol``: of the instrument that it is about; None: all.
    - ``key``: any number of the sender's own.
    - ``part``, ``parts``: which part it is, from 0, and how many there are, up to 20.
    - ``time``, ``session``: as of `NewOrder`.
    """

    text: str
    symbol: str | None = None
    key: int = 0
    part: int = 0
    parts: int = 1
    time: int = 0
    session: int = 0


@dataclass(slots=True, unsafe_hash=True)
class SetLimits:
    """Sets the limits of an account, in place of those that it had there (docs/limits.md).

    - ``symbol``: of the instrument; None: in all.
    - ``max_quantity``: of an order, in units; here and below 0 is no limit.
    - ``max_value``: of price and quantity of an order, in ticks times units.
    - ``max_open_orders``: that rest.
    - ``collar``: between the price of an order and that of the last trade, in ticks.
    - ``max_messages``, ``window_ns``: new orders and amendments in so many nanoseconds.
    - ``blocked``: new orders and amendments are refused.
    - ``cancel``: with ``blocked``, cancels what rests.
    - ``time``, ``session``: as of `NewOrder`.
    """

    account: int
    symbol: str | None = None
    max_quantity: int = 0
    max_value: int = 0
    max_open_orders: int = 0
    collar: int = 0
    max_messages: int = 0
    window_ns: int = 0
    blocked: bool = False
    cancel: bool = False
    time: int = 0
    session: int = 0


Operating = Register | Notice | SetLimits


def notice_parts(text: str, symbol: str | None, key: int) -> list[Notice]:
    """A whole text as the commands that send it.  `InvalidCommand` unless it has 1 to 1,024 bytes
    of UTF-8."""
    data = _utf8(text)
    if not 0 < len(data) <= NOTICE_BYTES_MAX:
        raise InvalidCommand(f"text of {len(data)} bytes: a notice has 1 to {NOTICE_BYTES_MAX}")
    pieces = []
    while data:
        end = DATA_BYTES
        while end < len(data) and data[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        pieces.append(data[:end].decode())
        data = data[end:]
    return [Notice(one, symbol, key, at, len(pieces)) for at, one in enumerate(pieces)]


def operating_record(command: Operating, directory: Directory, now: int) -> bytes:
    """The bytes of a command; `InvalidCommand` or `UnknownInstrument` if none can hold it."""
    record: NDArray[np.void] = np.zeros(1, LIMITS if isinstance(command, SetLimits) else TEXT)
    row = record[0]

    def take(most: int, *names: str) -> None:
        least = 0 if most != INT64_MAX else INT64_MIN
        for name in names:
            label = f"{type(command).__name__}.{name}"
            row[name] = integer(getattr(command, name), label, least, most, InvalidCommand)

    if isinstance(command, SetLimits):
        row["kind"] = Kind.SET_LIMITS
        take(UINT64_MAX, "account")
        take(INT64_MAX, *VALUES)
        for name, bit in (("blocked", LimitFlag.BLOCKED), ("cancel", LimitFlag.CANCEL)):
            on = flag(getattr(command, name), f"SetLimits.{name}", InvalidCommand)
            row["flags"] |= bit if on else 0
        row["instrument"] = 0 if command.symbol is None else directory.number(command.symbol)
    elif isinstance(command, Register):
        take(UINT64_MAX, "key")
        row["kind"] = Kind.REGISTER
        take(255, "topic", "part")
        row["data"] = _padded(_bytes(command.data), "Register.data")
    else:
        row["kind"] = Kind.NOTICE
        take(UINT64_MAX, "key")
        take(255, "part", "parts")
        row["data"] = _padded(_utf8(command.text), "Notice.text")
        row["instrument"] = 0 if command.symbol is None else directory.number(command.symbol)
    take(UINT32_MAX, "session")
    label = f"{type(command).__name__}.time"
    time = integer(command.time, label, INT64_MIN, INT64_MAX, InvalidCommand)
    row["time"] = time or now
    return record.tobytes()


def operating_face(record: np.void, directory: Directory) -> Operating:
    """The command of a `COMMAND` row; `InvalidCommand` if none can say it."""
    row: Any = np.frombuffer(record.tobytes(), TEXT)[0]
    if row["kind"] == Kind.SET_LIMITS:
        return _limits_face(np.frombuffer(record.tobytes(), LIMITS)[0], directory)
    data, key = row["data"].tobytes().rstrip(b"\0"), int(row["key"])
    part, time, session = int(row["part"]), int(row["time"]), int(row["session"])
    if row["kind"] == Kind.REGISTER:
        topic = int(row["topic"])
        known = {int(one): one for one in Topic}.get(topic, topic)
        return Register(known, key, data, part, time, session)
    symbol = _symbol(row, directory)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidCommand("data of a notice: no UTF-8") from None
    return Notice(text, symbol, key, part, int(row["parts"]), time, session)


def _limits_face(row: Any, directory: Directory) -> SetLimits:
    flags = int(row["flags"])
    if flags > LimitFlag.BLOCKED | LimitFlag.CANCEL:
        raise InvalidCommand(f"flags {flags}: no typed command has that")
    return SetLimits(
        int(row["account"]),
        _symbol(row, directory),
        **_limit_values(row),
        blocked=bool(flags & LimitFlag.BLOCKED),
        cancel=bool(flags & LimitFlag.CANCEL),
        time=int(row["time"]),
        session=int(row["session"]),
    )


def limits_set(rows: NDArray[np.void], directory: Directory) -> list[SetLimits]:
    """The limits of a state, an `ACCOUNT_LIMITS` array, as the commands that set them."""
    return [
        SetLimits(
            int(row["account"]), _symbol(row, directory), **_limit_values(row),
            blocked=bool(row["flags"]),
        )
        for row in rows
    ]  # fmt: skip


def _limit_values(row: Any) -> dict[str, Any]:
    return {name: int(row[name]) for name in VALUES}


def _symbol(row: Any, directory: Directory) -> str | None:
    number = int(row["instrument"])
    if number > len(directory):
        raise InvalidCommand(f"instrument {number}: none has that number")
    return directory[number].symbol if number else None


def operating_records(commands: list[Notice], directory: Directory) -> NDArray[np.void]:
    """Several as one `COMMAND` array."""
    records = b"".join(operating_record(command, directory, 0) for command in commands)
    return np.frombuffer(records, COMMAND)


def _padded(data: bytes, name: str) -> bytes:
    if len(data) > DATA_BYTES:
        raise InvalidCommand(f"{name} of {len(data)} bytes: at most {DATA_BYTES}")
    return data.ljust(DATA_BYTES, b"\0")


def _bytes(data: object) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InvalidCommand(f"Register.data {shown(data)}: bytes")
    return bytes(data)


def _utf8(text: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidCommand(f"text {shown(text)}: a string")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidCommand(f"text {shown(text)}: no UTF-8") from None
