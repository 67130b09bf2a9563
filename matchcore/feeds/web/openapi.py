"""The OpenAPI document of the HTTP face."""

from __future__ import annotations

from typing import Any

from ..._version import VERSION
from .limits import Limits

JSON = "application/json"
PRICE = {"type": "string", "description": "A decimal number, exact", "example": "95.05"}
WHOLE = {"oneOf": [{"type": "integer"}, {"type": "string"}],
         "description": "An integer; a string beyond 2^53"}  # fmt: skip
NUMBER = {"type": "integer", "description": "Of the last change of the stream that it contains"}
LEVEL = {"type": "array",
         "description": "Price, null for orders that trade at any; quantity, number of orders",
         "prefixItems": [{"oneOf": [PRICE, {"type": "null"}]}, WHOLE,
                         {"type": "integer"}]}  # fmt: skip
BAR = {"type": "array",
       "description": "Start in seconds since 1970 UTC, open, high, low, close, volume, turnover",
       "prefixItems": [{"type": "integer"}, PRICE, PRICE, PRICE, PRICE, WHOLE, PRICE]}  # fmt: skip
TRADE = {
    "id": WHOLE,
    "price": PRICE,
    "quantity": WHOLE,
    "side": {"enum": ["buy", "sell", None], "description": "The aggressor's; null in an auction"},
    "time": {"type": "string", "description": "Nanoseconds since 1970 UTC"},
}
OF_SYMBOL = {"symbol": {"type": "string"}, "number": NUMBER}


def document(limits: Limits) -> dict[str, Any]:
    """As it is served at /openapi.json."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "matchcore feed",
            "version": VERSION,
            "description": "What the feed has in memory now. /ws is a WebSocket.",
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
        "paths": {
            "/api/instruments": _get("All instruments", _instruments(), symbol=False),
            "/api/book/{symbol}": _get(
                "The best levels of a book, best first",
                OF_SYMBOL | {"bids": _list(LEVEL), "asks": _list(LEVEL)},
                _count("depth", limits.levels),
            ),
            "/api/trades/{symbol}": _get(
                "The last trades, oldest first",
                OF_SYMBOL | {"trades": _list(_object(TRADE))},
                _count("limit", 500),
            ),
            "/api/bars/{symbol}": _get(
                "Bars of a minute or a day, oldest first",
                OF_SYMBOL | {"bars": _list(BAR)},
                _query("interval", {"enum": ["1m", "1d"], "default": "1m"}),
                _count("limit", 1441),
            ),
            "/api/status/{symbol}": _get("Statistics of the day", OF_SYMBOL | _status()),
            "/health": _get("Whether the feed runs", _health(), symbol=False),
        },
    }


def _status() -> dict[str, Any]:
    maybe = {"oneOf": [PRICE, {"type": "null"}]}
    prices = dict.fromkeys(("open", "high", "low", "last", "vwap"), maybe)
    counts = {name: {"type": "integer"} for name in ("trades", "day")}
    text = {"type": "string"}
    phase = {"oneOf": [text, {"type": "null"}]}
    indicative = _object({"price": PRICE, "quantity": WHOLE, "imbalance": WHOLE, "side": phase,
                          "phase": text})  # fmt: skip
    return {
        **prices, "volume": WHOLE, "turnover": PRICE, **counts, "phase": phase,
        "halted": {"type": "boolean"}, "reference": maybe,
        "indicative": {"oneOf": [indicative, {"type": "null"}]},
    }  # fmt: skip


def _health() -> dict[str, Any]:
    counts = {name: {"type": "integer"} for name in ("number", "instruments", "connections")}
    return {"status": {"const": "ok"}, "session": {"type": "string"}, **counts}


def _instruments() -> dict[str, Any]:
    one = {"number": {"type": "integer"}, "symbol": {"type": "string"}, "tick": PRICE,
           "lot": {"type": "integer"}}  # fmt: skip
    return {"number": NUMBER, "instruments": _list(_object(one))}


def _get(
    summary: str, fields: dict[str, Any], *query: dict[str, Any], symbol: bool = True
) -> dict[str, Any]:
    """A path with one GET."""
    path = {"name": "symbol", "in": "path", "required": True, "schema": {"type": "string"}}
    answers = {"200": _answer("The answer", _object(fields))}
    if symbol:
        error = _object({"error": _object({"code": {"type": "string"},
                                           "message": {"type": "string"}})})  # fmt: skip
        refusals = {"400": "A wrong number", "401": "No token", "403": "No right to it",
                    "404": "No such symbol", "429": "Too many requests"}  # fmt: skip
        answers |= {status: _answer(what, error) for status, what in refusals.items()}
    parameters = [path, *query] if symbol else [*query]
    return {"get": {"summary": summary, "parameters": parameters, "responses": answers}}


def _answer(what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": what, "content": {JSON: {"schema": schema}}}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _count(name: str, most: int) -> dict[str, Any]:
    return _query(name, {"type": "integer", "minimum": 1, "maximum": most})


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": [*fields]}
