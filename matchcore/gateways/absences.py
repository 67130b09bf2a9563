"""Cancel on disconnect: the orders of a login that does not come back in time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND
from ..records.schema import Kind, ReportKind
from .logins import Login
from .reports import Reports

PAIRS_MAX = 1 << 20  # of sessions and accounts; then the oldest is forgotten
#: A client order id with this bit, and this tail, is of a cancel by a gateway.  It follows from the
#: order id, so that two gateways cancel an order once.
DISCONNECT_BIT, DISCONNECT_TAIL = 1 << 63, 1


class Absences:
    """Who has left, and what is to be cancelled.

    ``send`` takes `COMMAND` arrays, and says whether they are on their way.  ``under_way``: how
    many orders of a session are on theirs.  ``done``: called with a session of which nothing is
    left to cancel.  The cancels are nobody's: the session that comes back finds reports of
    unsolicited cancels.
    """

    def __init__(
        self,
        reports: Reports,
        send: Callable[[NDArray[np.void]], bool],
        under_way: Callable[[int], int],
        done: Callable[[int], None] = lambda session: None,
    ) -> None:
        self._reports, self._send, self._under_way, self._done = reports, send, under_way, done
        self._accounts: dict[int, set[int]] = {}  # by session, of its orders
        self._pairs: dict[int, tuple[int, int]] = {}  # key -> session, account; the oldest first
        self._factor = np.uint64(int.from_bytes(os.urandom(8), "little") | 1)  # nobody knows it
        self._left: dict[int, float] = {}  # session -> when its grace ends

    def told(self, reports: NDArray[np.void]) -> None:
        """Remembers whose orders are whose."""
        fresh = reports["kind"] == ReportKind.NEW
        sessions, accounts = reports["session"][fresh], reports["account"][fresh]
        keys = sessions.astype(np.uint64) * self._factor ^ accounts
        for key in np.unique(keys).tolist():
            if key not in self._pairs:
                at = int((keys == key).argmax())
                self._know(key, int(sessions[at]), int(accounts[at]))

    def _know(self, key: int, session: int, account: int) -> None:
        self._pairs[key] = session, account
        self._accounts.setdefault(session, set()).add(account)
        if len(self._pairs) > PAIRS_MAX:
            session, account = self._pairs.pop(next(iter(self._pairs)))
            self._accounts[session].discard(account)

    def known(self) -> NDArray[np.uint64]:
        """Whose orders are whose: pairs of session and account, for `know`."""
        return np.array(list(self._pairs.values()), np.uint64).reshape(-1, 2)

    def know(self, pairs: NDArray[np.uint64]) -> None:
        """Takes over what another one has `known`."""
        keys = pairs[:, 0] * self._factor ^ pairs[:, 1]
        for key, (session, account) in zip(keys.tolist(), pairs.tolist(), strict=True):
            self._know(key, session, account)

    def leaves(self, login: Login) -> float | None:
        """The client is gone: seconds until `look` is due, None if nothing is."""
        if not login.cancel_on_disconnect:
            return None
        grace = login.grace_ns / 1e9
        self._left[login.session] = time.monotonic() + grace
        return grace

    def overdue(self, session: int) -> None:
        """Its grace is over, wherever it was connected: `look` cancels."""
        self._left.setdefault(session, time.monotonic())

    def returns(self, session: int) -> None:
        """The client is there again, here or elsewhere."""
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
                self._done(session)

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
