"""`python -m matchcore.engine.snapshotting DIR SEQUENCE`: the child of `start_snapshot`."""

from __future__ import annotations

import sys

from . import main

sys.exit(main(sys.argv[1:]))
