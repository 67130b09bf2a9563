"""A load of orders on a running gateway, and how long their answers take.

The load is open: every order has a time at which it is due, whether the gateway keeps up or not,
and the latency of its answer counts from then.  So a gateway that stops for a second is seen with
all orders of that second, not with the one that waited.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument, MatchcoreError
from ..gateways.ouch import layout
from ..gateways.ouch._client import ENDED, heard
from ..serving.soup import packet

SHARE = 64  # buckets of a doubling: 1.1 % apart
BUCKETS = 64 * SHARE
DRAIN_SECONDS = 10.0  # for the last answers
TURN_SECONDS = 0.001  # the shortest pause of a session
AT_ONCE = 4096  # orders in one write
HEARTBEAT_SECONDS = 1.0
ORDERS_MAX = 100_000_000  # of one session: what it keeps is a byte and 8 bytes an order
LOGIN_SECONDS = 30.0


class LoadFailed(MatchcoreError):
    """A session did not come to its end; the message says why."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What the orders are.

    - ``symbols``: up to 8 characters each. ``low``, ``high``, ``tick``: prices, times 10,000.
    - ``quantity``: from 1 to this.
    - ``open``: a session cancels its orders when it has sent so many newer ones.
    - ``seed``: of the random numbers.
    """

    symbols: tuple[str, ...]
    low: int
    high: int
    tick: int
    quantity: int = 100
    open: int = 50
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.symbols or any(not 1 <= len(one) <= 8 for one in self.symbols):
            raise InvalidArgument("symbols: at least one, of 1 to 8 characters each")
        if not 0 < self.low <= self.high or self.tick <= 0:
            raise InvalidArgument("low, high and tick: prices above 0, low not above high")
        if not 0 < self.quantity <= layout.UINT32_MAX or self.open < 1:
            raise InvalidArgument("quantity and open: 1 or more")


class Account(NamedTuple):
    """A user of the gateway, and its password."""

    user: str
    password: str


def packets_of(letter: bytes) -> np.dtype[Any]:
    """The dtype of a request in its packet, without what can be appended."""
    kinds = {"u2": ">u2", "u4": ">u4", "u8": ">u8", "a1": "S1", "a8": "S8", "a14": "S14"}
    known = layout.REQUESTS[letter]
    items = [item.split(":") for item in known.layout.split()]
    appended = [("appended", ">u2")] if known.appendage else []
    return np.dtype(
        [("size", ">u2"), ("kind", "S1"), ("letter", "S1"),
         *((name, kinds[kind]) for name, kind in items), *appended]
    )  # fmt: skip


ENTER, CANCEL = packets_of(b"O"), packets_of(b"X")


#: Fields that are the same in all orders.
USUAL = {"time_in_force": b"0", "display": b"Y", "capacity": b"P", "sweep": b"N", "cross": b"N",
         "cl_ord_id": b" " * 14}  # fmt: skip


class Histogram:
    """Counts of latencies in buckets 1.1 % apart, of any number and in fixed memory."""

    def __init__(self) -> None:
        self.counts = np.zeros(BUCKETS, np.int64)
        self.largest = 0

    def add(self, ns: NDArray[np.int64]) -> None:
        """Adds latencies in nanoseconds."""
        if len(ns):
            at = (np.log2(np.maximum(ns, 1)) * SHARE).astype(np.int64)
            self.counts += np.bincount(at, minlength=BUCKETS)[:BUCKETS]
            self.largest = max(self.largest, int(ns.max()))

    def at(self, share: float) -> float:
        """The latency in nanoseconds that this share of all does not exceed; 0 without any."""
        total = int(self.counts.sum())
        if not total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self.counts), math.ceil(share * total)))
        return min(float(2 ** ((place + 1) / SHARE)), float(self.largest))

    def microseconds(self) -> dict[str, float]:
        """The usual figures, in microseconds."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
        figures = {name: round(self.at(share) / 1000, 1) for name, share in shares.items()}
        return {**figures, "max": round(self.largest / 1000, 1)}


