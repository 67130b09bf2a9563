"""Rounds of kills and freezes amid traffic over all protocols, and whether everybody was told.

A seed draws the faults of each round.  Clients of every protocol trade through the balancer, and a
drop copy listens.  A round ends when every order is answered and everybody has been told what the
log says; then what each session was told is compared with the log, row by row.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidArgument, MatchcoreError
from ..records.instruments import Instrument
from .ledger import HEARD
from .processes import BALANCER, COPIES, Exchange, Part, User
from .told import Told, answered_once, count_of, expected, heard_rows, places_of

SYMBOL, TICK = "ANA", "0.05"
UNITS = 500  # of 1/10,000 in a tick
PRICES = (950_000, 955_000, UNITS)
QUANTITY, OPEN = 50, 10
RATE = 120.0  # orders a second of each session
ORDERS = 60  # of each session, in a round
FAULTS = 3  # of a round
FREEZE_SECONDS = (0.2, 1.2)
BETWEEN_SECONDS = (0.05, 0.25)
SETTLE_SECONDS_MAX = 60.0
CHECK_MS = 150
PASSWORD = "secret-77"
COPY = "watch"


class DrillFailed(MatchcoreError):
    """A promise was broken; the message says which, and the faults before it."""


class Trader(NamedTuple):
    """A session of the drill: its number in the log, and how it is called."""

    session: int
    protocol: str
    process: int  # of the clients' processes

    @property
    def user(self) -> str:
        return f"u{self.session}"

    @property
    def tag(self) -> str:
        return f"s{self.session}-"


TRADERS = (
    Trader(1, "ouch", 0), Trader(2, "fix44", 0), Trader(3, "web", 0),
    Trader(4, "ouch", 1), Trader(5, "fix50", 1), Trader(6, "web", 1),
)  # fmt: skip


class Drill:
    """An exchange in ``place``, its clients, and rounds that can be repeated by the seed."""

    def __init__(self, place: Path, seed: int) -> None:
        if shutil.which(BALANCER, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            raise InvalidArgument(f"drills need {BALANCER}: apt-get install {BALANCER}")
        self._place, self.seed = place, seed
        users = [User(one.user, PASSWORD, one.session, one.session) for one in TRADERS]
        users.append(User(COPY, PASSWORD, 1, len(TRADERS), COPIES))
        self._exchange = Exchange(place, [Instrument(SYMBOL, TICK)], users, check_ms=CHECK_MS)
        self._due_file = place / "due"
        self._users: dict[str, list[str]] = {}  # of the clients' processes
        self._clients = [self._client(number) for number in (0, 1)]
        self._watch = self._client(2)
        self._due = 0  # orders of each session
        self.faults: list[str] = []  # of all rounds

    def _client(self, process: int) -> Part:
        ports = self._exchange.ports
        sessions = [
            {"user": one.user, "place": one.session, "protocol": one.protocol, "tag": one.tag,
             "port": ports["fix" if one.protocol.startswith("fix") else one.protocol][0],
             "trades": True}
            for one in TRADERS if one.process == process
        ] or [{"user": COPY, "place": 0, "protocol": "fix44", "tag": "", "port": ports["fix"][0],
               "trades": False}]  # fmt: skip
        for one in sessions:
            one |= {"password": PASSWORD, "record": str(self.record(str(one["user"])))}
        said = {"rate": RATE, "symbol": SYMBOL, "prices": PRICES, "quantity": QUANTITY,
                "open": OPEN, "seed": self.seed, "sessions": sessions,
                "due": str(self._due_file)}  # fmt: skip
        of = f"client {process + 1}" if process < 2 else "watcher"
        self._users[of] = [str(one["user"]) for one in sessions]
        command = [sys.executable, "-m", "matchcore.traffic.drill_client", json.dumps(said)]
        return Part(of, command, self._place / f"client{process}.log")

    def record(self, user: str) -> Path:
        """What a user was told, as `HEARD` rows, since its process began."""
        return self._place / f"{user}.heard"

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Starts everything."""
        self._raise_to(0, 0)
        self._exchange.start()
        self._told = Told(self._exchange.path, COPY)
        for client in self._everybody():
            self._start(client)

    def _start(self, child: Part) -> None:
        """Starts a child; a client has heard nothing then."""
        for user in self._users.get(child.of, ()):
            self.record(user).write_bytes(b"")
        child.start()

    def _raise_to(self, before: int, now: int) -> None:
        """Says to the clients how many orders of each session were due, and are now."""
        written = self._due_file.with_suffix(".new")
        written.write_text(f"{before} {now}")
        written.rename(self._due_file)

    def _everybody(self) -> list[Part]:
        return [*self._clients, self._watch]

    def end(self) -> None:
        """Ends everything."""
        for client in self._everybody():
            client.kill()
        self._exchange.end()
        if hasattr(self, "_told"):
            self._told.close()

    # ------------------------------------------------------------------ a round

    def round(self, number: int) -> dict[str, Any]:
        """Faults amid traffic, then the comparison; `DrillFailed`."""
        draw, before = random.Random(f"{self.seed} {number}"), self._due
        self._due += ORDERS
        began, first = time.monotonic(), len(self.faults)
        self._raise_to(before, self._due)
        thaws: list[tuple[float, Part]] = []
        for _ in range(FAULTS):
            self._pause(draw.uniform(*BETWEEN_SECONDS), thaws)
            self._fault(draw, thaws)
        while thaws:
            self._pause(0.02, thaws)
        self.compare(SETTLE_SECONDS_MAX)
        return {"round": number, "faults": self.faults[first:],
                "seconds": round(time.monotonic() - began, 2)}  # fmt: skip

    def _pause(self, seconds: float, thaws: list[tuple[float, Part]]) -> None:
        """Waits, and lets those go on whose time has come."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for when, child in [one for one in thaws if one[0] <= now]:
                child.thaw()
                thaws.remove((when, child))
            time.sleep(0.01)

    def _fault(self, draw: random.Random, thaws: list[tuple[float, Part]]) -> None:
        ours = self._exchange
        assert ours.balancer is not None
        kinds = [ours.lines, ours.gateways, [ours.engine], [ours.balancer], self._everybody()]
        child = draw.choice(draw.choice(kinds))
        if draw.random() < 0.5 or any(child is one for _, one in thaws):
            self.faults.append(f"kill {child.of}")
            thaws[:] = [one for one in thaws if one[1] is not child]
            child.kill()
            self._start(child)
        else:
            seconds = draw.uniform(*FREEZE_SECONDS)
            self.faults.append(f"freeze {child.of} {seconds:.1f} s")
            child.freeze()
            thaws.append((time.monotonic() + seconds, child))

    # ------------------------------------------------------------------ the comparison

    def compare(self, seconds: float) -> None:
        """Compares what everybody was told with the log, until it is the same; `DrillFailed`.

        At every moment, what was told must be what the log says so far; and at the latest after
        ``seconds`` it must be all that the log says, with one answer to every order.
        """
        end, checked = time.monotonic() + seconds, dict[str, int]()
        while True:
            heard = {user: self._heard_count(user) for users in self._users.values()
                     for user in users}  # fmt: skip
            self._told.follow()  # after what was heard: it must be in the log
            late = self._late(heard, checked)
            if not late:
                return
            for child in (*self._exchange.children, *self._everybody()):
                if not child.lives:
                    self._fail(f"{child.of} has ended by itself")
            if time.monotonic() > end:
                self._fail(f"after {seconds:g} s, {late}")
            time.sleep(0.02)

    def _late(self, heard: dict[str, int], checked: dict[str, int]) -> str:
        """What is missing yet; empty if nothing is."""
        late = ""
        for one in TRADERS:
            told = self._told.of(one.session)
            late = late or answered_once(told, self._due)
            late = self._compared(one.user, one.protocol, one.tag, told, heard, checked) or late
        copied = self._told.copied()
        return self._compared(COPY, "fix44", "", copied, heard, checked) or late

    def _heard_count(self, user: str) -> int:
        return self.record(user).stat().st_size // HEARD.itemsize

    def _compared(
        self, user: str, protocol: str, tag: str, told: Any, heard: dict[str, int],
        checked: dict[str, int],
    ) -> str:  # fmt: skip
        count = count_of(told, protocol)
        if heard[user] != count:
            if heard[user] > count:
                self._fail(f"{user}, {protocol}: was told {heard[user]} reports; log: {count}")
            return f"{user}, {protocol}: was told {heard[user]} reports of {count}"
        if checked.get(user) != count:
            places = np.full(len(told), -1) if user == COPY else places_of(told, protocol, tag)
            self._same(user, protocol, expected(told, protocol, places, UNITS))
            checked[user] = count
        return ""

    def _same(self, user: str, protocol: str, wanted: Any) -> None:
        heard = heard_rows(self.record(user).read_bytes(), protocol)[: len(wanted)]
        if user == COPY:
            heard["place"] = -1
        differ = np.flatnonzero(heard != wanted)
        if len(differ):
            at = int(differ[0])
            self._fail(
                f"{user}, {protocol}: report {at + 1} of {len(wanted)}: was told"
                f" {heard[at].tolist()}, and the log says {wanted[at].tolist()}"
            )

    def _fail(self, what: str) -> None:
        raise DrillFailed(f"{what}; faults: {', '.join(self.faults)}; files: {self._place}")

    def figures(self) -> dict[str, Any]:
        """What there was in all."""
        return {"orders": self._due * len(TRADERS), "sequence": self._told.follow(),
                "reports": sum(len(self._told.of(one.session)) for one in TRADERS),
                "copied": len(self._told.copied()), "faults": len(self.faults)}  # fmt: skip


def run(
    place: Path, seed: int, rounds: int, told: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """All rounds of a seed in a new exchange; ``told`` gets each.

    `DrillFailed` if a promise is broken; `InvalidArgument` if ``place`` has something in it.
    """
    if place.exists() and any(place.iterdir()):
        raise InvalidArgument(f"{place}: must be new, or empty")
    place.mkdir(parents=True, exist_ok=True)
    drill = Drill(place, seed)
    try:
        drill.start()
        for number in range(1, rounds + 1):
            told(drill.round(number))
        return {"seed": seed, "rounds": rounds, **drill.figures()}
    finally:
        drill.end()
