"""`matchcore follow --forever` as a process of its own, watched from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

SECONDS_MAX = 60.0
#: The command line, with the pauses and looks of a test.
FOLLOW = """
import sys
from matchcore.engine import follower
from matchcore.cli.app import app
from matchcore.sinks import opening
follower.LOOK_SECONDS = 0.2
opening.PAUSE_SECONDS_MAX = 0.2
app(["follow", sys.argv[1], "--forever"])
"""


class Running:
    """One follower process; it must still run at the end, unless `ended` was asked."""

    def __init__(self, exchange: Path, url: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end
        self._process = subprocess.Popen(
            [sys.executable, "-c", FOLLOW, str(exchange)],
            env={**os.environ, "MATCHCORE_SINK_URL": url, "COLUMNS": "1000"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said,
        )  # fmt: skip

    def said(self) -> str:
        """What it has written to its stderr."""
        return os.pread(self._said.fileno(), 1 << 20, 0).decode()

    def until(self, true: Callable[[], object]) -> None:
        """Waits for something that the follower is to bring about."""
        end = time.monotonic() + SECONDS_MAX
        while not true():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def until_said(self, text: str) -> None:
        self.until(lambda: text in self.said())

    def ended(self) -> int:
        """Its exit code, when it has ended by itself."""
        return self._process.wait(SECONDS_MAX)

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        running = self._process.poll() is None
        with self._said:
            if running:
                self._process.send_signal(signal.SIGINT)
                try:
                    self._process.wait(SECONDS_MAX)
                finally:
                    self._process.kill()
                    self._process.wait()
