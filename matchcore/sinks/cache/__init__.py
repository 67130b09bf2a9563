"""A cache of an exchange's newest state in Redis: written by a follower, read by many.

`RedisStore` is the sink of ``redis://`` URLs, `Cache` what readers use (extra `redis`).
"""

from .keys import KEEP_SECONDS
from .reader import Cache, Shown

__all__ = ["KEEP_SECONDS", "Cache", "Shown"]
