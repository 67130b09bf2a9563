"""Networks and disks of drills, where this machine permits them; what it says where it does not."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from matchcore.drills import LeftOut, programs
from matchcore.drills.clocks import Clocks
from matchcore.drills.disks import Disks
from matchcore.drills.network import Network
from matchcore.errors import LogFailed

ECHO = """
import socket
with socket.create_server(("", 7000)) as server:
    print("ready", flush=True)
    while True:
        server.accept()[0].close()
"""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    try:
        made = Network(["a", "b"])
    except LeftOut as reason:
        pytest.skip(str(reason))
    with made:
        yield made


@pytest.fixture(scope="module")
def listening(network: Network) -> Iterator[str]:
    """The address of node a, where somebody accepts connections."""
    with subprocess.Popen(
        [*network.inside("a"), sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield network.address("a")
        process.kill()


def reaches(host: str) -> bool:
    try:
        socket.create_connection((host, 7000), 0.3).close()
    except OSError:
        return False
    return True


def test_a_node_that_hears_nobody_is_not_reached_until_it_is_mended(
    network: Network, listening: str
) -> None:
    assert reaches(listening)
    network.deaf("a")
    assert not reaches(listening)
    network.mend()
    assert reaches(listening)


def test_a_node_that_nobody_hears_is_not_reached_until_it_is_mended(
    network: Network, listening: str
) -> None:
    network.mute("a")
    assert not reaches(listening)
    network.mend()
    assert reaches(listening)


def test_a_cut_between_two_nodes_is_none_for_others(network: Network, listening: str) -> None:
    network.cut("b", "a")
    code = f"import socket; socket.create_connection(({listening!r}, 7000), 0.3)"
    ran = subprocess.run([*network.inside("b"), sys.executable, "-c", code], capture_output=True)
    assert ran.returncode and b"timed out" in ran.stderr
    assert reaches(listening)
    network.mend()
    subprocess.run([*network.inside("b"), sys.executable, "-c", code], check=True)


def test_slow_and_lossy_links_can_be_mended(network: Network, listening: str) -> None:
    network.slow("a", 1)
    network.lossy("a", 99)
    assert not reaches(listening)
    network.mend()
    assert reaches(listening)


def test_a_power_cut_takes_what_was_not_synced(tmp_path: Path) -> None:
    try:
        disks = Disks([tmp_path / "d"])
    except LeftOut as reason:
        pytest.skip(str(reason))
    with disks:
        kept, lost = tmp_path / "d" / "kept", tmp_path / "d" / "lost"
        kept.write_bytes(b"x" * 5000)
        subprocess.run(["sync", str(kept), str(tmp_path / "d")], check=True)
        lost.write_bytes(b"y" * 5000)
        disks.restore(disks.freeze())
        assert kept.read_bytes() == b"x" * 5000
        assert not lost.exists() or lost.read_bytes() != b"y" * 5000


def test_a_full_disk_takes_nothing_until_it_is_emptied(tmp_path: Path) -> None:
    try:
        disks = Disks([tmp_path / "d"])
    except LeftOut as reason:
        pytest.skip(str(reason))
    with disks:
        file = tmp_path / "d" / "file"
        disks.fill(0)
        with pytest.raises(OSError, match="No space left"):
            file.write_bytes(b"x" * 5000)
        disks.empty(0)
        file.write_bytes(b"x" * 5000)


TIMES = """
import time
while input():
    print(int(time.time()), int(time.monotonic()), flush=True)
"""


def test_a_program_sees_a_time_of_day_that_jumps_and_the_true_time_to_wait_by(
    tmp_path: Path,
) -> None:
    clocks = Clocks(tmp_path)
    try:
        clocks.emulate()
    except LeftOut as reason:
        pytest.skip(str(reason))
    with subprocess.Popen(
        [*clocks.emulated("one"), sys.executable, "-c", TIMES],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        seen = []
        for seconds in (0, 3600, -3600):
            clocks.put("one", seconds)
            process.stdin.write("now\n")
            process.stdin.flush()
            seen.append([int(word) for word in process.stdout.readline().split()])
        process.kill()
    (day, _), (later, _), (earlier, _) = seen
    assert later - day >= 3600 and day - earlier > 3000
    assert seen[2][1] - seen[0][1] < 3000


def test_without_root_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LeftOut, match="power cuts and full disks: needs root"):
        Disks([tmp_path / "d"])
    with pytest.raises(LeftOut, match="network namespaces: needs root"):
        Network(["a"])


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(LeftOut, match=r"no no-such-program here \(apt-get install some-package\)"):
        programs.needs("x", {"no-such-program": "some-package", "sh": "dash"})


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(LogFailed, match=r"ls /no/such/place: .*No such file"):
        programs.run("ls", "/no/such/place")
