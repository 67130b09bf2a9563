"""Calls that fail below the process: a C library puts errors between matchcore and the system.

Nothing of matchcore is changed or known, but its command line and what a caller sees.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import matchcore as mc
from matchcore.torture.child import logged
from matchcore.torture.flow import commands, digest_of

SEED, COUNT = 5, 3000
TRADER = f"""
import json, sys, time
import matchcore as mc
from matchcore.torture.flow import commands
path, policy = sys.argv[1:]
stream, answered, said = commands({SEED}, {COUNT}), 0, []
def settle():  # a fast machine would be done before the clock has asked for the sync that fails
    until = time.monotonic() + 0.5
    while engine.on_disk < engine.sequence and time.monotonic() < until:
        time.sleep(0.0005)
engine = mc.Engine.open(path, policy=policy, segment_bytes=1 << 14, interval_ms=1)
for again in range(3):
    try:
        while answered < len(stream):
            size = 1 + answered % 20
            engine.submit_batch(stream[answered : answered + size])
            answered += size
            if size == 16:  # every fourth
                settle()
    except mc.LogFailed as error:
        said.append(str(error))
shown = [engine.durable, engine.sequence, engine.digest(), len(engine.book("ONE").orders())]
try:
    engine.snapshot()
except mc.LogFailed as error:
    said.append(str(error))
engine.close()
print(json.dumps([answered, said, shown]))
"""


#: the same with large batches under way at once: one is written while another is synced
SENDER = f"""
import json, sys
import matchcore as mc
from matchcore.torture.flow import commands
path, policy = sys.argv[1:]
stream, answered, said, futures = commands({SEED}, {4 * COUNT}), 0, [], []
engine = mc.Engine.open(path, policy=policy, segment_bytes=1 << 16)
try:
    for at in range(0, len(stream), 600):
        futures.append(engine.submit_async(stream[at : at + 600]))
except mc.LogFailed:
    pass
for future in futures:
    try:
        future.result(60)
        assert not said, "answered behind one that was not"
        answered += 600
    except mc.LogFailed as error:
        said.append(str(error))
shown = [engine.durable, engine.on_disk, engine.sequence, engine.digest()]
engine.close()
print(json.dumps([answered, said, shown]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("faulty") / "faulty.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    source = Path(__file__).with_name("faulty.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(made), str(source), "-ldl"]
    done = subprocess.run([compiler, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def trade(
    exchange: Path, library: Path, fault: str, policy: str, trader: str = TRADER
) -> tuple[int, Any, Any]:
    """Sends commands into an exchange below which a call fails; what the caller has seen."""
    trace = exchange.with_name("trace")
    env = {**os.environ, "LD_PRELOAD": str(library), "FAULT": fault, "FAULT_TRACE": str(trace)}
    done = subprocess.run(
        [sys.executable, "-c", trader, str(exchange), policy],
        capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked = trace.read_text().split() if trace.exists() else []
    if trader == SENDER:  # what another thread was writing
        asked = [call for call in asked if call != "pwrite"]
    assert asked == [], "the journal was touched again after the failure"
    answered, said, shown = json.loads(done.stdout)
    return answered, said, shown


FAULTS = [
    ("fdatasync", 8, errno.EIO), ("fdatasync", 7, errno.ENOSPC), ("pwrite", 30, errno.EIO),
    ("pwrite", 25, errno.ENOSPC), ("pwrite", 40, 0), ("fsync", 3, errno.EIO),
    ("rename", 2, errno.EIO), ("ftruncate", 1, errno.EIO),
]  # fmt: skip


@pytest.mark.parametrize(("call", "number", "code"), FAULTS)
@pytest.mark.parametrize("policy", ["sync", "interval"])
def test_a_call_that_fails_below_is_final(
    tmp_path: Path, library: Path, call: str, number: int, code: int, policy: str
) -> None:
    exchange, stream = tmp_path / "e", commands(SEED, COUNT)
    answered, said, shown = trade(exchange, library, f"{call}:{number}:{code}", policy)
    assert 0 < answered < COUNT and len(said) == 4  # three tries, and a snapshot
    why = os.strerror(code or errno.EFBIG)
    assert all(why in one for one in said)
    assert all("the log accepts no more commands" in one for one in said[1:])
    resting = shown.pop()
    assert shown == [answered, answered, digest_of(stream[:answered])] and resting > 0
    verified = subprocess.run(
        [sys.executable, "-m", "matchcore", "verify", str(exchange), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout
    with mc.Engine.open(exchange) as engine:
        found = engine.sequence
        assert answered <= found <= answered + 20
        assert engine.digest() == digest_of(stream[:found])
        engine.submit_batch(stream[found : found + 100])
    assert logged(exchange).tobytes() == stream[: found + 100].tobytes()


@pytest.mark.parametrize(
    ("call", "number"),
    [("fdatasync", 1), ("fsync", 2), ("fsync", 3), ("fsync", 4)],  # that surely come
)
def test_a_sync_that_fails_beside_a_write_is_final(
    tmp_path: Path, library: Path, call: str, number: int
) -> None:
    """The calls after it are watched: a segment that followed would ask for an fsync."""
    exchange, stream = tmp_path / "e", commands(SEED, 4 * COUNT)
    fault = f"{call}:{number}:{errno.EIO}"
    answered, said, shown = trade(exchange, library, fault, "sync", SENDER)
    assert said and all(os.strerror(errno.EIO) in one for one in said)
    durable, on_disk, sequence, digest = shown  # also what was refused may be: by a new segment
    assert answered <= durable == on_disk == sequence and digest == digest_of(stream[:durable])
    with mc.Engine.open(exchange) as engine:
        found = engine.sequence
        assert found >= durable and engine.digest() == digest_of(stream[:found])
    assert logged(exchange).tobytes() == stream[:found].tobytes()


def test_without_a_fault_all_is_taken(tmp_path: Path, library: Path) -> None:
    answered, said, shown = trade(tmp_path / "e", library, "fdatasync:100000:5", "sync")
    assert answered >= COUNT == shown[0] and said == []
