#!/usr/bin/env bash
# PyPI's obook 0.1.0 takes a time in force on market orders.  FOK (fill or kill) is ignored there:
# the order fills in part, and what is left is cancelled, as with IOC.  The same order with a limit
# is refused with FOK_CANNOT_FILL.  One would expect all or nothing, or a refusal.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check obook==0.1.0
"$place/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import obook

print("obook", version("obook"))
seen = {}
for kind, price in ((obook.LIMIT, 100), (obook.MARKET, 0)):
    with obook.Book() as book:
        book.submit(1, obook.SELL, 100, 5)
        book.events()
        result = book.submit(2, obook.BUY, price, 8, type=kind, tif=obook.FOK)
        trades = [one.qty for one in book.events() if one.kind == obook.EventKind.TRADE]
    print("limit" if kind == obook.LIMIT else "market", "order for 8, fill or kill, 5 are on sale:",
          result.status.name, result.reason.name, "traded", trades)
    seen[kind] = (result.status.name, result.reason.name, trades)
assert seen[obook.LIMIT] == ("REJECTED", "FOK_CANNOT_FILL", []), seen
assert seen[obook.MARKET] == ("CANCELLED", "NONE", [5]), seen
PYTHON
echo "as described"
