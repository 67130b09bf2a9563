"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click

from ..errors import InvalidArgument
from ..journal.place import is_address, place_of
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


class PlaceType(click.Path):
    """A directory, or with ``addresses`` also the address of a replicated log."""

    def __init__(self, *, addresses: bool = True, exists: bool = True) -> None:
        super().__init__(exists=exists, file_okay=False, path_type=Path)
        self._addresses = addresses

    def convert(self, value: Any, option: click.Parameter | None, context: Any) -> Any:
        if not is_address(value):
            return super().convert(value, option, context)
        if not self._addresses:
            self.fail(
                "this command works on a log in files, and this is the address of a replicated"
                " one: give a directory, or send the command to the engine that writes the log",
                option, context,
            )  # fmt: skip
        try:
            return place_of(value)
        except InvalidArgument as error:
            self.fail(str(error), option, context)


directory_argument = click.argument("directory", type=PlaceType(addresses=False))
#: the same for a command that also reads replicated logs, nats://HOST:PORT,…/NAME
place_argument = click.argument("directory", metavar="DIRECTORY|ADDRESS", type=PlaceType())
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
shard_option = click.option(
    "--shard", type=click.IntRange(0, SHARD_MAX), default=0, show_default=True,
    help="Number of this log if several share the database.",
)  # fmt: skip
archives_option = click.option(
    "--archive", "archives", type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True, metavar="PLACE", help="Directory of archived segments; can be repeated.",
)  # fmt: skip
