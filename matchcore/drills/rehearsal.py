"""A drill from nothing: a cluster of its own, what the machine permits, and the rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..errors import InvalidArgument
from . import LeftOut
from .attacks import Attacks
from .clocks import Clocks
from .cluster import ENGINES, Cluster
from .disks import Disks
from .drill import Drill, Report, Round
from .faults import (
    ALL_SERVERS,
    DISKS,
    NETWORK,
    POWER,
    PROCESSES,
    PROMOTION,
    SERVER_CLOCKS,
    Fault,
)
from .network import Network


def rehearse(
    place: Path,
    seed: int,
    rounds: int,
    *,
    only: Sequence[str] = (),
    netns: bool = False,
    power_cut: bool = False,
    full_disk: bool = False,
    server_clocks: bool = False,
    followers: bool = True,
    progress: Callable[[Round], object] = lambda one: None,
) -> Report:
    """Rounds on a new cluster in ``place``.

    - ``only``: texts, of which a fault's name must have one.
    - ``followers``: whether there is a remote copy to compare, too.
    - ``netns``, ``power_cut``, ``full_disk``: faults that need root; where they are not permitted,
      they are left out with the reason.
    - ``server_clocks``: the servers run in an emulation, where their clocks can jump, too.

    `InvalidArgument` if no fault is left.
    """
    faults, left_out = [*PROCESSES, *([PROMOTION] if followers else [])], []
    with ExitStack() as stack:
        disks = network = None
        if power_cut or full_disk:
            try:
                stores = [place / "servers" / f"store-{at}" for at in range(len(ALL_SERVERS))]
                disks = stack.enter_context(Disks(stores))
                faults = [*DISKS[: len(DISKS) * full_disk], *[POWER][:power_cut], *faults]
            except LeftOut as reason:
                left_out.append(str(reason))
        if netns:
            try:
                network = stack.enter_context(Network([*ALL_SERVERS, *ENGINES]))
                faults = [*NETWORK, *faults]
            except LeftOut as reason:
                left_out.append(str(reason))
        clocks = Clocks(place / "clocks")
        if server_clocks:
            try:
                clocks.emulate()
                faults = [*SERVER_CLOCKS, *faults]
            except LeftOut as reason:
                left_out.append(str(reason))
        faults = _chosen(faults, only, left_out)
        cluster = stack.enter_context(
            Cluster(place, followers=followers, network=network, clocks=clocks)
        )
        attacks = Attacks(cluster, disks=disks, network=network, clocks=clocks)
        report = Drill(cluster, attacks, seed, progress).run(faults, rounds)
        report.left_out = left_out
        return report


def listed() -> list[tuple[Fault, str]]:
    """Every fault that there is, with the option that it needs; "" for none."""
    return [
        *((fault, "--server-clocks") for fault in SERVER_CLOCKS),
        *((fault, "--netns") for fault in NETWORK), *((fault, "--full-disk") for fault in DISKS),
        (POWER, "--power-cut"), *((fault, "") for fault in PROCESSES), (PROMOTION, ""),
    ]  # fmt: skip


def _chosen(faults: Sequence[Fault], only: Sequence[str], left_out: list[str]) -> list[Fault]:
    found = [one for one in faults if not only or any(text in one.name for text in only)]
    if not found:
        reason = "; ".join(left_out) or f"faults are: {', '.join(one.name for one in faults)}"
        raise InvalidArgument(f"no such fault: {reason}")
    return found
