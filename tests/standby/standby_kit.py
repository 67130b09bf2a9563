"""Engines of a replicated log as processes, and a gateway's way to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT_SECONDS = 60.0


def wait_until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true."""
    until = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < until, condition
        time.sleep(0.01)
    return found


class EngineProcess:
    """`matchcore standby` or `serve`, with a line at a Unix socket and a status port."""

    def __init__(self, folder: Path, where: str, name: str, command: str, *more: str) -> None:
        self.name, self.line = name, folder / f"{name}.sock"
        self._said = folder / f"{name}.err"
        arguments = [
            command, where, "--name", name, "--lines", f"unix:{self.line}", "--state",
            str(folder / f"{name}.d"), "--status", "127.0.0.1:0", "--json", *more,
        ]  # fmt: skip
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "matchcore", *arguments], stdout=subprocess.PIPE,
                stderr=said, env={**os.environ, "MATCHCORE_TRACEBACK": "1"}, text=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def url(self) -> str:
        lines = [line for line in self.said.splitlines() if "status at " in line]
        return lines[-1].rpartition(" ")[2] if lines else ""

    def ask(self, path: str) -> dict[str, Any]:
        """What its status port answers; empty while it does not."""
        assert self.process.poll() is None, self.said
        if not self.url:
            return {}
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return {"code": error.code, **json.loads(error.read())}
        except OSError:
            return {}

    @property
    def role(self) -> str:
        return str(self.ask("/standby").get("role", ""))

    def follows(self) -> bool:
        """It has come to the log's end, and asked for it."""
        said = self.ask("/standby")
        return bool(said.get("exchange")) and not said["lag_commands"]

    def signal(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def end(self) -> tuple[int, dict[str, Any]]:
        """Stops it in good order; its exit code and what it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.result()

    def result(self) -> tuple[int, dict[str, Any]]:
        """Exit code and output of one that ends."""
        printed, _ = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, json.loads(printed) if printed.strip() else {}

    def kill(self) -> None:
        """Also one that has ended."""
        self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.process.communicate()
