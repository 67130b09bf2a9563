"""A command of an operator: by the server of an exchange, or by an engine for it alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.engine import Engine
from ..errors import LogLocked
from ..journal import Keys, Place, identity_of

if TYPE_CHECKING:  # with asyncio, which commands on files do without
    from ..standby.lease import Lease

LEASES_WAITED = 3  # for an engine that has just ended
LOOK_SECONDS = 0.02


def administered(
    place: Place, name: str, /, *, make: bool = False, **arguments: Any
) -> dict[str, Any]:
    """Does an act on an exchange that is there, or with ``make`` on a new one: what it returns.

    In a directory that is served, or is the state of a member of a replicated log, its server does
    it, and ``served`` is there.
    """
    from ..gateways.administration import asked, perform

    said = asked(place, name, arguments) if isinstance(place, Path) and place.is_dir() else None
    if said is not None:
        return {**said, "served": True}
    with alone(place, make=make) as engine:
        return perform(engine, name, arguments)


@contextmanager
def alone(place: Place, *, make: bool = False) -> Iterator[Engine]:
    """The engine of an exchange that is there; `LogLocked` while another one has it.

    Of a replicated log the lease is taken first: opening it would end an engine that runs.
    """
    if not make:
        identity_of(place)  # an open would make what is not there
    if isinstance(place, Path):
        with Engine.open(place, keys=Keys.from_environment()) as engine:
            yield engine
        return
    from ..journal.stream.register import Entry, Register
    from ..standby.lease import LEASE_KEY, Lease

    with (
        Register(place) as register,
        Lease(Entry(register, LEASE_KEY), "operator").start() as lease,
    ):
        _take(lease, place)
        with Engine.open(place) as engine:
            yield engine


def _take(lease: Lease, place: Place) -> None:
    until = time.monotonic() + LEASES_WAITED * lease.seconds
    while not (lease.is_free() and lease.take()):
        if time.monotonic() > until:
            raise LogLocked(
                f"{place}: {lease.holder or 'an engine'} is primary: name the directory of its"
                " --state instead, on its machine, or stop it first"
            )
        time.sleep(LOOK_SECONDS)
