"""Markets from a state, and what must hold in every market."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....errors import SnapshotDamaged
from ....records.markets import values_of
from ....records.parameters import PARAMETERS
from ....records.schema import LASTING_TIFS, Parameter, Phase, Place
from ...state import State
from .book import ANY_BUY, ANY_SELL, PRICE_MAX, Indicative, MarketBook, MarketOrder, market_row
from .commands import Protection

if TYPE_CHECKING:
    from ..machine import Machine


#: What a `MarketOrder` has of an `ORDER`: the field of each; and of a `MARKET_ORDER`.
_PLAIN = {"order_id": "order_id", "client_order_id": "client_order_id", "account": "account",
          "side": "side", "price": "price", "left": "quantity",
          "time_in_force": "time_in_force"}  # fmt: skip
_MORE = ("flags", "entry", "filled", "shown", "display", "stop_price", "limit", "expiry", "link",
         "session", "order_type", "self_trade", "place")  # fmt: skip


def restore_markets(machine: Machine, state: State) -> None:
    """Makes the markets of a state that is checked but for its orders."""
    at = 0
    for row in state.markets:
        number, known = int(row["instrument"]), int(row["known"])
        prices = [int(row[name]) if known >> bit & 1 else None for bit, name in enumerate(
            ("open_price", "auction_price", "closing_price"))]  # fmt: skip
        told = (
            int(row[f"indicative_{name}"]) for name in ("price", "quantity", "imbalance", "time")
        )
        turnover = int(row["close_turnover"]) + (int(row["close_turnover_high"]) << 64)
        book = MarketBook(
            phase=int(row["phase"]), until=int(row["until"]), entries=int(row["entries"]),
            open_price=prices[0], auction_price=prices[1], closing_price=prices[2],
            close_turnover=turnover, close_volume=int(row["close_volume"]),
            indicative=Indicative(*told) if known & 8 else None, halts=int(row["halts"]),
        )  # fmt: skip
        for value in state.market_values[state.market_values["instrument"] == number]:
            parameter, values = Parameter(int(value["parameter"])), values_of(value)
            if parameter == Parameter.TICKS:
                book.ticks[int(value["index"])] = values[0], values[1]
            else:
                book.values[parameter] = values[: len(PARAMETERS[parameter])]
        for counted in state.market_trades[state.market_trades["instrument"] == number].tolist():
            time, volume, low, high = counted[:4]
            book.counted.append([time, volume, low + (high << 64)])
        machine._books[number - 1] = book  # type: ignore[call-overload]  # a book of another kind
        plain = state.orders[number - 1]
        more = state.market_orders[at : at + len(plain)]
        at += len(plain)
        for order, extra in zip(plain, more, strict=True):
            made = MarketOrder(
                **{name: int(order[field]) for name, field in _PLAIN.items()},
                **{name: int(extra[name]) for name in _MORE},
            )
            if made.order_id in book.live:
                raise SnapshotDamaged(f"market {number}: order {made.order_id} twice")
            book.live[made.order_id] = made
        rows = [market_row(number, order) for order in book.orders()]
        if rows != [tuple(row) for row in more.tolist()]:
            raise SnapshotDamaged(f"market {number}: orders that are not sorted")
    for row in state.protections:
        place = int(row["account"]), int(row["instrument"])
        names = (
            "group",
            "max_quantity",
            "max_fills",
            "window_ns",
            "window_start",
            "quantity",
            "fills",
        )
        machine._protections[place] = Protection(*(int(row[name]) for name in names))


def check_market(number: int, book: MarketBook) -> None:
    """Asserts every invariant of a market."""
    where = f"market {number}"
    entries = set()
    for order in book.live.values():
        at = f"{where}: order {order.order_id}"
        assert order.left > 0 and order.order_id > 0, f"{at} of {order.left}"
        assert 0 < order.entry <= book.entries, f"{at} entered {order.entry}"
        assert order.entry not in entries, f"{at}: two orders entered at {order.entry}"
        entries.add(order.entry)
        assert 0 <= order.shown <= order.left, f"{at} shows {order.shown}"
        assert order.place == Place.BOOK or order.place in frozenset(Place), at
        at_any = order.price in (ANY_BUY, ANY_SELL)
        assert abs(order.price) <= PRICE_MAX or at_any, f"{at} at {order.price}"
        if order.place == Place.BOOK and book.phase == Phase.CONTINUOUS:
            assert order.time_in_force in LASTING_TIFS, f"{at} rests"
        if order.link:
            partner = book.live.get(order.link)
            assert partner is not None and partner.link == order.order_id, f"{at}: no pair"
    assert book.phase in frozenset(Phase), where
    if book.phase == Phase.CONTINUOUS:
        assert not book.crossed, f"{where}: crossed"
