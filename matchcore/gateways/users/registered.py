"""The users that the log has, and whether somebody is one of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument
from ...records.schema import Topic
from ...serving.logs import event
from ...serving.secrets import COST_LOG2, COST_LOG2_MAX, SALT_BYTES, password_hash, token_hash
from ..logins import Action, Busy, Limits, Login, LoginRefused
from .attempts import Attempts
from .entries import Entry, Granted, Secret, SecretKind, State, User, entries_in, read

LOG = logging.getLogger("matchcore.gateways.users")
DIGEST_BYTES = 24  # of a password's hash
SECRET_CHARACTERS_MAX = 512
NAME_CHARACTERS_MAX = 25  # of what is said; one more than a name has
THREADS = 2  # that hash passwords; each takes 16 MiB for one
WAITING_MAX = 64  # logins whose password waits to be hashed
_NOBODY = Secret(0, 0, SecretKind.PASSWORD, COST_LOG2, 0, bytes(SALT_BYTES), bytes(DIGEST_BYTES))
WRONG = "wrong user, or wrong password or token"  # never which of them


class RegisteredUsers:
    """Users, secrets and grants, kept as the log's register has them.

    A password that was right once is known by a keyed hash, in memory only: whoever logs in again
    does not wait for scrypt.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.users: dict[int, User] = {}
        self.secrets: dict[int, dict[int, Secret]] = {}  # by session and slot
        self.grants: dict[int, dict[int, Granted]] = {}
        self._names: dict[str, int] = {}
        self._tokens: dict[bytes, Secret] = {}
        self._certificates: dict[bytes, Secret] = {}
        self._attempts = Attempts()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="matchcore-passwords")
        self._waiting = 0
        self._key, self._known = os.urandom(32), dict[tuple[int, int], tuple[bytes, bytes]]()
        for entry in entries:
            self.take(entry)

    # -- what the log says

    def take(self, entry: Entry) -> int:
        """Notes an entry; the session that it is about, 0 if it is about none.

        Bytes that make no sense count as deleted: nobody has a right by them.
        """
        try:
            found = read(entry)
        except InvalidArgument as error:
            LOG.error("%s: taken as deleted", error)
            found = None
        if entry.topic == Topic.USER:
            self._user(entry.key, found if isinstance(found, User) else None)
            return entry.key
        session, slot = entry.key >> 8, entry.key & 0xFF
        if entry.topic == Topic.SECRET:
            self._secret(session, slot, found if isinstance(found, Secret) else None)
        else:
            granted = self.grants.setdefault(session, {})
            granted.pop(slot, None)
            if isinstance(found, Granted):
                granted[slot] = found
        return session

    def follow(self, commands: NDArray[np.void], events: NDArray[np.void]) -> set[int]:
        """Takes the entries that the log has; the sessions that they are about."""
        return {self.take(entry) for entry in entries_in(commands, events)}

    def _user(self, session: int, user: User | None) -> None:
        before = self.users.pop(session, None)
        if before is not None and self._names.get(before.name) == session:
            del self._names[before.name]
        if user is not None:
            self.users[session] = user
            self._names.setdefault(user.name, session)  # a name is its first owner's

    def _secret(self, session: int, slot: int, secret: Secret | None) -> None:
        kept = self.secrets.setdefault(session, {})
        before = kept.pop(slot, None)
        self._known.pop((session, slot), None)
        kinds = {SecretKind.TOKEN: self._tokens, SecretKind.CERTIFICATE: self._certificates}
        if before is not None and before.kind in kinds:
            kinds[before.kind].pop(_whole_digest(before), None)
        if secret is not None:
            kept[slot] = secret
            if secret.kind in kinds:
                kinds[secret.kind].setdefault(_whole_digest(secret), secret)

    def named(self, name: str) -> User | None:
        """The user of a name."""
        return self.users.get(self._names.get(name, 0))

    def has_certificate(self, fingerprint: bytes) -> bool:
        """Whether some user has this one."""
        return fingerprint in self._certificates

    # -- who somebody is

    async def login(self, user: str, secret: str, host: str, certificate: bytes = b"") -> Login:
        """The login of a user with this password or token; ``user`` may be empty with a token.

        ``certificate``: fingerprint of the one that TLS has checked; it is asked for if ``secret``
        is empty, and then ``user`` may be empty, too.

        `LoginRefused`, after as long for an unknown user as for a wrong password; `Busy` while this
        host has tried too often, or too many passwords are being hashed.
        """
        user = user[:NAME_CHARACTERS_MAX]
        pause = self._attempts.begin(user, host, time.monotonic())
        if pause > 0:
            event(LOG, "login_locked_out", host=host)
            raise Busy("too many wrong logins", int(pause * 1e9))
        if certificate and not secret:
            found = self._of(self._certificates.get(certificate), user)
        else:
            token = self._tokens.get(token_hash(secret[: SECRET_CHARACTERS_MAX + 1]))
            found = self._of(token, user) or await self._by_password(user, secret)
        login = None if found is None else self._login(found)
        if login is None:
            known = user if user in self._names else None  # else it may be a password
            event(LOG, "login_refused", user=known, host=host)
            raise LoginRefused(WRONG)
        self._attempts.succeeded(user, host)
        return login

    def renew(self, login: Login) -> Login | None:
        """The login as the log has it now.

        None: the user or the secret that it came with is gone, so that its session must end.
        """
        session, slot, digest = login.secret
        secret = self.secrets.get(session, {}).get(slot)
        return self._login(secret) if secret and secret.digest == digest else None

    def _of(self, found: Secret | None, name: str) -> Secret | None:
        """A secret that is good, of the user of this name, or of any if there is none."""
        if found is None or _expired(found):
            return None
        user = self.users.get(found.session)
        return found if user is not None and name in ("", user.name) else None

    async def _by_password(self, name: str, password: str) -> Secret | None:
        """Looks through all passwords of the user: there are two while they change."""
        session = self._names.get(name, 0)
        secrets = self.secrets.get(session, {}).values()
        passwords = [one for one in secrets
                     if one.kind == SecretKind.PASSWORD and not _expired(one)]  # fmt: skip
        if len(password) > SECRET_CHARACTERS_MAX:
            return None
        quick = hmac.new(self._key, password.encode("utf-8", "surrogatepass"), hashlib.sha256)
        for one in passwords:
            digest, known = self._known.get((session, one.slot), (b"", b""))
            if digest == one.digest and hmac.compare_digest(known, quick.digest()):
                return one
        for one in passwords or [_NOBODY]:
            if await self._hashed(password, one) and one is not _NOBODY:
                self._known[session, one.slot] = one.digest, quick.digest()
                return one
        return None

    async def _hashed(self, password: str, secret: Secret) -> bool:
        if self._waiting >= WAITING_MAX:
            raise Busy("too many logins at once", 1_000_000_000)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._pool, _digest_of, password, secret)
        finally:
            self._waiting -= 1
        return hmac.compare_digest(found, secret.digest)

    def _login(self, secret: Secret) -> Login | None:
        user = self.users.get(secret.session)
        if user is None or user.state != State.ACTIVE or self._names.get(user.name) != user.session:
            return None
        grants = tuple(one.grant for one in self.grants.get(user.session, {}).values())
        may = Action(0)
        for grant in grants:
            may |= grant.actions
        return Login(
            user.session, user.name, user.account, may=may, grants=grants,
            cancel_on_disconnect=user.cancel_on_disconnect, grace_ns=user.grace_ms * 1_000_000,
            limits=Limits(
                user.messages_per_second, user.burst, user.under_way, user.connections
            ),
            secret=(user.session, secret.slot, secret.digest),
        )  # fmt: skip

    def close(self) -> None:
        """Ends the threads that hash passwords."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _whole_digest(secret: Secret) -> bytes:
    return secret.salt[8:] + secret.digest


def _expired(secret: Secret) -> bool:
    return bool(secret.expires) and time.time_ns() >= secret.expires


def _digest_of(password: str, secret: Secret) -> bytes:
    cost = min(max(secret.cost_log2, 1), COST_LOG2_MAX)
    return password_hash(password, secret.salt, size=DIGEST_BYTES, cost_log2=cost)
