"""`matchcore standby` and `matchcore switch`: a second engine, and handing over to it."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engine.metrics import Meter, export
from ..errors import InvalidArgument, LogFailed
from ..journal import INTERVAL_MS_DEFAULT, POLICIES, Keys, Place, stated
from ..journal.stream import Address
from ..journal.stream.register import Changed, Entry, Register
from ..standby.lease import LEASE_KEY, LEASE_SECONDS, Lease
from ..standby.member import ANYBODY
from .feed import loop_runner
from .members import Seated, Stage, missing_log, own_name
from .options import PlaceType, json_option, replicated
from .output import err, failing_kindly, show
from .serve_doors import door_options, doors_of
from .serve_lines import lines_options, lines_service
from .serve_status import without_extra, write_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..standby.state import Watched
    from ..standby.status import StatusPort

SNAPSHOTS_EVERY = 1_000_000
SWITCH_SECONDS = 10.0
REGION_SECONDS = 3.0  # to ask another region
LOOK_SECONDS = 0.01
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def member_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of an engine that may be a standby or the primary."""
    for option in reversed((
        click.option("--name", default=own_name, show_default="machine and process",
                     callback=_named, help="What others call this engine."),
        click.option("--lease", type=click.FloatRange(0.2, 60), default=LEASE_SECONDS,
                     show_default=True, metavar="SECONDS",
                     help="After so long without a word from the primary, a standby takes over."),
        click.option("--region", metavar="ADDRESS", callback=replicated,
                     help="Log of another region: if it was promoted, this engine refuses."),
        click.option("--snapshots-every", type=click.IntRange(0), default=SNAPSHOTS_EVERY,
                     show_default=True, metavar="COMMANDS",
                     help="Between two snapshots of a standby; 0: none."),
    )):  # fmt: skip
        command = option(command)
    return command


def _named(_: object, __: object, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter("must be letters, digits, -, _ and ., at most 64")
    return name


@click.command()
@click.argument("where", metavar="DIRECTORY|ADDRESS", type=PlaceType())
@lines_options
@click.option("--policy", type=click.Choice(POLICIES), default="sync", show_default=True,
              help="Of a directory: what an answer means for a crash.")  # fmt: skip
@click.option("--interval-ms", type=click.IntRange(1), default=INTERVAL_MS_DEFAULT,
              show_default=True, help="Of --policy interval.")  # fmt: skip
@member_options
@door_options
@click.option("--state", type=click.Path(file_okay=False, path_type=Path), default=Path("engine.d"),
              show_default=True,
              help="Directory for snapshots, and for what doors keep.")  # fmt: skip
@json_option
def standby(where: Place, as_json: bool, **options: Any) -> None:
    """Follow the log of an exchange, and take over when its engine is gone.

    \b
    Example:  matchcore standby nats://a,b,c/exchange --name two --lines 10.0.0.2:7100

    It follows the replicated log at ADDRESS, or the log in a DIRECTORY on the same disk, and
    applies it as it grows.  It takes over when the primary's lease has expired, or on `matchcore
    switch`; of a directory, when its lock is free.  Until then lines refuse gateways, and doors are
    closed.  After it has handed over it is a standby again.
    """
    with failing_kindly(as_json):
        result = run_member(where, False, options)
    show(result, as_json)


def run_member(place: Place, must_lead: bool, options: dict[str, Any]) -> dict[str, Any]:
    """What it was in the end; ``must_lead``: it begins as the primary, or not at all."""
    options["state"].mkdir(parents=True, exist_ok=True)
    if not isinstance(place, Path):
        if must_lead and missing_log(place):
            _make(place)
        elif options["region"] is not None:
            _ask_region(place, options["region"])
        place = stated(place, options["state"])
    if options["events"] is not None:
        write_events(options["events"])
    seated = Seated(place, options["name"], options["lease"]).open()
    try:
        return loop_runner()(_run(seated, must_lead, options))
    finally:
        seated.close()


def _ask_region(place: Address, region: Address) -> None:
    from ..standby.promotion import refuse_superseded

    if not refuse_superseded(place, region, REGION_SECONDS):
        err.print(f"matchcore: {region} cannot be reached: whether it was promoted is not known")


def _make(address: Address) -> None:
    from ..journal.stream import StreamLog

    StreamLog.open(address).close()


async def _run(seated: Seated, must_lead: bool, options: dict[str, Any]) -> dict[str, Any]:
    from ..standby.state import Watched
    from .serve import stopping

    meter, watched = Meter(), Watched(seated.name, seated.seat)
    engine_options = {}
    if isinstance(seated.place, Path):
        engine_options = {"policy": options["policy"], "interval_ms": options["interval_ms"]}
    of_doors = {**options, "status": None, "events": None}
    doors = partial(doors_of, of_doors.pop("state"), of_doors)
    stage = Stage(
        seated, lines_service(None, options, options["state"]), doors, None, watched, meter,
        options["snapshots_every"], engine_options, Keys.from_environment(), must_lead,
    )  # fmt: skip
    stage.status = _status(options["status"], watched, meter, stage)
    return await stage.run(stopping())


def _status(
    address: tuple[str, int] | None, watched: Watched, meter: Meter, stage: Stage
) -> StatusPort | None:
    if address is None:
        return None
    try:
        from prometheus_client import CollectorRegistry

        from ..standby.status import StatusPort
    except ImportError as error:
        raise without_extra("--status", error) from None

    def more(path: str) -> tuple[int, dict[str, Any]] | None:
        from ..gateways.wellness import answer_of

        return answer_of(path, stage.desk) if stage.desk is not None and stage.desk.live else None

    registry = CollectorRegistry(auto_describe=False)
    export(meter, registry=registry)
    return StatusPort(*address, watched, registry=registry, more=more)


@click.command()
@click.argument("address", metavar="ADDRESS", callback=replicated)
@click.option("--to", default=ANYBODY, show_default="any standby", metavar="NAME",
              help="The engine that should be primary.")  # fmt: skip
@json_option
def switch(address: Address, to: str, as_json: bool) -> None:
    """Have the primary of a replicated log hand over to a standby.

    \b
    Example:  matchcore switch nats://a,b,c/exchange --to two

    The primary takes no more commands, writes what it has, and gives up its lease.  Exit 3 if no
    engine has taken it within 10 seconds; then the one that had it may take it again.
    """
    with failing_kindly(as_json):
        register = Register(address)
        try:
            result = _switch(register, to)
        finally:
            register.close()
    show(result, as_json)


def _switch(register: Register, to: str) -> dict[str, Any]:
    lease = Lease(Entry(register, LEASE_KEY), f"switch-{os.getpid()}")
    lease.beat()
    before, began = lease.holder, time.monotonic()
    if not before:
        raise LogFailed(f"{register.address}: no engine is primary")
    if to == before:
        raise InvalidArgument(f"{to} is the primary already")
    asked = False
    while time.monotonic() < began + SWITCH_SECONDS:
        if not asked:
            try:
                lease.ask_for(to)
                asked = True
            except Changed:  # it was renewed meanwhile
                continue
        lease.beat()
        if lease.holder not in ("", before):
            return {"before": before, "primary": lease.holder,
                    "seconds": round(time.monotonic() - began, 3)}  # fmt: skip
        time.sleep(LOOK_SECONDS)
    who = "a standby" if to == ANYBODY else to
    raise LogFailed(
        f"{register.address}: no engine has taken the lease of {before} within"
        f" {SWITCH_SECONDS:g} s: does {who} run?"
    )
