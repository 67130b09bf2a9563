"""How the reference machine refuses a command."""

from __future__ import annotations

from ...records.schema import Field, Reason


class Refused(Exception):
    """A command breaks a rule; raised before anything has changed."""

    def __init__(self, reason: Reason, field: Field) -> None:
        self.reason = reason
        self.field = field


def require(condition: bool, reason: Reason, field: Field) -> None:
    if not condition:
        raise Refused(reason, field)
