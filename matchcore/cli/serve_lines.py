"""The lines that `matchcore serve` and `matchcore standby` give to gateways."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..engine.engine import Engine
from .tls import tls_of

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..gateways.lines import EngineService

F = TypeVar("F", bound=Callable[..., Any])
#: Environment variable, which no list of processes shows.
ENGINE_TOKEN = "MATCHCORE_ENGINE_TOKEN"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option("--lines", multiple=True, metavar="ADDRESS",
                 help="Serve gateways at unix:PATH or [HOST:]PORT; can be repeated."),
    click.option("--lines-cert", type=_FILE, help="Certificate chain (PEM) of the lines, for TLS."),
    click.option("--lines-key", type=_FILE, help="Its private key (PEM)."),
)  # fmt: skip


def lines_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def lines_service(
    engine: Engine | None, options: dict[str, Any], directory: Path, *, stands_in: bool = True
) -> EngineService:
    """What serves gateways as the options say; ``engine``: None while there is none.

    ``directory``: for the socket of administration.  ``stands_in``: as for `EngineService.serve`.
    """
    from ..gateways.lines import EngineService
    from ..gateways.lines.address import Address

    tls = tls_of(options["lines_cert"], options["lines_key"])
    token = os.environ.get(ENGINE_TOKEN, "")
    addresses = [*map(Address.of, options["lines"])]
    return EngineService(
        engine, addresses, tls=tls, token=token, stands_in=stands_in, directory=directory
    )
