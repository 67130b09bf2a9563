"""The certificates of a server, and those that it asks its clients for."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidArgument

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def tls_options(door: str) -> list[Callable[[Any], Any]]:
    """The options of a door: --DOOR-cert, --DOOR-key, --DOOR-client-ca, --DOOR-client-required."""
    option = f"--{door}"
    return [
        click.option(f"{option}-cert", type=FILE,
                     help=f"Certificate chain (PEM) of {option}, for TLS."),
        click.option(f"{option}-key", type=FILE, help="Its private key (PEM)."),
        click.option(f"{option}-client-ca", type=FILE,
                     help="Authority (PEM) of certificates by which clients may log in."),
        click.option(f"{option}-client-required", is_flag=True,
                     help="Nobody connects without one."),
    ]  # fmt: skip


def door_tls(door: str, options: dict[str, Any]) -> ssl.SSLContext | None:
    """The context of a door, of the values of its options."""
    context = tls_of(options[f"{door}_cert"], options[f"{door}_key"])
    authority, required = options[f"{door}_client_ca"], options[f"{door}_client_required"]
    if required and authority is None:
        raise InvalidArgument(f"--{door}-client-required: name --{door}-client-ca, too")
    if authority is None:
        return context
    if context is None:
        raise InvalidArgument(f"--{door}-client-ca: name --{door}-cert and --{door}-key, too")
    try:
        context.load_verify_locations(cafile=authority)
    except (ssl.SSLError, OSError) as error:
        raise InvalidArgument(f"{authority}: no authority (PEM): {error}") from None
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


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
