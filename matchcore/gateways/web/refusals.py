"""What is answered to a request that is not carried out."""

from __future__ import annotations

import math
from typing import Any

from ...errors import InvalidCommand, PriceError, UnknownInstrument
from ..logins import (
    AlreadyThere,
    Busy,
    Forbidden,
    GatewayError,
    LoginRefused,
    Throttled,
    Unavailable,
)

#: HTTP status and code of what the desk refuses; the first class that fits.
_KINDS: tuple[tuple[type[GatewayError], int, str], ...] = (
    (Busy, 429, "busy"),
    (AlreadyThere, 409, "connected_elsewhere"),
    (LoginRefused, 401, "login"),
    (Forbidden, 403, "forbidden"),
    (Throttled, 429, "throttled"),
    (Unavailable, 503, "unavailable"),
)
AGAIN_NS = 1_000_000_000  # when to come again to an exchange that is down


class Refused(Exception):
    """A refusal: ``status`` of HTTP, ``code`` for programs, and the ``field`` at fault."""

    def __init__(
        self, status: int, code: str, message: str, field: str = "", after_ns: int = 0
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.field, self.after_ns = status, code, field, after_ns

    def said(self) -> dict[str, Any]:
        """As JSON."""
        found = {"code": self.code, "message": str(self)}
        if self.field:
            found["field"] = self.field
        if self.after_ns:
            return {**found, "retry_after_ms": math.ceil(self.after_ns / 1e6)}
        return found

    def headers(self) -> dict[str, str]:
        """Of HTTP."""
        if self.status == 401:
            return {"WWW-Authenticate": 'Basic realm="matchcore", charset="UTF-8"'}
        if self.after_ns:
            return {"Retry-After": str(max(1, math.ceil(self.after_ns / 1e9)))}
        return {}


def malformed(field: str, message: str) -> Refused:
    """A field of a request that is not what it must be."""
    return Refused(400, "malformed", f"{field}: {message}" if field else message, field)


def refusal_of(error: Exception) -> Refused | None:
    """The refusal that an error of the desk, or of a command, stands for; None: it is a fault."""
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            after = getattr(error, "after_ns", AGAIN_NS if kind is Unavailable else 0)
            return Refused(status, code, str(error), after_ns=after)
    if isinstance(error, PriceError):
        return Refused(400, "price", str(error), "price")
    if isinstance(error, UnknownInstrument):
        return Refused(400, "unknown_symbol", str(error), "symbol")
    if isinstance(error, InvalidCommand):
        return Refused(400, "malformed", str(error))
    return error if isinstance(error, Refused) else None
