"""`matchcore sm-front`: TLS with the Chinese national suites before any door, feed or client."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidArgument
from .options import json_option
from .output import err, failing_kindly, show

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _address(_: object, option: click.Parameter, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise click.BadParameter(f"{text!r}: must be HOST:PORT")
    return host.strip("[]"), int(port)


@click.command(name="sm-front")
@click.option(
    "--listen", required=True, metavar="HOST:PORT", callback=_address, help="Where it listens."
)
@click.option(
    "--to",
    required=True,
    metavar="HOST:PORT",
    callback=_address,
    help="Where each connection goes on to.",
)
@click.option(
    "--client", is_flag=True, help="TLS goes out and plain TCP comes in, in front of a client."
)
@click.option("--tls-cert", "certificate", type=_FILE, help="Its certificate (SM2, PEM).")
@click.option("--tls-key", "key", type=_FILE, help="The certificate's key (PEM).")
@click.option(
    "--ca",
    "authority",
    type=_FILE,
    help="Who signed the other side's certificate; a server then asks for one.",
)
@click.option("--host", default="", help="Name in the server's certificate, if not that of --to.")
@json_option
def sm_front(
    listen: tuple[str, int], to: tuple[str, int], client: bool, certificate: Path | None,
    key: Path | None, authority: Path | None, host: str, as_json: bool,
) -> None:  # fmt: skip
    """Speak TLS 1.3 with TLS_SM4_GCM_SM3 and SM2 certificates before a server or a client.

    \b
    Example:  matchcore sm-front --listen 0.0.0.0:8443 --to 127.0.0.1:8080 \\
                  --tls-cert exchange.pem --tls-key exchange.key
              matchcore sm-front --client --listen 127.0.0.1:8080 --to exchange:8443 --ca ca.pem

    The server behind it should listen on the loopback address only.  Runs until Ctrl-C.
    """
    import asyncio

    from ..serving.sm_front import Certificates

    with failing_kindly(as_json):
        if not client and not (certificate and key):
            raise InvalidArgument("a server needs --tls-cert and --tls-key")
        shown = Certificates(certificate, key, authority, host)
        result = asyncio.run(_run(listen, to, shown, serves=not client))
    show(result, as_json)


async def _run(
    listen: tuple[str, int], to: tuple[str, int], shown: Any, *, serves: bool
) -> dict[str, Any]:
    import asyncio

    from ..serving.sm_front import Front

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    front = Front(
        listen, to, shown, serves=serves, told=lambda line: err.print(f"sm-front: {line}")
    )
    await front.start()
    host, port = front.address
    err.print(f"matchcore: sm-front at {host}:{port}; Ctrl-C ends it")
    await stop.wait()
    await front.close()
    return {"address": f"{host}:{port}"}
