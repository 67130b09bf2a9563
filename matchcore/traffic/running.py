"""Many sessions at once, of any protocols, and what came of them."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .flow import Source
from .histogram import Histogram
from .ledger import Ledger
from .session import Account, LoadFailed, Session, Steady, Target

PROTOCOLS = ("ouch", "fix44", "fix50", "web")
ORDERS_MAX = 100_000_000  # of one session, which keeps 21 bytes an order
DRAIN_SECONDS = 10.0  # for the last answers, while sessions are connected
STOP_SECONDS = 2.0  # for answers, after Ctrl-C
LOOK_SECONDS = 0.05  # between two looks at what is answered
CLOSE_SECONDS = 5.0  # for the sessions to end
#: Counts of sessions that are no counts of orders.
_CONNECTIONS = ("reconnects", "again", "turned_away")


@dataclass(slots=True)
class Outcome:
    """What the sessions of a protocol, or all of them, have sent and heard.

    ``counts``: by name; docs/gateways/load.md explains them.  ``first_wrong``: an example of an
    answer that does not fit its order.
    """

    sessions: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)
    first_wrong: str = ""
    gave_up: list[str] = field(default_factory=list)

    def add(self, session: Session) -> None:
        """Takes what a session has sent and heard."""
        figures = session.ledger.figures()
        figures |= {name: getattr(session, name) for name in _CONNECTIONS}
        for name, count in figures.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.sessions += 1
        self.latency.take(session.ledger.latency)
        self.first_wrong = self.first_wrong or session.ledger.first_wrong
        if session.why:
            self.gave_up.append(session.why)

    @property
    def fine(self) -> bool:
        """Whether every order has one answer, every cancel an end, and every answer fits."""
        bad = ("missing", "cancels_missing", "twice", "wrong")
        return not any(self.counts.get(name, 0) for name in bad)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        answered = self.counts["accepted"] + self.counts["refused"]
        rate = answered / self.seconds if self.seconds else 0.0
        return {
            "sessions": self.sessions, **self.counts, "seconds": round(self.seconds, 3),
            "answers_per_second": round(rate), "latency_us": self.latency.microseconds(),
        }  # fmt: skip


@dataclass(slots=True)
class Result:
    """The outcome of all sessions, and of those of each protocol; ``interrupted`` by a signal."""

    whole: Outcome
    by_protocol: dict[str, Outcome]
    interrupted: bool

    @property
    def fine(self) -> bool:
        return self.whole.fine and not self.whole.gave_up


def session_class(protocol: str) -> Callable[[Target, Account, Ledger], Session]:
    """What makes a session of a protocol; `MissingExtra`."""
    if protocol == "ouch":
        from .ouch import OuchSession

        return OuchSession
    if protocol == "web":
        try:
            from .web import WebSession
        except ImportError as error:
            if (error.name or "").partition(".")[0] != "aiohttp":
                raise
            raise MissingExtra("a load over HTTP and WebSocket", "gateway") from None
        return WebSession
    from functools import partial

    from .fix import FixSession

    return partial(FixSession, version=protocol)


def assigned(accounts: Sequence[Account], protocols: Sequence[str]) -> list[Account]:
    """The accounts with a protocol each: their own, or these in turn."""
    wrong = {one.protocol for one in accounts if one.protocol} - set(protocols)
    if wrong:
        raise InvalidArgument(f"{', '.join(sorted(wrong))}: no address is given for this protocol")
    found, turn = [], 0
    for account in accounts:
        if not account.protocol:
            account = account._replace(protocol=protocols[turn % len(protocols)])
            turn += 1
        found.append(account)
    return found


def fresh_tag(place: int) -> str:
    """What the client order ids of a session begin with: unlike those of other runs and sessions.

    With a place of 8 digits behind it, and the letter of a cancel, it has 20 characters at most.
    """
    now = np.base_repr(time.time_ns() // 10**6 % 36**7, 36).lower()
    return f"{now}{np.base_repr(place % 36**3, 36).lower()}-"


def run_load(
    targets: Mapping[str, Target], accounts: Sequence[Account], source: Source, *, rate: float,
    seconds: float, totals: Sequence[int] | None = None,
    progress: Callable[[float], None] = lambda _: None,
    watch: Callable[[int], None] = lambda _: None,
) -> Result:  # fmt: skip
    """Sends ``rate`` orders a second for ``seconds``, one session for each account.

    - ``targets``: where each protocol is served (`PROTOCOLS`).
    - ``totals``: orders of each session, if not the same share of all.
    - ``progress`` is called with seconds as they pass; ``watch`` some times a second with the
      number of orders that have been answered.

    Ctrl-C ends it early, with what there is.  `LoadFailed` if a session cannot log in;
    `InvalidArgument` for a rate or time that is not above 0.
    """
    if not (rate > 0 and seconds > 0 and accounts and targets):
        raise InvalidArgument("rate and seconds: above 0, with at least one account and address")
    if totals is None:
        totals = [max(1, round(rate * seconds / len(accounts)))] * len(accounts)
    if max(totals) > ORDERS_MAX:
        raise InvalidArgument(f"over {ORDERS_MAX:,} orders of one session: use more, or less time")
    return asyncio.run(
        _Run(targets, assigned(accounts, list(targets)), source, rate, totals).run(progress, watch)
    )


class _Run:
    """One load, from the first login to the last answer."""

    def __init__(
        self, targets: Mapping[str, Target], accounts: Sequence[Account], source: Source,
        rate: float, totals: Sequence[int],
    ) -> None:  # fmt: skip
        self._targets, self._accounts, self._source = targets, accounts, source
        self._rate, self._totals = rate, totals
        self._interrupts = 0
        self._interrupted = asyncio.Event()

    async def run(self, progress: Callable[[float], None], watch: Callable[[int], None]) -> Result:
        loop = asyncio.get_running_loop()
        with suppress(ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(signal.SIGINT, self._stop)
        sessions = [
            session_class(account.protocol)(
                replace(target, tag=target.tag or fresh_tag(place)), account,
                Ledger(self._source, place, total),
            )
            for place, (account, total) in enumerate(zip(self._accounts, self._totals, strict=True))
            for target in [self._targets[account.protocol]]
        ]  # fmt: skip
        running = [loop.create_task(session.run()) for session in sessions]
        showing = None
        started = time.perf_counter_ns()
        try:
            await asyncio.gather(*(session.ready for session in sessions))
            started = self._begin(sessions)
            showing = loop.create_task(_show(progress, sum(self._totals) / self._rate))
            await self._until_finished(sessions, started, watch)
            ended = time.perf_counter_ns()
        finally:
            if showing is not None:
                showing.cancel()
            for session in sessions:
                session.stop.set()
                session.wake.set()
                session.ready.cancel()
            await asyncio.wait(running, timeout=CLOSE_SECONDS)
            for task in running:
                task.cancel()
            ends = await asyncio.gather(*running, return_exceptions=True)
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(signal.SIGINT)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return self._result(sessions, (ended - started) / 1e9)

    def _begin(self, sessions: list[Session]) -> int:
        start, each = time.perf_counter_ns(), self._rate / sum(self._totals)
        for place, session in enumerate(sessions):
            offset = int(1e9 * place / self._rate)
            session.pace = Steady(each * self._totals[place], start + offset)
        return start

    def _stop(self) -> None:
        """Ctrl-C: nothing more is sent; the second time nothing more is waited for."""
        self._interrupts += 1
        self._interrupted.set()

    async def _until_finished(
        self, sessions: list[Session], started: int, watch: Callable[[int], None]
    ) -> None:
        """Until all is answered; a session that is cut off has its patience more."""
        everything = asyncio.ensure_future(_finished(sessions))
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._interrupted.wait())
        seconds = sum(self._totals) / self._rate
        try:
            while not everything.done() and not self._interrupts:
                ends = {everything, stopping}
                await asyncio.wait(ends, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                watch(sum(session.ledger.answered for session in sessions))
                now = time.perf_counter_ns()
                if now - started > seconds * 1e9:
                    late = [session for session in sessions if not session.finished.is_set()]
                    heard = max((one.ledger_moved_at for one in late), default=now)
                    if now - max(heard, started + int(seconds * 1e9)) > DRAIN_SECONDS * 1e9 and all(
                        not session.gone for session in late
                    ):
                        return
            if self._interrupts:
                await self._last_answers(sessions)
        finally:
            everything.cancel()
            stopping.cancel()
            await asyncio.gather(everything, stopping, return_exceptions=True)

    async def _last_answers(self, sessions: list[Session]) -> None:
        for session in sessions:
            session.pace = None
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until and self._interrupts == 1:
            if not any(session.ledger.waiting for session in sessions):
                return
            await asyncio.sleep(0.02)

    def _result(self, sessions: list[Session], elapsed: float) -> Result:
        whole, parts = Outcome(seconds=elapsed), dict[str, Outcome]()
        for session in sessions:
            part = parts.setdefault(session.protocol, Outcome(seconds=elapsed))
            part.add(session)
            whole.add(session)
        return Result(whole, parts, bool(self._interrupts))


async def _finished(sessions: list[Session]) -> None:
    for session in sessions:
        await session.finished.wait()


async def _show(progress: Callable[[float], None], seconds: float) -> None:
    for _ in range(math.ceil(seconds)):
        await asyncio.sleep(1.0)
        progress(1.0)


__all__ = ["Account", "LoadFailed", "Outcome", "Result", "Target", "run_load"]
