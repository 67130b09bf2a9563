"""An authority of the tests' own, and a certificate of it for 127.0.0.1."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM
KEY_WORD = "key word"


class Certificates:
    """Files: ``ca``, of the authority; ``server`` and ``key``, of the server; ``locked_key``: that
    key, which needs `KEY_WORD`."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        for directory in (place, place.parent):
            directory.chmod(0o755)  # a server may run as another user
        names_of = ("ca.pem", "s.pem", "s.key", "l.key")
        self.ca, self.server, self.key, self.locked_key = (place / name for name in names_of)
        ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca_name, name = _name(f"authority {place.name}"), _name("server")
        self._ca_name, self._ca_key = ca_name, ca_key
        ca = _certificate(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(True, None))
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = x509.SubjectAlternativeName([address])
        server = _certificate(name, ca_name, key, ca_key, names)
        self.ca.write_bytes(ca.public_bytes(_PEM))
        self.server.write_bytes(server.public_bytes(_PEM))
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        plain = serialization.NoEncryption()
        locked = serialization.BestAvailableEncryption(KEY_WORD.encode())
        for file, how in ((self.key, plain), (self.locked_key, locked)):
            file.write_bytes(key.private_bytes(_PEM, traditional, how))
            file.chmod(0o600)

    def client(self, name: str) -> tuple[Path, Path]:
        """A certificate of the authority for a client, and its key."""
        key, files = ec.generate_private_key(ec.SECP256R1()), self.ca.parent
        limits = x509.BasicConstraints(False, None)
        made = _certificate(_name(name), self._ca_name, key, self._ca_key, limits)
        certificate, file = files / f"{name}.pem", files / f"{name}.key"
        certificate.write_bytes(made.public_bytes(_PEM))
        form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(_PEM, form, plain))
        return certificate, file

    def give_key_to(self, user: str) -> None:
        """PostgreSQL, which does not run as root, wants to own its key."""
        if os.geteuid() == 0:
            shutil.chown(self.key, user)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signs: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(signs, hashes.SHA256())
    )
