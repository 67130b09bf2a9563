#!/bin/sh
# PyMySQL documents ssl_key_password for a client key with a password.  In a URL of SQLAlchemy it is
# taken and does nothing: SQLAlchemy gathers the other ssl_ options into a dictionary, and PyMySQL
# looks for the password in there only.  OpenSSL then asks the terminal, or fails where none is.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q SQLAlchemy==2.1.9 PyMySQL==1.2.4 cryptography==43.0.3
cat >"$place/look.py" <<'END'
import datetime
import os
import sys
from importlib.metadata import version

import pymysql
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
now = datetime.datetime.now(datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    .sign(key, hashes.SHA256())
)
pem = serialization.Encoding.PEM
os.chdir(sys.argv[1])
with open("c.pem", "wb") as file:
    file.write(certificate.public_bytes(pem))
with open("k.pem", "wb") as file:
    file.write(key.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"word"),
    ))


def loads(**given):
    """Whether the client's key can be used; nothing is connected."""
    try:
        pymysql.connect(defer_connect=True, **given)
    except OSError as error:
        return f"no: {error}"
    return "yes"


url = "mysql+pymysql://u@h/d?ssl_cert=c.pem&ssl_key=k.pem&ssl_key_password=word"
_, given = sa.create_engine(url).dialect.create_connect_args(sa.make_url(url))
alone = loads(ssl_cert="c.pem", ssl_key="k.pem", ssl_key_password="word")
together = loads(**given)
print(f"SQLAlchemy {sa.__version__}, PyMySQL {version('PyMySQL')}")
print("SQLAlchemy hands over:", {name: given[name] for name in given if name.startswith("ssl")})
print("the key loads with PyMySQL alone:", alone)
print("the key loads through SQLAlchemy's URL:", together)
same = alone == "yes" and together != "yes"
print("as found" if same else "OTHERWISE than found")
sys.exit(not same)
END
# Without a terminal, which OpenSSL would ask.
setsid -w "$place/venv/bin/python" "$place/look.py" "$place" </dev/null 2>&1
