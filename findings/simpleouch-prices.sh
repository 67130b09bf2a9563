#!/usr/bin/env bash
# PyPI's simpleouch 0.0.2 shows prices of OUCH 5.0 ten times too high: they have four decimals, and it
# divides by 1,000.  One would expect 1.0 of a price field that holds 10,000.  The other fields of
# Order Accepted are read well.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q simpleouch==0.0.2
"$place/env/bin/python" - <<'PYTHON'
import struct
from importlib.metadata import version

from SimpleOUCH.Parser import Parser

order = struct.pack(">cQIcI8sQccQcccc14sH", b"A", 1, 0x41424344, b"B", 100, b"ANA     ", 10_000,
                    b"0", b"Y", 7, b"P", b"N", b"N", b"L", b"CLIENT-1      ", 0)
read = Parser().Cache()._order_accepted([bytes([byte]) for byte in order])
print("simpleouch", version("simpleouch"), "reads", read)
assert read[4] == 100 and read[5].rstrip() == "ANA" and read[14].rstrip() == "CLIENT-1", read
assert read[6] == 10.0, read[6]
PYTHON
echo "as described"
