"""What each session is told of its orders: numbered, and the same in every gateway."""

from __future__ import annotations

from ..reports import InUse, Reports

__all__ = ["InUse", "Reports"]
