"""`tls://`: servers and clients with certificates, and what is refused, by its name."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from certificates import Certificates
from stream_kit import read_back, write

import matchcore as mc
from matchcore import LogFailed
from matchcore._children import environment
from matchcore.journal.stream import Address, Servers, StreamLog
from matchcore.journal.stream.servers import Tls

USER, PASSWORD = "ada", "se:cr/et"
QUOTED = "se%3Acr%2Fet"


class Place(NamedTuple):
    """Servers that encrypt; an authority that is not theirs; a client's certificate of each."""

    servers: Servers
    other: Certificates
    mine: tuple[Path, Path]
    foreign: tuple[Path, Path]

    def address(self, name: str) -> str:
        return f"{self.servers.address(name)}&cert={self.mine[0]}&key={self.mine[1]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tls")
    own, other = Certificates(folder / "own"), Certificates(folder / "other")
    tls = Tls(own.ca, own.server, own.key)
    with Servers(folder / "s", 3, monitoring=True, user=(USER, PASSWORD), tls=tls) as servers:
        made = Place(servers, other, own.client("engine"), other.client("engine"))
        StreamLog.open(made.address("first")).close()  # they have elected their leaders
        yield made


def test_an_engine_and_its_followers_use_it(place: Place, tmp_path: Path) -> None:
    where = place.address("x")
    with mc.Engine.open(where, instruments=[mc.Instrument("ANA", "0.05")]) as engine:
        assert engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, "95.00")).durability.policy == (
            "replicated"
        )
        digest = engine.digest()
    with mc.Engine.at(where) as shown:
        assert shown.digest() == digest
    address = Address.of(where)
    assert Address.of(address.url).files == address.files and PASSWORD not in address.url
    done = subprocess.run(
        [sys.executable, "-m", "matchcore", "verify", address.url, "--json"], capture_output=True,
        text=True, env=environment(**address.environment()),
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert json.loads(done.stdout)["commands"] == 2


def port_of(log: StreamLog) -> int | None:
    """Of the server that it is connected to."""
    url = log._link.client.connected_url
    assert url is not None
    return url.port


def test_a_writer_goes_on_at_another_server(place: Place) -> None:
    servers, log = place.servers, StreamLog.open(place.address("y"))
    first = write(log, [5])
    port = port_of(log)
    (at,) = (at for at, url in enumerate(servers.urls) if url.endswith(f":{port}"))
    servers.stop(at)
    try:
        second = write(log, [7], seed=2)
        assert port_of(log) != port
    finally:
        servers.start(at)
    log.close()
    assert np.array_equal(read_back(place.address("y")), np.concatenate([first, second]))


def test_what_is_wrong_is_named(place: Place) -> None:
    plain = place.servers.address("x").partition("?")[0]
    ours, theirs = dict(Address.of(place.address("x")).files)["ca"], place.other.ca
    mine, foreign = (f"&cert={cert}&key={key}" for cert, key in (place.mine, place.foreign))
    for address, said in (
        (f"{plain}?ca={theirs}{mine}", f"does not pass with ca={theirs}: unable to get local"),
        (f"{plain}?{mine[1:]}", "does not pass with the authorities that this system knows"),
        (f"{plain.replace('127.0.0.1', '127.1')}?ca={ours}{mine}", "not valid for '127.1'"),
        (f"{plain}?ca={ours}", "the servers refuse a client without a certificate"),
        (f"{plain}?ca={ours}{foreign}", f"the servers refuse cert={place.foreign[0]}: .*unknown"),
        (plain.replace("tls:", "nats:"), "must begin with tls://"),
        (f"{plain.replace(QUOTED, 'x')}?ca={ours}{mine}", "refuse this client.*Authorization"),
    ):
        with pytest.raises(LogFailed, match=said) as refused:
            StreamLog.open(address)
        assert not any(word in str(refused.value) for word in (PASSWORD, QUOTED))


def test_files_that_are_no_certificates_are_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    address = place.servers.address("x").partition("?")[0] + f"?ca={tmp_path / 'ca.pem'}"
    with pytest.raises(mc.InvalidArgument, match="has certificates that cannot be read"):
        StreamLog.open(address)


@contextmanager
def in_the_clear(heard: list[bytes]) -> Iterator[int]:
    """A port where somebody says to be a server that does not encrypt, and what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                info = {"server_id": "x", "version": "2.15.1", "headers": True,
                        "max_payload": 1 << 20, "auth_required": True}  # fmt: skip
                with one:
                    one.sendall(f"INFO {json.dumps(info)}\r\n".encode())
                    heard.append(one.recv(4096))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_nothing_is_said_to_a_server_that_does_not_encrypt(place: Place) -> None:
    heard: list[bytes] = []
    ca = dict(Address.of(place.address("x")).files)["ca"]
    with in_the_clear(heard) as port:
        address = f"tls://{USER}:{QUOTED}@127.0.0.1:{port}/x?ca={ca}"
        with pytest.raises(LogFailed, match="a server does not encrypt"):
            StreamLog.open(address)
    assert heard and not any(heard)
