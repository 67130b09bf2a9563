"""`matchcore serve --fix` in a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matchcore._children import environment

WAIT_SECONDS = 60.0


def cli(*arguments: object, **more: str) -> None:
    line = [sys.executable, "-m", "matchcore", *map(str, arguments)]
    subprocess.run(line, check=True, env=environment(**more), stdout=subprocess.DEVNULL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def served(exchange: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command, once its door is open; killed at the end."""
    line = [sys.executable, "-m", "matchcore", "serve", str(exchange), "--fix", str(port)]
    line += ["--state", str(exchange.parent / "gateway.d")]
    process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for told in process.stderr:
            if "open; Ctrl-C" in told:
                break
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(WAIT_SECONDS)
        assert process.stderr is not None
        process.stderr.close()
