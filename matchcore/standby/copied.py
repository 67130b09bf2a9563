"""What a copy says of itself, for its status port."""

from __future__ import annotations

from typing import Any

from .copying import Copier


class Copied:
    """A `Copier`, for those who look at it."""

    role = "copy"
    why_silent = "this is a copy"
    alive = True

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
        self.trouble = ""  #: why nothing comes

    def said(self) -> dict[str, Any]:
        """All of it, for JSON."""
        log, lag = self._copier.log, self._copier.lag
        return {
            "name": str(log.directory), "role": self.role, "primary": "",
            "exchange": log.at.header.identity.hex(), "epoch": log.at.epoch,
            "sequence": log.sequence, "lag_commands": lag.commands,
            "lag_ms": round(1000 * lag.seconds, 3), "lease_left_ms": 0.0,
            "trouble": self.trouble,
        }  # fmt: skip
