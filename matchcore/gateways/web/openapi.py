"""The OpenAPI document of the web door."""

from __future__ import annotations

from typing import Any

from ..._version import VERSION
from ...records.ids import ALPHABET, TEXT_MAX
from ...records.schema import OrderType, SelfTrade, Side, TimeInForce
from .limits import WebLimits
from .texts import KINDS, SIDES, STATUSES, TIMES, TYPES

JSON = "application/json"
Schema = dict[str, Any]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(fields: Schema, optional: Schema | None = None, *, closed: bool = False) -> Schema:
    found = {"type": "object", "properties": {**fields, **(optional or {})}, "required": [*fields]}
    return {**found, "additionalProperties": False} if closed else found


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _words(names: Any) -> Schema:
    return {"type": "string", "enum": [*names]}


TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 0}
PRICE = {"type": "string", "description": "A decimal number, exact", "example": "95.05"}
WHOLE = {
    "description": "An integer; a text of digits beyond 2^53",
    "anyOf": [COUNT, {"type": "string", "pattern": "^[0-9]+$"}],
}


def _whole(least: int, most: int, what: str) -> Schema:
    return {
        "description": f"{what}; a text of digits is taken, too",
        "anyOf": [
            {"type": "integer", "minimum": least, "maximum": most},
            {"type": "string", "pattern": "^[0-9]{1,20}$" if not least else "^[1-9][0-9]{0,17}$"},
        ],
    }


ID = {
    "type": "string",
    "minLength": 1,
    "maxLength": TEXT_MAX,
    "pattern": "^[A-Za-z0-9!#$%&()*+,\\-./:;=@_~]+$",
    "description": f"1 to {TEXT_MAX} characters of {ALPHABET}; never used before in the account",
}
ACCOUNT = _whole(0, 2**64 - 1, "Owner; the login's account if it is not said")
QUANTITY = _whole(1, 2**63 - 1, "In units")
SYMBOL = {"type": "string", "minLength": 1, "maxLength": 24}
ASKED_PRICE = {"type": "string", "maxLength": 80, "description": "A decimal number on a tick"}

