"""Options of `matchcore serve` and `matchcore gateway` for those who operate them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..engine.metrics import Meter, export
from ..errors import LogFailed, MissingExtra
from .options import address
from .output import err

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Door

F = TypeVar("F", bound=Callable[..., Any])
#: Packages of the extra `gateway`.
LIBRARIES = frozenset({"aiohttp", "prometheus_client"})

_OPTIONS = (
    click.option("--status", metavar="[HOST:]PORT", callback=address,
                 help="Serve /health, /ready and /metrics to operators, without a login."),
    click.option("--events", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
                 help="Append events as lines of JSON to this file; -: to standard error."),
)  # fmt: skip


def status_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def status_doors(
    _state: Path,
    *,
    status: tuple[str, int] | None,
    events: Path | None,
    directory: Path | None = None,
    meter: Meter | None = None,
    **_: object,
) -> list[Door]:
    """The status port, if the options ask for it; events are written from now on.

    ``directory``, ``meter``: of the engine, if it runs in this process.
    """
    if events is not None:
        write_events(events)
    if status is None:
        return []
    try:
        from prometheus_client import CollectorRegistry

        from ..gateways.status import StatusDoor
    except ImportError as error:
        raise without_extra("--status", error) from None
    registry = CollectorRegistry(auto_describe=False)
    if meter is not None:
        export(meter, registry=registry)
    started = partial(opened, "status")
    return [StatusDoor(*status, directory=directory, registry=registry, started=started)]


def write_events(file: Path) -> None:
    """Writes what gateways log to ``file``, which logrotate may move away; -: standard error."""
    from logging.handlers import WatchedFileHandler

    from ..serving.logs import JsonLines

    try:
        stream = str(file) == "-"
        handler = logging.StreamHandler() if stream else WatchedFileHandler(file, delay=False)
    except OSError as error:
        raise LogFailed(f"{file}: {error.strerror}") from None
    handler.setFormatter(JsonLines())
    log = logging.getLogger("matchcore.gateways")
    log.setLevel(logging.INFO)
    log.addHandler(handler)


def opened(what: str, url: str) -> None:
    """Says where something is served."""
    err.print(f"matchcore: {what} at {url}")


def listens(what: str, host: str, port: int) -> None:
    """Says at which address something listens, also where the system chose the port."""
    opened(what, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def without_extra(option: str, error: ImportError) -> ImportError:
    """`MissingExtra` for a library of the extra; any other error as it is."""
    if (error.name or "").partition(".")[0] in LIBRARIES:
        return MissingExtra(f"matchcore serve {option}", "gateway")
    return error
