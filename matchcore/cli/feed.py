"""`matchcore feed`: serves the market of an exchange to subscribers."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidArgument
from ..feeds.serving import Feed, Outlet
from ..journal import Keys
from .feed_itch import itch_options, itch_outlets
from .options import directory_argument
from .output import err, failing_kindly


@click.command()
@directory_argument
@click.option("--state", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for the feed's place, so that it starts quickly.")  # fmt: skip
@itch_options
def feed(directory: Path, state: Path | None, **options: Any) -> None:
    """Serve an exchange's market data, beside the engine or without it, until Ctrl-C.

    \b
    Example:  matchcore feed exchange.d --web 8080 --state feed.d
    """
    with failing_kindly(False):
        keys = Keys.from_environment()
        outlets: list[Outlet] = itch_outlets(directory, state, keys, **options)
        if not outlets:
            raise InvalidArgument("nothing to serve: name at least one face, for example --web")
        asyncio.run(_serve(Feed(directory, outlets, state=state, keys=keys)))


async def _serve(served: Feed) -> None:
    """Until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    err.print(f"matchcore: feed of session {served.stream.session}; Ctrl-C ends it")
    await served.run(stop)
