"""An engine that is a standby and then the primary, with its lines and doors: `matchcore standby`,
and `matchcore serve` of a replicated log."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.engine import Engine
from ..engine.metrics import Meter
from ..engine.pipeline import Pipeline
from ..errors import LogError, LogFailed, LogLocked
from ..journal import Keys, Place
from ..journal.stream import Address
from ..journal.stream.register import Entry, Register
from ..standby import Standby
from ..standby.lease import LEASE_KEY, Lease
from ..standby.lock import Lock
from ..standby.member import Member, Seat
from ..standby.state import Watched
from .output import err

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Desk, Door
    from ..gateways.lines import EngineService
    from ..gateways.warm import Warm
    from ..standby.status import StatusPort

ASK_SECONDS = 2.0  # between two questions to the servers of the log


def own_name() -> str:
    """Of this engine, unless it is given one: machine and process."""
    machine = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:40]
    return f"{machine or 'engine'}-{os.getpid()}"


@dataclass
class Seated:
    """A log, and this engine's right to write it."""

    place: Place
    name: str
    lease_seconds: float
    register: Register | None = None
    seat: Seat = field(init=False)

    def open(self) -> Seated:
        """Reaches the servers of a replicated log; `LogFailed`."""
        if isinstance(self.place, Path):
            self.seat = Lock(self.place, self.name)
        else:
            self.register = Register(self.place)
            entry = Entry(self.register, LEASE_KEY)
            self.seat = Lease(entry, self.name, seconds=self.lease_seconds).start()
        return self

    def close(self) -> None:
        """Gives up the lease."""
        if isinstance(self.seat, Lease):
            self.seat.close()
        if self.register is not None:
            self.register.close()


@dataclass
class Stage:
    """What an engine shows to gateways, clients and operators, whatever it is.

    ``doors``: makes them; they open when this is the primary.  ``options``: of the engine.
    """

    seated: Seated
    service: EngineService
    doors: Callable[[], list[Door]]
    status: StatusPort | None
    watched: Watched
    meter: Meter
    snapshots_every: int
    options: dict[str, Any]
    keys: Keys | None = None
    must_lead: bool = False
    desk: Desk | None = None

    async def run(self, stop: asyncio.Event) -> dict[str, Any]:
        """Until ``stop``; what it was in the end.  `LogFailed` if it ended for another reason."""
        await self.service.start()
        if self.status is not None:
            await self.status.start()
            err.print(f"matchcore: status at {self.status.url}")
        asking = asyncio.ensure_future(self._ask_servers())
        try:
            while True:
                member = await self._round(stop)
                if not (member.handed_over and not self.must_lead and not stop.is_set()):
                    break
        finally:
            asking.cancel()
            await self.service.close()
            if self.status is not None:
                await self.status.close()
        if member.why_ended and not member.handed_over:
            raise LogFailed(member.why_ended)
        epoch, sequence = member.standby.position
        said = self.watched.said()
        return {"name": said["name"], "exchange": said["exchange"], "epoch": epoch,
                "sequence": max(sequence, said["sequence"]),
                "handed_over": member.handed_over}  # fmt: skip

    async def _ask_servers(self) -> None:
        """Notes again and again how the servers of a replicated log are."""
        register = self.seated.register
        while register is not None:
            with suppress(LogError):
                self.watched.heard(await asyncio.to_thread(register.servers, ASK_SECONDS))
            await asyncio.sleep(ASK_SECONDS)

    async def _round(self, stop: asyncio.Event) -> Member:
        """Once standby, and then perhaps primary."""
        return await _Round(self, stop).run()


