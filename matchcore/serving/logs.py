"""Events of a server in its log: one JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

TEXT_CHARACTERS_MAX = 200  # of a field that a client may have said


def event(log: logging.Logger, name: str, /, **fields: Any) -> None:
    """Logs an event by name.  Fields are what programs look for; never a password or a token."""
    log.info(name, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """One line of JSON a record: time (UTC), level, log, event, and the fields of `event`.

    Everything a client has said is escaped, so that nobody can write lines of his own.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, timezone.utc)
        said: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "event": record.getMessage(),
        }
        for name, value in getattr(record, "fields", {}).items():
            said[name] = value[:TEXT_CHARACTERS_MAX] if isinstance(value, str) else value
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)
