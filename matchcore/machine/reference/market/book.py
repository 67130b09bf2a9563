"""The orders of one market, and what its parameters say of prices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ....records.arguments import INT64_MAX
from ....records.markets import (
    ANY_BUY as ANY_BUY,
)
from ....records.markets import (
    ANY_SELL as ANY_SELL,
)
from ....records.markets import MILLISECOND_NS, counts_window, defaults
from ....records.parameters import PARAMETERS
from ....records.parameters import PRICE_MAX as PRICE_MAX
from ....records.schema import (
    ClosingRule,
    Flag,
    OrderType,
    Parameter,
    Phase,
    Place,
    Side,
)
from ..book import Order, other

PART = 10_000  # hundredths of a percent in one


@dataclass(slots=True)
class MarketOrder(Order):
    """An order of a market; ``left`` is all that is open, ``shown`` what the public book shows."""

    order_type: int = OrderType.LIMIT
    shown: int = 0
    display: int = 0
    stop_price: int = 0
    limit: int = 0
    expiry: int = 0
    link: int = 0
    session: int = 0
    self_trade: int = 0
    entry: int = 0
    filled: int = 0
    place: int = Place.BOOK

    @property
    def hidden(self) -> bool:
        return bool(self.flags & Flag.HIDDEN)

    @property
    def available(self) -> int:
        """What one visit of its queue may trade."""
        return self.left if self.hidden else self.shown

    @property
    def pegged(self) -> bool:
        return self.order_type in (
            OrderType.PEG_PRIMARY,
            OrderType.PEG_MARKET,
            OrderType.PEG_MIDPOINT,
        )

    def show(self) -> None:
        """Shows what may be shown of what is open."""
        if self.hidden:
            self.shown = 0
        else:
            self.shown = min(self.display, self.left) if self.display else self.left


@dataclass(slots=True)
class Indicative:
    """The indicative price that was told last; imbalance: buys less sells that are left over."""

    price: int = 0
    quantity: int = 0
    imbalance: int = 0
    time: int = 0


class Trading(NamedTuple):
    order_types: int
    call_types: int
    times_in_force: int
    order_flags: int
    entry_phases: int
    cancel_phases: int
    amends: int
    group: int


@dataclass
class MarketBook:
    """All live orders of a market; the interface that `Machine` uses of `Book`, too."""

    live: dict[int, MarketOrder] = field(default_factory=dict)
    values: dict[Parameter, tuple[int, ...]] = field(default_factory=defaults)
    ticks: dict[int, tuple[int, int]] = field(default_factory=dict)  # index -> from, step
    phase: int = Phase.CONTINUOUS
    until: int = 0
    entries: int = 0
    open_price: int | None = None
    auction_price: int | None = None
    closing_price: int | None = None
    close_turnover: int = 0
    close_volume: int = 0
    counted: list[list[int]] = field(default_factory=list)  # time_ms, volume, turnover
    indicative: Indicative | None = None
    halts: int = 0

    matching = True

    # ------------------------------------------------------------------ parameters

    @property
    def trading(self) -> Trading:
        return Trading(*self.values[Parameter.TRADING])

    def value(self, parameter: Parameter, name: str) -> int:
        names = [one.name for one in PARAMETERS[parameter]]
        return self.values[parameter][names.index(name)]

    def allows(self, mask: str, code: int) -> bool:
        return bool(getattr(self.trading, mask) >> code & 1)

    def step_at(self, price: int) -> int:
        """The tick of the table at a price, in ticks of the instrument."""
        step = 1
        for index in sorted(self.ticks):
            start, size = self.ticks[index]
            if abs(price) >= start:
                step = size
        return step

    def floor(self, price: int) -> int:
        return price - price % self.step_at(price)

    def ceil(self, price: int) -> int:
        return price + -price % self.step_at(price)

    def price_limits(self) -> tuple[int | None, int | None]:
        """The lowest and the highest price of today; None: no limit."""
        _, reference, days, special = self.values[Parameter.DAY][:4]
        up, down, special_up, special_down, free = self.values[Parameter.LIMITS][:5]
        if special:
            up, down = special_up, special_down
        if reference <= 0 or 0 < days <= free:
            return None, None
        highest = (2 * reference * (PART + up) + PART) // (2 * PART)
        lowest = (2 * reference * (PART - down) + PART) // (2 * PART)
        return (
            min(lowest, reference - 1) if down else None,
            max(highest, reference + 1) if up else None,
        )

    # ------------------------------------------------------------------ orders

    def next_entry(self) -> int:
        self.entries += 1
        return self.entries

    def at(self, place: int) -> list[MarketOrder]:
        """The orders of a place, in the order of a state."""
        mine = [order for order in self.live.values() if order.place == place]
        if place == Place.BOOK:
            return [
                order
                for side in (Side.BUY, Side.SELL)
                for price in self.prices(side)
                for order in self.queue(side, price)
            ]
        if place == Place.STOPS:
            return sorted(mine, key=stop_order)
        return sorted(mine, key=lambda order: order.entry)

    def orders(self) -> Iterator[MarketOrder]:
        for place in Place:
            yield from self.at(place)

    def queue(self, side: int, price: int) -> list[MarketOrder]:
        """The orders at a price: those that are shown, then the hidden ones, oldest first."""
        mine = [
            order
            for order in self.live.values()
            if order.place == Place.BOOK and (order.side, order.price) == (side, price)
        ]
        return sorted(mine, key=lambda order: (order.hidden, order.entry))

    def prices(self, side: int) -> list[int]:
        """Of all orders in the book, also of hidden ones, best first."""
        found = {order.price for order in self.live.values()
                 if order.place == Place.BOOK and order.side == side}  # fmt: skip
        return sorted(found, reverse=side == Side.BUY)

    def best(self, side: int) -> int | None:
        return next(iter(self.prices(side)), None)

    def reference(self, side: int) -> int | None:
        """The best price of a side that pegs and the cage go by: shown, and no peg itself."""
        found = [
            order.price
            for order in self.live.values()
            if order.place == Place.BOOK and order.side == side and order.shown
            and not order.pegged and order.price not in (ANY_BUY, ANY_SELL)
        ]  # fmt: skip
        return (max(found) if side == Side.BUY else min(found)) if found else None

    def crosses(self, side: int, limit: int | None) -> bool:
        """True if there is an order that this one could trade with."""
        best = self.best(other(side))
        if best is None:
            return False
        if limit is None:
            return True
        return best <= limit if side == Side.BUY else best >= limit

    @property
    def crossed(self) -> bool:
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return bid is not None and ask is not None and bid >= ask

    def open_quantity(self, side: int) -> int:
        """Of all orders of a side, wherever they are."""
        return sum(order.left for order in self.live.values() if order.side == side)

    def level(self, side: int, price: int) -> tuple[int, int]:
        """What the public book shows at a price: quantity and number of orders."""
        shown = [order.shown for order in self.queue(side, price) if order.shown]
        return sum(shown), len(shown)

    def quotes(self, account: int) -> list[MarketOrder]:
        """The orders of an account's quote: buy, then sell."""
        mine = [order for order in self.live.values()
                if order.flags & Flag.QUOTED and order.account == account]  # fmt: skip
        return sorted(mine, key=lambda order: order.side)

    # ------------------------------------------------------------------ the day

    def note_trade(self, price: int, quantity: int, time: int) -> None:
        if self.open_price is None:
            self.open_price = price
        closing = self.values[Parameter.CLOSING]
        rule, start, window_ns = closing
        if time < start:
            return
        if counts_window(closing):
            self._count(price, quantity, time // MILLISECOND_NS, window_ns // MILLISECOND_NS)
        elif rule == ClosingRule.AVERAGE and self.close_volume + quantity <= INT64_MAX:
            self.close_turnover += price * quantity
            self.close_volume += quantity

    def _count(self, price: int, quantity: int, now: int, window: int) -> None:
        """Counts a trade, and no longer what is further than the window before it."""
        if self.counted:
            now = max(now, self.counted[-1][0])
        while self.counted and self.counted[0][0] < now - window:
            _, volume, turnover = self.counted.pop(0)
            self.close_volume -= volume
            self.close_turnover -= turnover
        if self.close_volume + quantity > INT64_MAX:
            return
        if not self.counted or self.counted[-1][0] < now:
            self.counted.append([now, 0, 0])
        self.counted[-1][1] += quantity
        self.counted[-1][2] += price * quantity
        self.close_volume += quantity
        self.close_turnover += price * quantity

    def forget_counted(self) -> None:
        """Nothing has been counted for the closing price."""
        self.close_turnover = self.close_volume = 0
        self.counted.clear()

    def end_day(self) -> None:
        self.open_price = self.auction_price = self.closing_price = self.indicative = None
        self.halts = 0
        self.forget_counted()


def stop_order(order: MarketOrder) -> tuple[int, int, int]:
    """Buys, then sells; the one that is triggered first before the others, then the oldest."""
    first = order.stop_price if order.side == Side.BUY else -order.stop_price
    return order.side, first, order.entry


def market_row(instrument: int, order: MarketOrder) -> tuple[int, ...]:
    """A `MARKET_ORDER` row."""
    return (
        order.entry, order.filled, order.shown, order.display, order.stop_price, order.limit,
        order.expiry, order.link, order.session, instrument, order.flags, order.order_type,
        order.self_trade, order.place, 0, 0,
    )  # fmt: skip
