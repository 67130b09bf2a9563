#!/usr/bin/env bash
# An SM2 signature of tongsuopy 1.0.1 does not verify with Debian's openssl 3.0, and one of openssl
# does not with tongsuopy, unless openssl is told the signer's id.  Nothing says so: the message is
# that of a wrong signature.
# One would expect both to use the same id where none is given.  GB/T 32918 makes an id part of what
# is signed; tongsuopy takes the usual 1234567812345678, and openssl 3.0 an empty one.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install -q tongsuopy==1.0.1
openssl version
openssl ecparam -name SM2 -genkey -noout -out key.pem
openssl pkey -in key.pem -pubout -out pub.pem
printf 'one day of trades\n' > day
env/bin/python - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

from tongsuopy.crypto import hashes, serialization
from tongsuopy.crypto.asymciphers import ec

print("tongsuopy", version("tongsuopy"))
key = serialization.load_pem_private_key(Path("key.pem").read_bytes(), None)
Path("sig").write_bytes(key.sign(Path("day").read_bytes(), ec.ECDSA(hashes.SM3())))
PYTHON
check=(openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in day -digest sm3 -sigfile sig)
without=$("${check[@]}" 2>&1 || true)
with=$("${check[@]}" -pkeyopt distid:1234567812345678 2>&1 || true)
echo "without an id: $without"
echo "with the usual id: $with"
[[ $without == *"Verification Failure"* && $with == *"Verified Successfully"* ]]