@dataclass(slots=True)
class Outcome:
    """What all sessions together have sent and heard."""

    sent: int = 0
    cancels: int = 0
    accepted: int = 0
    refused: int = 0
    executions: int = 0
    missing: int = 0
    twice: int = 0
    late: int = 0  # orders that were due and could not be sent before the end
    seconds: float = 0.0
    latency: Histogram = field(default_factory=Histogram)

    @property
    def fine(self) -> bool:
        """Whether every order has one answer."""
        return not (self.missing or self.twice)

    def as_dict(self) -> dict[str, Any]:
        answered = self.accepted + self.refused
        rate = answered / self.seconds if self.seconds else 0.0
        return {
            "orders": self.sent, "cancels": self.cancels, "accepted": self.accepted,
            "refused": self.refused, "executions": self.executions, "missing": self.missing,
            "answered_twice": self.twice, "not_sent": self.late,
            "seconds": round(self.seconds, 3), "answers_per_second": round(rate),
            "latency_us": self.latency.microseconds(),
        }  # fmt: skip


class Client(asyncio.Protocol):
    """One session: sends its orders when they are due, and counts answers."""

    transport: asyncio.Transport

    def __init__(
        self, account: Account, flow: Flow, rate: float, seconds: float, seed: int
    ) -> None:
        self._account, self._flow, self._rate = account, flow, rate
        self._total = round(rate * seconds)
        self._random = np.random.default_rng((flow.seed, seed))
        self._data = bytearray()
        self._first_ref = 0
        self._answers = np.zeros(self._total + 1, np.uint8)
        self._sent = self._cancelled = 0
        self._start = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done = asyncio.Event()
        self.outcome = Outcome()
        self.why = ""

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no such base
        user, password = self._account
        fields = user.ljust(6) + password.ljust(10) + " " * 10 + "0".rjust(20)
        self.transport.write(packet(b"L", fields.encode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.why = self.why or f"{self._account.user}: the gateway has closed the connection"
        self.done.set()
        if not self.ready.done():
            self.ready.set_exception(LoadFailed(self.why))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        self._data += data
        if not self.ready.done():
            self._login()
        size, letters, refs = heard(self._data)
        del self._data[:size]
        answers = (letters == ord("A")) | (letters == ord("J"))
        places = refs[answers].astype(np.int64) - self._first_ref
        places = places[(places >= 0) & (places < self._total)]
        np.add.at(self._answers, places, 1)
        self.outcome.latency.add(now - self._due(places))
        self.outcome.accepted += int(np.count_nonzero(letters == ord("A")))
        self.outcome.refused += int(np.count_nonzero(letters == ord("J")))
        self.outcome.executions += int(np.count_nonzero(letters == ord("E")))
        if (letters == ENDED).any():
            self.why = f"{self._account.user}: the session has ended"
        if self._sent == self._total and self._answered >= self._total:
            self.done.set()

    def _login(self) -> None:
        """The answers to the login and to the question for the next UserRefNum."""
        at = 0
        while len(self._data) - at >= 3:
            size = 2 + int.from_bytes(self._data[at : at + 2], "big")
            if len(self._data) - at < size:
                break
            kind, payload = self._data[at + 2 : at + 3], self._data[at + 3 : at + size]
            at += size
            if kind == b"J":
                self.why = f"{self._account.user}: the login was refused"
                self.transport.close()
            elif kind == b"A":
                self.transport.write(packet(b"U", b"Q"))
            elif kind == b"U" and payload[:1] == b"Q":
                self._first_ref = int.from_bytes(payload[9:13], "big")
                self.ready.set_result(None)
                break
        del self._data[:at]

    # ------------------------------------------------------------------ orders

    @property
    def _answered(self) -> int:
        return self.outcome.accepted + self.outcome.refused

    def _due(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """When the orders were to be sent, in nanoseconds of the clock."""
        return self._start + (places * (1e9 / self._rate)).astype(np.int64)

    async def run(self, start: int, offset: float) -> None:
        """Sends all orders; ``start`` in nanoseconds of the clock, ``offset`` in seconds."""
        self._start = start + int(offset * 1e9)
        end = start + int((self._total / self._rate + DRAIN_SECONDS) * 1e9)
        beat = start
        while self._sent < self._total and not self.done.is_set():
            now = time.perf_counter_ns()
            if now > end:
                break
            due = min(self._total, int((now - self._start) * self._rate / 1e9) + 1)
            if due > self._sent and self.transport.get_write_buffer_size() < 1 << 20:
                self._send(min(due - self._sent, AT_ONCE))
                beat = now
            elif now - beat > HEARTBEAT_SECONDS * 1e9:
                self.transport.write(packet(b"R"))
                beat = now
            pause = (self._due(np.array([self._sent]))[0] - time.perf_counter_ns()) / 1e9
            await asyncio.sleep(max(pause, TURN_SECONDS))
        try:
            await asyncio.wait_for(self.done.wait(), DRAIN_SECONDS)
        except asyncio.TimeoutError:
            self.why = self.why or f"{self._account.user}: answers are missing"

    def _send(self, count: int) -> None:
        flow, random = self._flow, self._random
        orders = np.zeros(count, ENTER)
        orders["size"], orders["kind"], orders["letter"] = ENTER.itemsize - 2, b"U", b"O"
        orders["user_ref"] = self._first_ref + self._sent + np.arange(count)
        orders["side"] = np.where(random.integers(2, size=count) == 1, b"B", b"S")
        orders["quantity"] = random.integers(1, flow.quantity + 1, size=count)
        names = np.array([symbol.ljust(8) for symbol in flow.symbols], "S8")
        orders["symbol"] = names[random.integers(len(names), size=count)]
        steps = (flow.high - flow.low) // flow.tick + 1
        orders["price"] = flow.low + flow.tick * random.integers(steps, size=count)
        for name, letter in USUAL.items():
            orders[name] = letter
        self._sent += count
        old = max(0, self._sent - flow.open) - self._cancelled
        cancels = np.zeros(old, CANCEL)
        cancels["size"], cancels["kind"], cancels["letter"] = CANCEL.itemsize - 2, b"U", b"X"
        cancels["user_ref"] = self._first_ref + self._cancelled + np.arange(old)
        self._cancelled += old
        self.transport.write(orders.tobytes() + cancels.tobytes())

    def finish(self) -> Outcome:
        """Closes the connection; what was sent and heard."""
        self.transport.close()
        answers = self._answers[: self._sent]
        self.outcome.sent, self.outcome.cancels = self._sent, self._cancelled
        self.outcome.missing = int(np.count_nonzero(answers == 0))
        self.outcome.twice = int(np.count_nonzero(answers > 1))
        self.outcome.late = self._total - self._sent
        return self.outcome


def run_load(
    address: tuple[str, int], accounts: Sequence[Account], flow: Flow, *, rate: float,
    seconds: float, progress: Callable[[float], None] = lambda _: None,
) -> Outcome:  # fmt: skip
    """Sends ``rate`` orders a second for ``seconds`` over OUCH, one session for each account.

    ``progress`` is called with seconds as they pass.  `LoadFailed` if a session cannot log in, or
    is closed; `InvalidArgument` for a rate or time that is not above 0.
    """
    if not (rate > 0 and seconds > 0 and accounts):
        raise InvalidArgument("rate, seconds and accounts: above 0, and at least one account")
    if rate * seconds / len(accounts) > ORDERS_MAX:
        raise InvalidArgument(f"over {ORDERS_MAX:,} orders of one session: use more, or less time")
    return asyncio.run(_run(address, accounts, flow, rate, seconds, progress))


async def _run(
    address: tuple[str, int], accounts: Sequence[Account], flow: Flow, rate: float, seconds: float,
    progress: Callable[[float], None],
) -> Outcome:  # fmt: skip
    loop = asyncio.get_running_loop()
    each = rate / len(accounts)
    clients: list[Client] = []
    try:
        for at, account in enumerate(accounts):
            _, client = await loop.create_connection(
                partial(Client, account, flow, each, seconds, at),
                *address,
            )
            clients.append(client)
        logins = asyncio.gather(*(client.ready for client in clients))
        await asyncio.wait_for(logins, LOGIN_SECONDS)
        start = time.perf_counter_ns()
        showing = loop.create_task(_show(progress, seconds))
        offsets = [at / rate for at in range(len(clients))]
        await asyncio.gather(
            *(client.run(start, offset) for client, offset in zip(clients, offsets, strict=True))
        )
        elapsed = (time.perf_counter_ns() - start) / 1e9
        showing.cancel()
    finally:
        outcomes = [client.finish() for client in clients]
    lost = [client.why for client in clients if client.why and client.outcome.missing]
    if lost:
        raise LoadFailed(f"{lost[0]} ({len(lost)} of {len(clients)} sessions)")
    return _together(outcomes, elapsed)


async def _show(progress: Callable[[float], None], seconds: float) -> None:
    for _ in range(math.ceil(seconds)):
        await asyncio.sleep(1.0)
        progress(1.0)


def _together(outcomes: Sequence[Outcome], elapsed: float) -> Outcome:
    whole = Outcome(seconds=elapsed)
    for one in outcomes:
        for name in ("sent", "cancels", "accepted", "refused", "executions", "missing", "twice",
                     "late"):  # fmt: skip
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        whole.latency.counts += one.latency.counts
        whole.latency.largest = max(whole.latency.largest, one.latency.largest)
    return whole
