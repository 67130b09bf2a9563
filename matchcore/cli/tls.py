"""The certificate that a server shows."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..errors import InvalidArgument


def tls_of(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """A server's context; None without a certificate."""
    if (certificate is None) != (key is None):
        raise InvalidArgument("certificate and key (PEM): both, or none")
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        what = f"{certificate}, {key}: no certificate with its key ({error})"
        raise InvalidArgument(what) from None
    return context
