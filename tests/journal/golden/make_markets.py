"""Makes the golden log of markets under a version of the rules: `python make_markets.py`.

Random flows of markets, one after another, until every kind of event and every reason that has to
do with markets was met.  Never writes over a log.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matchcore import COMMAND, Engine

HERE = Path(__file__).parent
VERSION = 3
COUNT = 250  # commands of each flow
SEEDS = (700, 701, 702, 703, 705, 706, 708, 718, 725, 735, 738, 741, 755, 796, 811, 897, 898)


def commands() -> NDArray[np.void]:
    sys.path.insert(0, str(HERE.parents[1] / "machine"))
    from market_flows import market_flow, world

    rows = np.concatenate([world(), *(market_flow(seed, COUNT) for seed in SEEDS)])
    assert rows.dtype == COMMAND
    return rows


def main() -> None:
    directory = HERE / f"markets-{VERSION}"
    if directory.exists():
        raise SystemExit(f"{directory} is there: golden files are for ever")
    with Engine.open(directory, clock=lambda: 1) as engine:
        before = engine.sequence
        events = engine.submit_batch(commands())
        said = {
            "commands": engine.sequence, "before": before, "digest": engine.digest(),
            "events": len(events),
            "events_sha256": hashlib.sha256(events.tobytes()).hexdigest(),
            "reasons": sorted({int(reason) for reason in events["reason"]}),
            "kinds": sorted({int(kind) for kind in events["kind"]}),
        }  # fmt: skip
    for hint in ("lock", "position", "snapshot-lock"):
        (directory / hint).unlink(missing_ok=True)
    (HERE / f"markets-{VERSION}.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
