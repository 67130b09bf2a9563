"""What clients ask for, as JSON, made into commands."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidCommand
from ...records.commands import COMMAND
from ...records.ids import id_of
from ...records.instruments import Directory
from ...records.schema import Flag, Kind, OrderType, Side, TimeInForce
from ..logins import Action, Forbidden, Login
from ..reports import Reports
from .refusals import Refused, malformed

QUANTITY_MAX = 2**63 - 1
WORD_MAX = 2**64 - 1
PRICE_CHARACTERS_MAX = 80
_DIGITS = re.compile("[0-9]{1,20}")
_SIDES = {side.name.lower(): int(side) for side in Side}
_TYPES = {kind.name.lower(): int(kind) for kind in OrderType}
_TIMES = {time.name.lower(): int(time) for time in TimeInForce}
_REQUIRED: Any = object()

Body = Mapping[str, Any]
Id = tuple[int, int]  # client order id and its tail
T = TypeVar("T")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def parse(text: bytes) -> dict[str, Any]:
    """A JSON object; `Refused` for anything else."""
    try:
        said = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise malformed("", f"not JSON: {str(error)[:100]}") from None
    if not isinstance(said, dict):
        raise malformed("", "not a JSON object")
    return said


class Asked:
    """A request's fields, each taken once; what nobody took is unknown to us."""

    def __init__(self, body: Body) -> None:
        self._body, self._taken = body, set[str]()

    def take(self, field: str, of: Callable[[str, Any], T], usual: Any = _REQUIRED) -> T:
        """A field, by ``of``; ``usual`` if it is not there or null."""
        self._taken.add(field)
        value = self._body.get(field)
        if value is None:
            if usual is _REQUIRED:
                raise malformed(field, "is missing")
            return usual  # type: ignore[no-any-return]  # the caller's own
        return of(field, value)

    def done(self) -> None:
        """Refuses fields that nobody took: a misspelled one must not be passed over."""
        for field in self._body:
            if field not in self._taken:
                raise malformed(field[:40], "no such field here")


