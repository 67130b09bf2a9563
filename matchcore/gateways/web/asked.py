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
from ...records.order_faces import MassCancel, NewOrder
from ...records.order_records import mass_cancel_fields, order_fields
from ...records.schema import (
    PLAIN_TYPES,
    UNPRICED_TYPES,
    Flag,
    Kind,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
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
_SELF_TRADES = {mode.name.lower(): int(mode) for mode in SelfTrade}
_IMMEDIATE = frozenset({OrderType.MARKET, OrderType.BEST_FIVE})  # unless they say otherwise
_PRICED = "limit and stop_limit orders"
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


def of_query(query: Mapping[str, str]) -> dict[str, Any]:
    """The fields of an address, each there once: programs disagree which of two counts."""
    found = dict(query)
    if len(found) < len(query):
        raise malformed("", "a field is there twice")
    return found


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
    if value is True or value == "true":
        return True
    if value is False or value == "false":
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
number = number_or_nothing = _number(QUANTITY_MAX, 0)


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


#: Fields of a new order that only instruments with a market take, as `NewOrder` has them.
_TERMS: dict[str, Callable[[str, Any], Any]] = {
    "stop_price": price,
    "offset": price,
    "trailing_percent": price,
    "protection_price": price,
    "display_quantity": quantity,
    "minimum_quantity": quantity,
    "expiry": quantity,
    "self_trade": choice(_SELF_TRADES),
    "hidden": flag,
    "slide": flag,
    "linked_order_id": _number(WORD_MAX, 1),
}


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
        usual = TimeInForce.IOC if kind in _IMMEDIATE else TimeInForce.GTC
        time = asked.take("time_in_force", choice(_TIMES), usual)
        post_only = asked.take("post_only", flag, False)
        owner = asked.take("account", account, self._login.account)
        terms = {field: value for field, of in _TERMS.items()
                 if (value := asked.take(field, of, None)) is not None}  # fmt: skip
        asked.done()
        if (limit is None) != (kind in UNPRICED_TYPES):
            raise malformed("price", f"{_PRICED} have one, others have none")
        if (time == TimeInForce.GTD) != ("expiry" in terms):
            raise malformed("time_in_force", "gtd has an expiry, others have none")
        command = _command(Kind.NEW, name, owner, number)
        command["side"], command["quantity"] = side, units
        command["order_type"], command["time_in_force"] = kind, time
        command["flags"] = Flag.POST_ONLY if post_only else 0
        if terms or kind not in PLAIN_TYPES:
            self._market_terms(command, terms, post_only)
        elif limit is not None:
            command["price"] = self._instruments[number].ticks(limit)
        if terms and limit is not None:
            command["price"] = self._instruments[number].ticks(limit)
        return command

    def _market_terms(self, command: NDArray[np.void], terms: dict[str, Any], post: bool) -> None:
        """The fields of an order for an instrument with a market."""
        row = command[0]
        kind, number = int(row["order_type"]), int(row["instrument"])
        bound = terms.pop("protection_price", None)
        if bound is not None and kind not in UNPRICED_TYPES:
            raise malformed("protection_price", f"{_PRICED} have a price")
        order = NewOrder(
            self._instruments[number].symbol, Side(int(row["side"])), int(row["quantity"]),
            "0" if bound is None and kind not in UNPRICED_TYPES else bound,
            TimeInForce(int(row["time_in_force"])), post_only=post, order_type=OrderType(kind),
            **terms,
        )  # fmt: skip
        for field, value in order_fields(order, self._instruments, number).items():
            row[field] = value
        if bound is not None:
            row["price"] = self._instruments[number].ticks(bound)

    def cancel(self, body: Body) -> NDArray[np.void]:
        """Takes an order out of the book."""
        asked = Asked(body)
        command, _ = self._about(asked, Kind.CANCEL)
        asked.done()
        return command

    def amend(self, body: Body) -> NDArray[np.void]:
        """Another price or open quantity of an order, or less of it; in a market more."""
        asked = Asked(body)
        less = asked.take("reduce_by", quantity, None)
        command, number = self._about(asked, Kind.REDUCE if less else Kind.AMEND)
        limit, units = asked.take("price", price, None), asked.take("quantity", quantity, None)
        total = asked.take("total_quantity", quantity, None)
        stop = asked.take("stop_price", price, None)
        shown = asked.take("display_quantity", quantity, None)
        asked.done()
        named = [one for one in (limit, units, total, stop, shown) if one is not None]
        if less and named:
            raise malformed("reduce_by", "not together with price or quantity")
        if less:
            command["quantity"] = less
            return command
        if not named:
            raise malformed("", "name a price, a quantity, or reduce_by")
        if total is not None and units is not None:
            raise malformed("total_quantity", "not together with quantity")
        flags, instrument = Flag(0), self._instruments[number]
        if limit is None:
            flags |= Flag.KEEP_PRICE
        else:
            command["price"] = instrument.ticks(limit)
        if units is None and total is None:
            flags |= Flag.KEEP_QUANTITY
        else:
            flags |= Flag(0) if total is None else Flag.TOTAL
            command["quantity"] = units if total is None else total
        if stop is not None:
            flags |= Flag.NEW_STOP
            command["stop_price"] = instrument.ticks(stop)
        if shown is not None:
            flags |= Flag.NEW_DISPLAY
            command["display_quantity"] = shown
        command["flags"] = flags
        return command

    def cancel_all(self, body: Body) -> NDArray[np.void]:
        """Takes all orders of an account out of the books, or those of a symbol, or of a side."""
        asked = Asked(body)
        symbol = asked.take("symbol", text, None)
        side = asked.take("side", choice(_SIDES), 0)
        owner = asked.take("account", account, self._login.account)
        name = asked.take("request_id", client_order_id, None) or id_of(fresh_id())
        lowest, highest = asked.take("lowest", price, None), asked.take("highest", price, None)
        mine = asked.take("of_session", flag, False)
        asked.done()
        number = self._instruments.number(symbol) if symbol is not None else 0
        bounds = {"lowest": lowest, "highest": highest, "of_session": mine or None}
        markets = self._reports.markets
        if not (number in markets if number else markets):
            # Rules that know no markets would cancel all, whatever the price or the session.
            for field in (field for field, bound in bounds.items() if bound is not None):
                raise malformed(field, "only where there is a market")
        command = _command(Kind.MASS_CANCEL, name, owner, number)
        sweep = MassCancel(
            symbol, side=Side(side) if side else None, lowest=lowest, highest=highest,
            of_session=mine,
        )  # fmt: skip
        for field, value in mass_cancel_fields(sweep, self._instruments, number).items():
            command[field] = value
        return command

    def quote(self, body: Body) -> NDArray[np.void]:
        """Both sides of a market maker, in place of those that the account has there."""
        asked = Asked(body)
        name = asked.take("client_order_id", client_order_id)
        number = self._instruments.number(asked.take("symbol", text))
        owner = asked.take("account", account, self._login.account)
        mode = asked.take("self_trade", choice(_SELF_TRADES), 0)
        command = _command(Kind.QUOTE, name, owner, number)
        command["self_trade"] = mode
        for side, limit, units in (
            ("bid", "price", "quantity"),
            ("ask", "stop_price", "display_quantity"),
        ):
            value = asked.take(side, price, None)
            size = asked.take(f"{side}_quantity", number_or_nothing, 0)
            if (value is None) != (size == 0):
                raise malformed(side, f"with a {side}_quantity it is a price, without it nothing")
            if value is not None:
                command[limit], command[units] = self._instruments[number].ticks(value), size
        asked.done()
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
