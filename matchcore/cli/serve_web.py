"""Options of `matchcore serve` and `matchcore gateway` for HTTP and WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import address
from .serve_status import opened, without_extra
from .tls import door_tls, tls_options

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Door

F = TypeVar("F", bound=Callable[..., Any])

_HERE = "[HOST:]PORT"

_OPTIONS = (
    click.option("--web", metavar=_HERE, callback=address,
                 help="Take orders over HTTP and WebSocket; port 0: a free one."),
    *tls_options("web"),
    click.option("--web-origin", "web_origins", multiple=True, metavar="ORIGIN",
                 help="Let pages of this origin connect, as https://example.com; can be repeated."),
    click.option("--web-connections", type=click.IntRange(min=1), default=4096, show_default=True,
                 help="Connections at most."),
    click.option("--web-per-address", type=click.IntRange(min=1), default=256, show_default=True,
                 help="Connections from one address; a proxy is one."),
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
    web_origins: tuple[str, ...],
    web_connections: int,
    web_per_address: int,
    **options: Any,
) -> list[Door]:
    """The web door, if the options ask for it."""
    if web is None:
        return []
    try:
        from ..gateways.web.door import WebDoor
        from ..gateways.web.limits import WebLimits
    except ImportError as error:
        raise without_extra("--web", error) from None
    limits = WebLimits(connections=web_connections, connections_per_address=web_per_address)
    tls = door_tls("web", options)
    return [WebDoor(*web, tls=tls, origins=web_origins, limits=limits,
                    started=partial(opened, "web door"))]  # fmt: skip
