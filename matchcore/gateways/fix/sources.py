"""Where the numbered reports of a client come from: its session, or a drop copy."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..desk import Desk, DoorSession
from ..logins import Action, Login

#: Accounts of one drop copy that a grant may name as a range; a wider one is of all accounts.
RANGE_MAX = 10_000


class Source(Protocol):
    """The numbered reports of a session, or of its drop copy."""

    def last(self) -> int:
        """Number of the last report of the day."""

    def read(self, first: int, count: int, day: int) -> NDArray[np.void]:
        """Reports of a day, from a number on; empty if they are not kept."""


class Own:
    """The reports of the session itself."""

    def __init__(self, desk: Desk, session: int) -> None:
        self._reports, self._session = desk.reports, session

    def last(self) -> int:
        return int(self._reports.last(self._session))

    def read(self, first: int, count: int, day: int) -> NDArray[np.void]:
        return self._reports.read(self._session, first, count, day=day)


class Copied:
    """The reports of accounts, whoever's session they are of."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._reports, self._name = desk.reports, name

    def last(self) -> int:
        return self._reports.last_copy(self._name)

    def read(self, first: int, count: int, day: int) -> NDArray[np.void]:
        return self._reports.read_copy(self._name, first, count, day=day)


def is_copy(login: Login) -> bool:
    """A login that may have a drop copy, and may not trade or cancel, is one."""
    trades = login.may & (Action.TRADE | Action.CANCEL)
    granted = any(grant.actions & (Action.TRADE | Action.CANCEL) for grant in login.grants)
    copies = login.may & Action.DROP_COPY
    if login.grants:
        copies &= Action(any(grant.actions & Action.DROP_COPY for grant in login.grants) * copies)
    return bool(copies) and not (trades and (granted or not login.grants))


def copied_accounts(login: Login) -> frozenset[int] | None:
    """The accounts of a drop copy; None: all."""
    if not login.grants:
        return login.accounts
    found: set[int] = set()
    for grant in login.grants:
        if grant.actions & Action.DROP_COPY:
            if grant.last - grant.first >= RANGE_MAX:
                return login.accounts
            found.update(range(grant.first, grant.last + 1))
    return frozenset(found if login.accounts is None else found & login.accounts)


def source_of(desk: Desk, session: DoorSession) -> Source:
    """What the client of a session is told."""
    login = session.login
    if not is_copy(login):
        return Own(desk, login.session)
    return Copied(desk, desk.copy(session, copied_accounts(login)))
