"""Calls that send one typed command: what an engine offers besides `submit`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import suppress

from ..errors import InstrumentConflict
from ..records.instruments import Directory, Instrument, Price
from ..records.schema import Side
from ..records.typed import (
    AddInstrument,
    Amend,
    Cancel,
    ChangeInstrument,
    Command,
    EndDay,
    MassCancel,
    Reduce,
)
from .answers import Answer


class Calls:
    """One method a command; each is `submit` of it.

    A command with a ``client_order_id`` may be sent again: it is done once (docs/idempotence.md).
    """

    @property
    @abstractmethod
    def instruments(self) -> Directory: ...

    @abstractmethod
    def submit(self, command: Command) -> Answer: ...

    def cancel(
        self, symbol: str, order_id: int, *, account: int = 0, client_order_id: int = 0
    ) -> Answer:
        return self.submit(Cancel(symbol, order_id, account, client_order_id=client_order_id))

    def amend(
        self,
        symbol: str,
        order_id: int,
        quantity: int | None = None,
        price: Price | None = None,
        *,
        account: int = 0,
        client_order_id: int = 0,
    ) -> Answer:
        """A new open quantity and/or price.  The same price and no more quantity keep the
        place in the queue; anything else goes to the back and may trade."""
        return self.submit(
            Amend(symbol, order_id, quantity, price, account, client_order_id=client_order_id)
        )

    def reduce(
        self,
        symbol: str,
        order_id: int,
        quantity: int,
        *,
        account: int = 0,
        client_order_id: int = 0,
    ) -> Answer:
        """Takes a quantity off; the order keeps its place."""
        return self.submit(
            Reduce(symbol, order_id, quantity, account, client_order_id=client_order_id)
        )

    def mass_cancel(
        self,
        symbol: str | None = None,
        *,
        account: int = 0,
        side: Side | None = None,
        client_order_id: int = 0,
    ) -> Answer:
        """Cancels every order that matches; without arguments, all there are."""
        return self.submit(MassCancel(symbol, account, side, client_order_id=client_order_id))

    def end_day(self, symbol: str | None = None) -> Answer:
        """Cancels the DAY orders of one instrument, or of all."""
        return self.submit(EndDay(symbol))

    def change_instrument(self, instrument: Instrument) -> Answer:
        """New parameters for a symbol.  Another tick is refused while orders rest."""
        return self.submit(ChangeInstrument(instrument))

    def add_instrument(self, instrument: Instrument) -> int:
        """Adds an instrument; returns its number.  `InstrumentConflict` if the symbol is taken."""
        answer = self.submit(AddInstrument(instrument))
        if answer.rejected:
            raise InstrumentConflict(f"{instrument.symbol}: refused, {answer.reason.name}")
        return int(answer.events["instrument"][0])

    def _add_missing(self, instruments: Iterable[Instrument]) -> None:
        """Adds the instruments that are not there; `InstrumentConflict` if one there differs, and
        then none is added."""
        missing = [one for one in instruments if not self._has(one)]
        for instrument in missing:
            with suppress(InstrumentConflict):  # another thread was quicker
                self.add_instrument(instrument)
            self._has(instrument)

    def _has(self, instrument: Instrument) -> bool:
        known = self.instruments.get(instrument.symbol)
        if known is not None and known != instrument:
            raise InstrumentConflict(
                f"the log has {known}, not {instrument}: use change_instrument"
            )
        return known is not None
