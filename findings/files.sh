#!/bin/sh
# The content checksum of an LZ4 frame says nothing of the stored bytes: LZ4 has more than one
# spelling of the same content.  Single bits flipped in a frame with a content checksum are decoded
# without an error, to exactly the content that was written; with block checksums none is.
# So a file whose checksum is of the unpacked content can go bad and be called good.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q lz4==4.4.5
"$place/venv/bin/python" - <<'PYTHON'
import random

import lz4
import lz4.frame

dice = random.Random(1)
content = b"".join(dice.choice((b"price", b"side", bytes(5), dice.randbytes(3))) for _ in range(400))
print("python-lz4", lz4.__version__, "liblz4", lz4.library_version_string())
missed = {}
for name in ("content_checksum", "block_checksum"):
    stored = lz4.frame.compress(content, **{name: True})
    missed[name] = 0
    for at in range(8 * len(stored)):
        flipped = bytearray(stored)
        flipped[at // 8] ^= 1 << at % 8
        try:
            missed[name] += lz4.frame.decompress(bytes(flipped)) == content
        except RuntimeError:
            pass
    print(f"{name}: {missed[name]} of {8 * len(stored)} flipped bits decode to the same content")
assert missed["content_checksum"] > 0 and missed["block_checksum"] == 0, missed
PYTHON
