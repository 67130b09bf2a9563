"""`matchcore copy` and `matchcore promote`: another region."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidArgument, LogClosed, LogFailed
from ..journal import DEFAULT_SEGMENT_BYTES, Place
from ..journal.stream import Address
from .feed import loop_runner
from .options import PlaceType, address, json_option, replicated
from .output import err, failing_kindly, progress_bar, show
from .serve_status import without_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..standby.copying import Copier

WAIT_SECONDS, AGAIN_SECONDS, MEASURE_SECONDS = 0.05, 0.5, 0.25
PATIENCE_SECONDS = 10.0
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("source", metavar="ADDRESS", callback=replicated)
@click.argument("directory", type=_DIRECTORY)
@click.option("--once", is_flag=True, help="End where the log ends now.")
@click.option("--segment-bytes", type=click.IntRange(4096), default=DEFAULT_SEGMENT_BYTES,
              show_default=True, help="Size at which a new file begins.")  # fmt: skip
@click.option("--status", metavar="[HOST:]PORT", callback=address,
              help="Serve /health, /standby and /metrics to operators.")  # fmt: skip
@json_option
def copy(
    source: Address,
    directory: Path,
    once: bool,
    segment_bytes: int,
    status: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Copy a replicated log into a directory, as it grows, until Ctrl-C.

    \b
    Example:  matchcore copy nats://a,b,c/exchange remote.d

    The files have the same frames, byte for byte: every command that reads a directory reads a
    copy.  A copy that is started again goes on at its end.  No engine opens it for writing, until
    `matchcore promote` has made it the exchange.
    """
    with failing_kindly(as_json), progress_bar("copying", None) as progress:
        from ..standby.copying import Copier

        with Copier(source, directory, segment_bytes) as copier:
            if once:
                while count := copier.step():
                    progress(count)
            else:
                loop_runner()(_copy(copier, status, progress))
            result = {
                "sequence": copier.log.sequence, "written_bytes": copier.bytes,
                "cut_bytes": copier.log.cut_bytes, "closed": copier.closed,
            }  # fmt: skip
        if copier.closed:
            raise LogClosed(f"{source}: closed for ever at sequence {result['sequence']}, which"
                            f" {directory} has")  # fmt: skip
    show(result, as_json, title=f"Copied into {directory}")


async def _copy(
    copier: Copier, status: tuple[str, int] | None, progress: Callable[[int], None]
) -> None:
    from ..standby.copied import Copied
    from .serve import stopping

    stop, watched, halt = stopping(), Copied(copier), threading.Event()
    port = None
    if status is not None:
        try:
            from ..standby.status import StatusPort
        except ImportError as error:
            raise without_extra("--status", error) from None
        port = StatusPort(*status, watched)
        await port.start()
        err.print(f"matchcore: status at {port.url}")
    err.print(f"matchcore: copies {copier.source}; Ctrl-C ends it")
    measuring = asyncio.ensure_future(_measure(copier, watched))
    working = asyncio.ensure_future(asyncio.to_thread(_work, copier, watched, halt, progress))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    halt.set()
    measuring.cancel()
    stopped.cancel()
    try:
        await working
    finally:
        await asyncio.gather(measuring, return_exceptions=True)
        if port is not None:
            await port.close()


def _work(copier: Copier, watched: Any, halt: threading.Event, progress: Any) -> None:
    while not (halt.is_set() or copier.closed):
        try:
            count = copier.step()
            progress(count)
            watched.trouble = ""
            if not count:
                copier.wait(WAIT_SECONDS)
        except LogFailed as error:
            if str(error) != watched.trouble:
                watched.trouble = str(error)
                err.print(f"matchcore: {error}; retrying")
            halt.wait(AGAIN_SECONDS)


async def _measure(copier: Copier, watched: Any) -> None:
    while True:
        with suppress(LogFailed):
            await asyncio.to_thread(copier.measure)
        await asyncio.sleep(MEASURE_SECONDS)


@click.command()
@click.argument("where", metavar="COPY", type=PlaceType())
@click.option("--close", "source", metavar="ADDRESS", callback=replicated,
              help="Log of the lost region, to be closed for ever.")  # fmt: skip
@click.option("--to", metavar="ADDRESS", callback=replicated,
              help="Of a directory: make a new replicated log of it, there.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def promote(
    where: Place, source: Address | None, to: Address | None, yes: bool, as_json: bool
) -> None:
    """Make a copy in another region the exchange.

    \b
    Example:  matchcore promote remote.d --close nats://a,b,c/exchange

    COPY is a directory of `matchcore copy`, or the address of a mirror stream.  If the other log
    can be reached, it is closed and all of it is here.  Otherwise the commands that are known to be
    missing are named, and the other region must be kept from coming back: run this again with
    --close before any of its engines starts.

    With --to the exchange goes on in a new replicated log, and the directory is a copy of that.
    """
    with failing_kindly(as_json):
        from ..standby.promotion import promote_copy, promote_copy_to, promote_mirror

        if to is not None and not isinstance(where, Path):
            raise InvalidArgument("--to: a mirror is a replicated log already; leave --to out")

        if not yes:
            question = f"Make {where} the exchange? The other region's engines must be stopped"
            click.confirm(question, abort=True, err=True)
        if isinstance(where, Path) and to is not None:
            promoted = promote_copy_to(where, to, source, PATIENCE_SECONDS)
        elif isinstance(where, Path):
            promoted = promote_copy(where, source, PATIENCE_SECONDS)
        else:
            promoted = promote_mirror(where, source, PATIENCE_SECONDS)
    missing = promoted.missing
    if not as_json and missing is not None:
        err.print(f"matchcore: sequences {missing[0]} to {missing[1]} were answered and are lost")
    if not as_json and not promoted.closed:
        err.print(
            "matchcore: the other log is not closed: what it answered after that is not known"
        )
    show({**asdict(promoted), "missing": missing}, as_json, title=f"Promoted {where}")
