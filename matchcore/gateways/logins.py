"""Who may do what through a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Protocol

from ..errors import MatchcoreError


class Action(IntFlag):
    """What a login may do."""

    TRADE = 1
    CANCEL = 2
    READ = 4
    DROP_COPY = 8
    ADMINISTER = 16


EVERYTHING = Action.TRADE | Action.CANCEL | Action.READ | Action.DROP_COPY | Action.ADMINISTER


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


class Unavailable(GatewayError):
    """The engine does not take commands; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login and its rights.

    - ``session``: its number, 1 to 2^32-1: commands carry it, and reports are numbered by it.
    - ``user``: its name. ``may``: actions.
    - ``accounts``, ``instruments``: numbers that it may use; None: all.
    - ``account``: of commands that name none.
    - ``cancel_on_disconnect``: its open orders are cancelled when it has been away for ``grace_ns``
      nanoseconds.
    - ``sessions``: of a drop copy, whose reports it reads; empty: its own.
    """

    session: int
    user: str
    account: int = 0
    accounts: frozenset[int] | None = None
    instruments: frozenset[int] | None = None
    may: Action = EVERYTHING
    cancel_on_disconnect: bool = False
    grace_ns: int = 0


class Users(Protocol):
    """Knows who may log in."""

    async def login(self, user: str, secret: str, host: str) -> Login:
        """`LoginRefused` for a wrong secret, after as long as for a right one."""


class FixedUsers:
    """Users of a mapping of (user, secret) to logins: for tests and trying."""

    def __init__(self, known: dict[tuple[str, str], Login]) -> None:
        self._known = known

    async def login(self, user: str, secret: str, host: str) -> Login:
        """`LoginRefused` unless it is in the mapping."""
        try:
            return self._known[user, secret]
        except KeyError:
            raise LoginRefused("wrong user or secret") from None
