"""What a drill does to a cluster, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .cluster import ENGINES, GATEWAYS, SERVERS, Cluster

ALL_SERVERS = [f"server-{number}" for number in range(1, SERVERS + 1)]
MINUTE_SECONDS = 60.0
AGE_SECONDS = 6.0  # in which a server looks several times whether anything is too old
Who = Callable[[Cluster, random.Random], list[str]]


class Fault(NamedTuple):
    """``how``: a way of `Attacks`; ``who``: names the parts.

    ``stops``: nothing can be answered until it is repaired.  ``hold``: seconds that it lasts behind
    the next answer; 0.0: some.
    """

    name: str
    how: str
    who: Who
    stops: bool = False
    hold: float = 0.0


def primary(cluster: Cluster, dice: random.Random) -> list[str]:
    """The engine that takes commands."""
    found = cluster.primary()
    return [found or ENGINES[0]]


def standby(cluster: Cluster, dice: random.Random) -> list[str]:
    """The other engine."""
    first = cluster.primary() or ENGINES[0]
    return [name for name in ENGINES if name != first]


def leader(cluster: Cluster, dice: random.Random) -> list[str]:
    """The server that leads the log."""
    return [cluster.leader() or dice.choice(ALL_SERVERS)]


def follower(cluster: Cluster, dice: random.Random) -> list[str]:
    """A server that does not lead."""
    leading = leader(cluster, dice)
    return [dice.choice([name for name in ALL_SERVERS if name not in leading])]


def one_server(number: int) -> Who:
    """The server of this number, from 1 on."""
    return lambda cluster, dice: [f"server-{number}"]


def any_server(cluster: Cluster, dice: random.Random) -> list[str]:
    """One of the three."""
    return [dice.choice(ALL_SERVERS)]


def two_servers(cluster: Cluster, dice: random.Random) -> list[str]:
    """Two of the three."""
    return dice.sample(ALL_SERVERS, 2)


def all_servers(cluster: Cluster, dice: random.Random) -> list[str]:
    """Each server."""
    return ALL_SERVERS


def primary_and_leader(cluster: Cluster, dice: random.Random) -> list[str]:
    """The engine that takes commands, and the server that leads."""
    return primary(cluster, dice) + leader(cluster, dice)


def everything(cluster: Cluster, dice: random.Random) -> list[str]:
    """Servers and engines."""
    return [*ALL_SERVERS, *ENGINES]


def one_gateway(cluster: Cluster, dice: random.Random) -> list[str]:
    """One of the two that clients come to."""
    return [dice.choice(GATEWAYS)]


def all_gateways(cluster: Cluster, dice: random.Random) -> list[str]:
    """Both."""
    return list(GATEWAYS)


def all_clocks(cluster: Cluster, dice: random.Random) -> list[str]:
    """Engines and gateways, in any order."""
    return dice.sample([*ENGINES, *GATEWAYS], len(ENGINES) + len(GATEWAYS))


#: The first ones are those that a short drill does.
PROCESSES: Sequence[Fault] = (
    Fault("primary killed", "kill", primary),
    Fault("primary and leading server killed", "kill", primary_and_leader),
    Fault("primary frozen", "freeze", primary),
    Fault("all servers killed", "kill", all_servers, stops=True),
    Fault("planned switch", "switch", primary),
    Fault("standby killed", "kill", standby),
    Fault("leading server killed", "kill", leader),
    Fault("two servers killed", "kill", two_servers, stops=True),
    *(Fault(f"server {number} killed", "kill", one_server(number)) for number in range(1, 4)),
    *(Fault(f"server {number} frozen", "freeze", one_server(number)) for number in range(1, 4)),
    Fault("standby frozen", "freeze", standby),
    Fault("two servers frozen", "freeze", two_servers, stops=True),
    Fault("all servers frozen", "freeze", all_servers, stops=True),
    Fault("servers and engines killed", "kill", everything, stops=True),
    Fault("server with an empty disk", "wipe", any_server),
    Fault("gateway killed", "kill", one_gateway),
    Fault("gateway frozen", "freeze", one_gateway),
    Fault("both gateways killed", "kill", all_gateways, stops=True),
    Fault("clock of the primary an hour ahead, and back", "ahead", primary),
    Fault("clock of the primary an hour behind, and back", "behind", primary),
    Fault("clocks an hour ahead and behind, and back", "jumbled", all_clocks),
    Fault("primary asleep for a minute", "freeze", primary, hold=MINUTE_SECONDS),
    Fault("leading server asleep for a minute", "freeze", leader, hold=MINUTE_SECONDS),
)
#: Needs the remote copy.
PROMOTION = Fault("region promoted", "promote", primary)
NETWORK: Sequence[Fault] = (
    Fault("primary cut off", "alone", primary),
    Fault("primary hears nothing", "deaf", primary),
    Fault("primary is not heard", "mute", primary),
    Fault("primary and leading server cut apart", "apart", primary_and_leader),
    Fault("standby cut off", "alone", standby),
    Fault("leading server cut off", "alone", leader),
    Fault("leading server hears nothing", "deaf", leader),
    Fault("leading server is not heard", "mute", leader),
    Fault("all servers lose packets", "lossy", all_servers),
    Fault("leading server slow", "slow", leader),
)
POWER = Fault("power cut of all servers", "power", everything, stops=True)
DISKS: Sequence[Fault] = (
    Fault("disk of the leading server full", "full", leader),
    Fault("disks of two servers full", "full", two_servers, stops=True),
)
SERVER_CLOCKS: Sequence[Fault] = (
    Fault("clock of the leading server an hour ahead, and back", "ahead", leader, hold=AGE_SECONDS),
    Fault(
        "clock of the leading server an hour behind, and back", "behind", leader, hold=AGE_SECONDS
    ),
    Fault("clock of another server an hour ahead, and back", "ahead", follower),
    Fault("clocks of all servers an hour ahead and behind, and back", "jumbled", all_servers),
    Fault("clocks of servers and engines jump together", "ahead", everything),
)


def planned(faults: Sequence[Fault], rounds: int, dice: random.Random) -> Iterator[Fault]:
    """``rounds`` faults: each of them once, as far as that goes, and then any."""
    for number in range(rounds):
        yield faults[number] if number < len(faults) else dice.choice(faults)
