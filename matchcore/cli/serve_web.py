"""Options of `matchcore serve` and `matchcore gateway` for HTTP and WebSocket, and for status."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import MissingExtra
from .options import address
from .output import err
from .tls import tls_of

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Door

F = TypeVar("F", bound=Callable[..., Any])
LIBRARIES = frozenset({"aiohttp", "prometheus_client"})

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_HERE = "[HOST:]PORT"

_OPTIONS = (
    click.option("--web", metavar=_HERE, callback=address,
                 help="Take orders over HTTP and WebSocket; port 0: a free one."),
    click.option("--web-cert", type=_FILE, help="Certificate chain (PEM) for TLS of the web door."),
    click.option("--web-key", type=_FILE, help="Its private key (PEM)."),
    click.option("--web-origin", "web_origins", multiple=True, metavar="ORIGIN",
                 help="Let pages of this origin connect, as https://example.com; can be repeated."),
    click.option("--web-connections", type=click.IntRange(min=1), default=4096, show_default=True,
                 help="Connections at most."),
    click.option("--web-per-address", type=click.IntRange(min=1), default=256, show_default=True,
                 help="Connections from one address; a proxy is one."),
    click.option("--status", metavar=_HERE, callback=address,
                 help="Serve /health, /ready and /metrics to operators, without a login."),
)  # fmt: skip


def web_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def web_doors(
    _state: Path,
    *,
    web: tuple[str, int] | None,
    web_cert: Path | None,
    web_key: Path | None,
    web_origins: tuple[str, ...],
    web_connections: int,
    web_per_address: int,
    status: tuple[str, int] | None,
    **_: object,
) -> list[Door]:
    """The status port, which is closed first, and the web door, if the options ask for them."""
    doors: list[Door] = []
    try:
        if status is not None:
            from ..gateways.status import StatusDoor

            doors.append(StatusDoor(*status, started=partial(_open, "status")))
        if web is not None:
            from ..gateways.web.door import WebDoor
            from ..gateways.web.limits import WebLimits

            limits = WebLimits(connections=web_connections, connections_per_address=web_per_address)
            tls = tls_of(web_cert, web_key)
            doors.append(WebDoor(*web, tls=tls, origins=web_origins, limits=limits,
                                 started=partial(_open, "web door")))  # fmt: skip
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in LIBRARIES:
            raise
        raise MissingExtra("matchcore serve --web and --status", "gateway") from None
    return doors


def _open(what: str, url: str) -> None:
    err.print(f"matchcore: {what} at {url}")
