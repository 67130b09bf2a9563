"""`verify --jobs N`: the same answer, byte for byte, however many processes read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import ANA, apart, run

import matchcore as mc
from matchcore.journal import FileLog, verify
from matchcore.journal.segments import segment_files
from matchcore.torture.disk import SimulatedDisk


def kept(path: Path, count: int = 120) -> Path:
    """Six segments of a clean exchange and a snapshot."""
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=4096) as engine:
        for at in range(count):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1 + at % 9, "95.05", time=10**18 + at))
        engine.snapshot()
    return path


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An exchange, and another one with the same commands."""
    place = tmp_path_factory.mktemp("twins")
    return kept(place / "one"), kept(place / "two")


def swapped(files: list[Path], other: list[Path]) -> str:
    first, second = files[1].read_bytes(), files[2].read_bytes()
    files[1].write_bytes(second)
    files[2].write_bytes(first)
    return "this segment begins with sequence"


def swapped_with_names(files: list[Path], other: list[Path]) -> str:
    """The later one's bytes under a name between: its header does not fit the name."""
    files[2].replace(files[1])
    return "this segment begins with sequence"


def missing(files: list[Path], other: list[Path]) -> str:
    files[2].unlink()
    return "segment number 4 after number 2"


def first_missing(files: list[Path], other: list[Path]) -> str:
    files[0].unlink()
    (snapshot,) = files[0].parent.glob("snapshot-*.mcs")
    snapshot.unlink()
    return "but 1 is needed"


def duplicated(files: list[Path], other: list[Path]) -> str:
    """Under the name that its neighbour would have, as a copy gone wrong."""
    shutil.copy(files[2], files[2].with_name(f"journal-{int(files[2].stem[8:]) + 1:020d}.mcj"))
    return "this segment begins with sequence"


def foreign(files: list[Path], other: list[Path]) -> str:
    shutil.copy(other[2], files[2])
    return "a segment of another exchange"


def flipped(files: list[Path], other: list[Path]) -> str:
    data = bytearray(files[3].read_bytes())
    data[900] ^= 8
    files[3].write_bytes(data)
    return "frame"


def headless(files: list[Path], other: list[Path]) -> str:
    data = bytearray(files[3].read_bytes())
    data[30] ^= 8
    files[3].write_bytes(data)
    return "segment header with a wrong checksum"


def cut(files: list[Path], other: list[Path]) -> str:
    files[2].write_bytes(files[2].read_bytes()[:-200])
    return "cut off"


def torn_in_the_middle(files: list[Path], other: list[Path]) -> str:
    """What would be a torn tail at the end is damage before another segment."""
    data = files[2].read_bytes()
    files[2].write_bytes(data[:-200] + bytes(200))
    return "frame"


def directory(files: list[Path], other: list[Path]) -> str:
    files[2].unlink()
    files[2].mkdir()
    return "a directory where a segment should be"


def good(files: list[Path], other: list[Path]) -> str:
    return ""


DAMAGES = (
    good, swapped, swapped_with_names, missing, first_missing, duplicated, foreign, flipped,
    headless, cut, torn_in_the_middle, directory,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_one_job_and_two_say_the_same_and_name_it(
    tmp_path: Path, twins: tuple[Path, Path], damage: Callable[..., str]
) -> None:
    exchange = tmp_path / "e"
    shutil.copytree(twins[0], exchange)
    what = damage(segment_files(exchange), segment_files(twins[1]))
    one = run("verify", exchange, "--json", "--jobs", 1)
    two = run("verify", exchange, "--json", "--jobs", 2)
    assert (one.exit_code, one.output) == (two.exit_code, two.output)
    assert one.exit_code == (1 if what else 0)
    findings = json.loads(one.stdout)["findings"]
    assert any(what in finding["what"] for finding in findings) == bool(what)
    for finding in findings:
        assert str(exchange) in finding["path"]
    text = run("verify", exchange)
    assert text.exit_code == one.exit_code and (not what or what in text.stdout)
    assert text.stderr == ""  # no bar in a pipe
    if what:  # and an open refuses it too, or did not need it
        try:
            with mc.Engine.open(exchange) as engine:
                assert engine.recovery.snapshot_sequence > 0
        except mc.LogDamaged as error:
            assert str(exchange) in error.path


def test_a_torn_tail_is_the_same_good_end(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    (snapshot,) = exchange.glob("snapshot-*.mcs")
    snapshot.unlink()
    last = segment_files(exchange)[-1]
    last.write_bytes(last.read_bytes()[:-300])
    (exchange / "position").unlink()
    one, two = (run("verify", exchange, "--json", "--jobs", jobs) for jobs in (1, 2))
    assert one.exit_code == two.exit_code == 0 and one.output == two.output
    assert json.loads(one.stdout)["torn_bytes"] > 0


def encrypted(path: Path, file: Path) -> Path:
    file.write_text(f"k1 aes-256-gcm {bytes(range(32)).hex()}\n")
    file.chmod(0o600)
    keys = mc.Keys.from_file(file)
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=4096,
                        keys=keys, hash="sm3") as engine:  # fmt: skip
        for at in range(60):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1 + at % 9, "95.05"))
    return path


def test_processes_read_the_keys_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    exchange = encrypted(tmp_path / "e", file)
    for keys, structure_only in (("", len(segment_files(exchange))), (str(file), 0)):
        monkeypatch.setenv("MATCHCORE_KEYS", keys)
        one, two = (run("verify", exchange, "--json", "--jobs", jobs) for jobs in (1, 2))
        assert (one.exit_code, one.output) == (two.exit_code, two.output) == (0, two.output)
        assert json.loads(one.stdout)["structure_only"] == structure_only
    file.write_text(f"k1 aes-256-gcm {bytes(32).hex()}\n")  # another key under the same id
    one, two = (run("verify", exchange, "--json", "--jobs", jobs) for jobs in (1, 2))
    assert (one.exit_code, one.output) == (two.exit_code, two.output) == (1, two.output)
    assert json.loads(one.stdout)["kind"] == "KeyRefused"


def test_what_other_processes_can_not_have_is_refused(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e", 20)
    callable_only = mc.Keys(lambda key_id: bytes(32), "k1")
    with pytest.raises(ValueError, match=r"2 jobs: .*Keys\.from_file"):
        verify(exchange, keys=callable_only, jobs=2)
    disk = SimulatedDisk(1)
    FileLog.open(Path("/exchange"), disk=disk).close()
    with pytest.raises(ValueError, match="only the system's disk"):
        verify("/exchange", disk=disk, jobs=2)
    for jobs in ("0", "x", "257"):
        assert run("verify", exchange, "--jobs", jobs).exit_code == 2


def test_a_real_process_verifies_with_several(tmp_path: Path, twins: tuple[Path, Path]) -> None:
    done = apart("verify", twins[0], "--json", "--jobs", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["good"]


SLOW = """
import os, sys, time
from matchcore.journal import verifying
if __name__ == "__mp_main__":
    def slow(file, keys=None, disk=None):
        print(os.getpid(), flush=True)
        time.sleep(60)
    verifying.walked = slow
if __name__ == "__main__":
    verifying.verify(sys.argv[1], jobs=2)
"""


def test_no_process_outlives_who_asked(tmp_path: Path, twins: tuple[Path, Path]) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    with subprocess.Popen(
        [sys.executable, str(script), str(twins[0])],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert int(child.stdout.readline()) != child.pid
        child.kill()
        child.stdout.read()  # until everybody who could write to it has gone
