"""The web face of `matchcore feed`: its options."""

from __future__ import annotations

import resource
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InvalidArgument, MissingExtra
from ..feeds.serving import Outlet
from ..feeds.web.limits import Limits
from ..feeds.web.tokens import Tokens
from .output import err

if TYPE_CHECKING:
    from ..feeds.web.server import WebOutlet

C = TypeVar("C", bound=Callable[..., Any])
LOOPBACK = "127.0.0.1"

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option("--web", "web_port", type=click.IntRange(0, 65535), metavar="PORT",
                 help="Serve WebSocket, HTTP and the page on this port (0: a free one)."),
    click.option("--bind", default=LOOPBACK, show_default=True, metavar="ADDRESS",
                 help="Address to listen on; 0.0.0.0: every network, which wants TLS and tokens."),
    click.option("--tls-cert", type=_file, help="Certificate chain (PEM)."),
    click.option("--tls-key", type=_file, help="Its private key (PEM)."),
    click.option("--tokens", type=_file,
                 help="Who may see what; made with matchcore feed-token."),
    click.option("--origin", "origins", multiple=True, metavar="ORIGIN",
                 help="Let pages of this origin connect, as https://example.com; can be repeated."),
    click.option("--connections", type=click.IntRange(min=1), default=Limits().connections,
                 show_default=True, help="WebSockets at most, and a quarter from one address."),
)  # fmt: skip


def web_options(command: C) -> C:
    """Adds the options of the web face to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def web_of(options: dict[str, Any]) -> Iterator[Outlet]:
    """The outlet that the options ask for, if they do."""
    if options["web_port"] is None:
        return
    most = options["connections"]
    yield web_outlet()(
        options["bind"],
        options["web_port"],
        tokens=Tokens(options["tokens"]) if options["tokens"] else None,
        tls=tls_of(options["tls_cert"], options["tls_key"]),
        origins=options["origins"],
        limits=Limits(connections=most, connections_per_address=max(1, most // 4)),
        page=page_directory(),
        started=lambda url: err.print(f"matchcore: web at {url}"),
    )
    allow_files(most)


def web_outlet() -> type[WebOutlet]:
    """The class of the outlet.  `MissingExtra` if the library that it needs is not there."""
    try:
        from ..feeds.web.server import WebOutlet
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "picows":
            raise
        raise MissingExtra("matchcore feed --web", "feed") from None
    return WebOutlet


def tls_of(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """A server's context; None without a certificate."""
    if (certificate is None) != (key is None):
        raise InvalidArgument("--tls-cert and --tls-key belong together: give both")
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise InvalidArgument(
            f"{certificate}, {key}: no certificate with its key ({error})"
        ) from None
    return context


def page_directory() -> Path | None:
    """The static files of the page."""
    page = Path(__file__).parents[1] / "feeds" / "page"
    return page if page.is_dir() else None


def allow_files(connections: int) -> None:
    """Raises the limit on open files, as far as the system lets it, for so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(connections + 1024, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
