"""Typed commands on orders: what a client sends.  `order_records.py` has their records."""

from __future__ import annotations

from dataclasses import dataclass, field

from .instruments import Price
from .schema import OrderType, SelfTrade, Side, TimeInForce

# Not frozen: making an order, which is all that some callers do, would take three times as long.


@dataclass(slots=True, unsafe_hash=True)
class NewOrder:
    """A new order.

    - ``symbol``: of the instrument.
    - ``side``: a `Side`.
    - ``quantity``: in units.
    - ``price``: its limit, a string, Decimal, int or float on a tick; None: it has none.  Of a type
      without a limit, as MARKET or a peg: the worst price at which it may trade.
    - ``time_in_force``: None: GTD with an ``expiry``, IOC for MARKET and BEST_FIVE, otherwise GTC.
    - ``account``: the owner; 0: none.
    - ``order_id``: 0: the exchange assigns one.
    - ``client_order_id``: if not 0, the command can be sent again.
    - ``post_only``: the order is refused if it would trade.
    - ``time``: nanoseconds since 1970 UTC; 0: the engine's clock.
    - ``session``: number of the login that sends it; 0: none.
    - ``client_order_tail``: second half of a long client order id; only stored.

    The others are for instruments with a market (docs/markets/index.md); give them by keyword:

    - ``order_type``: an `OrderType`; None: LIMIT with a price, MARKET without.
    - ``stop_price``: of STOP and STOP_LIMIT: the price that the last trade must reach.
    - ``offset``: in price units.  Of a TRAILING_STOP: its distance from the last trade.  Of a peg:
      how far it goes beyond the price that it follows, towards the other side; below 0: how far it
      stays behind.
    - ``trailing_percent``: of a TRAILING_STOP: its distance in percent, with up to two decimals, in
      place of ``offset``.
    - ``display_quantity``: of an iceberg, the part that the book shows, in units; 0: all.
    - ``minimum_quantity``: so much must trade at once, or nothing does; 0: no minimum.
    - ``expiry``: of GTD: nanoseconds since 1970 UTC; 0: none.
    - ``self_trade``: a `SelfTrade`: what happens when it meets an order of the same owner.
    - ``hidden``: the book does not show the order.
    - ``slide``: instead of trading at once it rests at the next price that does not trade.
    - ``linked_order_id``: a live order of the account; each of the two cancels the other; 0: none.

    An order has at most one of ``stop_price``, ``offset``, ``trailing_percent`` and
    ``minimum_quantity``, and of ``display_quantity`` and ``linked_order_id``.

    >>> from matchcore import Directory, Instrument, NewOrder, Side, decode, encode
    >>> directory = Directory([Instrument("ANA", tick="0.05")])
    >>> record = encode(NewOrder("ANA", Side.BUY, 30, "95.70"), directory)
    >>> record["price"].tolist(), decode(record[0], directory).price
    ([1914], Decimal('95.70'))
    """

    symbol: str
    side: Side
    quantity: int
    price: Price | None = None
    time_in_force: TimeInForce | None = None
    account: int = 0
    order_id: int = 0
    client_order_id: int = 0
    post_only: bool = False
    time: int = 0
    session: int = 0
    client_order_tail: int = 0
    # not `kw_only`, whose defaults take twice as long
    order_type: OrderType | None = None
    stop_price: Price | None = None
    offset: Price | None = None
    trailing_percent: Price | None = None
    display_quantity: int = 0
    minimum_quantity: int = 0
    expiry: int = 0
    self_trade: SelfTrade = SelfTrade.ALLOWED
    hidden: bool = False
    slide: bool = False
    linked_order_id: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Cancel:
    """Cancels a resting order.  ``account``: if not 0, it must be the order's."""

    symbol: str
    order_id: int
    account: int = 0
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Amend:
    """Changes the open ``quantity``, the ``price``, or both; None: unchanged.

    In a market also, by keyword only:

    - ``total_quantity``: in place of ``quantity``: the whole quantity, of which what is filled is a
      part, so that a fill under way adds nothing.
    - ``stop_price``: of a stop that is not yet triggered.
    - ``display_quantity``: of an iceberg, in units.
    """

    symbol: str
    order_id: int
    quantity: int | None = None
    price: Price | None = None
    account: int = 0
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0
    total_quantity: int | None = field(default=None, kw_only=True)
    stop_price: Price | None = field(default=None, kw_only=True)
    display_quantity: int | None = field(default=None, kw_only=True)


@dataclass(slots=True, unsafe_hash=True)
class Reduce:
    """Subtracts ``quantity`` from an order, which keeps its place in the queue."""

    symbol: str
    order_id: int
    quantity: int
    account: int = 0
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0


@dataclass(slots=True, unsafe_hash=True)
class MassCancel:
    """Cancels all orders of ``symbol``, ``account`` and ``side``; None and 0: of all.

    Since version 3 of the rules also, by keyword only:

    - ``lowest``, ``highest``: only orders at these prices and between, of one ``symbol``; None: no
      bound.
    - ``of_session``: only orders that ``session`` entered, in instruments with a market.
    """

    symbol: str | None = None
    account: int = 0
    side: Side | None = None
    time: int = 0
    client_order_id: int = 0
    session: int = 0
    client_order_tail: int = 0
    lowest: Price | None = field(default=None, kw_only=True)
    highest: Price | None = field(default=None, kw_only=True)
    of_session: bool = field(default=False, kw_only=True)


@dataclass(slots=True, unsafe_hash=True)
class EndDay:
    """Cancels the DAY orders of the instrument ``symbol`` (None: of all).

    In a market it also ends AT_OPEN, AT_CLOSE, AUCTION and expired GTD orders.
    """

    symbol: str | None = None
    time: int = 0
    session: int = 0
    client_order_tail: int = 0


Ordering = NewOrder | Cancel | Amend | Reduce | MassCancel | EndDay
