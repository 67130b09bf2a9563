"""An engine for one command of an operator, where no other one runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.engine import Engine
from ..errors import LogLocked
from ..journal import Keys, Place, identity_of

if TYPE_CHECKING:  # with asyncio, which commands on files do without
    from ..standby.lease import Lease

LEASES_WAITED = 3  # for an engine that has just ended
LOOK_SECONDS = 0.02


@contextmanager
def alone(place: Place) -> Iterator[Engine]:
    """The engine of an exchange that is there; `LogLocked` while another one has it.

    Of a replicated log the lease is taken first: opening it would end an engine that runs.
    """
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
            raise LogLocked(f"{place}: {lease.holder or 'an engine'} is primary: stop it first")
        time.sleep(LOOK_SECONDS)
