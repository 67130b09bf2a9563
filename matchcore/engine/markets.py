"""Markets in an engine: what it is told of them, and what it shows (docs/markets/index.md)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InstrumentConflict
from ..machine import Machine
from ..records.codec import encode_all
from ..records.fields import values_of
from ..records.instruments import Directory, Instrument, Price
from ..records.market import Market
from ..records.market_faces import Bust, Clock, Quote, SetPhase
from ..records.schema import EventKind, Phase, Reason, SelfTrade
from ..records.times import Moment, nanoseconds
from ..records.typed import Command
from .answers import Answer

Symbol = str | bytes
Rows = tuple[NDArray[np.void], np.void]  # of a market: `MARKET_VALUE`s and a `MARKET_STATE`


class Indicative(NamedTuple):
    """What a call would trade if it ended, as told last.

    ``price``: None: nothing would trade.  ``quantity``: in units; ``imbalance``: what would be left
    over at the price, buys less sells.  ``time``: of the command that it was told in.
    """

    price: Decimal | None
    quantity: int
    imbalance: int
    time: int


@dataclass(frozen=True, slots=True)
class TradingDay:
    """Where the market of an instrument stands today.

    - ``phase``: a `Phase`; ``until``: when a `Clock` ends it, nanoseconds since 1970 UTC; 0: none
      does.
    - ``open_price``: of the first trade; ``auction_price``: of the last auction; ``closing_price``:
      None until they are known.
    - ``indicative``: of the call; None outside of one.
    """

    phase: Phase
    until: int
    open_price: Decimal | None
    auction_price: Decimal | None
    closing_price: Decimal | None
    indicative: Indicative | None


def day_of(row: np.void, instrument: Instrument) -> TradingDay:
    """The typed form of a `MARKET_STATE` row."""
    values = values_of(row)
    known = values["known"]

    def price(name: str, bit: int) -> Decimal | None:
        return instrument.price(values[name]) if known & bit else None

    told = None
    if known & 8:
        quantity, imbalance = values["indicative_quantity"], values["indicative_imbalance"]
        told = Indicative(
            price("indicative_price", 8) if quantity else None, quantity, imbalance,
            values["indicative_time"],
        )  # fmt: skip
    return TradingDay(
        Phase(values["phase"]),
        values["until"],
        price("open_price", 1),
        price("auction_price", 2),
        price("closing_price", 4),
        told,
    )


class MarketReads:
    """Reads of markets, of the machine of `_seen` under the lock."""

    _lock: AbstractContextManager[object]

    @abstractmethod
    def _seen(self) -> Machine: ...

    def _market(self, symbol: Symbol) -> tuple[Rows | None, Instrument]:
        with self._lock:
            machine = self._seen()
            number = machine.instruments.number(symbol)
            return machine.market(number), machine.instruments[number]

    def market(self, symbol: Symbol) -> Market | None:
        """The market of the instrument ``symbol``, as it is now; None: it has none.

        `UnknownInstrument` if no instrument has that symbol.
        """
        found, instrument = self._market(symbol)
        return None if found is None else Market.of_rows(found[0], instrument)

    def trading_day(self, symbol: Symbol) -> TradingDay | None:
        """Phase and prices of the market of ``symbol``; None: it has none.  Raises as `market`."""
        found, instrument = self._market(symbol)
        return None if found is None else day_of(found[1], instrument)

    def phase(self, symbol: Symbol) -> Phase | None:
        """The phase of the market of ``symbol``; None: it has none.  Raises as `market`."""
        day = self.trading_day(symbol)
        return None if day is None else day.phase

    def indicative(self, symbol: Symbol) -> Indicative | None:
        """The indicative price that was told last in this call of ``symbol``; None: none was.

        Raises as `market`.
        """
        day = self.trading_day(symbol)
        return None if day is None else day.indicative


def parameters(market: Market | None, before: Market | None, changes: Mapping[str, Any]) -> Market:
    """What `set_market` makes of its arguments."""
    wanted = market or before or Market()
    return replace(wanted, **changes) if changes else wanted


def set_phase(
    symbol: str | None, phase: Phase, group: int, until: Moment, cancel_orders: bool
) -> SetPhase:
    """The command of `set_phase`."""
    return SetPhase(symbol, phase, group, nanoseconds(until, "until"), cancel_orders)


def settled(symbol: str, events: NDArray[np.void]) -> int:
    """How many parameters were set; `InstrumentConflict` for a refusal."""
    for event in events[events["kind"] == EventKind.REJECTED]:
        reason = Reason(int(event["reason"]))
        hint = ": call upgrade_rules" if reason == Reason.UNKNOWN_KIND else ""
        raise InstrumentConflict(f"{symbol}: no market, {reason.name}{hint}")
    return len(events)


class MarketCalls:
    """One method for each typed command of markets."""

    @property
    @abstractmethod
    def instruments(self) -> Directory: ...

    @abstractmethod
    def market(self, symbol: Symbol) -> Market | None: ...

    @abstractmethod
    def submit(self, command: Command) -> Answer: ...

    @abstractmethod
    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]: ...

    def set_market(self, symbol: str, market: Market | None = None, **changes: Any) -> int:
        """Gives the instrument ``symbol`` a market, or its market other parameters.

        - ``market``: the whole market; None: as it is now.
        - ``changes``: parameters that it has instead, by the names of `Market`.

        Returns how many `SetMarket` commands that took.  `InstrumentConflict` if the exchange
        refuses it: an instrument with resting orders gets no market.  `InvalidCommand` or
        `PriceError` for other parameters.
        """
        instrument, before = self.instruments[symbol], self.market(symbol)
        wanted = parameters(market, before, changes)
        commands = wanted.commands(instrument, before)
        return settled(symbol, self.submit_batch(encode_all(commands, self.instruments)))

    def set_phase(
        self,
        symbol: str | None,
        phase: Phase,
        *,
        group: int = 0,
        until: Moment = 0,
        cancel_orders: bool = False,
    ) -> Answer:
        """Sets the phase of the market of ``symbol``; with None of all, or of a ``group``.

        - ``phase``: a `Phase`.
        - ``until``: of HALTED and VOLATILITY_CALL: a moment, as for `Engine.at`, from which `clock`
          ends it; 0: it does not.
        - ``cancel_orders``: every order is cancelled before.
        """
        return self.submit(set_phase(symbol, phase, group, until, cancel_orders))

    def clock(self, symbol: str | None = None) -> Answer:
        """Lets orders expire and phases end whose time has come, of ``symbol`` or of all markets.

        To be called as often as that shall be noticed.
        """
        return self.submit(Clock(symbol))

    def quote(
        self,
        symbol: str,
        account: int,
        bid: Price | None = None,
        bid_quantity: int = 0,
        ask: Price | None = None,
        ask_quantity: int = 0,
        *,
        self_trade: SelfTrade = SelfTrade.ALLOWED,
        client_order_id: int = 0,
    ) -> Answer:
        """Replaces the quote of ``account`` in ``symbol`` by these two sides.

        - ``bid``, ``ask``: prices; None: without that side.
        - ``bid_quantity``, ``ask_quantity``: in units.
        - ``self_trade``: a `SelfTrade`, of both orders.
        - ``client_order_id``: as for `cancel`.
        """
        return self.submit(
            Quote(
                symbol, account, bid, bid_quantity, ask, ask_quantity, self_trade,
                client_order_id=client_order_id,
            )
        )  # fmt: skip

    def bust(self, symbol: str, trade_id: int, price: Price, quantity: int) -> Answer:
        """Tells everybody that the trade ``trade_id`` of ``symbol`` does not count.

        ``price``, ``quantity``: of the trade.  Books and counters stay as they are.
        """
        return self.submit(Bust(symbol, trade_id, price, quantity))

    def _add_markets(self, markets: Mapping[str, Market]) -> None:
        """Gives each instrument that has none its market.

        `InstrumentConflict` if it has another one, but for what a day sets anew.
        """
        for symbol, market in markets.items():
            now = self.market(symbol)
            if now is None:
                self.set_market(symbol, market)
            elif parts := market.differs(now, self.instruments[symbol]):
                names = ", ".join(one.name for one in parts)
                raise InstrumentConflict(
                    f"the log has another market of {symbol} ({names}): use set_market"
                )
