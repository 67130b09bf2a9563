"""`matchcore feed-token`: makes a token for subscribers of a feed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import InvalidArgument
from ..records.times import parse
from .options import json_option
from .output import failing_kindly


@click.command("feed-token")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("name")
@click.option("--channel", "channels", multiple=True, help="May be seen; can be repeated.")
@click.option("--symbol", "symbols", multiple=True, help="May be seen; can be repeated.")
@click.option("--expires", metavar="TIME", help="UTC, as 2027-01-01T00:00:00Z; else never.")
@json_option
def feed_token_command(
    file: Path,
    name: str,
    channels: tuple[str, ...],
    symbols: tuple[str, ...],
    expires: str | None,
    as_json: bool,
) -> None:
    """Add a token for NAME to the FILE of tokens, and print it, once.

    \b
    Example:  matchcore feed-token tokens.json desk --channel book.l2 --symbol ANA
    Without --channel and --symbol it is good for all of them.  The file has a hash of the token
    only.  A running feed reads the file again when it changes: remove an entry to revoke a token.
    """
    from ..feeds.web.tokens import add_token

    with failing_kindly(as_json):
        if expires is not None:
            try:
                parse(expires)
            except ValueError as error:
                raise InvalidArgument(f"--expires: {error}") from None
        token = add_token(file, name, channels, symbols, expires)
    click.echo(json.dumps({"name": name, "token": token}) if as_json else token)
