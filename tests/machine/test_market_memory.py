"""Memory that ends inside a command of a market: the machine stops for good, and says so.

A library below the process (starved.c) refuses what the compiled machine asks for.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

#: Grants ever more requests, until the flow ends: what became of the machine each time.
STARVED = """
import ctypes, json, sys
from market_flows import market_flow, world
from matchcore import Machine
from matchcore.machine.reference import Machine as Reference

library = ctypes.CDLL(sys.argv[1])
library.starve.argtypes, library.granted.restype = [ctypes.c_long], ctypes.c_long

def said_of(call, *arguments):
    "The message of a machine that has no memory for a call, or none."
    try:
        call(*arguments)
    except MemoryError as error:
        return str(error)

rows, found = market_flow(int(sys.argv[2]), 600), []
expected = Reference()
expected.apply(world())
expected.apply(rows)
while not found or found[-1]["stopped"] is not None:
    library.starve(-1)
    machine = Machine()
    machine.apply(world())
    base = machine.sequence
    library.starve(len(found))
    stopped = said_of(machine.apply, rows)
    library.starve(-1)
    done = machine.sequence - base
    again = said_of(machine.apply, rows[done:])
    found.append({
        "stopped": stopped, "again": again,
        "ever": said_of(machine.apply, rows[:1]) if again else None,
        "state": said_of(machine.digest),
        "same": again is None and machine.digest() == expected.digest(),
    })
    rebuilt = Machine()  # from the log, which has every command
    rebuilt.apply(world())
    rebuilt.apply(rows)
    assert rebuilt.digest() == expected.digest()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the library calls the allocator of glibc by its inner names")
    made = tmp_path_factory.mktemp("starved") / "starved.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    source = Path(__file__).with_name("starved.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(made), str(source), "-ldl"]
    done = subprocess.run([compiler, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("seed", [3, 11, 19])
def test_a_machine_without_memory_is_whole_or_stopped(library: Path, seed: int) -> None:
    """Either the command was not begun, and the machine goes on with it when there is memory; or
    every later call is a MemoryError."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(library), str(seed)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    *stopped, last = found
    assert last == {"stopped": None, "again": None, "ever": None, "state": None, "same": True}
    for one in stopped:
        assert one["stopped"].startswith("no memory for command ")
        if one["again"] is None:
            assert one["same"]
        else:
            stopped_for_good = "the machine has stopped: memory ended in the middle of a command"
            for said in ("again", "ever", "state"):
                assert one[said].startswith(stopped_for_good)
    assert any(one["again"] for one in stopped), "it always ended between two commands"