def text(field: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise malformed(field, "a text")
    return value


def flag(field: str, value: Any) -> bool:
    """True or false; in a query, as a text."""
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise malformed(field, "true or false")


def _number(most: int, least: int) -> Callable[[str, Any], int]:
    def of(field: str, value: Any) -> int:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise malformed(field, f"an integer from {least} to {most}")
        return value

    return of


account = _number(WORD_MAX, 0)
quantity = _number(QUANTITY_MAX, 1)
number = _number(QUANTITY_MAX, 0)


def choice(codes: Mapping[str, int]) -> Callable[[str, Any], int]:
    """One of some words."""

    def of(field: str, value: Any) -> int:
        if not isinstance(value, str) or value not in codes:
            raise malformed(field, f"one of {', '.join(codes)}")
        return codes[value]

    return of


def client_order_id(field: str, value: Any) -> Id:
    """A client order id: a text, or a number."""
    if type(value) is int:
        value = str(value)
    try:
        return id_of(text(field, value))
    except InvalidCommand as error:
        raise malformed(field, str(error)) from None


def price(field: str, value: Any) -> str:
    """A price, a decimal text: a JSON number has passed through binary fractions elsewhere."""
    if not isinstance(value, str):
        raise malformed(field, 'a decimal number in quotes, as "95.05"')
    if len(value) > PRICE_CHARACTERS_MAX:
        raise malformed(field, f"more than {PRICE_CHARACTERS_MAX} characters")
    return value


def fresh_id() -> str:
    """A client order id for a request that names none; sent again, it is another request."""
    return f"w-{secrets.token_hex(9)}"


class Commands:
    """Makes commands of what a login asks for.  Each returns a `COMMAND` array of length 1."""

    def __init__(self, instruments: Directory, reports: Reports, login: Login) -> None:
        self._instruments, self._reports, self._login = instruments, reports, login

    def new(self, body: Body) -> NDArray[np.void]:
        """A new order."""
        asked = Asked(body)
        name = asked.take("client_order_id", client_order_id)
        number = self._instruments.number(asked.take("symbol", text))
        side = asked.take("side", choice(_SIDES))
        units = asked.take("quantity", quantity)
        limit = asked.take("price", price, None)
        natural = OrderType.MARKET if limit is None else OrderType.LIMIT
        kind = asked.take("order_type", choice(_TYPES), natural)
        usual = TimeInForce.GTC if kind == OrderType.LIMIT else TimeInForce.IOC
        time = asked.take("time_in_force", choice(_TIMES), usual)
        post_only = asked.take("post_only", flag, False)
        owner = asked.take("account", account, self._login.account)
        asked.done()
        if (limit is None) != (kind == OrderType.MARKET):
            raise malformed("price", "a limit order has one, a market order has none")
        command = _command(Kind.NEW, name, owner, number)
        command["side"], command["quantity"] = side, units
        command["order_type"], command["time_in_force"] = kind, time
        command["flags"] = Flag.POST_ONLY if post_only else 0
        if limit is not None:
            command["price"] = self._instruments[number].ticks(limit)
        return command

    def cancel(self, body: Body) -> NDArray[np.void]:
        """Takes an order out of the book."""
        asked = Asked(body)
        command, _ = self._about(asked, Kind.CANCEL)
        asked.done()
        return command

    def amend(self, body: Body) -> NDArray[np.void]:
        """Another price or open quantity of an order, or less of it."""
        asked = Asked(body)
        less = asked.take("reduce_by", quantity, None)
        command, number = self._about(asked, Kind.REDUCE if less else Kind.AMEND)
        limit, units = asked.take("price", price, None), asked.take("quantity", quantity, None)
        asked.done()
        if less and (limit is not None or units is not None):
            raise malformed("reduce_by", "not together with price or quantity")
        if less:
            command["quantity"] = less
            return command
        if limit is None and units is None:
            raise malformed("", "name a price, a quantity, or reduce_by")
        if limit is None:
            command["flags"] = Flag.KEEP_PRICE
        else:
            command["price"] = self._instruments[number].ticks(limit)
        if units is None:
            command["flags"] = Flag.KEEP_QUANTITY
        else:
            command["quantity"] = units
        return command

    def cancel_all(self, body: Body) -> NDArray[np.void]:
        """Takes all orders of an account out of the books, or those of a symbol, or of a side."""
        asked = Asked(body)
        symbol = asked.take("symbol", text, None)
        side = asked.take("side", choice(_SIDES), 0)
        owner = asked.take("account", account, self._login.account)
        name = asked.take("request_id", client_order_id, None) or id_of(fresh_id())
        asked.done()
        number = self._instruments.number(symbol) if symbol is not None else 0
        command = _command(Kind.MASS_CANCEL, name, owner, number)
        command["side"] = side
        return command

    def _about(self, asked: Asked, kind: Kind) -> tuple[NDArray[np.void], int]:
        """A command about an order that is known by its name, and the instrument's number."""
        name = asked.take("client_order_id", client_order_id)
        owner = asked.take("account", account, self._login.account)
        request = asked.take("request_id", client_order_id, None) or id_of(fresh_id())
        if not self._login.allows_some(Action.TRADE | Action.CANCEL, owner):
            raise Forbidden(f"{self._login.user} has no right to orders of account {owner}")
        found = self._reports.find(owner, *name)
        if found is None:
            raise unknown_order(owner)
        number, order_id = found
        command = _command(kind, request, owner, number)
        command["order_id"] = order_id
        return command, number


def unknown_order(owner: int) -> Refused:
    """An order that is not there, or that was done long ago."""
    message = f"no order of account {owner} has this client order id"
    return Refused(404, "unknown_order", message, "client_order_id")


def _command(kind: Kind, name: Id, owner: int, number: int) -> NDArray[np.void]:
    command = np.zeros(1, COMMAND)
    command["kind"], command["account"], command["instrument"] = kind, owner, number
    command["client_order_id"], command["client_order_tail"] = name
    return command
