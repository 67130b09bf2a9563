"""Commands about all orders that match: MASS_CANCEL, END_DAY, and the kill switch of an account."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

from ...records.schema import (
    DAY_TIFS,
    ChangeKind,
    EventKind,
    Field,
    Flag,
    Reason,
    Side,
)
from .book import Order
from .market.book import MarketOrder
from .market.commands import Markets
from .market.phases import ends_with_day
from .refusals import require

SIDES = frozenset(Side)
Row = dict[str, int]  # one COMMAND as field name -> Python int


class Sweeps(Markets):
    """What `Machine` does about many orders at once, in one instrument or in all."""

    @abstractmethod
    def _cancel(self, instrument: int, order: Order, reason: Reason) -> None: ...

    def _sweep(self, row: Row, summary: EventKind, reason: Reason) -> None:
        """Cancels the orders that match, in all books or one."""
        one = row["instrument"]
        known = one <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        mass = summary == EventKind.MASS_CANCELLED
        require(not mass or row["side"] in SIDES | {0}, Reason.BAD_SIDE, Field.SIDE)
        if mass and self.rules > 2:
            self._check_sweep_flags(row)
        count = 0
        for instrument in [one] if one else range(1, len(self._books) + 1):
            hits = partial(self._swept, row) if mass else partial(self._ends, row)
            if not self.has_market(instrument):
                mine = [order for order in self._books[instrument - 1].orders() if hits(order)]
                for order in mine:
                    self._cancel(instrument, order, reason)
                count += len(mine)
            elif not mass or self._may_cancel(instrument, row):
                count += self._sweep_market(instrument, row, hits, reason, not mass)
            else:
                require(one == 0, Reason.BAD_PHASE, Field.KIND)
        echoed = {"account": row["account"], "side": row["side"]} if mass else {}
        self._say(summary, one, quantity=count, **echoed)
        if not mass:
            self._change(ChangeKind.DAY_ENDED, one)

    def _kill(self, instrument: int, account: int, time: int) -> int:
        """The kill switch of an account, in one book."""
        if self.has_market(instrument):
            hits = partial(self._owned, account)
            row = {"time": time}
            return self._sweep_market(instrument, row, hits, Reason.KILL_SWITCH, False)
        mine = [one for one in self._books[instrument - 1].orders() if self._owned(account, one)]
        for order in mine:
            self._cancel(instrument, order, Reason.KILL_SWITCH)
        return len(mine)

    def _owned(self, account: int, order: Order) -> bool:
        return order.account == account

    def _check_sweep_flags(self, row: Row) -> None:
        fine = row["flags"] & ~int(Flag.RANGE | Flag.OF_SESSION) == 0
        require(fine, Reason.BAD_FLAGS, Field.FLAGS)
        ranged = row["flags"] & Flag.RANGE
        require(not ranged or row["price"] <= row["stop_price"], Reason.BAD_VALUE, Field.PRICE)

    def _may_cancel(self, instrument: int, row: Row) -> bool:
        """Whether the phase lets the orders of an account go; an operator's request always does."""
        book = self.market_of(instrument)
        return row["account"] == 0 or book.allows("cancel_phases", book.phase)

    def _swept(self, row: Row, order: Order) -> bool:
        """True if a MASS_CANCEL is about an order."""
        hit = row["account"] in (0, order.account) and row["side"] in (0, order.side)
        flags = row["flags"] if self.rules > 2 else 0
        if flags & Flag.RANGE:
            hit = hit and row["price"] <= order.price <= row["stop_price"]
        if flags & Flag.OF_SESSION:  # an order of a plain instrument knows no session
            hit = hit and row["session"] > 0 and getattr(order, "session", 0) == row["session"]
        return hit

    def _ends(self, row: Row, order: Order) -> bool:
        """True if END_DAY ends an order."""
        if isinstance(order, MarketOrder):
            return ends_with_day(order, row["time"] or self._now)
        return order.time_in_force in DAY_TIFS
