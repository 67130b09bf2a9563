"""How a fault is done to a cluster, and undone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ..errors import LogFailed
from ..journal.stream import Address
from ..journal.stream.register import Changed, Entry, Register
from ..standby.lease import LEASE_KEY, Lease
from ..standby.member import ANYBODY
from ..standby.promotion import promote_copy_to
from .clocks import Clocks
from .cluster import ENGINES, NAME, SERVERS, Cluster
from .disks import Disks
from .network import Network

LOSS_PERCENT, SLOW_MBIT = 10, 1
JUMP_SECONDS = 3600
PATIENCE_SECONDS = 30.0
WHOLE_SECONDS_MAX, GOOD_LOOKS = 60.0, 3  # until a server has everything again, by looks each second
Names = Sequence[str]


class Attacks:
    """On the parts of a cluster; those on its disks, its network and its clocks need these."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        disks: Disks | None = None,
        network: Network | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self._cluster, self._disks, self._network = cluster, disks, network
        self._clocks = clocks
        self._ways: dict[str, tuple[Callable[[Names], object], Callable[[Names], object]]] = {
            "kill": (lambda names: cluster.kill(*names), self._start),
            "freeze": (lambda names: cluster.freeze(*names), lambda names: cluster.thaw(*names)),
            "power": (self._power, self._start),
            "wipe": (self._wipe, self._start_empty),
            "full": (self._fill, self._empty),
            "switch": (self._switch, lambda names: None),
            "promote": (self._promote, lambda names: None),
            "ahead": (lambda names: self._jump(names, 1, 1), self._set_right),
            "behind": (lambda names: self._jump(names, -1, -1), self._set_right),
            "jumbled": (lambda names: self._jump(names, 1, -1), self._set_right),
            "deaf": (self._deaf, self._mend),
            "mute": (self._mute, self._mend),
            "alone": (self._alone, self._mend),
            "apart": (self._apart, self._mend),
            "lossy": (self._lossy, self._mend),
            "slow": (self._slow, self._mend),
        }

    @contextmanager
    def under(self, how: str, names: Names) -> Iterator[None]:
        """While this lasts, the parts are attacked."""
        strike, repair = self._ways[how]
        strike(names)
        try:
            yield
        finally:
            repair(names)

    def _start(self, names: Names) -> None:
        self._cluster.start_parts(names)

    def _power(self, names: Names) -> None:
        """All at once; servers go on with what was on their disks at that moment."""
        assert self._disks is not None
        servers = [name for name in names if name.startswith("server")]
        self._cluster.freeze(*servers)
        self._cluster.kill(*(name for name in names if name not in servers))
        copies = self._disks.freeze()
        self._cluster.kill(*servers)
        self._disks.restore(copies)

    def _switch(self, names: Names) -> None:
        """As `matchcore switch`."""
        with Register(Address.of(self._cluster.address)) as register:
            lease = Lease(Entry(register, LEASE_KEY), "drill")
            while True:
                with suppress(Changed):  # it was renewed meanwhile
                    lease.ask_for(ANYBODY)
                    return

    def _promote(self, names: Names) -> None:
        """As `matchcore promote --to --close`, while the primary serves; all go to the new log.

        The servers are the same ones: a region of its own would need others.
        """
        cluster = self._cluster
        old, copy = Address.of(cluster.address), cluster.copy
        assert copy is not None
        number = int(old.name.removeprefix(NAME).removeprefix("-") or 0)
        cluster.kill("copy")
        cluster.move(f"{NAME}-{number + 1}")
        promote_copy_to(copy, Address.of(cluster.address), old, PATIENCE_SECONDS)
        cluster.kill(*ENGINES, "sql")
        cluster.start_parts(cluster.parts)

    # ------------------------------------------------------------------ disks and clocks

    def _fill(self, names: Names) -> None:
        assert self._disks is not None
        for at in _numbers(names):
            self._disks.fill(at)

    def _empty(self, names: Names) -> None:
        """A server that could not write does so again once it is started again."""
        assert self._disks is not None
        for at in _numbers(names):
            self._disks.empty(at)
        self._cluster.kill(*names)
        self._start(names)

    def _wipe(self, names: Names) -> None:
        """Nothing is left of what a server had, as when its disk is lost."""
        self._cluster.kill(*names)
        for at in _numbers(names):
            for entry in self._cluster.servers.store(at).iterdir():
                shutil.rmtree(entry)

    def _start_empty(self, names: Names) -> None:
        """The others have answered meanwhile: an empty server has no voice in who leads them."""
        self._start(names)
        good, until = 0, time.monotonic() + WHOLE_SECONDS_MAX
        with Register(Address.of(self._cluster.address)) as register:
            while good < GOOD_LOOKS:  # the first one may be from before the end of the old one
                if time.monotonic() > until:
                    raise LogFailed(f"{names}: not up to date within {WHOLE_SECONDS_MAX:.0f} s")
                time.sleep(1.0)
                whole = register.servers(PATIENCE_SECONDS)["current"] == SERVERS
                good = good + 1 if whole else 0

    def _jump(self, names: Names, *ways: int) -> None:
        """One after the other, the first way and the second one in turns."""
        assert self._clocks is not None
        for at, name in enumerate(names):
            self._clocks.put(name, ways[at % len(ways)] * JUMP_SECONDS)

    def _set_right(self, names: Names) -> None:
        """Which is a jump as well."""
        self._jump(names, 0)

    # ------------------------------------------------------------------ networks

    def _deaf(self, names: Names) -> None:
        assert self._network is not None
        for name in names:
            self._network.deaf(name)

    def _mute(self, names: Names) -> None:
        assert self._network is not None
        for name in names:
            self._network.mute(name)

    def _alone(self, names: Names) -> None:
        self._mute(names)
        self._deaf(names)

    def _apart(self, names: Names) -> None:
        """The first two, in both directions; everybody else reaches both."""
        assert self._network is not None
        first, second = names
        self._network.cut(first, second)
        self._network.cut(second, first)

    def _lossy(self, names: Names) -> None:
        assert self._network is not None
        for name in names:
            self._network.lossy(name, LOSS_PERCENT)

    def _slow(self, names: Names) -> None:
        assert self._network is not None
        for name in names:
            self._network.slow(name, SLOW_MBIT)

    def _mend(self, names: Names) -> None:
        assert self._network is not None
        self._network.mend()


def _numbers(names: Names) -> list[int]:
    """Of servers, from 0."""
    return [int(name.rpartition("-")[2]) - 1 for name in names]
