"""One engine of an exchange: a standby, then the primary, until it ends or hands over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Protocol

from .._closing import Closing
from ..engine.engine import Engine
from ..errors import LogError, LogFailed, LogLocked, MatchcoreError
from ..journal import Position
from .standby import Standby

LOOK_SECONDS = 0.02  # between two looks at what the primary should do
MEASURE_SECONDS = 0.25  # between two questions for the log's end
AGAIN_SECONDS = 0.1  # until what has failed is tried again
ANYBODY = "*"


class Role(Enum):
    """What an engine is."""

    STANDBY = "standby"
    TAKING_OVER = "taking over"
    PRIMARY = "primary"
    ENDED = "ended"


FOLLOWS = frozenset((Role.STANDBY, Role.TAKING_OVER))


class Seat(Protocol):
    """The right to be primary, which one engine has; `Lease` is one, and says what these mean.

    ``name``: of this engine; ``wanted``: the engine that should be primary instead.
    """

    name: str
    wanted: str

    @property
    def holder(self) -> str: ...
    @property
    def lost(self) -> str: ...
    @property
    def lost_for_good(self) -> str: ...
    def is_free(self) -> bool: ...
    def take(self) -> bool: ...
    def held(self) -> None: ...
    def give_up(self, to: str = "") -> None: ...
    def lose(self, why: str) -> None: ...


class Member(Closing):
    """Runs an engine in a thread of its own: it follows, takes over, and ends when it must.

    - ``standby``: what follows; it belongs to this from now on.
    - ``seat``: the right to be primary; its owner closes it.
    - ``primary``: called in the thread with the engine once this is the primary.
    - ``ending``: called in the thread with the reason before an engine is closed that was primary:
      nothing may be told to clients from then on.
    - ``ended``: called in the thread when this has ended.
    - ``options``: gives those of `Standby.take_over`.

    ``why_ended`` is empty after `close`; ``handed_over``: another engine was asked to go on.
    """

    def __init__(
        self,
        standby: Standby,
        seat: Seat,
        *,
        primary: Callable[[Engine], object] = lambda engine: None,
        ending: Callable[[str], object] = lambda why: None,
        ended: Callable[[], object] = lambda: None,
        options: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.standby, self.seat, self._options = standby, seat, options
        self._on_primary, self._on_ending, self._on_ended = primary, ending, ended
        self._stop = threading.Event()
        self.role = Role.STANDBY
        self.engine: Engine | None = None  #: while it is primary
        self.trouble = ""  #: what does not work at the moment
        self.why_ended, self.handed_over = "", False
        self._to = ""  # the engine that it hands over to
        self._thread = threading.Thread(target=self._run, name="matchcore-member", daemon=True)

    def start(self) -> Member:
        """Begins."""
        self._thread.start()
        threading.Thread(target=self._measure, name="matchcore-lag", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            engine = self._follow()
            if engine is not None:
                self._lead(engine)
        except MatchcoreError as error:
            self.why_ended = str(error)
        except BaseException as error:
            self.why_ended = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.role = Role.ENDED
            self.seat.give_up(self._to)
            self.standby.close()
            self._on_ended()

    # ------------------------------------------------------------------ standby

    def _follow(self) -> Engine | None:
        """The engine once it has taken over; None if it was stopped before."""
        standby, seat = self.standby, self.seat
        while not self._stop.is_set():
            try:
                if standby.step():
                    continue
                if seat.is_free() and seat.take():
                    self.role = Role.TAKING_OVER
                if self.role is Role.TAKING_OVER:
                    return standby.take_over(**self._options())
                standby.wait()
                self.trouble = ""
            except LogLocked as error:  # another engine was quicker
                self.trouble, self.role = str(error), Role.STANDBY
                seat.give_up()
            except LogFailed as error:  # it may pass
                if seat.lost_for_good:
                    raise
                self.trouble = str(error)
                self._stop.wait(AGAIN_SECONDS)
        return None

    def _measure(self) -> None:
        while not self._stop.wait(MEASURE_SECONDS) and self.role in FOLLOWS:
            if self.role is Role.STANDBY:
                try:
                    self.standby.measure()
                except MatchcoreError as error:
                    if self.role is Role.STANDBY:  # else what it asks with is closed: no trouble
                        self.trouble = str(error)

    # ------------------------------------------------------------------ primary

    def _lead(self, engine: Engine) -> None:
        self.engine, self.trouble, self.role = engine, "", Role.PRIMARY
        try:
            self._on_primary(engine)
            self._watch(engine)
        finally:
            self._on_ending(self.why_ended or "this engine is being stopped")
            self.engine = None
            with suppress(LogError):  # one that has failed has said so
                engine.close()
            if engine.log is not None:
                self.standby.position = Position(engine.log.epoch, engine.durable)

    def _watch(self, engine: Engine) -> None:
        """Until it must end."""
        seat = self.seat
        while not self._stop.wait(LOOK_SECONDS):
            failed = engine.failure
            if failed is not None or seat.lost_for_good:
                self.why_ended = seat.lost_for_good or str(failed)
                seat.lose(self.why_ended)
                return
            if seat.wanted and seat.wanted != seat.name:
                self._to = seat.wanted if seat.wanted != ANYBODY else ""
                self.why_ended = f"{seat.name} hands over to {self._to or 'its standby'}"
                self.handed_over = True
                return

    def close(self) -> None:
        """Ends it: an engine is closed, and the next one can take over at once."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
