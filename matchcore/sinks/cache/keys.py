"""The keys of a cache, the URL of a Redis, and what its failures mean (docs/availability/cache.md).

All keys of one log begin with one hash tag, so that a cluster keeps them on one node: there a
batch is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from ...errors import MissingExtra, SinkError
from ..interface import SinkAway
from ..urls import shown

SCHEMES = frozenset({"redis", "rediss"})
KEEP_SECONDS = 3600  # a finished order stays so long
_KEEP_MAX = 30 * 86_400
_ANSWER_SECONDS = 5.0


class Keys:
    """Names of the keys of one log: of an exchange's identity, and its number of a shard."""

    def __init__(self, identity: bytes, shard: int) -> None:
        self.prefix = f"matchcore:{{{identity.hex()[:16]}:{shard}}}"
        self.position = f"{self.prefix}:position"
        self.instruments = f"{self.prefix}:instruments"
        self.tops = f"{self.prefix}:tops"

    def rows(self, table: str) -> str:
        """A hash: the rows of a table that the follower needs again, by `seq`."""
        return f"{self.prefix}:rows:{table}"

    def order(self, symbol: str, order_id: int) -> str:
        return f"{self.prefix}:order:{symbol}:{order_id}"

    def account(self, account: int) -> str:
        """A hash: the open orders of an account, by symbol and order id."""
        return f"{self.prefix}:account:{account}"


def connected(url: str) -> tuple[Any, int]:
    """A client of the Redis of a URL (partly without types), and for how many seconds finished
    orders are kept.

    `SinkError` for a URL that is none; `MissingExtra` without the client library.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise MissingExtra("a cache in Redis", "redis") from None
    keep = _keep(url)
    try:
        client = redis.Redis.from_url(
            url.partition("?")[0], socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
    except ValueError:  # whose message may have the password in it
        raise SinkError(
            f"{shown(url)!r}: must be redis://user:password@host:port/0, or rediss:// for TLS"
        ) from None
    return client, keep


def _keep(url: str) -> int:
    keep = KEEP_SECONDS
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        digits = value.isascii() and value.isdigit() and len(value) < 10
        if name != "keep" or not digits or int(value) > _KEEP_MAX:
            raise SinkError(
                f"{shown(url)!r}: the one option of a cache is keep=SECONDS, 0 to {_KEEP_MAX}"
            )
        keep = int(value)
    return keep


@contextmanager
def speaking(where: str) -> Iterator[None]:
    """Failures of Redis as `SinkAway` for what may pass, and `SinkError` for what lasts."""
    import redis

    lasting: tuple[type[Exception], ...] = (
        redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError,
        redis.exceptions.NoPermissionError,
    )  # fmt: skip
    passing = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)
    try:
        yield
    except lasting as error:
        raise SinkError(f"{where}: {error}; check user, password and rights") from None
    except redis.exceptions.OutOfMemoryError as error:
        raise SinkAway(f"{where}: {error}", "raise its maxmemory") from None
    except redis.exceptions.ReadOnlyError as error:
        raise SinkAway(f"{where}: {error}", "it is a replica: use the master's address") from None
    except passing as error:
        raise SinkAway(f"{where}: {error or type(error).__name__}") from None
    except redis.exceptions.ResponseError as error:
        raise SinkError(f"{where}: {error}") from None
