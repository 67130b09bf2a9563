"""Methods of an engine that send one typed command each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ..errors import InstrumentConflict, InvalidCommand, LogError
from ..records.instruments import Directory, Instrument, Price
from ..records.operating import notice_parts, operating_records
from ..records.order_faces import Amend, Cancel, EndDay, MassCancel, Reduce
from ..records.schema import Side
from ..records.typed import AddInstrument, ChangeInstrument, Command
from .answers import Answer
from .markets import MarketCalls


class Calls(MarketCalls):
    """One method for each typed command; each calls `submit`.

    A command with a ``client_order_id`` may be sent again; it is executed once
    (docs/idempotence.md).
    """

    @property
    @abstractmethod
    def instruments(self) -> Directory: ...

    @abstractmethod
    def submit(self, command: Command) -> Answer: ...

    @abstractmethod
    def submit_batch(self, commands: NDArray[np.void]) -> NDArray[np.void]: ...

    def _order_named(self, account: int, client_order_id: int | str) -> tuple[str, int]:
        """Symbol and order id of the order that a client named so."""
        raise LogError("only an engine with a log knows orders by client order id")

    def _which(
        self,
        symbol: str | None,
        order_id: int | None,
        account: int,
        original_client_order_id: int | str | None,
    ) -> tuple[str, int]:
        """Symbol and order id of the order that a call is about."""
        if original_client_order_id is not None:
            if symbol is None and order_id is None:
                return self._order_named(account, original_client_order_id)
        elif symbol is not None and order_id is not None:
            return symbol, order_id
        raise InvalidCommand(
            "give symbol and order_id, or account and original_client_order_id: one of the two"
        )

    def cancel(
        self,
        symbol: str | None = None,
        order_id: int | None = None,
        *,
        account: int = 0,
        client_order_id: int = 0,
        original_client_order_id: int | str | None = None,
    ) -> Answer:
        """Cancels a resting order.

        - ``symbol``, ``order_id``: the order.
        - ``account``: if not 0, it must be the account of the order.
        - ``client_order_id``: if not 0, the command can be sent again.
        - ``original_client_order_id``: instead of ``symbol`` and ``order_id``: the order of the
          ``account`` with this client order id, as for `Engine.order`, which looks it up.
          `InvalidCommand` if there is none.
        """
        symbol, order_id = self._which(symbol, order_id, account, original_client_order_id)
        return self.submit(Cancel(symbol, order_id, account, client_order_id=client_order_id))

    def amend(
        self,
        symbol: str | None = None,
        order_id: int | None = None,
        quantity: int | None = None,
        price: Price | None = None,
        *,
        account: int = 0,
        client_order_id: int = 0,
        original_client_order_id: int | str | None = None,
        total_quantity: int | None = None,
        stop_price: Price | None = None,
        display_quantity: int | None = None,
    ) -> Answer:
        """Changes the open quantity, the price, or both.

        With the same price and no larger quantity the order keeps its place in the queue.
        Otherwise it becomes the last of its new level and may trade.

        - ``symbol``, ``order_id``: the order.
        - ``quantity``: the new open quantity in units; None: unchanged.
        - ``price``: a string, Decimal, int or float on a tick; None: unchanged.
        - ``account``, ``client_order_id``, ``original_client_order_id``: as for `cancel`.
        - ``total_quantity``, ``stop_price``, ``display_quantity``: in a market: as of `Amend`.
        """
        symbol, order_id = self._which(symbol, order_id, account, original_client_order_id)
        return self.submit(
            Amend(
                symbol, order_id, quantity, price, account, client_order_id=client_order_id,
                total_quantity=total_quantity, stop_price=stop_price,
                display_quantity=display_quantity,
            )
        )  # fmt: skip

    def reduce(
        self,
        symbol: str | None = None,
        order_id: int | None = None,
        quantity: int = 0,
        *,
        account: int = 0,
        client_order_id: int = 0,
        original_client_order_id: int | str | None = None,
    ) -> Answer:
        """Subtracts ``quantity`` units from an order, which keeps its place in the queue.

        An order with no more open quantity than that is cancelled.

        - ``symbol``, ``order_id``: the order.
        - ``account``, ``client_order_id``, ``original_client_order_id``: as for `cancel`.
        """
        symbol, order_id = self._which(symbol, order_id, account, original_client_order_id)
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
        lowest: Price | None = None,
        highest: Price | None = None,
        session: int = 0,
    ) -> Answer:
        """Cancels all orders that match; without arguments, all orders of the exchange.

        - ``symbol``: of one instrument; None: of all.
        - ``account``: of one account; 0: of all.
        - ``side``: one side; None: both.
        - ``client_order_id``: as for `cancel`.
        - ``lowest``, ``highest``: between these prices, of one instrument; None: no bound.
        - ``session``: that entered them, in instruments with a market; 0: any.
        """
        return self.submit(
            MassCancel(
                symbol, account, side, client_order_id=client_order_id, session=session,
                lowest=lowest, highest=highest, of_session=session > 0,
            )
        )  # fmt: skip

    def end_day(self, symbol: str | None = None) -> Answer:
        """Cancels the DAY orders of the instrument ``symbol``, or of all with None."""
        return self.submit(EndDay(symbol))

    def notify(self, text: str, symbol: str | None = None, *, key: int = 0) -> NDArray[np.void]:
        """Tells everybody ``text``, as one batch of commands; returns their events, `EVENT`s.

        - ``text``: 1 to 1,024 bytes of UTF-8, without control characters.
        - ``symbol``: of the instrument that it is about; None: all.
        - ``key``: any number of the sender's own.

        `InvalidCommand` for another text; otherwise raises as `submit_batch`.
        """
        parts = notice_parts(text, symbol, key)
        return self.submit_batch(operating_records(parts, self.instruments))

    def change_instrument(self, instrument: Instrument) -> Answer:
        """Gives the instrument of a symbol the parameters of ``instrument``.

        The exchange refuses another tick while orders of the instrument rest.
        """
        return self.submit(ChangeInstrument(instrument))

    def add_instrument(self, instrument: Instrument) -> int:
        """Adds ``instrument`` and returns its number, from 1.

        `InstrumentConflict` if the exchange refuses it, for example because the symbol exists.
        """
        answer = self.submit(AddInstrument(instrument))
        if answer.rejected:
            raise InstrumentConflict(f"{instrument.symbol}: refused, {answer.reason.name}")
        return int(answer.events["instrument"][0])

    def _add_missing(self, instruments: Iterable[Instrument]) -> None:
        """Adds those of ``instruments`` whose symbol does not exist.

        `InstrumentConflict` if an existing one differs; then none is added.
        """
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
