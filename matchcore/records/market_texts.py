"""Parameters of a market as people write them at a command line, and as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidCommand
from .arguments import shown
from .market import FIELDS, NAMES
from .schema import Flag

_CODED = ("set", "code", "flags")
_BOOLS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def market_changes(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a `Market` from texts by name, or from what `Market.as_plain` has.

    Codes by name, several with commas; bools as yes and no; ``none`` for a price that is not there;
    a ``tick_table`` as ``0:0.01,10:0.05``.  `InvalidCommand` for others.

    >>> market_changes({"limit_up": "10", "call_types": "LIMIT,market", "amends": "no"})
    {'limit_up': '10', 'call_types': [<OrderType.LIMIT: 1>, <OrderType.MARKET: 2>], 'amends': False}
    """
    return {name: _read(name, value) for name, value in texts.items()}


def _read(name: str, value: Any) -> Any:
    if name not in NAMES:
        known = ", ".join(NAMES)
        raise InvalidCommand(f"{shown(name)}: no parameter of a market; they are {known}")
    if name == "tick_table":
        return [one.split(":") for one in _words(value)] if isinstance(value, str) else value
    form, codes = FIELDS[name].form, FIELDS[name].codes
    if form in _CODED:
        words = _words(value) if isinstance(value, str) else value
        found = [_member(name, codes, one) for one in words]
        if form != "code":
            return found if form == "set" else Flag(sum(found))
        if len(found) != 1:
            raise InvalidCommand(f"{name} {shown(value)}: one of {_listed(codes)}")
        return found[0]
    if not isinstance(value, str) or form == "percent":
        return value
    if form == "price":
        return None if value.lower() == "none" else value
    if form == "bool":
        if value.lower() not in _BOOLS:
            raise InvalidCommand(f"{name} {shown(value)}: yes or no")
        return _BOOLS[value.lower()]
    try:
        return int(value)
    except ValueError:
        raise InvalidCommand(f"{name} {shown(value)}: a whole number") from None


def _words(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _member(name: str, codes: Any, word: Any) -> Any:
    try:
        return codes[word.upper().replace("-", "_")]
    except (KeyError, AttributeError):
        raise InvalidCommand(f"{name} {shown(word)}: one of {_listed(codes)}") from None


def _listed(codes: Any) -> str:
    return ", ".join(one.name for one in codes)
