"""`matchcore serve` and `matchcore gateway`: an exchange that others connect to."""

from __future__ import annotations

import os
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engine.engine import Engine
from ..engine.metrics import Meter
from ..errors import InvalidArgument, LogFailed
from ..journal import INTERVAL_MS_DEFAULT, POLICIES, Keys, Place
from .feed import loop_runner
from .options import PlaceType, json_option
from .output import err, failing_kindly, show
from .serve_doors import door_options, doors_of
from .serve_lines import ENGINE_TOKEN, lines_options, lines_service
from .standby import member_options, run_member

if TYPE_CHECKING:  # they take their time, and other commands do without
    import asyncio

    from ..gateways.desk import Desk, Door
    from ..gateways.lines import EngineService
    from ..gateways.ways import Way

DESK = "desk"  # directory in that of --state
LOOK_SECONDS = 0.5  # between two looks at the engine
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_state_option = click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), default=Path("gateway.d"),
    show_default=True, help="Directory for what is kept, such as FIX message numbers and reports.",
)  # fmt: skip


@click.command()
@click.argument("where", metavar="DIRECTORY|ADDRESS", type=PlaceType(exists=False))
@lines_options
@click.option("--policy", type=click.Choice(POLICIES), default="sync", show_default=True,
              help="What an answer means for a crash.")  # fmt: skip
@click.option("--interval-ms", type=click.IntRange(1), default=INTERVAL_MS_DEFAULT,
              show_default=True, help="Of --policy interval.")  # fmt: skip
@member_options
@door_options
@_state_option
@json_option
def serve(where: Place, lines: tuple[str, ...], state: Path, as_json: bool, **options: Any
) -> None:  # fmt: skip
    """Run an exchange for clients and gateways, until Ctrl-C or SIGTERM.

    \b
    Example:  matchcore serve exchange.d --lines unix:engine.sock
              matchcore gateway --engine unix:engine.sock

    It opens or makes the exchange in DIRECTORY, or in the replicated log at ADDRESS, such as
    nats://a,b,c/exchange.  Of that it must become the primary, and it ends after it has handed over
    to a standby.  Without a door it serves gateways only.  The environment variable
    MATCHCORE_ENGINE_TOKEN holds the token that gateways must send.
    """
    if not isinstance(where, Path):
        with failing_kindly(as_json):
            result = run_member(where, True, {**options, "lines": lines, "state": state})
        show(result, as_json)
        return
    with failing_kindly(as_json):
        meter = Meter()
        doors = doors_of(state, {**options, "directory": where, "meter": meter})
        if not (doors or lines):
            raise InvalidArgument("nothing to serve: name at least one door, or --lines")
        engine = Engine.open(
            where, policy=options["policy"], interval_ms=options["interval_ms"],
            keys=Keys.from_environment(), metrics=meter,
        )  # fmt: skip
        with engine:
            of_lines = {**options, "lines": lines}
            service = lines_service(engine, of_lines, where, stands_in=not doors)
            result = loop_runner()(_serve(engine, service, doors, state))
    show(result, as_json)


async def _serve(
    engine: Engine, service: EngineService, doors: list[Door], state: Path
) -> dict[str, Any]:
    """Until it is stopped, or the engine fails; what it has done."""
    import asyncio

    from ..gateways.ways import Direct

    stop = stopping()
    watching = asyncio.ensure_future(_watch(engine, stop))
    await service.start()
    names = ", ".join(map(str, service.listening))
    where = f"lines {names}" if names else "doors only"
    what = f"exchange {engine.identity.hex()} at sequence {engine.durable}, {where}"
    desk = None
    if doors:
        desk = desk_over(Direct(engine), state)
        await serve_doors(desk, doors, stop, what)
    else:
        err.print(f"matchcore: {what}; Ctrl-C ends it")
        await stop.wait()
    watching.cancel()
    await service.close()
    if engine.failure is not None:
        raise LogFailed(f"the engine takes no more commands: {engine.failure}")
    return {"exchange": engine.identity.hex(), "sequence": engine.durable, **_counts(desk)}


