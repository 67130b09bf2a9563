"""Who is where: sessions and gateways, as the register of the log has them.

A gateway writes that it is there, and where each of its sessions stands; the engine writes that a
gateway has gone.  So every gateway, and an engine that was started again, knows the same.
docs/gateways/presence.md has the layout.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records.commands import COMMAND, TEXT
from ..records.register import DATA_BYTES, Place
from ..records.schema import Kind, Topic
from .logins import Login
from .users.entries import GONE, Entry, entries_in

TOPICS = (int(Topic.GATEWAY), int(Topic.PRESENCE))
GATEWAY_BITS = 32  # of the key of a session's entry; its session is above them
#: How long a gateway must have gone before anything is cancelled: its lines may come back.
AWAY_NS = 2_000_000_000

_SESSION = struct.Struct("<BBxxIq40x")
_GATEWAY = struct.Struct("<B7xq40x")
_CANCELS = 1  # a bit of a session's flags: its orders are cancelled when it stays away


class State(IntEnum):
    """Of a session at a gateway, or of a gateway."""

    THERE = 1
    AWAY = 2


class Present(NamedTuple):
    """A session at a gateway.

    ``since``: when it came or left, nanoseconds since 1970 UTC; ``place``: which entry of the log
    said so, counted from wherever this table began.
    """

    state: State
    cancels: bool
    grace_ns: int
    since: int
    place: int


class Standing(NamedTuple):
    """A gateway; ``since`` and ``place`` as of `Present`."""

    state: State
    since: int
    place: int


class Orphan(NamedTuple):
    """A session whose gateway has gone.  ``due``: when its orders are to be cancelled, nanoseconds
    since 1970 UTC."""

    session: int
    gateway: int
    cancels: bool
    due: int


def session_entry(login: Login, gateway: int, state: State, now: int) -> Entry:
    """Where a session stands at a gateway."""
    flags = _CANCELS if login.cancel_on_disconnect else 0
    grace_ms = min(login.grace_ns // 1_000_000, 2**32 - 1)
    return Entry(Topic.PRESENCE, _key(login.session, gateway),
                 _SESSION.pack(state, flags, grace_ms, now))  # fmt: skip


def no_session(session: int, gateway: int) -> Entry:
    """A session has nothing more to do with a gateway."""
    return Entry(Topic.PRESENCE, _key(session, gateway), GONE)


def gateway_entry(gateway: int, state: State, now: int) -> Entry:
    """A gateway is there, or has gone."""
    return Entry(Topic.GATEWAY, gateway, _GATEWAY.pack(state, now))


def no_gateway(gateway: int) -> Entry:
    """A gateway that has gone, and left nothing to do."""
    return Entry(Topic.GATEWAY, gateway, GONE)


def commands_of(entries: Iterable[Entry]) -> NDArray[np.void]:
    """The `COMMAND` array that puts entries into the register."""
    found = list(entries)
    rows = np.zeros(len(found), TEXT)
    rows["kind"] = Kind.REGISTER
    rows["topic"], rows["key"] = [one.topic for one in found], [one.key for one in found]
    rows["data"] = np.frombuffer(b"".join(one.data for one in found), rows.dtype["data"])
    return rows.view(COMMAND)


def _key(session: int, gateway: int) -> int:
    return session << GATEWAY_BITS | gateway


def _gateway(key: int) -> int:
    return key & (1 << GATEWAY_BITS) - 1


class Touched(NamedTuple):
    """What some entries were about."""

    sessions: set[int]
    gateways: set[int]


class Presences:
    """The table of who is where: a function of the log.  O(1) an entry."""

    def __init__(self) -> None:
        self.gateways: dict[int, Standing] = {}
        self._sessions: dict[int, Present] = {}  # by key
        self._at: Counter[int] = Counter()  # how many entries of sessions a gateway has
        self._count = 0  # of entries taken

    @classmethod
    def of(cls, register: Mapping[Place, bytes]) -> Presences:
        """As a register has them."""
        found = cls()
        found.restore(register)
        return found

    def restore(self, register: Mapping[Place, bytes]) -> None:
        """Takes the entries of a register."""
        for place, data in register.items():
            if place.topic in TOPICS and not place.part:
                self._take(Entry(place.topic, place.key, data))

    def follow(self, commands: NDArray[np.void], events: NDArray[np.void]) -> Touched:
        """Takes the entries of a part of the log."""
        touched = Touched(set(), set())
        for entry in entries_in(commands, events, TOPICS):
            self._take(entry)
            if entry.topic == Topic.GATEWAY:
                touched.gateways.add(entry.key)
            else:
                touched.sessions.add(entry.key >> GATEWAY_BITS)
        return touched

    def _take(self, entry: Entry) -> None:
        """Bytes that make no sense count as no entry."""
        self._count += 1
        assert len(entry.data) == DATA_BYTES
        if entry.topic == Topic.GATEWAY:
            state, since = _GATEWAY.unpack(entry.data)
            if state in (State.THERE, State.AWAY):
                self.gateways[entry.key] = Standing(State(state), since, self._count)
            else:
                self.gateways.pop(entry.key, None)
            return
        state, flags, grace_ms, since = _SESSION.unpack(entry.data)
        gateway = _gateway(entry.key)
        self._at[gateway] -= self._sessions.pop(entry.key, None) is not None
        if state in (State.THERE, State.AWAY):
            self._sessions[entry.key] = Present(
                State(state), bool(flags & _CANCELS), grace_ms * 1_000_000, since, self._count
            )
            self._at[gateway] += 1
        if not self._at[gateway]:
            del self._at[gateway]

    def is_up(self, gateway: int) -> bool:
        """Whether a gateway is there."""
        found = self.gateways.get(gateway)
        return found is not None and found.state == State.THERE

    def where(self, session: int) -> list[int]:
        """The gateways that have to do with a session."""
        return [one for one in self._at if _key(session, one) in self._sessions]

    def holder(self, session: int) -> int | None:
        """The gateway at which a session is: the one where it was first, of those that have not
        gone since; None: at none."""
        found, first = None, 0
        for gateway, standing in self.gateways.items():
            present = self._sessions.get(_key(session, gateway))
            if present and present.state == standing.state == State.THERE:
                place = max(present.place, standing.place)
                if found is None or place < first:
                    found, first = gateway, place
        return found

    def looked_after(self, session: int) -> bool:
        """Whether a gateway that is there has to do with a session."""
        return any(map(self.is_up, self.where(session)))

    def orphans(self) -> Iterator[Orphan]:
        """Sessions of gateways that have gone; nothing is looked through while there are none."""
        if all(map(self.is_up, self._at)):
            return
        for key, present in self._sessions.items():
            gateway = _gateway(key)
            if not self.is_up(gateway):
                gone = self.gateways.get(gateway)
                since = present.since if gone is None else gone.since
                if present.state == State.AWAY:
                    due = max(present.since + present.grace_ns, since + AWAY_NS)
                else:
                    due = since + max(present.grace_ns, AWAY_NS)
                yield Orphan(key >> GATEWAY_BITS, gateway, present.cancels, due)

    def left_behind(self) -> list[int]:
        """Gateways that have gone, and of which no session is known any more."""
        return [one for one in self.gateways if not self.is_up(one) and one not in self._at]

    def rank(self, gateway: int) -> int:
        """How many gateways are there whose number is lower."""
        return sum(self.is_up(one) for one in self.gateways if one < gateway)
