"""A second engine that follows a log, and takes over when the first one is gone."""

from __future__ import annotations

from .standby import Standby

__all__ = ["Standby"]
