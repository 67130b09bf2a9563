"""The options of `matchcore serve` and `matchcore gateway` for FIX."""

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
    click.option("--fix", metavar="[HOST:]PORT", callback=address,
                 help="Take orders over FIX 4.4, and FIX 5.0 SP2 over FIXT 1.1."),
    click.option("--fix-comp-id", metavar="NAME", default="MATCHCORE", show_default=True,
                 help="TargetCompID that clients send."),
    click.option("--fix-reset", is_flag=True,
                 help="Let clients begin again at 1 within a day (141=Y)."),
    *tls_options("fix"),
)  # fmt: skip


def fix_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def fix_doors(
    state: Path,
    *,
    fix: tuple[str, int] | None,
    fix_comp_id: str,
    fix_reset: bool,
    **options: Any,
) -> list[Door]:
    """The door that the options ask for; it keeps message numbers in ``state``."""
    if fix is None:
        return []
    from ..gateways.fix import FixDoor, Settings

    settings = Settings(comp_id=fix_comp_id, reset=fix_reset)
    return [FixDoor(*fix, state / "fix", settings, tls=door_tls("fix", options),
                    started=partial(listens, "FIX door"))]  # fmt: skip
