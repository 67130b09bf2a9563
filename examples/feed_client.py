"""Two feeds of an exchange, a client of both, and one feed that stops in the middle."""

from __future__ import annotations

import socket
import subprocess
import sys

import matchcore as mc
from matchcore.feeds import Client, Snapshot


def feed(directory: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Starts a feed; the address of its line."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "matchcore", "feed", directory, "--line", str(port)]
    return f"127.0.0.1:{port}", subprocess.Popen(command, stderr=subprocess.DEVNULL)


def main(directory: str) -> None:
    (a, main_feed), (b, backup) = feed(directory), feed(directory)
    try:
        with Client(a, b) as client:
            snapshot = next(iter(client))
            assert isinstance(snapshot, Snapshot)
            print(f"{len(snapshot.rows)} orders rest behind number {snapshot.number}")
            main_feed.kill()
            with mc.Engine.open(directory) as engine:
                bought = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, price="95.70"))
            while client.number == snapshot.number:
                client.next()
            ana = client.instruments.number("ANA")
            asks = client.books.levels(ana, mc.Side.SELL)
            print(f"number {client.number}: {bought.filled} were bought, asks {asks.tolist()}")
            for line in client.health():
                print(f"line {line.name}: {line.state}, {line.received} changes, lost {line.lost}")
    finally:
        for process in (main_feed, backup):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "exchange.d")
