"""Market data: what everybody may know of an exchange, from its log to everyone at once.

`Stream` derives the numbered changes; everything else in this room publishes them.
"""

from .stream import Changes, Mark, Stream

__all__ = ["Changes", "Mark", "Stream"]