ORDER = _object(
    {
        "client_order_id": TEXT,
        "order_id": TEXT,
        "account": WHOLE,
        "symbol": _maybe(TEXT),
        "side": _maybe(_words(SIDES.values())),
        "order_type": _maybe(_words(TYPES.values())),
        "time_in_force": _maybe(_words(TIMES.values())),
        "post_only": FLAG,
        "price": _maybe(PRICE),
        "quantity": WHOLE,
        "filled": WHOLE,
        "left": WHOLE,
        "average_price": _maybe(PRICE),
        "status": _words(STATUSES.values()),
    }
)
REPORT = _object(
    {
        **ORDER["properties"],
        "number": COUNT,
        "day": COUNT,
        "kind": _words(KINDS.values()),
        "exec_id": TEXT,
        "time": {"type": "string", "description": "Nanoseconds since 1970 UTC"},
    },
    {
        "original_client_order_id": TEXT,
        "last_price": _maybe(PRICE),
        "last_quantity": WHOLE,
        "trade_id": WHOLE,
        "maker": FLAG,
        "auction": FLAG,
        "unsolicited": FLAG,
        "copy": FLAG,
        "cancelled": COUNT,
        "reason": TEXT,
        "field": TEXT,
    },
)
REPORTS = {"reports": _list(_ref("Report"))}
ERROR = _object(
    {"error": _object({"code": TEXT, "message": TEXT}, {"field": TEXT, "retry_after_ms": COUNT})},
    {**REPORTS, "repeated": FLAG, "sequence": COUNT},
)
ANSWER = _object({}, {**REPORTS, "order": _ref("Order"), "repeated": FLAG, "sequence": COUNT})
PENDING = _object({"pending": {"const": True}}, {"ask": TEXT})
#: What only instruments with a market take.
_OF_MARKETS = {
    "stop_price": _maybe(ASKED_PRICE),
    "offset": _maybe(ASKED_PRICE),
    "trailing_percent": _maybe(ASKED_PRICE),
    "protection_price": _maybe(ASKED_PRICE),
    "display_quantity": _maybe(QUANTITY),
    "minimum_quantity": _maybe(QUANTITY),
    "expiry": _maybe(QUANTITY),
    "self_trade": _maybe(_words(mode.name.lower() for mode in SelfTrade)),
    "hidden": _maybe(FLAG),
    "slide": _maybe(FLAG),
    "linked_order_id": _maybe(_whole(0, 2**64 - 1, "Of a live order of the account")),
}
NEW = _object(
    {
        "client_order_id": ID,
        "symbol": SYMBOL,
        "side": _words(side.name.lower() for side in Side),
        "quantity": QUANTITY,
    },
    {
        "price": _maybe(ASKED_PRICE),
        "order_type": _maybe(_words(kind.name.lower() for kind in OrderType)),
        "time_in_force": _maybe(_words(time.name.lower() for time in TimeInForce)),
        "post_only": _maybe(FLAG),
        "account": _maybe(ACCOUNT),
        **_OF_MARKETS,
    },
    closed=True,
)
AMEND = _object(
    {},
    {
        "price": _maybe(ASKED_PRICE),
        "quantity": _maybe(QUANTITY),
        "reduce_by": _maybe(QUANTITY),
        "total_quantity": _maybe(QUANTITY),
        "stop_price": _maybe(ASKED_PRICE),
        "display_quantity": _maybe(QUANTITY),
        "account": _maybe(ACCOUNT),
        "request_id": _maybe(ID),
    },
    closed=True,
)
CANCEL_ALL = _object(
    {},
    {
        "symbol": _maybe(SYMBOL),
        "side": _maybe(_words(side.name.lower() for side in Side)),
        "account": _maybe(ACCOUNT),
        "request_id": _maybe(ID),
        "lowest": _maybe(ASKED_PRICE),
        "highest": _maybe(ASKED_PRICE),
        "of_session": _maybe(FLAG),
    },
    closed=True,
)
QUOTE = _object(
    {"client_order_id": ID, "symbol": SYMBOL},
    {
        "bid": _maybe(ASKED_PRICE),
        "bid_quantity": _maybe(_whole(0, 2**63 - 1, "In units")),
        "ask": _maybe(ASKED_PRICE),
        "ask_quantity": _maybe(_whole(0, 2**63 - 1, "In units")),
        "self_trade": _maybe(_words(mode.name.lower() for mode in SelfTrade)),
        "account": _maybe(ACCOUNT),
    },
    closed=True,
)
_COUNTS = dict.fromkeys(("messages_per_second", "burst", "under_way", "connections"), COUNT)
ME = _object(
    {
        "user": TEXT,
        "session": COUNT,
        "account": WHOLE,
        "may": _list(TEXT),
        "grants": _list({"type": "object"}),
        "cancel_on_disconnect": FLAG,
        "grace_ms": COUNT,
        "limits": _object(_COUNTS),
    }
)
INSTRUMENT = _object(
    {"number": COUNT, "symbol": TEXT, "tick": PRICE, "lot": WHOLE, "max_quantity": WHOLE}
)
HEALTH = _object({"status": TEXT, "day": COUNT, "sessions": COUNT})
PAGE = _object({"day": COUNT, **REPORTS, "last": COUNT, "more": FLAG})
SCHEMAS = {"Order": ORDER, "Report": REPORT, "Error": ERROR}

_REFUSED = {
    "400": "A field is missing, unknown or wrong",
    "401": "No login, or a wrong one",
    "403": "No right to it",
    "408": "The body did not come in time",
    "409": "The login is connected at another door, or needs a stream",
    "413": "The body is too large",
    "429": "Too much at once: come again after Retry-After",
    "503": "The engine takes no commands",
}
_ASKING = ("400", "401", "403", "429")
_COMMAND = (*_REFUSED, "422")
_AUTH: list[Schema] = [{"password": []}, {"token": []}]


