"""Fields of typed commands and of records, checked one by one, on their way into the other."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np

from ..errors import InvalidCommand
from .arguments import integer
from .instruments import Instrument

Values = dict[str, int]  # of a record, by field
Code = TypeVar("Code", bound=IntEnum)


def whole(command: Any, name: str, low: int, high: int) -> int:
    """The field of a command as an integer; 0 if its class does not have it."""
    return within(command, name, getattr(command, name, 0), low, high)


def within(command: Any, name: str, value: Any, low: int, high: int) -> int:
    """A value for the field of a command; `InvalidCommand` unless it is an integer in between."""
    return integer(value, f"{type(command).__name__}.{name}", low, high, InvalidCommand)


def wrong(command: Any, name: str, why: str) -> InvalidCommand:
    """What to raise for a field that does not go with the others."""
    return InvalidCommand(f"{type(command).__name__}.{name} {getattr(command, name)!r}: {why}")


def values_of(row: np.void) -> Values:
    """A row as field name -> Python int."""
    return dict(zip(row.dtype.names or (), row.item(), strict=True))


def expect(values: Values, name: str, *allowed: int) -> None:
    """`InvalidCommand` for a value that no typed command can say."""
    if values[name] not in allowed:
        raise InvalidCommand(f"{name} {values[name]}: no typed command has that")


def expect_bits(values: Values, name: str, allowed: int) -> None:
    """As `expect`, of a field of bits."""
    if values[name] & ~allowed:
        expect(values, name)


def code(name: str, value: int, codes: type[Code], error: type[Exception]) -> Code:
    """The member of an enumeration; ``error`` if there is none."""
    try:
        return codes(value)
    except ValueError:
        raise error(f"{name} {value}: no {codes.__name__} has that number") from None


def known(number: int, instruments: Sequence[Instrument], error: type[Exception]) -> Instrument:
    """The instrument of a number; ``error`` if there is none."""
    if not 1 <= number <= len(instruments):
        raise error(f"instrument {number}: none has that number")
    return instruments[number - 1]
