"""Servers that are none: what drivers say of them is a line and an exit code, never a traceback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from sink_kit import filled, sink_of

import matchcore as mc
from matchcore.cli.app import app

#: What comes at once from what is no database, or is a broken one.
ANSWERS = {
    "nothing": b"",
    "web": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "shell": b"SSH-2.0-OpenSSH_9.2\r\n",
    "noise": bytes(range(255, -1, -1)) * 40,
    "no MySQL's protocol": b"\x05\x00\x00\x00\x09abcd",
    "half a greeting of MySQL": b"\x0f\x00\x00\x00\x0a8.0.36\x00\x01\x00\x00\x00abc",
    "an error in no encoding": b"\x0c\x00\x00\x00\xff\x15\x04#08004\xe9\xff\xfe",
    "an error of PostgreSQL's": b"E\x00\x00\x00\x18SFATAL\x00C28P01\x00M\xe9\xff\xfe\x00\x00",
    "no error of PostgreSQL's": b"E\x00\x00\x00\x09Sab\x00\x00" * 3,
}


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """The port of a server that says this to everybody, and ends the connection."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:  # closed
                return
            with peer:
                peer.settimeout(5)
                try:
                    peer.sendall(answer)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(4096):
                        pass
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(30)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("foreign") / "e", 1, 50)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_database_is_said_in_a_line(exchange: Path, scheme: str, answer: str) -> None:
    with answering(ANSWERS[answer]) as port:
        url = f"{scheme}://u:w@127.0.0.1:{port}/d?connect_timeout=3"
        for arguments in (["follow", str(exchange), "--to", url],
                          ["query", "open-orders", "--from", url],
                          ["reconcile", str(exchange), url]):  # fmt: skip
            found = CliRunner().invoke(app, arguments)
            assert found.exit_code in (2, 3), (found.output, found.exception)
            assert found.stdout == "" and found.stderr.startswith(f"matchcore: {scheme}://u:***@")
        with pytest.raises(mc.SinkError):
            sink_of(exchange, url)
