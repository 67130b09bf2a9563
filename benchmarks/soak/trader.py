"""An engine at a steady rate for any time: `python -m benchmarks.soak.trader DIR RATE SECONDS`.

It prints how many commands it has submitted, and in how many seconds.  DIR.npy gets some sequences
of commands of instrument 1 and when each was answered, in monotonic nanoseconds.
"""

from __future__ import annotations

import json
import sys
import time
from array import array

import numpy as np

import matchcore as mc

from ..fanout.trader import flow

PIECE = 8192  # commands that are made at once, and submitted at once at the most
PAUSE_SECONDS = 0.0005
PROBE_NS = 10_000_000  # between two sequences that are noted down


def main(path: str, rate: str, seconds: str) -> None:
    wanted, done = int(float(rate) * float(seconds)), 0
    noted: array[int] = array("q")
    due_ns = 0
    with mc.Engine.open(path, policy="os") as engine:
        began = time.monotonic()
        while done < wanted:
            commands, at = flow(min(PIECE, wanted - done), done), 0
            while at < len(commands):
                due = min(int((time.monotonic() - began) * float(rate)) - done, len(commands))
                if due <= at:
                    time.sleep(PAUSE_SECONDS)
                    continue
                engine.submit_batch(commands[at:due])
                now = time.monotonic_ns()
                probes = np.flatnonzero(commands["instrument"][at:due] == 1)
                if now >= due_ns and len(probes):
                    noted.extend((engine.sequence - (due - at) + 1 + int(probes[-1]), now))
                    due_ns = now + PROBE_NS
                at = due
            done += len(commands)
    np.save(f"{path}.npy", np.array(noted, np.int64).reshape(-1, 2))
    print(json.dumps({"commands": done, "seconds": round(time.monotonic() - began, 3)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
