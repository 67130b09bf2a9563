"""Whether a gateway is well: /health and /ready."""

from __future__ import annotations

import time
from typing import Any

from .desk import Desk

HEALTH_PATHS = ("/health", "/ready")
TURN_SECONDS_MAX = 3.0  # three beats
BEHIND_SECONDS_MAX = 3.0  # of the log that has not come
SILENT_SECONDS_MAX = 3.0  # an engine that answers no command


def answer_of(path: str, desk: Desk, draining: bool = False) -> tuple[int, dict[str, Any]]:
    """Status of HTTP, and what is said.

    /health: the event loop turns.  /ready: commands are taken and answered, too, and the log comes:
    new clients should come here.
    """
    late = time.monotonic() - desk.watch.turned
    said: dict[str, Any] = {"status": "ok", "day": desk.day, "sessions": desk.connected}
    if late > TURN_SECONDS_MAX:
        return 503, {**said, "status": "late", "seconds": round(late, 3)}
    if path == "/ready" and draining:
        return 503, {**said, "status": "closing"}
    if path == "/ready" and desk.why_down:
        return 503, {**said, "status": "engine down", "why": desk.why_down}
    silent = desk.silent_seconds()
    if path == "/ready" and silent > SILENT_SECONDS_MAX:
        return 503, {**said, "status": "engine silent", "seconds": round(silent, 3)}
    behind = desk.behind_seconds()
    if path == "/ready" and behind > BEHIND_SECONDS_MAX:
        return 503, {**said, "status": "behind", "seconds": round(behind, 3)}
    return 200, said
