"""Machines with addresses of their own, as network namespaces: cut off, lossy, slow.  Needs root.

Each node is a namespace with one link to a bridge.  What a node does not let in is decided by rules
of nftables at that node, so each direction can be cut alone, and nobody is told.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from .._closing import Closing
from ..errors import LogFailed
from . import LeftOut
from .programs import find, needs, run

PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
SUBNETS = "10.213"  # the next number is of this process, so that two can be side by side
_TABLE = "add table inet drill\nadd chain inet drill in { type filter hook input priority 0; }\n"


class Network(Closing):
    """Namespaces for nodes, by name, and a bridge that this process reaches them over.

    ``here``: the address of this side; `address` has those of nodes.  `LeftOut` says why it
    cannot be made.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        subnet = f"{SUBNETS}.{os.getpid() % 255}"
        self.here = f"{subnet}.1"
        self._nodes = {name: f"{subnet}.{number}" for number, name in enumerate(nodes, 2)}
        self._bridge = f"mcb{os.getpid()}"
        needs("network namespaces", PROGRAMS)
        try:
            self._make()
        except (LogFailed, OSError, subprocess.TimeoutExpired) as error:
            self.close()
            raise LeftOut(f"no network namespaces here: {error}") from None

    def _make(self) -> None:
        run("ip", "link", "add", self._bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.here}/24", "dev", self._bridge)
        run("ip", "link", "set", self._bridge, "up")
        run("nft", "-f", "-", said=f"add table netdev {self._bridge}\n")
        for name, address in self._nodes.items():
            space, outside = self._space(name), self._outside(name)
            run("ip", "netns", "add", space)
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0",
                 "netns", space)  # fmt: skip
            run("ip", "link", "set", outside, "master", self._bridge, "up")
            run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
            self._rule(name, _TABLE)

    def _outside(self, name: str) -> str:
        """The device at this side of a node's link."""
        return f"mcv{os.getpid()}n{self.address(name).rpartition('.')[2]}"

    @property
    def nodes(self) -> list[str]:
        """Their names."""
        return list(self._nodes)

    def _space(self, name: str) -> str:
        return f"mc{os.getpid()}-{name}"

    def address(self, name: str) -> str:
        """Of a node."""
        return self._nodes[name]

    def inside(self, name: str) -> list[str]:
        """What goes before a command line that shall run at a node."""
        return [find("nsenter"), f"--net=/run/netns/{self._space(name)}"]

    def _rule(self, name: str, said: str) -> None:
        run(*self.inside(name), find("nft"), "-f", "-", said=said)

    def deaf(self, name: str) -> None:
        """A node hears nobody; what it says is heard."""
        self._rule(name, 'add rule inet drill in iifname "eth0" drop\n')

    def mute(self, name: str) -> None:
        """Nobody hears a node; it hears everybody, and is not told."""
        device = self._outside(name)
        hook = f'{{ type filter hook ingress device "{device}" priority 0; policy drop; }}'
        run("nft", "-f", "-", said=f"add chain netdev {self._bridge} {device} {hook}\n")

    def cut(self, source: str, target: str) -> None:
        """Nothing that ``source`` sends reaches ``target`` any more; the other way stays open."""
        self._rule(target, f"add rule inet drill in ip saddr {self.address(source)} drop\n")

    def lossy(self, name: str, percent: int) -> None:
        """A node does not hear so many of a hundred packets."""
        rule = f'iifname "eth0" numgen random mod 100 < {percent} drop'
        self._rule(name, f"add rule inet drill in {rule}\n")

    def slow(self, name: str, mbit: int) -> None:
        """What a node sends is limited; packets that wait for more than 400 ms are lost."""
        run(*self.inside(name), find("tc"), "qdisc", "replace", "dev", "eth0", "root", "tbf",
            "rate", f"{mbit}mbit", "burst", "32kbit", "latency", "400ms")  # fmt: skip

    def mend(self) -> None:
        """All is as it was."""
        table = f"netdev {self._bridge}"
        run("nft", "-f", "-", said=f"delete table {table}\nadd table {table}\n")
        for name in self._nodes:
            self._rule(name, "flush chain inet drill in\n")
            with suppress(LogFailed):  # it was not slow
                run(*self.inside(name), find("tc"), "qdisc", "del", "dev", "eth0", "root")

    def close(self) -> None:
        """Removes all of it."""
        for name in self._nodes:
            with suppress(LogFailed, OSError):
                run("ip", "netns", "del", self._space(name))
        for words in (("nft", "delete", "table", "netdev"), ("ip", "link", "del")):
            with suppress(LogFailed, OSError):
                run(*words, self._bridge)
