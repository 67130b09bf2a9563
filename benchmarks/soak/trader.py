"""An engine at a steady rate for any time: `python -m benchmarks.soak.trader DIR RATE SECONDS`.

It prints how many commands it has submitted, and in how many seconds.
"""

from __future__ import annotations

import json
import sys
import time

import matchcore as mc

from ..fanout.trader import flow

PIECE = 8192  # commands that are made at once, and submitted at once at the most
PAUSE_SECONDS = 0.0005


def main(path: str, rate: str, seconds: str) -> None:
    wanted, done = int(float(rate) * float(seconds)), 0
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
                at = due
            done += len(commands)
    print(json.dumps({"commands": done, "seconds": round(time.monotonic() - began, 3)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