@click.command()
@click.option("--engine", "engines", multiple=True, required=True, metavar="ADDRESS",
              help="Of the engine: unix:PATH or HOST:PORT; again for a second line.")  # fmt: skip
@click.option("--both", is_flag=True, help="Send everything over all lines at once.")
@click.option("--engine-ca", type=_FILE,
              help="Authority (PEM) that the engine's certificate must be of; TLS.")  # fmt: skip
@door_options
@_state_option
@json_option
def gateway(engines: tuple[str, ...], both: bool, engine_ca: Path | None, state: Path,
            as_json: bool, **options: Any) -> None:  # fmt: skip
    """Open doors for clients in front of an engine of `matchcore serve --lines`.

    \b
    Example:  matchcore gateway --engine 10.0.0.1:7100 --engine 10.1.0.1:7100

    It keeps nothing of its own that the log does not give again: any number of gateways may run
    beside each other, and be started again.  The environment variable MATCHCORE_ENGINE_TOKEN holds
    the token that the engine wants.
    """
    with failing_kindly(as_json):
        doors = doors_of(state, options)
        if not doors:
            raise InvalidArgument("nothing to open: name at least one door")
        result = loop_runner()(_gateway(engines, both, engine_ca, doors, state))
    show(result, as_json)


async def _gateway(
    engines: tuple[str, ...], both: bool, engine_ca: Path | None, doors: list[Door], state: Path
) -> dict[str, Any]:
    from ..gateways.lines import Lines
    from ..gateways.lines.address import Address

    tls = ssl.create_default_context(cafile=engine_ca) if engine_ca else None
    way = Lines(
        [Address.of(engine) for engine in engines], both=both, tls=tls,
        token=os.environ.get(ENGINE_TOKEN, ""),
    )  # fmt: skip
    desk, stop = desk_over(way, state), stopping()
    err.print(f"matchcore: waiting for the engine at {', '.join(engines)}")
    await serve_doors(desk, doors, stop, "gateway")
    return {**way.counts, **_counts(desk)}


def desk_over(way: Way, state: Path) -> Desk:
    """A desk for the users that the log has; ``state``: the directory of what its server keeps."""
    from ..gateways.desk import Desk
    from ..gateways.users import RegisteredUsers

    return Desk(way, RegisteredUsers(), state=state / DESK)


def stopping() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM from now on."""
    import asyncio

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def serve_doors(desk: Desk, doors: list[Door], stop: asyncio.Event, what: str) -> None:
    """Until ``stop``, also while it waits for the engine; says when the doors are open."""
    import asyncio

    running = asyncio.ensure_future(desk.run([*doors, _Ready(what)], stop))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done() and not desk.live:
        running.cancel()
    stopped.cancel()
    try:
        await running
    except asyncio.CancelledError:
        if not running.cancelled():
            raise


class _Ready:
    """Opens last, and says so."""

    def __init__(self, what: str) -> None:
        self._what = what

    async def start(self, desk: Desk) -> None:
        """Says that clients may come."""
        err.print(f"matchcore: {self._what}: open; Ctrl-C ends it")

    def beat(self) -> None:
        """Nothing to do."""

    async def drain(self) -> None:
        """Says that it ends."""
        err.print("matchcore: closing")

    async def close(self) -> None:
        """Nothing to do."""


async def _watch(engine: Engine, stop: asyncio.Event) -> None:
    """An engine that has failed can only be started again."""
    import asyncio

    while engine.failure is None:
        await asyncio.sleep(LOOK_SECONDS)
    stop.set()


def _counts(desk: Desk | None) -> dict[str, Any]:
    if desk is None:
        return {}
    return {"commands": desk.watch.commands, "reports": desk.watch.reports,
            "logins": desk.watch.logins["accepted"]}  # fmt: skip
