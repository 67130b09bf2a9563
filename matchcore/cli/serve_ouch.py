"""The option of `matchcore serve` and `matchcore gateway` for OUCH."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import address
from .serve_status import listens
from .tls import door_tls, tls_options

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..gateways.desk import Door

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--ouch", metavar="[HOST:]PORT", callback=address,
                 help="Take orders over OUCH 5.0 and SoupBinTCP."),
    *tls_options("ouch"),
)  # fmt: skip


def ouch_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ouch_doors(state: Path, *, ouch: tuple[str, int] | None, **options: Any) -> list[Door]:
    """The door that the option asks for.  It keeps nothing in ``state``."""
    if ouch is None:
        return []
    from ..gateways.ouch.door import OuchDoor

    tls = door_tls("ouch", options)
    return [OuchDoor(*ouch, tls=tls, started=partial(listens, "OUCH door"))]
