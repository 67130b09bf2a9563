"""How a fault is done to a cluster, and undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .cluster import Cluster
from .disks import Disks
from .network import Network

LOSS_PERCENT, SLOW_MBIT = 10, 1
Names = Sequence[str]


class Attacks:
    """On the parts of a cluster; those on its disks and its network need these."""

    def __init__(
        self, cluster: Cluster, *, disks: Disks | None = None, network: Network | None = None
    ) -> None:
        self._cluster, self._disks, self._network = cluster, disks, network
        self._ways: dict[str, tuple[Callable[[Names], object], Callable[[Names], object]]] = {
            "kill": (lambda names: cluster.kill(*names), self._start),
            "freeze": (lambda names: cluster.freeze(*names), lambda names: cluster.thaw(*names)),
            "power": (self._power, self._start),
            "deaf": (self._deaf, self._mend),
            "mute": (self._mute, self._mend),
            "alone": (self._alone, self._mend),
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

    # ------------------------------------------------------------------ networks

    def _others(self, name: str) -> Iterator[tuple[Network, str]]:
        assert self._network is not None
        for other in self._network.nodes:
            if other != name:
                yield self._network, other

    def _deaf(self, names: Names) -> None:
        for name in names:
            for network, other in self._others(name):
                network.cut(other, name)

    def _mute(self, names: Names) -> None:
        for name in names:
            for network, other in self._others(name):
                network.cut(name, other)

    def _alone(self, names: Names) -> None:
        self._deaf(names)
        self._mute(names)

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
