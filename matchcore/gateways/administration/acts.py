"""The acts of those who operate an exchange, on its engine.

Each takes plain values, as JSON has them, and returns plain values.  What it changes is in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...engine.engine import Engine
from ...errors import InvalidArgument, LogError
from ...records.instruments import Instrument, price_text
from ...records.limits import VALUES
from ...records.operating import SetLimits
from ...records.schema import EventKind, Field, Reason
from ...records.typed import as_plain
from ..logins import ACCOUNT_MAX, Action, Grant
from ..presence import commands_of
from ..users import Entry, RegisteredUsers, editing, entries_of, listed

SECOND_NS = 10**9
Act = Callable[..., dict[str, Any]]
A = TypeVar("A", bound=Act)
#: By name.
ACTS: dict[str, Act] = {}


def act(function: A) -> A:
    """Makes a function an act, under its own name."""
    ACTS[function.__name__] = function
    return function


def perform(engine: Engine, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Does one act; `InvalidArgument` for one that there is not, `LogError` for a refusal by the
    exchange, and what the engine raises."""
    if name not in ACTS:
        raise InvalidArgument(f"{name!r}: no such act here; both sides need the same matchcore")
    return ACTS[name](engine, **arguments)


def accepted(events: NDArray[np.void]) -> None:
    """`LogError` for a refusal."""
    for event in events[events["kind"] == EventKind.REJECTED]:
        reason, field = Reason(int(event["reason"])), Field(int(event["field"]))
        hint = ": run `matchcore upgrade-rules`" if reason == Reason.UNKNOWN_KIND else ""
        raise LogError(f"refused: {reason.name}, {field.name}{hint}")


# ---------------------------------------------------------------------- the exchange


@act
def notice(engine: Engine, text: str, symbol: str | None) -> dict[str, Any]:
    """Tells everybody a text."""
    events = engine.notify(text, symbol)
    accepted(events)
    return {"parts": len(events), "sequence": int(events["sequence"].max())}


@act
def limits(
    engine: Engine, account: int, symbol: str | None, changes: dict[str, Any]
) -> dict[str, Any]:
    """The limits of an account, after these changes."""
    if changes:
        if not changes.keys() <= set(VALUES):
            raise InvalidArgument(f"limits: {', '.join(VALUES)}")
        accepted(engine.submit(replace(_limits(engine, account, symbol), **changes)).events)
    return {"limits": said(engine.limits(account))}


@act
def kill(
    engine: Engine, account: int, symbol: str | None, keep_orders: bool, undo: bool
) -> dict[str, Any]:
    """Blocks an account and cancels its orders, or lets it trade again."""
    cancel = not (undo or keep_orders)
    before = _limits(engine, account, symbol)
    events = engine.submit(replace(before, blocked=not undo, cancel=cancel)).events
    accepted(events)
    cancelled = int((events["kind"] == EventKind.CANCELLED).sum())
    return {"cancelled": cancelled, "limits": said(engine.limits(account))}


@act
def end_day(engine: Engine, symbol: str | None) -> dict[str, Any]:
    """Ends the trading day, of all instruments or of one."""
    answer = engine.end_day(symbol)
    accepted(answer.events)
    cancelled = int((answer.events["kind"] == EventKind.CANCELLED).sum())
    return {"sequence": int(answer.events["sequence"][-1]), "cancelled": cancelled}


@act
def instrument_add(engine: Engine, **values: Any) -> dict[str, Any]:
    """Adds an instrument; ``values``: the arguments of `Instrument`."""
    wanted, made = Instrument(**values), not engine.sequence
    return {"number": engine.add_instrument(wanted), **plain(wanted), "new_exchange": made}