def document(limits: WebLimits) -> Schema:
    """As it is served at /openapi.json."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "matchcore order entry",
            "version": VERSION,
            "description": "Answers are derived from the exchange's log. /stream is a WebSocket.",
        },
        "components": {
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
            "schemas": SCHEMAS,
        },
        "security": _AUTH,
        "paths": _paths(limits),
    }


def _paths(limits: WebLimits) -> Schema:
    name = _parameter("client_order_id", ID, "path")
    owner = _parameter("account", {"type": "string", "pattern": "^[0-9]{1,20}$"})
    request = _parameter("request_id", ID)
    after = _parameter("after", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})
    limit = _parameter("limit", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})
    orders = _object({"orders": _list(_ref("Order")), "more": FLAG})
    instruments = _object({"instruments": _list(INSTRUMENT)})
    page = f"The login's reports of the day behind `after`, at most {limits.reports}"
    return {
        "/me": {"get": _ask("The login, its rights and limits", ME)},
        "/instruments": {"get": _ask("All instruments", instruments)},
        "/orders": {
            "get": _ask(f"Open orders of an account, at most {limits.orders}", orders, owner),
            "post": _command("Enters an order", "201", ANSWER, body=NEW, repeats=True),
        },
        "/orders/{client_order_id}": {
            "get": _ask("What an order is now", ORDER, name, owner, order=True),
            "patch": _command("Another price or open quantity", "200", ANSWER, name, body=AMEND),
            "delete": _command("Cancels an order", "200", ANSWER, name, owner, request),
        },
        "/cancel-all": {
            "post": _command(
                "Cancels all orders of an account, also those of other logins",
                "200",
                _object({}, {**REPORTS, "cancelled": COUNT, "repeated": FLAG, "sequence": COUNT}),
                body=CANCEL_ALL,
                needs_body=False,
            )
        },
        "/quotes": {
            "post": _command(
                "Both sides of a market maker, in place of those that it has",
                "200",
                _object({}, {**REPORTS, "cancelled": COUNT, "repeated": FLAG, "sequence": COUNT}),
                body=QUOTE,
            )
        },
        "/reports": {"get": _ask(page, PAGE, after, limit)},
        "/fills": {"get": _ask(f"{page}; trades only", PAGE, after, limit)},
        "/health": {"get": _open("Whether the gateway runs")},
        "/ready": {"get": _open("Whether it takes commands")},
    }


def _parameter(name: str, schema: Schema, where: str = "query") -> Schema:
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _answer(what: str, schema: Schema) -> Schema:
    return {"description": what, "content": {JSON: {"schema": schema}}}


def _refusals(*statuses: str) -> Schema:
    texts = {**_REFUSED, "404": "No such order", "422": "The exchange refuses it: `code` says why"}
    return {status: _answer(texts[status], _ref("Error")) for status in statuses}


def _ask(summary: str, schema: Schema, *parameters: Schema, order: bool = False) -> Schema:
    answers = {"200": _answer("The answer", schema), **_refusals(*_ASKING)}
    if order:
        pending = _answer("On its way, and not in the log yet", PENDING)
        answers |= {"202": pending, **_refusals("404")}
    return {"summary": summary, "parameters": [*parameters], "responses": answers}


def _command(
    summary: str,
    status: str,
    schema: Schema,
    *parameters: Schema,
    body: Schema | None = None,
    needs_body: bool = True,
    repeats: bool = False,
) -> Schema:
    answers = {
        status: _answer("In the log", schema),
        "202": _answer("On its way; `ask` says where to look", PENDING),
        **_refusals(*_COMMAND, *(["404"] if parameters else [])),
    }
    if repeats:
        answers["200"] = _answer("It was entered before", schema)
    said: Schema = {"summary": summary, "parameters": [*parameters], "responses": answers}
    if body is not None:
        said["requestBody"] = {"required": needs_body, "content": {JSON: {"schema": body}}}
    return said


def _open(summary: str) -> Schema:
    answers = {"200": _answer("It does", HEALTH), "503": _answer("It does not", HEALTH)}
    return {"summary": summary, "security": [], "responses": answers}
