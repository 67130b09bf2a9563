"""The peers, each fed what it takes with as little around it as possible.

`prepare` makes the arguments before the clock starts, the peer's own order objects too; `run`
is a user's loop; `fills` does one operation and tells what traded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

Flow = list[tuple[int, ...]]
Fills = Iterable[tuple[int, int]]
BUY = 1


class OrderBookStructure:
    """`order-book`: sorted prices without matching; each price holds its orders, as in its docs."""

    def __init__(self) -> None:
        from order_book import OrderBook

        self.book = OrderBook()
        self.sides = (self.book.bids, self.book.asks)
        self.places: dict[int, tuple[Any, int]] = {}

    def prepare(self, flow: Flow) -> list[Any]:
        prepared: list[Any] = []
        for operation in flow:
            order_id = operation[0]
            if len(operation) == 4:
                self.places[order_id] = self.sides[operation[1] - 1], operation[2]
                prepared.append((*self.places[order_id], order_id, operation[3]))
            else:
                prepared.append((*self.places[order_id], order_id))
        return prepared

    def run(self, operations: list[Any]) -> None:
        for operation in operations:
            if len(operation) == 4:
                side, price, order_id, quantity = operation
                if price in side:
                    side[price][order_id] = quantity
                else:
                    side[price] = {order_id: quantity}
            else:
                side, price, order_id = operation
                orders = side[price]
                del orders[order_id]
                if not orders:
                    del side[price]

    def fills(self, operation: Any) -> Fills:
        self.run([operation])
        return ()


class OrderlyChaos:
    """`orderly-chaos`: trades come to a callback."""

    def __init__(self) -> None:
        from orderly_chaos import LimitOrderBook, Side

        self.trades: list[Any] = []
        self.peer = LimitOrderBook(on_trade=self.trades.append)
        self.sides = {1: Side.BUY, 2: Side.SELL}

    def prepare(self, flow: Flow) -> list[Any]:
        return [
            (self.sides[operation[1]], operation[0], operation[3], operation[2])
            if len(operation) == 4
            else operation
            for operation in flow
        ]

    def run(self, operations: list[Any]) -> None:
        limit, cancel, trades = self.peer.limit, self.peer.cancel, self.trades
        for operation in operations:
            if len(operation) == 4:
                limit(*operation)
                trades.clear()
            else:
                cancel(*operation)

    def fills(self, operation: Any) -> Fills:
        if len(operation) == 1:
            self.peer.cancel(*operation)
            return ()
        self.trades.clear()
        self.peer.limit(*operation)
        return [(trade.price, trade.quantity) for trade in self.trades]


class Obook:
    """`obook`: numbers orders as the flow does; a user each, because it prevents self-trades."""

    def __init__(self) -> None:
        import obook

        self.peer = obook.Book()
        self.sides = {1: obook.BUY, 2: obook.SELL}
        self.trade = obook.EventKind.TRADE

    def prepare(self, flow: Flow) -> list[Any]:
        return [
            (operation[0], self.sides[operation[1]], operation[2], operation[3])
            if len(operation) == 4
            else (operation[0], operation[0])
            for operation in flow
        ]

    def run(self, operations: list[Any]) -> None:
        submit, cancel, events = self.peer.submit, self.peer.cancel, self.peer.events
        for operation in operations:
            if len(operation) == 4:
                submit(*operation)
            else:
                cancel(*operation)
            events()

    def fills(self, operation: Any) -> Fills:
        (self.peer.submit if len(operation) == 4 else self.peer.cancel)(*operation)
        return [
            (event.price, event.qty) for event in self.peer.events() if event.kind == self.trade
        ]


class Liquibook:
    """`liquibook`: a listener hears of fills, and books them on both orders, as in its docs."""

    def __init__(self) -> None:
        import liquibook

        trades: list[tuple[int, int]] = []

        class Listener(liquibook.OrderListener):
            def on_fill(self, taker: Any, maker: Any, quantity: int, price: int) -> None:
                maker.fill(quantity, price, 0)
                taker.fill(quantity, price, 0)
                trades.append((price, quantity))

            def on_accept(self, order: Any) -> None:
                """Has to be there."""

            on_cancel = on_accept

        self.trades, self.listener = trades, Listener()
        self.peer = liquibook.DepthOrderBook()
        self.peer.set_order_listener(self.listener)
        self.make = liquibook.SimpleOrder
        self.orders: dict[int, Any] = {}

    def prepare(self, flow: Flow) -> list[Any]:
        prepared = []
        for operation in flow:
            if len(operation) == 4:
                order_id, side, price, quantity = operation
                self.orders[order_id] = self.make(side == BUY, price, quantity)
            prepared.append((self.orders[operation[0]], len(operation) == 4))
        return prepared

    def run(self, operations: list[Any]) -> None:
        add, cancel, trades = self.peer.add, self.peer.cancel, self.trades
        for order, is_new in operations:
            if is_new:
                add(order)
                trades.clear()
            else:
                cancel(order)

    def fills(self, operation: Any) -> Fills:
        self.trades.clear()
        order, is_new = operation
        (self.peer.add if is_new else self.peer.cancel)(order)
        return list(self.trades)


class MatchingEngine:
    """`matching-engine`, without its log and gateway; all orders are of one account."""

    def __init__(self) -> None:
        from matching_engine import domain, engine, events

        self.domain, self.trade = domain, events.Trade
        self.peer = engine.MatchingEngine()
        self.sides = {1: domain.Side.BUY, 2: domain.Side.SELL}
        self.sequence = 0

    def prepare(self, flow: Flow) -> list[Any]:
        return [self._command(operation) for operation in flow]

    def _command(self, operation: tuple[int, ...]) -> Any:
        self.sequence += 1
        if len(operation) == 1:
            command = self.domain.CancelOrder(operation[0], 1)
        else:
            order_id, side, price, quantity = operation
            command = self.domain.NewOrder(
                order_id, 1, self.sides[side], price, quantity,
                stp=self.domain.SelfTradePrevention.NONE,
            )  # fmt: skip
        return self.domain.SequencedCommand(self.sequence, self.sequence, command)

    def run(self, operations: list[Any]) -> None:
        process = self.peer.process
        for command in operations:
            process(command)

    def fills(self, operation: Any) -> Fills:
        events = self.peer.process(operation)
        return [(event.price, event.qty) for event in events if type(event) is self.trade]


class LightMatchingEngine:
    def __init__(self) -> None:
        from lightmatchingengine.lightmatchingengine import LightMatchingEngine as Peer

        self.peer = Peer()

    def prepare(self, flow: Flow) -> list[Any]:
        return [
            ("ANA", operation[2], operation[3], operation[1])
            if len(operation) == 4
            else (operation[0], "ANA")
            for operation in flow
        ]

    def run(self, operations: list[Any]) -> None:
        add, cancel = self.peer.add_order, self.peer.cancel_order
        for operation in operations:
            if len(operation) == 4:
                add(*operation)
            else:
                cancel(*operation)

    def fills(self, operation: Any) -> Fills:
        if len(operation) == 2:
            self.peer.cancel_order(*operation)
            return ()
        order, trades = self.peer.add_order(*operation)  # the taker's own reports among them
        return [(t.trade_price, t.trade_qty) for t in trades if t.order_id != order.order_id]


class PyOrderBook:
    def __init__(self) -> None:
        import pyorderbook

        self.peer = pyorderbook.Book()
        self.make = {1: pyorderbook.bid, 2: pyorderbook.ask}
        self.orders: dict[int, Any] = {}

    def prepare(self, flow: Flow) -> list[Any]:
        prepared = []
        for operation in flow:
            if len(operation) == 4:
                order_id, side, price, quantity = operation
                self.orders[order_id] = self.make[side]("ANA", price, quantity)
            prepared.append((self.orders[operation[0]], len(operation) == 4))
        return prepared

    def run(self, operations: list[Any]) -> None:
        match, cancel = self.peer.match, self.peer.cancel
        for order, is_new in operations:
            if is_new:
                match(order)
            else:
                cancel(order)

    def fills(self, operation: Any) -> Fills:
        order, is_new = operation
        if is_new:
            return [(int(t.fill_price), t.fill_quantity) for t in self.peer.match(order).trades]
        self.peer.cancel(order)
        return ()


class OrderMatching:
    """`order-matching`, with its log messages off, which it writes for every order."""

    def __init__(self) -> None:
        from loguru import logger
        from order_matching.enums import Side
        from order_matching.matching_engine import MatchingEngine
        from order_matching.order import LimitOrder
        from order_matching.orders import Orders

        logger.disable("order_matching")
        self.peer = MatchingEngine(seed=1)
        self.order, self.orders = LimitOrder, Orders
        self.sides = {1: Side.BUY, 2: Side.SELL}
        self.now = datetime(2026, 1, 1)

    def prepare(self, flow: Flow) -> list[Any]:
        prepared: list[Any] = []
        for operation in flow:
            if len(operation) == 1:
                prepared.append((str(operation[0]),))
                continue
            order_id, side, price, quantity = operation
            self.now += timedelta(microseconds=1)
            order = self.order(
                side=self.sides[side], price=float(price), size=float(quantity),
                timestamp=self.now, order_id=str(order_id), trader_id="a",
            )  # fmt: skip
            prepared.append((self.orders([order]), self.now))
        return prepared

    def run(self, operations: list[Any]) -> None:
        place, match, cancel = self.peer.place, self.peer.match, self.peer.cancel_order
        for operation in operations:
            if len(operation) == 2:
                place(operation[0])
                match(operation[1])
            else:
                cancel(operation[0])

    def fills(self, operation: Any) -> Fills:
        if len(operation) == 1:
            self.peer.cancel_order(operation[0])
            return ()
        self.peer.place(operation[0])
        return [(int(t.price), int(t.size)) for t in self.peer.match(operation[1]).trades]


class Nanobook:
    def __init__(self) -> None:
        import nanobook

        self.peer = nanobook.Exchange()

    def prepare(self, flow: Flow) -> list[Any]:
        return [
            ("buy" if operation[1] == BUY else "sell", operation[2], operation[3])
            if len(operation) == 4
            else operation
            for operation in flow
        ]

    def run(self, operations: list[Any]) -> None:
        add, cancel = self.peer.submit_limit, self.peer.cancel
        for operation in operations:
            if len(operation) == 3:
                add(*operation)
            else:
                cancel(*operation)

    def fills(self, operation: Any) -> Fills:
        if len(operation) == 1:
            self.peer.cancel(*operation)
            return ()
        return [(t.price, t.quantity) for t in self.peer.submit_limit(*operation).trades]
