"""A line: the numbered changes over TCP, from a feed to programs and to other feeds.

`LineOutlet` serves it; the clients are in `matchcore.feeds.client`.
"""

from .outlet import LineOutlet

__all__ = ["LineOutlet"]
