"""FIX over TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from certificates import Certificates
from fix_kit import Client, Serving

from matchcore.cli.tls import tls_of


def test_a_session_over_tls(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "certificates")
    context = ssl.create_default_context(cafile=made.ca)
    with Serving(tmp_path / "state", tls=tls_of(made.server, made.key)) as serving:
        with Client(serving.port) as client:
            client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
            client.log_on(1)
            client.order("1")
            assert client.next("8")[11] == "1"
            client.send("5")
            client.next("5")
        with Client(serving.port) as client, pytest.raises((EOFError, ConnectionError)):
            client.log_on(1)
