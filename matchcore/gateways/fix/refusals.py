"""Requests that never become a command."""

from __future__ import annotations

NO_SUCH_ORDER, TOO_LATE, OTHER = 1, 0, 99  # CxlRejReason
UNKNOWN_SYMBOL, UNSUPPORTED, BAD_QUANTITY, DUPLICATE = 1, 11, 13, 6  # OrdRejReason


class Refused(Exception):
    """A request that never becomes a command: the reason in its own code, and a text.

    ``status``: OrdStatus of the order that the request is about.
    """

    def __init__(self, reason: int, text: str, status: bytes = b"8") -> None:
        super().__init__(text)
        self.reason, self.text, self.status = reason, text, status
