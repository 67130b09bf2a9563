"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from ..records.arguments import SHARD_MAX
from ..records.times import parse, zone_of

LOOPBACK = "127.0.0.1"
PORT_MAX = 65_535


class Moment(NamedTuple):
    """Where in a log: behind a sequence, or behind the last command of a time (nanoseconds)."""

    sequence: int | None = None
    time: int | None = None


def moment(text: str) -> Moment:
    """A sequence in digits, or a time like 2019-05-21T09:00:00.123 (UTC unless it says other)."""
    if text.isascii() and text.isdigit():
        return Moment(sequence=int(text))
    try:
        return Moment(time=parse(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}; it is not a sequence number either") from None


def zone_name(_: object, __: object, text: str | None) -> str | None:
    """For an option: the name of a time zone that there is."""
    try:
        return text if text is None else str(zone_of(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def address(_: object, option: click.Parameter, text: str | None) -> tuple[str, int] | None:
    """For an option like [HOST:]PORT: host, of this machine if none is given, and port."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
        raise click.BadParameter(f"{text!r}: must be {option.metavar}")
    return host.strip("[]") or LOOPBACK, int(port)


directory_argument = click.argument(
    "directory", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
shard_option = click.option(
    "--shard", type=click.IntRange(0, SHARD_MAX), default=0, show_default=True,
    help="Number of this log if several share the database.",
)  # fmt: skip
archives_option = click.option(
    "--archive", "archives", type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True, metavar="PLACE", help="Directory of archived segments; can be repeated.",
)  # fmt: skip
