"""Users as people and programs see them, without their secrets."""

from __future__ import annotations

from typing import Any

from ...records.instruments import Directory
from ...records.times import text_of
from ..logins import ACCOUNT_MAX, Action, Grant
from .entries import Secret
from .registered import RegisteredUsers


def listed(users: RegisteredUsers, instruments: Directory) -> list[dict[str, Any]]:
    """All users by number, revoked ones, too."""
    found = []
    for session, user in sorted(users.users.items()):
        secrets = sorted(users.secrets.get(session, {}).items())
        grants = sorted(users.grants.get(session, {}).items())
        found.append(
            {
                "session": session,
                "user": user.name,
                "state": user.state.name.lower(),
                "account": user.account,
                "cancel_on_disconnect": user.cancel_on_disconnect,
                "grace_ms": user.grace_ms,
                "messages_per_second": user.messages_per_second,
                "burst": user.burst,
                "under_way": user.under_way,
                "secrets": [_secret(slot, one) for slot, one in secrets],
                "grants": [_grant(slot, one.grant, instruments) for slot, one in grants],
            }
        )
    return found


def _secret(slot: int, secret: Secret) -> str:
    until = f", until {text_of(secret.expires)}" if secret.expires else ""
    return f"{slot}: {secret.kind.name.lower()}{until}"


def _grant(slot: int, grant: Grant, instruments: Directory) -> str:
    words = ",".join(str(action.name).lower() for action in Action if action & grant.actions)
    if (grant.first, grant.last) == (0, ACCOUNT_MAX):
        accounts = "all accounts"
    elif grant.first == grant.last:
        accounts = f"account {grant.first}"
    else:
        accounts = f"accounts {grant.first}-{grant.last}"
    known = 0 < grant.instrument <= len(instruments)
    symbol = instruments[grant.instrument].symbol if known else f"instrument {grant.instrument}"
    return f"{slot}: {words} of {accounts}" + (f" in {symbol}" if grant.instrument else "")
