"""What is done to an exchange directory: verify, replay, describe, archive, repair, tail.

The library behind the command line; functions take a directory, and `Keys` if it is encrypted.
"""

from __future__ import annotations

from ..journal import last_sequence
from .archive import Archived, archive
from .describe import book, describe
from .repair import Plan, plan, repair
from .replay import replay
from .tail import Line, lines
from .verify import verify, verify_states

__all__ = [
    "Archived",
    "Line",
    "Plan",
    "archive",
    "book",
    "describe",
    "last_sequence",
    "lines",
    "plan",
    "repair",
    "replay",
    "verify",
    "verify_states",
]
