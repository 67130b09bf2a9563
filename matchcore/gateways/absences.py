"""Cancel on disconnect: the orders of a login that does not come back in time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND
from ..records.schema import Kind, ReportKind
from .logins import Login
from .reports import Reports

#: A client order id with this bit, and this tail, is of a cancel by a gateway.  It follows from the
#: order id, so that two gateways cancel an order once.
DISCONNECT_BIT, DISCONNECT_TAIL = 1 << 63, 1


class Absences:
    """Who has left, and what is to be cancelled.

    ``send`` takes `COMMAND` arrays, and says whether they are on their way.  ``under_way``: how
    many orders of a session are on theirs.  The cancels are nobody's: the session that comes back
    finds reports of unsolicited cancels.
    """

    def __init__(
        self,
        reports: Reports,
        send: Callable[[NDArray[np.void]], bool],
        under_way: Callable[[int], int],
    ) -> None:
        self._reports, self._send, self._under_way = reports, send, under_way
        self._accounts: dict[int, set[int]] = {}  # by session, of all orders
        self._left: dict[int, float] = {}  # session -> when its grace ends

    def told(self, reports: NDArray[np.void]) -> None:
        """Remembers whose orders are whose."""
        fresh = reports[reports["kind"] == ReportKind.NEW]
        pairs = set(zip(fresh["session"].tolist(), fresh["account"].tolist(), strict=True))
        for session, account in pairs:
            self._accounts.setdefault(session, set()).add(account)

    def leaves(self, login: Login) -> float | None:
        """The client is gone: seconds until `look` is due, None if nothing is."""
        if not login.cancel_on_disconnect:
            return None
        grace = login.grace_ns / 1e9
        self._left[login.session] = time.monotonic() + grace
        return grace

    def returns(self, session: int) -> None:
        """The client is there again."""
        self._left.pop(session, None)

    def look(self) -> None:
        """Cancels what is due, and looks again until nothing of it is open or on its way."""
        now = time.monotonic()
        for session, due in list(self._left.items()):
            if due > now:
                continue
            commands = self._cancels(session)
            if len(commands):
                self._send(commands)
            elif not self._under_way(session):
                del self._left[session]

    def _cancels(self, session: int) -> NDArray[np.void]:
        parts = [self._reports.open_orders(account)
                 for account in sorted(self._accounts.get(session, ()))]  # fmt: skip
        orders = np.concatenate(parts) if parts else np.empty(0, [("session", "<u4")])
        orders = orders[orders["session"] == session]
        commands = np.zeros(len(orders), COMMAND)
        if len(orders):
            for name in ("instrument", "order_id", "account"):
                commands[name] = orders[name]
            commands["kind"] = Kind.CANCEL
            commands["client_order_id"] = orders["order_id"] | np.uint64(DISCONNECT_BIT)
            commands["client_order_tail"] = DISCONNECT_TAIL
        return commands
