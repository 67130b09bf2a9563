"""The doors that `matchcore serve` and `matchcore gateway` can open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .feed_web import allow_files
from .serve_fix import fix_doors, fix_options
from .serve_ouch import ouch_doors, ouch_options
from .serve_status import status_doors, status_options
from .serve_web import web_doors, web_options

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Door

F = TypeVar("F", bound=Callable[..., Any])

#: Of each protocol what adds its options to a command, and what makes its doors of them.
DOORS: list[tuple[Callable[[Any], Any], Callable[..., list[Door]]]] = [
    (status_options, status_doors),  # the first: it says at once that the others close
    (fix_options, fix_doors),
    (ouch_options, ouch_doors),
    (web_options, web_doors),
]


def door_options(command: F) -> F:
    """Adds the options of all doors to a command, which gets them by name."""
    for options, _ in reversed(DOORS):
        command = options(command)
    return command


def doors_of(state: Path, options: dict[str, Any]) -> list[Door]:
    """The doors that the options ask for; ``state``: a directory for what they keep."""
    doors = [door for _, made in DOORS for door in made(state, **options)]
    # A process without files left could not go on with its log either.
    allow_files(sum(getattr(door, "files_max", 0) for door in doors))
    return doors
