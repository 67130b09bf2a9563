"""One command at work in one market: what it says, what it moves, what has to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....records.schema import ChangeFlag, ChangeKind, EventKind, Flag, Phase, Place, Reason
from .book import MarketBook, MarketOrder

if TYPE_CHECKING:
    from .commands import Markets


class Turn:
    """What a command does in one market.  ``time``: its time, in nanoseconds."""

    def __init__(self, machine: Markets, instrument: int, time: int) -> None:
        self.machine = machine
        self.instrument = instrument
        self.book: MarketBook = machine.market_of(instrument)
        self.time = time
        self.low: int | None = None  # of the trades of this command
        self.high: int | None = None
        self.touched: list[MarketOrder] = []  # linked orders that traded, were triggered or went
        self.pulled: list[int] = []  # accounts whose quotes go
        self.stop: Reason = Reason.NONE  # why trading is interrupted
        self.pause = 0  # for how long, in nanoseconds

    # ------------------------------------------------------------------ what it says

    @property
    def last(self) -> int | None:
        """The price of the last trade."""
        return self.machine.last_of(self.instrument)

    def say(self, kind: EventKind, order: MarketOrder | None = None, /, **more: int) -> None:
        self.machine._say(kind, self.instrument, order, **more)

    def change(self, kind: ChangeKind, order: MarketOrder, /, **more: int) -> None:
        """A public change of an order; its level holds already what it does afterwards."""
        quantity, orders = self.book.level(order.side, order.price)
        self.machine.market_change(
            kind, self.instrument,
            **{
                "order_id": order.order_id, "side": order.side, "price": order.price,
                "level_quantity": quantity, "level_orders": orders,
            } | more,
        )  # fmt: skip

    def cancelled(self, order: MarketOrder, reason: Reason) -> None:
        """Says that an order that is nowhere is cancelled."""
        self.say(EventKind.CANCELLED, order, quantity=order.left, left=0, reason=reason)

    # ------------------------------------------------------------------ what it moves

    def rest(self, order: MarketOrder, flags: int = 0) -> None:
        """Puts an order last in its level."""
        order.place, order.entry = Place.BOOK, self.book.next_entry()
        self.book.live[order.order_id] = order
        if order.shown:
            self.change(
                ChangeKind.ADDED, order, quantity=order.shown, left=order.shown, flags=flags
            )

    def park(self, order: MarketOrder, place: Place) -> None:
        """Keeps a live order outside the book."""
        order.place, order.entry = place, self.book.next_entry()
        self.book.live[order.order_id] = order

    def take_out(self, order: MarketOrder, flags: int = 0) -> None:
        """Takes an order from where it is."""
        del self.book.live[order.order_id]
        if order.place == Place.BOOK and order.shown:
            self.change(ChangeKind.DELETED, order, quantity=order.shown, flags=flags)

    def cancel(self, order: MarketOrder, reason: Reason) -> None:
        """Cancels a live order."""
        self.take_out(order)
        self.cancelled(order, reason)
        self.touch(order)

    def touch(self, order: MarketOrder) -> None:
        if order.link and not any(one is order for one in self.touched):
            self.touched.append(order)

    # ------------------------------------------------------------------ trades

    def trade(
        self, maker: MarketOrder, taker: MarketOrder, quantity: int, price: int | None = None
    ) -> None:
        """One fill at the maker's price, or another one; the maker is in the book.

        So is the taker in an auction.
        """
        machine, shown, seen = self.machine, maker.shown, taker.shown
        crossed = self.book.live.get(taker.order_id) is taker
        price = maker.price if price is None else price
        for order in (maker, taker):
            order.left -= quantity
            order.filled += quantity
            self.touch(order)
        maker.shown = max(0, shown - quantity) if not maker.hidden else 0
        self.say(
            EventKind.TRADED, maker, price=price, quantity=quantity, left=maker.left,
            trade_id=machine.next_trade_id, taker_order_id=taker.order_id,
            taker_account=taker.account, taker_left=taker.left,
        )  # fmt: skip
        if not maker.left:
            del self.book.live[maker.order_id]
        if crossed:
            taker.shown = max(0, seen - quantity) if not taker.hidden else 0
            if not taker.left:
                del self.book.live[taker.order_id]
        named = {"taker_order_id": taker.order_id, "trade_id": machine.next_trade_id}
        if not crossed and price == maker.price and quantity <= shown:
            self.change(ChangeKind.EXECUTED, maker, quantity=quantity, left=maker.shown, **named)
        else:  # what it takes from the public book is told apart from the trade
            self.shrunk(maker, shown)
            if crossed:
                self.shrunk(taker, seen)
            machine.market_change(
                ChangeKind.EXECUTED, self.instrument, order_id=maker.order_id, side=maker.side,
                price=price, quantity=quantity,
                flags=ChangeFlag.UNSEEN | (ChangeFlag.CROSS if crossed else 0), **named,
            )  # fmt: skip
        machine.next_trade_id += 1
        self.note(price, quantity)
        if maker.flags & Flag.QUOTED and machine.protection_hit(
            maker, self.instrument, quantity, self.time
        ):
            self.pulled.append(maker.account)

    def shrunk(self, order: MarketOrder, before: int) -> None:
        """The change of an order that shows less than it did."""
        if order.shown < before:
            kind = ChangeKind.REDUCED if order.shown else ChangeKind.DELETED
            self.change(kind, order, quantity=before - order.shown, left=order.shown)

    def note(self, price: int, quantity: int) -> None:
        """What a trade leaves behind in the market."""
        self.machine.set_last(self.instrument, price)
        self.low = price if self.low is None else min(self.low, price)
        self.high = price if self.high is None else max(self.high, price)
        self.book.note_trade(price, quantity, self.time)

    def refresh(self, order: MarketOrder) -> None:
        """The next part of an iceberg comes last in its level."""
        if order.left and not order.shown and not order.hidden:
            order.show()
            order.entry = self.book.next_entry()
            self.change(ChangeKind.ADDED, order, quantity=order.shown, left=order.shown)

    # ------------------------------------------------------------------ phases

    @property
    def continuous(self) -> bool:
        return self.book.phase == Phase.CONTINUOUS and self.stop == Reason.NONE

    def expired(self, order: MarketOrder) -> bool:
        return 0 < order.expiry <= self.time
