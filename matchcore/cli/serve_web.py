"""Options of `matchcore serve` and `matchcore gateway` for HTTP and WebSocket, and for status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import MissingExtra
from .output import err
from .tls import tls_of

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Door

F = TypeVar("F", bound=Callable[..., Any])
LIBRARIES = frozenset({"aiohttp", "prometheus_client"})

_OPTIONS = (
    click.option("--web", type=click.IntRange(0, 65535), metavar="PORT",
                 help="Take orders over HTTP and WebSocket; 0: a free port."),
    click.option("--web-bind", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                 help="Where the web door listens; other networks want TLS."),
    click.option("--web-origin", "web_origins", multiple=True, metavar="ORIGIN",
                 help="Let pages of this origin connect, as https://example.com; can be repeated."),
    click.option("--web-connections", type=click.IntRange(min=1), default=4096, show_default=True,
                 help="Connections at most."),
    click.option("--web-per-address", type=click.IntRange(min=1), default=256, show_default=True,
                 help="Connections from one address; a proxy is one."),
    click.option("--status", type=click.IntRange(0, 65535), metavar="PORT",
                 help="Serve /health, /ready and /metrics, without a login; 0: a free port."),
    click.option("--status-bind", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                 help="Where the status port listens: a network of operators."),
)  # fmt: skip


def web_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def web_doors(
    *,
    web: int | None,
    web_bind: str,
    web_origins: tuple[str, ...],
    web_connections: int,
    web_per_address: int,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    **_: object,
) -> list[Door]:
    """The web door, if the options ask for it."""
    if web is None:
        return []
    try:
        from ..gateways.web.door import WebDoor
        from ..gateways.web.limits import WebLimits
    except ImportError as error:
        raise missing("--web", error) from None
    limits = WebLimits(connections=web_connections, connections_per_address=web_per_address)
    door: Door = WebDoor(
        web_bind, web, tls=tls_of(tls_cert, tls_key), origins=web_origins, limits=limits,
        started=lambda url: err.print(f"matchcore: web door at {url}"),
    )  # fmt: skip
    return [door]


def status_doors(
    doors: dict[str, Door],
    directory: Path | None = None,
    registry: Any = None,
    *,
    status: int | None,
    status_bind: str,
    **_: object,
) -> list[Door]:
    """The status port, if the options ask for it; it is to be drained before ``doors``.

    ``directory``: of the exchange, if it is here; ``registry``: with further metrics.
    """
    if status is None:
        return []
    try:
        from ..gateways.status import StatusDoor, counts_of
    except ImportError as error:
        raise missing("--status", error) from None
    door: Door = StatusDoor(
        status_bind, status, counts=counts_of(doors), directory=directory, registry=registry,
        started=lambda url: err.print(f"matchcore: status at {url}"),
    )  # fmt: skip
    return [door]


def missing(option: str, error: ImportError) -> ImportError:
    """`MissingExtra` for a library of the extra; any other error as it is."""
    if (error.name or "").partition(".")[0] in LIBRARIES:
        return MissingExtra(f"matchcore serve {option}", "gateway")
    return error
