"""One client of the OUCH door: its requests to the desk, its reports to it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...records.reports import ReportKind
from ...serving.soup import Session, packet
from ..logins import Forbidden, Login, Throttled, Unavailable
from . import layout, names
from ._ouch import Codec
from .reference import SWEPT

if TYPE_CHECKING:
    from .door import OuchDoor

READ_ROWS = 1024  # reports sent at once to one who catches up
LOOK_BACK_ROWS = 4096  # reports looked through at once for the last UserRefNum
HELD_SECONDS = (0.001, 1.0)  # the shortest and longest wait of one who sends too much
#: Reports that answer a request with a UserRefNum of its own.
ASKED = (ReportKind.NEW, ReportKind.REJECTED, ReportKind.REPLACED, ReportKind.REPLACE_REJECTED)


class OuchSession:
    """A `DoorSession` over one connection, which ends with the trading day.

    ``first``: the number of the first report to send.
    """

    def __init__(self, door: OuchDoor, soup: Session, login: Login, first: int) -> None:
        self.login = login
        self._door, self._desk, self._soup = door, door.desk, soup
        self._day = self._desk.day
        self._next = first
        self._live = False  # it has all there was, and gets what comes
        self._held: deque[NDArray[np.void]] = deque()  # commands that must wait
        self._codec = Codec(login.session, self._day, login.account, door.listing())

    def begin(self) -> None:
        """Knows its orders and its last UserRefNum from the log; then requests are taken."""
        reports, session = self._desk.reports, self.login.session
        open_orders = reports.open_orders(self.login.account)
        self._codec.open(open_orders[open_orders["session"] == session])
        last = reports.last(session)
        while last > 0:
            first = max(1, last + 1 - LOOK_BACK_ROWS)
            used = _last_ref(reports.read(session, first, last + 1 - first), self._codec.scope)
            if used:
                self._codec.used(used)
                break
            last = first - 1
        self._soup.reader = self._read
        self._soup.on_gone = self._gone
        self._soup.run(self._catch_up())

    # ------------------------------------------------------------------ requests

    def _read(self, data: bytearray) -> int:
        if self._held:
            return 0
        self._codec.listing = self._door.listing()
        taken = self._codec.take(data)
        self._door.counts["requests"] += len(taken.commands)
        self._door.counts["passed_over"] += taken.passed
        if taken.queries:  # one answer for all that came at once
            following = (self._codec.last_ref + 1) & names.REF_MASK  # 0: the last one is used
            fields = layout.ANSWERS[b"Q"].packer.pack(b"Q", _now(), following)
            said = packet(b"U", fields)
            if self._soup.takes(len(said)):
                self._soup.write(said)
        if len(taken.commands):
            self._hold(taken.commands)
            self._send()
        if taken.fault:
            self._door.counts["faults"] += 1
            self._soup.fail(taken.fault)
        return taken.size

    def _hold(self, commands: NDArray[np.void]) -> None:
        """In parts that the login may send at once."""
        limits = self.login.limits
        part = max(1, min(limits.burst, limits.under_way))
        for at in range(0, len(commands), part):
            self._held.append(commands[at : at + part])

    def _send(self) -> None:
        """Sends what is held; one who sends too much is not read until there is room."""
        while self._held and not self._soup.gone:
            try:
                self._desk.send(self, self._held[0])
            except Throttled as throttled:
                self._door.counts["throttled"] += 1
                self._soup.heard = time.monotonic()  # it is not silent, but not listened to
                self._soup.transport.pause_reading()
                shortest, longest = HELD_SECONDS
                pause = min(max(throttled.after_ns / 1e9, shortest), longest)
                asyncio.get_running_loop().call_later(pause, self._send_again)
                return
            except (Forbidden, Unavailable) as refused:
                self._soup.fail(str(refused))
                return
            self._held.popleft()

    def _send_again(self) -> None:
        if self._soup.gone:
            return
        self._soup.transport.resume_reading()
        self._send()
        if not self._held:
            self._soup.read_on()

    # ------------------------------------------------------------------ reports

    def take(self, reports: NDArray[np.void]) -> None:
        """Sends them if the client has all before, and reads; else it gets them at its own pace."""
        told = (reports["day"] == self._day) & (reports["number"] > 0)
        mine = reports if told.all() else reports[told]  # a copy costs more than all else here
        if not len(mine):
            return
        self._codec.note(mine)
        if not self._live:
            return
        said = self._door.packets(self._codec, mine)
        if self._soup.takes(len(said)):
            self._next += len(mine)
            self._soup.write(said)
        elif not self._soup.gone:
            self._live = False
            self._soup.run(self._catch_up())

    async def _catch_up(self) -> None:
        """Sends what is kept, as it is read; then the session is live."""
        while not self._soup.gone:
            rows = self._desk.reports.read(self.login.session, self._next, READ_ROWS, day=self._day)
            if not len(rows):
                if self._desk.day == self._day:
                    self._live = True
                else:
                    self._end()
                return
            self._next += len(rows)
            await self._soup.write_when_read(self._door.packets(self._codec, rows))

    def day_ended(self) -> None:
        """Says so, and closes; one who is behind hears it behind the last report."""
        self._soup.reader = None
        self._held.clear()
        if self._live:
            self._end()

    def _end(self) -> None:
        if not self._soup.gone:
            said = layout.ANSWERS[b"S"].packer.pack(b"S", _now(), layout.END_OF_DAY)
            self._soup.write(packet(b"U", said))
            self._soup.end()

    def drop(self, why: str) -> None:
        """Closes the connection; ``why``: for a person."""
        self._soup.fail(why)

    def _gone(self) -> None:
        self._held.clear()
        self._door.forget(self)
        self._desk.detach(self)


async def tell_a_past_day(
    door: OuchDoor, soup: Session, login: Login, day: int, first: int
) -> None:
    """Sends the reports of a session of a day that is over, from number ``first`` on, and ends."""
    codec = Codec(login.session, day, login.account, door.listing())
    while not soup.gone:
        rows = door.desk.reports.read(login.session, first, READ_ROWS, day=day)
        if not len(rows):
            soup.end()
            return
        first += len(rows)
        await soup.write_when_read(door.packets(codec, rows))


def _last_ref(rows: NDArray[np.void], scope: int) -> int:
    """The highest UserRefNum that these reports answer; 0: none."""
    ids, orders = rows["client_order_id"], rows["order_id"]
    mine = orders >> np.uint64(32) == names.order_id(scope, 0) >> 32
    asked = ids >> np.uint64(32) == names.request_id(names.NAMED, scope, 0) >> 32
    sweeps = rows["client_order_tail"] == ids | np.uint64(names.ORDER_BIT)
    answers = mine & np.isin(rows["kind"], ASKED) | sweeps & np.isin(rows["kind"], SWEPT)
    found = ids[asked & answers] & np.uint64(names.REF_MASK)
    return int(found.max(initial=0))


def _now() -> int:
    return time.time_ns() % layout.DAY_NS
