"""Users, secrets and grants as entries of the register, which is a part of the log.

An entry is 56 bytes under (topic, key, part).  A later one replaces it; zeros delete it.  The key
of a user is its session: the number that its commands carry.  Each of its secrets and grants has a
slot, and the key ``session << 8 | slot``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument
from ...records.commands import TEXT
from ...records.register import DATA_BYTES, Place
from ...records.schema import EventKind, Kind, Topic
from ..logins import SESSION_MAX, Action, Grant

TOPICS = [int(Topic.USER), int(Topic.SECRET), int(Topic.GRANT)]
SLOTS = 1 << 8
GONE = bytes(DATA_BYTES)  # deletes an entry
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,23}")

_USER = struct.Struct("<24sBBHIIIIQ4x")
_SECRET = struct.Struct("<BB6xq16s24s")
_GRANT = struct.Struct("<QQIH34x")


class Entry(NamedTuple):
    """One entry of the register: ``data`` has 56 bytes."""

    topic: int
    key: int
    data: bytes


class State(IntEnum):
    """Whether a user may log in."""

    ACTIVE = 1
    REVOKED = 2


class SecretKind(IntEnum):
    """What a secret is a hash of."""

    PASSWORD = 1  # scrypt with a salt
    TOKEN = 2  # SHA-256
    CERTIFICATE = 3  # SHA-256 of the whole of it (DER)


class UserFlag(IntFlag):
    """Bits of a user's ``flags``."""

    CANCEL_ON_DISCONNECT = 1


@dataclass(frozen=True, slots=True)
class User:
    """A login.

    - ``session``: its number, 1 and up; never given to another user.
    - ``name``: 1 to 24 ASCII letters, digits, dots, dashes and underlines.
    - ``cancel_on_disconnect``: its orders are cancelled ``grace_ms`` milliseconds after its last
      connection has ended.
    - ``messages_per_second``, ``burst``: how many commands it may send, and at once.
    - ``under_way``: commands without an answer at most.
    - ``account``: of commands that name none.
    - ``connections``: at a time, where a protocol lets it have several.
    """

    session: int
    name: str
    state: State = State.ACTIVE
    cancel_on_disconnect: bool = False
    grace_ms: int = 5000
    messages_per_second: int = 1000
    burst: int = 2000
    under_way: int = 10_000
    account: int = 0
    connections: int = 16

    def entry(self) -> Entry:
        flags = UserFlag.CANCEL_ON_DISCONNECT if self.cancel_on_disconnect else 0
        data = _USER.pack(self.name.encode("ascii"), self.state, flags, self.connections,
                          self.grace_ms, self.messages_per_second, self.burst, self.under_way,
                          self.account)  # fmt: skip
        return Entry(Topic.USER, self.session, data)


@dataclass(frozen=True, slots=True)
class Secret:
    """A hash that a user proves to know the password or token of.

    ``expires``: nanoseconds since 1970 UTC; 0: never.  ``salt``, ``digest``: 16 and 24 bytes of a
    password, scrypt with N = 2 ** ``cost_log2``; of a token or a client's certificate, the 32 bytes
    of its hash behind 8 zeros.
    """

    session: int
    slot: int
    kind: SecretKind
    cost_log2: int
    expires: int
    salt: bytes
    digest: bytes

    def entry(self) -> Entry:
        data = _SECRET.pack(self.kind, self.cost_log2, self.expires, self.salt, self.digest)
        return Entry(Topic.SECRET, self.session << 8 | self.slot, data)


@dataclass(frozen=True, slots=True)
class Granted:
    """A `Grant` and the place where the register has it."""

    session: int
    slot: int
    grant: Grant

    def entry(self) -> Entry:
        grant = self.grant
        data = _GRANT.pack(grant.first, grant.last, grant.instrument, grant.actions)
        return Entry(Topic.GRANT, self.session << 8 | self.slot, data)


Registered = User | Secret | Granted


def read(entry: Entry) -> Registered | None:
    """What an entry says; None if it deletes.

    `InvalidArgument` for bytes that are no user, secret or grant of ours.
    """
    topic, key, data = entry
    if data == GONE:
        return None
    try:
        if topic == Topic.USER:
            return _user(key, data)
        if topic == Topic.SECRET:
            kind, cost, expires, salt, digest = _SECRET.unpack(data)
            return Secret(key >> 8, key & 0xFF, SecretKind(kind), cost, expires, salt, digest)
        first, last, instrument, actions = _GRANT.unpack(data)
        return Granted(key >> 8, key & 0xFF, Grant(Action(actions), first, last, instrument))
    except (ValueError, struct.error) as error:
        raise InvalidArgument(f"register, topic {topic}, key {key}: {error}") from None


def _user(session: int, data: bytes) -> User:
    name, state, flags, connections, *numbers, account = _USER.unpack(data)
    text = name.rstrip(b"\0").decode("ascii")
    if not NAME.fullmatch(text) or not 0 < session <= SESSION_MAX:
        raise ValueError(f"{text!r}: not the name of a user")
    cancels = bool(flags & UserFlag.CANCEL_ON_DISCONNECT)
    grace, rate, burst, under_way = numbers
    return User(session, text, State(state), cancels, grace, rate, burst, under_way, account,
                connections)  # fmt: skip


def entries_in(
    commands: NDArray[np.void], events: NDArray[np.void], topics: Sequence[int] = TOPICS
) -> list[Entry]:
    """The entries of some topics among a log's commands that were not refused, in their order.

    ``commands``: a `COMMAND` array without gaps; ``events``: theirs; ``topics``: those of users.
    """
    places = np.flatnonzero(commands["kind"] == Kind.REGISTER)
    if not len(places):
        return []
    refused = events["sequence"][events["kind"] == EventKind.REJECTED]
    places = places[~np.isin(events["sequence"][0] + places.astype(np.uint64), refused)]
    rows = commands[places].view(TEXT)
    rows = rows[np.isin(rows["topic"], topics) & (rows["part"] == 0)]
    return [Entry(int(row["topic"]), int(row["key"]), row["data"].tobytes()) for row in rows]


def entries_of(register: Mapping[Place, bytes]) -> list[Entry]:
    """The entries about users of an engine's register."""
    return [
        Entry(place.topic, place.key, data)
        for place, data in register.items()
        if place.topic in TOPICS and not place.part
    ]
