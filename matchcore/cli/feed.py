"""`matchcore feed`: serves the market of an exchange to subscribers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InvalidArgument
from ..journal import Keys, Place
from .feed_itch import itch_options, itch_outlets
from .feed_lines import line_options, line_outlets, upstream_of
from .feed_web import web_options, web_outlets
from .options import PlaceType, json_option
from .output import err, failing_kindly, show

if TYPE_CHECKING:  # they take their time, and other commands do without
    import asyncio

    from ..feeds.serving import Outlet, Source

T = TypeVar("T")


@click.command()
@click.argument("directory", required=False, metavar="[DIRECTORY|ADDRESS]", type=PlaceType())
@click.option("--state", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for the feed's place, so that it starts quickly.")  # fmt: skip
@web_options
@line_options
@itch_options
@json_option
def feed(directory: Place | None, state: Path | None, as_json: bool, **options: Any) -> None:
    """Serve an exchange's market data, beside the engine or without it, until Ctrl-C.

    \b
    Example:  matchcore feed exchange.d --web 8080 --line 7001 --state feed.d
              matchcore feed --upstream 10.0.0.1:7001 --upstream 10.0.0.2:7001 --line 7001

    The second one is a relay: it needs no exchange, and serves the same numbers.  The environment
    variables MATCHCORE_LINE_TOKEN and MATCHCORE_UPSTREAM_TOKEN hold the tokens that clients of the
    line must send, and that the relay sends.
    """
    import asyncio

    with failing_kindly(as_json):
        if bool(directory) == bool(options["upstream"]):
            raise InvalidArgument("name a DIRECTORY, or --upstream for a relay")
        outlets = [
            *web_outlets(**options),
            *line_outlets(**options),
            *itch_outlets(directory, state, **options),
        ]
        if not outlets:
            raise InvalidArgument("nothing to serve: name at least one face, for example --line")
        run = loop_runner() if options["web"] is not None else asyncio.run
        result = run(_serve(directory, state, outlets, options))
    show(result, as_json)


def loop_runner() -> Callable[[Coroutine[Any, Any, T]], T]:
    """That of uvloop, which is quicker with many connections, if it is there."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        return asyncio.run
    found: Callable[[Coroutine[Any, Any, T]], T] = uvloop.run
    return found


async def _serve(
    directory: Place | None, state: Path | None, outlets: list[Outlet], options: dict[str, Any]
) -> dict[str, Any]:
    """Until Ctrl-C or SIGTERM; what it has served."""
    import asyncio

    from ..feeds.serving import Feed

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    source = directory or await _upstream(stop, options)
    if source is None:
        return {"session": None, "last_number": None}
    served = Feed(source, outlets, state=state, keys=Keys.from_environment())
    err.print(f"matchcore: feed of session {served.stream.session}; Ctrl-C ends it")
    await served.run(stop)
    return {"session": served.stream.session, "last_number": served.history.last}


async def _upstream(stop: asyncio.Event, options: dict[str, Any]) -> Source | None:
    """What a relay follows, once one of its feeds answers; None if it is stopped before."""
    import asyncio

    err.print(f"matchcore: relay of {', '.join(options['upstream'])}: waiting for a snapshot")
    connecting = asyncio.ensure_future(upstream_of(**options))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if connecting.done():
        return connecting.result()
    connecting.cancel()
    with suppress(asyncio.CancelledError):
        await connecting
    return None