@act
def instrument_change(engine: Engine, symbol: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes what is named of an instrument."""
    wanted = Instrument(**{**asdict(engine.instruments[symbol]), **changes})
    accepted(engine.change_instrument(wanted).events)
    return plain(wanted)


def plain(one: Instrument) -> dict[str, Any]:
    """An instrument as plain values."""
    return {**asdict(one), "tick": price_text(one.tick)}


@act
def upgrade_rules(engine: Engine) -> dict[str, Any]:
    """Changes to the newest version of the rules."""
    before, answer = engine.rules, engine.upgrade_rules()
    return {"rules_before": before, "rules": engine.rules, "changed": answer is not None,
            "sequence": engine.sequence}  # fmt: skip


def said(limits: Iterable[SetLimits]) -> list[dict[str, Any]]:
    """Limits as plain values."""
    wanted = ("account", "symbol", *VALUES, "blocked")
    return [{name: as_plain(one)[name] for name in wanted} for one in limits]


def _limits(engine: Engine, account: int, symbol: str | None) -> SetLimits:
    """What an account has there."""
    found = [one for one in engine.limits(account) if one.symbol == symbol]
    return found[0] if found else SetLimits(account, symbol)


# ---------------------------------------------------------------------- users


def _users(engine: Engine) -> RegisteredUsers:
    return RegisteredUsers(entries_of(engine.register()))


def _write(engine: Engine, entries: list[Entry]) -> None:
    """All or nothing."""
    if entries:
        accepted(engine.submit_batch(commands_of(entries)))


def grant_of(
    actions: list[str], first: int = 0, last: int = ACCOUNT_MAX, instrument: int = 0
) -> Grant:
    """A right, of the names of actions."""
    may = Action(0)
    for word in actions:
        may |= Action[word.upper()]
    return Grant(may, first, last, instrument)


@act
def user_add(
    engine: Engine, name: str, account: int | None, may: list[str], options: dict[str, Any]
) -> dict[str, Any]:
    """A new user, with a right to an account if one is named."""
    users = _users(engine)
    entries = editing.add(users, name, account=account or 0, **options)
    users.take(entries[0])
    session = entries[0].key
    if account is not None:
        entries += editing.grant(users, name, grant_of(may, account, account))
    _write(engine, entries)
    return {"user": name, "session": session}


@act
def user_password(engine: Engine, name: str, password: str, overlap_ns: int) -> dict[str, Any]:
    """A password in place of those before."""
    made = editing.password(_users(engine), name, password, time.time_ns(), overlap_ns)
    _write(engine, made)
    return {"user": name}


@act
def user_token(engine: Engine, name: str, expires: int, overlap_ns: int | None) -> dict[str, Any]:
    """A new token."""
    made, entries = editing.token(_users(engine), name, time.time_ns(), expires, overlap_ns)
    _write(engine, entries)
    return {"user": name, "token": made}


@act
def user_certificate(
    engine: Engine, name: str, fingerprint: str, overlap_ns: int | None
) -> dict[str, Any]:
    """A client's certificate by which a user may log in."""
    users, mark = _users(engine), bytes.fromhex(fingerprint)
    _write(engine, editing.certificate(users, name, mark, time.time_ns(), overlap_ns))
    return {"user": name, "fingerprint": fingerprint}


@act
def user_grant(
    engine: Engine, name: str, accounts: list[int], symbol: str | None, may: list[str]
) -> dict[str, Any]:
    """One more right."""
    number = engine.instruments.number(symbol) if symbol else 0
    _write(
        engine, editing.grant(_users(engine), name, grant_of(may, accounts[0], accounts[1], number))
    )
    return {"user": name, "may": ",".join(may)}


@act
def user_revoke(engine: Engine, name: str, secret: int | None, grant: int | None) -> dict[str, Any]:
    """Takes away a secret, a right, or everything."""
    _write(engine, editing.revoke(_users(engine), name, secret=secret, grant=grant))
    return {"user": name}


@act
def user_list(engine: Engine) -> dict[str, Any]:
    """All users."""
    return {"users": listed(_users(engine), engine.instruments)}
