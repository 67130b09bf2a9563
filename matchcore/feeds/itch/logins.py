"""Who may log in over SoupBinTCP: a file of names and hashed passwords."""

from __future__ import annotations

import hmac
import json
import os
import re
from pathlib import Path

from ...errors import FeedError, InvalidArgument
from ...serving.secrets import new_salt, password_hash

USER_BYTES, PASSWORD_BYTES = 6, 10  # what the login packet has room for
USERS_MAX = 10_000
FILE_BYTES_MAX = 4 << 20
_USER = re.compile(f"[0-9A-Za-z]{{1,{USER_BYTES}}}")
_PASSWORD = re.compile(f"[!-~]{{1,{PASSWORD_BYTES}}}")
_HASHED = re.compile("[0-9a-f]{32}:[0-9a-f]{64}")


class Logins:
    """Names and hashed passwords, from the file ``path``; `FeedError` if it is none."""

    def __init__(self, path: Path) -> None:
        self._known = _read(path)
        if not self._known:
            raise FeedError(f"{path}: nobody may log in; add users with matchcore feed-login")

    def fits(self, user: str, password: str) -> bool:
        """True for the right password.  Takes as long for a name that is not known."""
        salt, _, known = self._known.get(user, f"{'00' * 16}:{'00' * 32}").partition(":")
        right = hmac.compare_digest(
            password_hash(password[:PASSWORD_BYTES], bytes.fromhex(salt)), bytes.fromhex(known)
        )
        return right and user in self._known


def add_login(path: Path, user: str, password: str) -> None:
    """Adds a user to the file, or gives him another password; only its owner can read it.

    `InvalidArgument` for a name or a password that a login packet has no room for.
    """
    if not _USER.fullmatch(user):
        raise InvalidArgument(f"user {user!r}: 1 to {USER_BYTES} ASCII letters and digits")
    if not _PASSWORD.fullmatch(password):
        raise InvalidArgument(
            f"password: 1 to {PASSWORD_BYTES} printable ASCII characters without spaces"
        )
    known = _read(path) if path.exists() else {}
    salt = new_salt()
    known[user] = f"{salt.hex()}:{password_hash(password, salt).hex()}"
    if len(known) > USERS_MAX:
        raise InvalidArgument(f"{path}: {USERS_MAX} users, and no more")
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(known, file, indent=1)
    fresh.replace(path)


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            known = json.loads(file.read(FILE_BYTES_MAX))
        fine = isinstance(known, dict) and all(
            _USER.fullmatch(user) and isinstance(kept, str) and _HASHED.fullmatch(kept)
            for user, kept in known.items()
        )
    except ValueError:
        fine = False
    if not fine:
        raise FeedError(f"{path}: not a file of matchcore feed-login")
    return dict(known)
