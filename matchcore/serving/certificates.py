"""Certificates that clients of TLS show."""

from __future__ import annotations

import asyncio
import hashlib
import ssl

from ..errors import InvalidArgument

FINGERPRINT_BYTES = 32


def shown(transport: asyncio.BaseTransport | None) -> bytes:
    """Fingerprint of the certificate that a client has shown, SHA-256; empty if it has none.

    TLS has checked it: that it is of an authority that is trusted here, and valid today.
    """
    layer = transport.get_extra_info("ssl_object") if transport is not None else None
    data = layer.getpeercert(binary_form=True) if layer is not None else None
    return hashlib.sha256(data).digest() if data else b""


def fingerprint_of(text: str) -> bytes:
    """Of the first certificate in a text (PEM); `InvalidArgument` if there is none."""
    begin = text.find("-----BEGIN CERTIFICATE-----")
    end = text.find("-----END CERTIFICATE-----", begin)
    try:
        data = ssl.PEM_cert_to_DER_cert(text[begin:end] + "-----END CERTIFICATE-----")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data)  # reads it
    except (ValueError, ssl.SSLError) as error:
        raise InvalidArgument(f"no certificate (PEM): {error}") from None
    return hashlib.sha256(data).digest()
