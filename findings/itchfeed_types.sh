#!/usr/bin/env bash
# PyPI's itchfeed 1.6.4 stops with ValueError at a message of a type that it does not know, also when
# its parser was made for other types only; so does itchcpp 1.6.4, its twin in C++.  Every message
# stands behind its length, so one would expect those of other types to be passed over.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check itchfeed==1.6.4 itchcpp==1.6.4
ITCH_NO_CPP=1 "$place/venv/bin/python" - <<'PYTHON'
import struct
from importlib.metadata import version

import itch.parser
import itchcpp.parser

deleted = b"D" + struct.pack(">HH6sQ", 1, 0, bytes(6), 7)
fresh = b"z" + bytes(18)  # of no type of version 5.0
stream = b"".join(len(one).to_bytes(2, "big") + one for one in (deleted, fresh, deleted))
for name, parser in (("itchfeed", itch.parser), ("itchcpp", itchcpp.parser)):
    found, error = 0, None
    try:
        for message in parser.MessageParser(message_type=b"D").parse_stream(stream):
            found += 1
    except ValueError as raised:
        error = str(raised)
    print(name, version(name), "asked for D in D, z, D:", found, "found;", error)
    assert (found, error) == (1, "Unknown message type: z")
PYTHON
echo "as described"