class _Round:
    def __init__(self, stage: Stage, stop: asyncio.Event) -> None:
        self._stage, self._stop = stage, stop
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()  # also when the member has ended by itself
        self._warm: Warm | None = None
        self._desk: asyncio.Task[None] | None = None

    async def run(self) -> Member:
        stage = self._stage
        doors = stage.doors()
        if doors:
            self._open_desk(doors)
        take = self._warm.give if self._warm is not None else None
        standby = await asyncio.to_thread(
            Standby, stage.seated.place, keys=stage.keys, take=take,
            snapshots_every=stage.snapshots_every,
        )  # fmt: skip
        self._standby = standby
        member = Member(
            standby, stage.seated.seat, primary=self._lead, ending=self._end,
            ended=lambda: self._loop.call_soon_threadsafe(self._over.set), options=self._options,
        )  # fmt: skip
        if stage.must_lead:
            await self._await_seat()
        stage.service.stand_by(f"{stage.seated.name} is a standby")
        stage.watched.member = member.start()
        err.print(
            f"matchcore: {stage.seated.name} follows {standby.identity.hex()}; Ctrl-C ends it"
        )
        stopping = asyncio.ensure_future(self._stop.wait())
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait({stopping, over}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._desk is not None:
            await self._close_desk()
        await asyncio.to_thread(member.close)
        over.cancel()
        return member

    async def _await_seat(self) -> None:
        """`LogLocked` while another engine is primary."""
        seat = self._stage.seated.seat
        until = self._loop.time() + 3 * self._stage.seated.lease_seconds
        while not seat.is_free() and not self._stop.is_set():
            if self._loop.time() > until:
                raise LogLocked(
                    f"{self._stage.seated.place}: {seat.holder or 'another engine'} is primary;"
                    " matchcore standby follows it, and takes over when it is gone"
                )
            await asyncio.sleep(0.02)

    def _options(self) -> dict[str, Any]:
        pipeline = Pipeline(None, metrics=self._stage.meter)
        return {"pipeline": pipeline, "held": self._stage.seated.seat.held, **self._stage.options}

    # ------------------------------------------------------------------ doors

    def _open_desk(self, doors: list[Door]) -> None:
        from ..gateways.desk import Desk
        from ..gateways.users import RegisteredUsers
        from ..gateways.warm import Warm

        self._warm = Warm(lambda: self._standby.instruments)
        self._stage.desk = desk = Desk(self._warm, RegisteredUsers())
        self._close_doors = asyncio.Event()
        self._desk = asyncio.ensure_future(desk.run(doors, self._close_doors))

    async def _close_desk(self) -> None:
        assert self._desk is not None and self._warm is not None
        self._close_doors.set()
        desk = self._stage.desk
        if desk is not None and not desk.live:
            self._desk.cancel()
            await self._warm.close()
        await asyncio.gather(self._desk, return_exceptions=True)

    # ------------------------------------------------------------------ in the member's thread

    def _lead(self, engine: Engine) -> None:
        asyncio.run_coroutine_threadsafe(self._now_primary(engine), self._loop).result()

    async def _now_primary(self, engine: Engine) -> None:
        stage = self._stage
        assert engine.log is not None

        def lost() -> str:
            return stage.seated.seat.lost

        stage.service.serve(engine, lost, stands_in=self._warm is None)
        if self._warm is not None and stage.desk is not None:
            stage.desk.muted = lost
            self._warm.serve(engine, lost)
        names = ", ".join(map(str, stage.service.listening))
        err.print(
            f"matchcore: {stage.seated.name} is primary: epoch {engine.log.epoch}, exchange"
            f" {engine.identity.hex()} at sequence {engine.durable}, "
            + (f"lines {names}" if names else "no lines")
        )

    def _end(self, why: str) -> None:
        asyncio.run_coroutine_threadsafe(self._no_primary(why), self._loop).result()

    async def _no_primary(self, why: str) -> None:
        err.print(f"matchcore: {why}")
        self._stage.service.stand_by(why)
        if self._warm is not None:
            self._warm.end(why)


def missing_log(address: Address) -> bool:
    """Whether there is no log at an address yet; LogError if that is not all that is wrong."""
    from ..journal.stream.reader import NoLog, StreamReader

    try:
        StreamReader(address).close()
    except NoLog:
        return True
    return False
