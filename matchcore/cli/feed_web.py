"""Options of `matchcore feed` for the web."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import MissingExtra
from .output import err
from .tls import tls_of

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..feeds.serving import Outlet
    from ..feeds.web.server import WebOutlet

F = TypeVar("F", bound=Callable[..., Any])
OTHER_FILES = 1024  # that a feed may have open beside its connections
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option("--web", type=click.IntRange(0, 65535), metavar="PORT",
                 help="Serve WebSocket, HTTP and the page (extra [feed]); 0: a free port."),
    click.option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                 help="Where the web listens; 0.0.0.0: every network, which wants TLS and tokens."),
    click.option("--tokens", type=_FILE,
                 help="Who may see what on the web; made with matchcore feed-token."),
    click.option("--origin", "origins", multiple=True, metavar="ORIGIN",
                 help="Let pages of this origin connect, as https://example.com; can be repeated."),
    click.option("--sign-key", type=_FILE,
                 help="Sign answers over HTTP and notices with this SM2 key (PEM; [gm-sign])."),
    click.option("--connections", type=click.IntRange(min=1), default=4096, show_default=True,
                 help="WebSockets at most, and a quarter of them from one address."),
)  # fmt: skip


def web_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def web_outlets(
    *,
    web: int | None,
    bind: str,
    tokens: Path | None,
    origins: tuple[str, ...],
    sign_key: Path | None,
    connections: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    **_: object,
) -> list[Outlet]:
    """The outlet that the options ask for, if they do."""
    if web is None:
        return []
    made = web_outlet()
    from ..feeds.web.limits import Limits
    from ..feeds.web.tokens import Tokens
    from ..journal.crypto.sm2 import Signer

    per_address = max(1, connections // 4)
    outlet = made(
        bind,
        web,
        tokens=Tokens(tokens) if tokens else None,
        tls=tls_of(tls_cert, tls_key),
        origins=origins,
        limits=Limits(connections=connections, connections_per_address=per_address),
        page=page_directory(),
        sign=Signer(sign_key).sign if sign_key else None,
        started=lambda url: err.print(f"matchcore: web at {url}"),
    )
    allow_files(connections)
    return [outlet]


def web_outlet() -> type[WebOutlet]:
    """The class of the outlet.  `MissingExtra` if the library that it needs is not there."""
    try:
        from ..feeds.web.server import WebOutlet
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "picows":
            raise
        raise MissingExtra("matchcore feed --web", "feed") from None
    return WebOutlet


def page_directory() -> Path | None:
    """The static files of the page."""
    page = Path(__file__).parents[1] / "feeds" / "page"
    return page if page.is_dir() else None


def allow_files(connections: int) -> None:
    """Raises the limit on open files, as far as the system lets it, for so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
