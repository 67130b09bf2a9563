"""Market data: what everybody may know of an exchange, from its log to everyone at once.

`Stream` derives the numbered changes and `Books` keeps the books by them; everything else in this
room publishes them.
"""

from .books import Books
from .stream import Changes, Mark, Stream

__all__ = ["Books", "Changes", "Mark", "Stream"]
