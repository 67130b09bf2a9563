"""Changes of users: each returns the entries that the log must get, together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import InvalidArgument
from ...records.schema import Topic
from ...serving.certificates import FINGERPRINT_BYTES
from ...serving.secrets import COST_LOG2, new_salt, new_token, password_hash, token_hash
from ..logins import SESSION_MAX, Grant
from .entries import (
    GONE,
    NAME,
    SLOTS,
    Entry,
    Granted,
    Secret,
    SecretKind,
    State,
    User,
)
from .registered import DIGEST_BYTES, SECRET_CHARACTERS_MAX, RegisteredUsers

PASSWORD_CHARACTERS_MIN = 8
SECRETS_MAX, GRANTS_MAX = 16, SLOTS  # of a user


def add(users: RegisteredUsers, name: str, **options: Any) -> list[Entry]:
    """A new user without secrets and grants; ``options``: fields of `User`."""
    if not NAME.fullmatch(name):
        raise InvalidArgument(
            f"user {name!r}: 1 to 24 ASCII letters, digits, dots, dashes and underlines,"
            " a letter or digit first"
        )
    if users.named(name) is not None:
        raise InvalidArgument(f"user {name!r}: there is one already")
    session = max(users.users, default=0) + 1
    if session > SESSION_MAX:
        raise InvalidArgument("there are no more numbers for users")
    return [User(session, name, **options).entry()]


def change(users: RegisteredUsers, name: str, **options: Any) -> list[Entry]:
    """Other options of a user."""
    return [replace(of(users, name), **options).entry()]


def password(
    users: RegisteredUsers, name: str, word: str, now: int, overlap_ns: int = 0
) -> list[Entry]:
    """A password in place of those before.

    ``overlap_ns``: these are good for so long; 0: they are deleted, and their sessions end.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(word) <= SECRET_CHARACTERS_MAX:
        raise InvalidArgument(
            f"password: {PASSWORD_CHARACTERS_MIN} to {SECRET_CHARACTERS_MAX} characters"
        )
    salt = new_salt()
    digest = password_hash(word, salt, size=DIGEST_BYTES, cost_log2=COST_LOG2)
    return _secret(users, name, SecretKind.PASSWORD, COST_LOG2, salt, digest, now, 0, overlap_ns)


def token(
    users: RegisteredUsers, name: str, now: int, expires: int = 0, overlap_ns: int | None = None
) -> tuple[str, list[Entry]]:
    """A new token, which is written down nowhere, and the entries.

    ``expires``: nanoseconds since 1970 UTC; 0: never.  ``overlap_ns``: how long the tokens before
    are good; None: as long as before; 0: they are deleted.
    """
    made = new_token()
    padded = bytes(8) + token_hash(made)
    salt, digest = padded[:16], padded[16:]
    kind = SecretKind.TOKEN
    return made, _secret(users, name, kind, 0, salt, digest, now, expires, overlap_ns)


def certificate(
    users: RegisteredUsers, name: str, fingerprint: bytes, now: int, overlap_ns: int | None = None
) -> list[Entry]:
    """Lets a user in with a client's certificate; ``fingerprint``: SHA-256 of it.

    ``overlap_ns``: as for `token`.
    """
    if len(fingerprint) != FINGERPRINT_BYTES:
        raise InvalidArgument(f"fingerprint: {FINGERPRINT_BYTES} bytes, of SHA-256")
    padded = bytes(8) + fingerprint
    if users.has_certificate(fingerprint):
        raise InvalidArgument("certificate: a user has it already; revoke it there first")
    kind = SecretKind.CERTIFICATE
    return _secret(users, name, kind, 0, padded[:16], padded[16:], now, 0, overlap_ns)


def _secret(
    users: RegisteredUsers,
    name: str,
    kind: SecretKind,
    cost_log2: int,
    salt: bytes,
    digest: bytes,
    now: int,
    expires: int,
    overlap_ns: int | None,
) -> list[Entry]:
    """The new secret, and what becomes of those of its kind; expired ones are deleted."""
    session = of(users, name).session
    kept = users.secrets.get(session, {})
    changed: list[Entry] = []
    used = set()
    for slot, secret in kept.items():
        over = bool(secret.expires) and secret.expires <= now
        if over or (secret.kind == kind and overlap_ns == 0):
            changed.append(Entry(Topic.SECRET, session << 8 | slot, GONE))
            continue
        used.add(slot)
        if secret.kind == kind and overlap_ns:
            until = min(secret.expires or now + overlap_ns, now + overlap_ns)
            changed.append(replace(secret, expires=until).entry())
    slot = _free(used, SECRETS_MAX, f"user {name!r}: {SECRETS_MAX} secrets, revoke one first")
    fresh = Secret(session, slot, kind, cost_log2, expires, salt, digest).entry()
    return [*(one for one in changed if one.key != fresh.key), fresh]


def grant(users: RegisteredUsers, name: str, given: Grant) -> list[Entry]:
    """One more right."""
    if given.first > given.last:
        raise InvalidArgument(f"accounts {given.first} to {given.last}: the first one is larger")
    session = of(users, name).session
    slots = users.grants.get(session, {})
    if given in (one.grant for one in slots.values()):
        return []
    slot = _free(set(slots), GRANTS_MAX, f"user {name!r}: {GRANTS_MAX} grants, revoke one first")
    return [Granted(session, slot, given).entry()]


def revoke(
    users: RegisteredUsers, name: str, *, secret: int | None = None, grant: int | None = None
) -> list[Entry]:
    """Takes away one secret or one grant, by slot; without both: the user may do nothing any more.

    A revoked user keeps name and number, because the log's orders have them.
    """
    user = of(users, name)
    session = user.session
    if secret is None and grant is None:
        places = [Entry(Topic.SECRET, session << 8 | slot, GONE)
                  for slot in users.secrets.get(session, {})]  # fmt: skip
        return [replace(user, state=State.REVOKED).entry(), *places]
    found: list[Entry] = []
    for topic, slot, known in (
        (Topic.SECRET, secret, users.secrets.get(session, {})),
        (Topic.GRANT, grant, users.grants.get(session, {})),
    ):
        if slot is not None:
            if slot not in known:
                raise InvalidArgument(f"user {name!r} has no {topic.name.lower()} {slot}")
            found.append(Entry(topic, session << 8 | slot, GONE))
    return found


def of(users: RegisteredUsers, name: str) -> User:
    """The user of a name; `InvalidArgument` if there is none."""
    user = users.named(name)
    if user is None:
        raise InvalidArgument(f"user {name!r}: there is none; matchcore user add makes one")
    return user


def _free(used: set[int], most: int, full: str) -> int:
    for slot in range(most):
        if slot not in used:
            return slot
    raise InvalidArgument(full)
