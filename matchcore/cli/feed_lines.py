"""Options of `matchcore feed` for lines, for following them as a relay, and for a cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import err

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..feeds.relay import Upstream
    from ..feeds.serving import Outlet

F = TypeVar("F", bound=Callable[..., Any])
#: Environment variables, which no list of processes shows.
LINE_TOKEN, UPSTREAM_TOKEN = "MATCHCORE_LINE_TOKEN", "MATCHCORE_UPSTREAM_TOKEN"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option("--line", metavar="[HOST:]PORT",
                 help="Serve programs and relays over TCP; 127.0.0.1 if no HOST is given."),
    click.option("--tls-cert", type=_FILE,
                 help="Certificate chain (PEM) of the line and the web, for TLS."),
    click.option("--tls-key", type=_FILE, help="Its private key (PEM)."),
    click.option("--redis", envvar="MATCHCORE_REDIS_URL", metavar="URL",
                 help="Keep a Redis filled with books, trades and levels (extra [redis])."),
    click.option("--nats", envvar="MATCHCORE_FEED_NATS", metavar="URL",
                 help="Publish to subjects of a NATS server: nats://HOST:PORT/PREFIX (extra"
                 " [nats])."),
    click.option("--upstream", multiple=True, metavar="HOST:PORT",
                 help="Relay the line of another feed, in place of DIRECTORY; can be repeated."),
    click.option("--upstream-ca", type=_FILE,
                 help="Authority (PEM) that the upstream's certificate must be of; TLS."),
)  # fmt: skip


def line_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def line_outlets(
    *, line: str | None, tls_cert: Path | None, tls_key: Path | None, redis: str | None,
    nats: str | None, **_: object,
) -> list[Outlet]:  # fmt: skip
    """The outlets that the options ask for."""
    found: list[Outlet] = []

    def say(what: str) -> None:
        err.print(f"matchcore: {what}")

    if line is not None:
        found.append(_line(line, tls_cert, tls_key))
    if redis is not None:
        from ..feeds.cache import RedisOutlet

        found.append(RedisOutlet(redis, say))
    if nats is not None:
        from ..feeds.subjects import NatsOutlet

        found.append(NatsOutlet(nats, say))
    return found


def _line(line: str, tls_cert: Path | None, tls_key: Path | None) -> Outlet:
    from ..feeds.lines import LineOutlet
    from ..feeds.lines.address import Address
    from .tls import tls_of

    tls = tls_of(tls_cert, tls_key)
    return LineOutlet(Address.of(line), tls=tls, token=os.environ.get(LINE_TOKEN, ""))


async def upstream_of(
    *, upstream: tuple[str, ...], upstream_ca: Path | None, **_: object
) -> Upstream:
    """What a relay follows, once one of its feeds has answered."""
    import ssl

    from ..feeds.relay import Upstream

    tls = ssl.create_default_context(cafile=upstream_ca) if upstream_ca else None
    return await Upstream.connected(*upstream, token=os.environ.get(UPSTREAM_TOKEN, ""), tls=tls)
