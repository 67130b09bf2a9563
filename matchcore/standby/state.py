"""What an engine says of itself: its role, how far it is, who has the lease; and its books."""

from __future__ import annotations

from typing import Any

from ..errors import LogError
from .lease import Lease
from .member import Member, Role, Seat


class Watched:
    """The newest `Member` of this process, for those who look at it; any thread may."""

    def __init__(self, name: str, seat: Seat) -> None:
        self.name, self._seat = name, seat
        self.member: Member | None = None  #: None before the log is read

    @property
    def role(self) -> Role:
        """What it is now."""
        return self.member.role if self.member is not None else Role.STANDBY

    @property
    def why_silent(self) -> str:
        """Why it answers no client; empty while it does."""
        role = self.role
        if role is not Role.PRIMARY:
            ended = self.member.why_ended if self.member is not None else ""
            return ended or f"this engine is {role.value}"
        return self._seat.lost

    def said(self) -> dict[str, Any]:
        """All of it, for JSON."""
        member, lease = self.member, self._seat
        said: dict[str, Any] = {
            "name": self.name, "role": self.role.value, "primary": lease.holder,
            "exchange": "", "epoch": 0, "sequence": 0, "lag_commands": 0, "lag_ms": 0.0,
            "lease_left_ms": round(1000 * lease.left, 1) if isinstance(lease, Lease) else 0.0,
            "trouble": "",
        }  # fmt: skip
        if member is None:
            return said
        standby, engine = member.standby, member.engine
        said["exchange"] = standby.identity.hex()
        said["epoch"], said["sequence"] = standby.position
        said["trouble"] = member.trouble or standby.snapshot_failure
        if engine is not None and engine.log is not None:
            said["epoch"], said["sequence"] = engine.log.epoch, engine.durable
        elif self.role is Role.STANDBY:
            said["lag_commands"] = standby.lag.commands
            said["lag_ms"] = round(1000 * standby.lag.seconds, 3)
        return said


def look(watched: Watched, symbol: str, levels: int) -> dict[str, Any]:
    """A book as JSON, with epoch and sequence that it was read at.

    `UnknownInstrument`; `LogError` while this is no standby and may not answer either.
    """
    member = watched.member
    if member is None:
        raise LogError("the log is not read yet")
    if watched.role is Role.PRIMARY and (why := watched.why_silent):
        raise LogError(why)
    reads = member.engine or member.standby
    with reads._lock:
        position = member.standby.position
        depth = reads.book(symbol).depth(levels)
        sequence = reads.sequence
    if watched.role is Role.PRIMARY and (why := watched.why_silent):  # it waited for the log
        raise LogError(why)
    epoch = position.epoch
    if member.engine is not None and member.engine.log is not None:
        epoch = member.engine.log.epoch
    return {
        "symbol": symbol, "sequence": sequence, "epoch": epoch, "role": watched.role.value,
        "bids": [_level(level) for level in depth.bids],
        "asks": [_level(level) for level in depth.asks],
    }  # fmt: skip


def digest(watched: Watched) -> dict[str, Any]:
    """The digest of the state, and the sequence that it is of; LogError before the log is read."""
    member = watched.member
    if member is None:
        raise LogError("the log is not read yet")
    reads = member.engine or member.standby
    with reads._lock:
        return {"sequence": reads.sequence, "digest": reads.digest(), "role": watched.role.value}


def _level(level: Any) -> dict[str, Any]:
    return {"price": str(level.price), "quantity": level.quantity, "orders": level.orders}
