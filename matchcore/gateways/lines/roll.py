"""Which gateways are there: the engine says in the log when one has gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ...engine._queue import Submission
from ...engine.engine import Engine
from ...errors import LogError, NotInTheLog, QueueFull
from ...records.register import Place
from ...records.schema import Topic
from ...serving.logs import event
from ..desk import Desk
from ..logins import FixedUsers
from ..presence import TOPICS, Presences, State, commands_of, gateway_entry, no_gateway
from ..users.entries import Entry
from ..ways import Direct

LOG = logging.getLogger("matchcore.gateways.lines")
LOOK_SECONDS = 1.0
REJOIN_SECONDS = 3.0  # that gateways have to come to an engine that was started again
#: How long gateways may leave due cancels undone, until the engine's process does them itself.
LATE_NS = 5_000_000_000


class Roll:
    """Of an engine: what its service sees of gateways, written to its log.

    ``is_here``: whether a gateway has a line.  ``stands_in``: with no gateway to do it, this
    process cancels for sessions whose gateway has gone.
    """

    def __init__(
        self, engine: Engine, is_here: Callable[[int], bool], *, stands_in: bool = True
    ) -> None:
        self._engine, self._is_here, self._stands_in = engine, is_here, stands_in
        self._own = Direct(engine).incarnation  # of the gateway in this process, if there is one
        self._stand_in: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._watches = True  # gateways have gone, or may have

    def left(self, gateway: int) -> None:
        """A gateway has lost its last line."""
        self._watches = True
        data = self._engine._machine.register.get(Place(Topic.GATEWAY, gateway))
        if data is not None and Presences.of({Place(Topic.GATEWAY, gateway): data}).is_up(gateway):
            event(LOG, "gateway_gone", gateway=gateway)
            self._say([gateway_entry(gateway, State.AWAY, time.time_ns())])

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            await asyncio.sleep(REJOIN_SECONDS)
            while True:
                if self._watches:
                    self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._stop.set()
            if self._stand_in is not None:
                await asyncio.wait({self._stand_in})

    def _look(self) -> None:
        found = self._presences()
        here = {one for one in found.gateways if one == self._own or self._is_here(one)}
        gone = [one for one in found.gateways if one not in here or not found.is_up(one)]
        for gateway in gone:
            self.left(gateway)
        self._say([no_gateway(gateway) for gateway in found.left_behind()])
        late = time.time_ns() - LATE_NS
        orphans = list(found.orphans())
        due = any(orphan.due < late for orphan in orphans)
        self._watches = bool(gone or orphans or self._stand_in)
        if due and self._stand_in is None and self._stands_in:
            event(LOG, "stands_in")
            self._stop.clear()
            self._stand_in = asyncio.ensure_future(self._serve())
        elif not due and self._stand_in is not None:
            self._stop.set()

    async def _serve(self) -> None:
        """A gateway without doors."""
        try:
            await Desk(Direct(self._engine), FixedUsers({})).run([], self._stop)
        except (LogError, NotInTheLog) as error:
            LOG.error("stands_in_failed", extra={"fields": {"why": str(error)}})
            await self._stop.wait()
        finally:
            self._stand_in = None

    def _presences(self) -> Presences:
        # not `engine.register`, which waits for the disk
        register = self._engine._machine.register
        return Presences.of({place: register[place] for place in [*register]
                             if place.topic in TOPICS})  # fmt: skip

    def _say(self, entries: list[Entry]) -> None:
        """Once more at the next look, if the engine is behind."""
        if entries:
            try:
                self._engine._place(commands_of(entries), _Said(), block=False)
            except (QueueFull, LogError) as error:
                event(LOG, "not_said", why=str(error))


class _Said(Submission):
    """What the log says is heard from there."""

    def done(self) -> None:
        """A failure of the log ends the engine."""
