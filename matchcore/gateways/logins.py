"""Who may do what through a gateway."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import MatchcoreError
from ..records.schema import ORDER_KINDS, Kind


class Action(IntFlag):
    """What a login may do."""

    TRADE = 1
    CANCEL = 2
    READ = 4
    DROP_COPY = 8
    ADMINISTER = 16


EVERYTHING = Action.TRADE | Action.CANCEL | Action.READ | Action.DROP_COPY | Action.ADMINISTER
ACCOUNT_MAX = 2**64 - 1
SESSION_MAX = 2**32 - 1
#: Actions of which one must be granted, by kind of command; other kinds are no client's.
_NEEDED = np.zeros(256, np.uint16)
_NEEDED[[Kind.NEW, Kind.AMEND, Kind.QUOTE]] = Action.TRADE
_NEEDED[[Kind.CANCEL, Kind.REDUCE, Kind.MASS_CANCEL]] = Action.TRADE | Action.CANCEL
_NEEDED[Kind.END_DAY] = Action.ADMINISTER
_OF_ONE_ORDER = np.zeros(256, np.bool_)
_OF_ONE_ORDER[[*ORDER_KINDS, Kind.QUOTE]] = True


def needed(kind: int) -> Action:
    """Actions of which one must be granted for a command of this kind; none: it is no client's."""
    return Action(int(_NEEDED[kind]))


class GatewayError(MatchcoreError):
    """Base of what a gateway refuses before it reaches the engine."""


class LoginRefused(GatewayError):
    """The login is not accepted; the message says no more than a stranger may know."""


class AlreadyThere(LoginRefused):
    """The session is connected; the newer connection does not win."""


class Forbidden(GatewayError):
    """The login has no right to this account, instrument or action."""


class Throttled(GatewayError):
    """Too much at once; come again after ``after_ns`` nanoseconds."""

    def __init__(self, what: str, after_ns: int) -> None:
        super().__init__(f"{what}: try again in {max(1, after_ns // 1_000_000)} ms")
        self.after_ns = after_ns


class Busy(LoginRefused):
    """No login now; come again after ``after_ns`` nanoseconds."""

    def __init__(self, what: str, after_ns: int) -> None:
        super().__init__(f"{what}: try again in {max(1, after_ns // 1_000_000)} ms")
        self.after_ns = after_ns


class Unavailable(GatewayError):
    """The engine does not take commands; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions for the accounts from ``first`` to ``last``, both included, and one ``instrument``;
    0: all of them, and commands that concern all."""

    actions: Action = EVERYTHING
    first: int = 0
    last: int = ACCOUNT_MAX
    instrument: int = 0

    def covers(self, action: Action, account: int, instrument: int) -> bool:
        """Whether it is a right to one of the actions."""
        return (
            bool(self.actions & action)
            and self.first <= account <= self.last
            and self.instrument in (0, instrument)
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one login may ask of a gateway: commands a second, at once, and without an answer; and
    connections at a time, where a protocol lets it have several."""

    messages_per_second: int = 1_000_000
    burst: int = 1_000_000
    under_way: int = 1_000_000
    connections: int = 16


@dataclass(frozen=True, slots=True)
class Login:
    """A login and its rights.

    - ``session``: its number, 1 to 2^32-1: commands carry it, and reports are numbered by it.
    - ``user``: its name. ``may``: actions.
    - ``accounts``, ``instruments``: numbers that it may use; None: all.
    - ``grants``: if there are any, only what one of them covers, within those bounds.
    - ``account``: of commands that name none.
    - ``cancel_on_disconnect``: its open orders are cancelled when it has been away for ``grace_ns``
      nanoseconds.
    - ``limits``: how much it may send.
    - ``secret``: session, slot and hash of the secret that it came with.
    """

    session: int
    user: str
    account: int = 0
    accounts: frozenset[int] | None = None
    instruments: frozenset[int] | None = None
    may: Action = EVERYTHING
    cancel_on_disconnect: bool = False
    grace_ns: int = 0
    grants: tuple[Grant, ...] = ()
    limits: Limits = Limits()
    secret: tuple[int, int, bytes] = field(default=(0, 0, b""), repr=False)

    def allows(self, action: Action, account: int, instrument: int = 0) -> bool:
        """Whether it has a right to one of the actions; ``instrument`` 0: for all of them."""
        within = (
            bool(self.may & action)
            and (self.accounts is None or account in self.accounts)
            and (self.instruments is None or instrument in self.instruments)
        )
        covered = any(grant.covers(action, account, instrument) for grant in self.grants)
        return within and (covered or not self.grants)

    def allows_some(self, action: Action, account: int) -> bool:
        """Whether it has a right to one of the actions for an account, of some instrument."""
        instruments = {grant.instrument for grant in self.grants} | set(self.instruments or {0})
        return any(self.allows(action, account, instrument) for instrument in instruments)

    def reads(self, account: int) -> bool:
        """Whether it may see orders of an account, of some instrument."""
        return self.allows_some(Action.READ, account)

    def forbidden(self, commands: NDArray[np.void]) -> int:
        """The place of the first `COMMAND` that it has no right to; -1: none."""
        needed = _NEEDED[commands["kind"]]
        accounts, instruments = commands["account"], commands["instrument"]
        fine = (needed & int(self.may)) != 0
        # an order of a symbol that there is not: the exchange refuses it, with the reason
        nowhere = (instruments == 0) & _OF_ONE_ORDER[commands["kind"]]
        if self.accounts is not None:
            fine &= _among(accounts, self.accounts)
        if self.instruments is not None:
            fine &= _among(instruments, self.instruments) | nowhere
        if self.grants:
            covered = np.zeros(len(commands), np.bool_)
            for grant in self.grants:
                mine = (needed & int(grant.actions)) != 0
                mine &= (accounts >= grant.first) & (accounts <= grant.last)
                if grant.instrument:
                    mine &= (instruments == grant.instrument) | nowhere
                covered |= mine
            fine &= covered
        return -1 if fine.all() else int(fine.argmin())


def _among(numbers: NDArray[np.integer], allowed: frozenset[int]) -> NDArray[np.bool_]:
    return np.isin(numbers, np.fromiter(allowed, numbers.dtype, len(allowed)))


class Users(Protocol):
    """Knows who may log in."""

    async def login(self, user: str, secret: str, host: str, certificate: bytes = b"") -> Login:
        """`LoginRefused` for a wrong secret, after as long as for a right one.

        ``certificate``: fingerprint of the one that the client has shown.
        """

    def follow(self, commands: NDArray[np.void], events: NDArray[np.void]) -> Iterable[int]:
        """Notes what the log says of users; the sessions that it is about."""

    def renew(self, login: Login) -> Login | None:
        """A login as it is now; None: its session must end."""


class FixedUsers:
    """Users of a mapping of (user, secret) to logins: for tests and trying."""

    def __init__(self, known: dict[tuple[str, str], Login]) -> None:
        self._known = known

    async def login(self, user: str, secret: str, host: str, certificate: bytes = b"") -> Login:
        """`LoginRefused` unless it is in the mapping."""
        try:
            return self._known[user, secret]
        except KeyError:
            raise LoginRefused("wrong user or secret") from None

    def follow(self, commands: NDArray[np.void], events: NDArray[np.void]) -> Iterable[int]:
        """The log says nothing of them."""
        return ()

    def renew(self, login: Login) -> Login | None:
        """They stay what they are."""
        return login
