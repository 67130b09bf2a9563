"""Three nodes of a real Galera cluster on loopback, from Debian's package ``galera-4``."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from mariadb_server import STARTING_SECONDS_MAX, MariadbServer, free_port
from missing import missing

PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
#: A node that says nothing is out of the cluster after two seconds, not after five.
QUICK = (
    "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.3S;evs.suspect_timeout=PT2S"
    ";evs.inactive_timeout=PT4S;evs.install_timeout=PT4S;gcache.size=16M"
)
WHOLE = {"wsrep_cluster_size": "3", "wsrep_local_state_comment": "Synced", "wsrep_ready": "ON"}
#: A state transfer between nodes that have the same data already: nothing is sent.
SAME = """#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
        --role) role="$2" ;;
        --gtid) state="$2" ;;
        --datadir) data="$2" ;;
        --address) address="$2" ;;
    esac
    shift
done
if [ "$role" = donor ]; then
    echo "done $state"
    exit
fi
echo "ready $address"
sed -n 's/^uuid: *//p; s/^seqno: *//p' "$data/grastate.dat" | paste -sd:
"""


class GaleraCluster:
    """Nodes 0, 1 and 2.  They begin with the same data, so that none has to send it to another."""

    def __init__(self) -> None:
        provider = next((path for path in PROVIDERS if Path(path).exists()), None)
        if provider is None:
            missing("Galera", "galera-4")
        self.nodes: list[MariadbServer] = []
        self._place = Path(tempfile.mkdtemp(prefix="matchcore-galera-"))
        transfer = self._place / "wsrep_sst_same"
        transfer.write_text(SAME)
        transfer.chmod(0o755)
        ports = [(free_port(), free_port()) for _ in range(3)]
        address = ",".join(f"127.0.0.1:{port}" for port, _ in ports)
        with ExitStack() as undo:
            undo.callback(self.close)
            for port, increments in ports:
                options = (
                    "--wsrep-on=ON", f"--wsrep-provider={provider}", "--wsrep-sst-method=same",
                    f"--wsrep-cluster-address=gcomm://{address}", "--binlog-format=ROW",
                    "--innodb-autoinc-lock-mode=2", f"--wsrep-node-address=127.0.0.1:{port}",
                    f"--wsrep-provider-options={QUICK};gmcast.listen_addr=tcp://127.0.0.1:{port}"
                    f";ist.recv_addr=127.0.0.1:{increments}",
                )  # fmt: skip
                first = self.nodes[0] if self.nodes else None
                self.nodes.append(
                    MariadbServer(options=options, copy_of=first, programs=self._place)
                )
                if first is None:
                    self.nodes[0].start("--wsrep-new-cluster")
                    self.nodes[0].stop()
            self.nodes[0].start("--wsrep-new-cluster")
            for node in self.nodes[1:]:
                node.start()
            undo.pop_all()

    def fresh(self) -> None:
        """An empty database on all nodes, which are together again."""
        until = time.monotonic() + STARTING_SECONDS_MAX
        for node in self.nodes:
            while not WHOLE.items() <= dict(node.sql("SHOW STATUS LIKE 'wsrep%'")).items():
                assert time.monotonic() < until, node.log()
                time.sleep(0.1)
        self.nodes[0].fresh()
        for node in self.nodes:
            node.sql("SET wsrep_sync_wait = 1", "USE exchange", "SELECT 1")

    def lose_the_quorum(self) -> None:
        """Nodes 1 and 2 say nothing any more: node 0 is alone, and takes nothing."""
        for node in self.nodes[1:]:
            node.signal(signal.SIGSTOP)

    def find_the_quorum(self) -> None:
        for node in self.nodes[1:]:
            node.signal(signal.SIGCONT)

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        shutil.rmtree(self._place, ignore_errors=True)
