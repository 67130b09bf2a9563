"""What readers of a cache use: orders, open orders and best prices, each with its sequence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..._closing import Closing
from ...errors import SinkError
from ...records.arguments import UINT64_MAX, integer, shard_number
from ...records.instruments import SYMBOL_BYTES_MAX
from ..urls import shown
from .keys import Keys, connected, speaking


@dataclass(frozen=True, slots=True)
class Shown:
    """What a cache says, and as of when.

    - ``value``: a mapping of plain values, a list of them, or None. Prices are texts, and so are
      numbers that may exceed 53 bits; quantities are in units.
    - ``epoch``, ``sequence``: of the last command that it includes; 0 for an empty cache.
    - ``written_ns``: when that was written, nanoseconds since 1970 UTC by the follower's clock.
    """

    value: Any
    epoch: int
    sequence: int
    written_ns: int


class Cache(Closing):
    """Reads the cache that `matchcore follow --to redis://…` keeps.  For one thread.

    - ``url``: of the Redis, or of a replica of it.
    - ``identity``: of the exchange, `Engine.identity`; ``shard``: the follower's number.

    `MissingExtra` without the extra `redis`; `SinkAway` while Redis does not answer, `SinkError`
    for what lasts.  Each read is one moment of the exchange.
    """

    def __init__(self, url: str, identity: bytes, shard: int = 0) -> None:
        if len(identity) != 16:
            raise SinkError(f"an identity of {len(identity)} bytes: an exchange's has 16")
        self._redis, _ = connected(url)
        self._where, self._keys = shown(url), Keys(identity, shard_number(shard))

    def order(self, symbol: str, order_id: int) -> Shown:
        """The order ``order_id`` of the instrument ``symbol``; None if it is not in the cache.

        An order that has ended stays for an hour, or as long as the follower's URL says.
        """
        key = self._keys.order(_symbol(symbol), integer(order_id, "order_id", 0, UINT64_MAX))
        return self._shown(lambda batch: batch.get(key), _parsed)

    def open_orders(self, account: int) -> Shown:
        """The open orders of ``account``, by symbol and order id."""
        key = self._keys.account(integer(account, "account", 0, UINT64_MAX))
        return self._shown(lambda batch: batch.hgetall(key), _orders)

    def top(self, symbol: str) -> Shown:
        """The best ``buy`` and ``sell`` level of ``symbol``; None if nothing has rested there."""
        return self._shown(lambda batch: batch.hget(self._keys.tops, _symbol(symbol)), _parsed)

    def instruments(self) -> Shown:
        """The instruments by symbol: tick, lot and limits."""
        return self._shown(
            lambda batch: batch.hgetall(self._keys.instruments),
            lambda found: {name.decode(): json.loads(text) for name, text in found.items()},
        )

    def _shown(self, ask: Any, parse: Any) -> Shown:
        with speaking(self._where), self._redis.pipeline(transaction=True) as batch:
            batch.hgetall(self._keys.position)
            ask(batch)
            at, found = batch.execute()
        try:
            numbers = [int(at.get(name, 0)) for name in (b"epoch", b"sequence", b"written_ns")]
            return Shown(parse(found), *numbers)
        except (ValueError, UnicodeDecodeError, AttributeError):
            raise SinkError(f"{self._where}: its keys were not written by matchcore") from None

    def close(self) -> None:
        """Lets go of the connection."""
        self._redis.close()


def _parsed(found: bytes | None) -> Any:
    return None if found is None else json.loads(found)


def _orders(found: dict[bytes, bytes]) -> list[Any]:
    orders = [json.loads(text) for text in found.values()]
    return sorted(orders, key=lambda one: (one["symbol"], int(one["order_id"])))


def _symbol(symbol: str) -> str:
    if not isinstance(symbol, str) or not 0 < len(symbol) <= SYMBOL_BYTES_MAX:
        raise SinkError(f"symbol: a text of 1 to {SYMBOL_BYTES_MAX} characters")
    return symbol
