"""Processes that are started, killed, frozen and ended."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from .._children import Guard, environment
from ..errors import LogFailed

HOST = "127.0.0.1"
START_SECONDS_MAX = 60.0
END_SECONDS_MAX = 10.0  # then a process is killed
LOOK_SECONDS = 0.05


def matchcore(*arguments: str) -> list[str]:
    """The command line of this very matchcore."""
    return [sys.executable, "-m", "matchcore", *arguments]


class Child:
    """A program in a process of its own, which ends with this one.

    - ``command``: its command line.
    - ``log``: a file to which its output is appended; None: it goes nowhere.
    - ``more``: variables of its environment.
    """

    def __init__(self, command: Sequence[str], *, log: Path | None = None, **more: str) -> None:
        self.command = list(command)
        self._log, self._more = log, more
        self._guard: Guard | None = None
        self.start()

    def start(self) -> None:
        """Starts it, for the first time or again once it has ended."""
        self._release()
        # A session of its own: Ctrl-C on the terminal is for whoever ends all in good order.
        with open(self._log or os.devnull, "ab") as out:
            self._process = subprocess.Popen(
                self.command, env=environment(**self._more), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._guard = Guard(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        """False once it has ended, however it did; a frozen process lives."""
        if self._process.poll() is None:
            return True
        self._release()
        return False

    def kill(self) -> None:
        """SIGKILL; to a frozen process, too."""
        self._process.kill()
        self._process.wait()
        self._release()

    def _release(self) -> None:
        """Its number may be given again: nobody is to be killed for it."""
        if self._guard is not None:
            self._guard.release()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS_MAX)
        self.kill()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at now."""
    with ExitStack() as stack:
        return [
            stack.enter_context(socket.create_server((HOST, 0))).getsockname()[1]
            for _ in range(count)
        ]


def asked(place: str, path: str, seconds: float = 1.0) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a GET at HOST:PORT; (0, {}) if nobody answers within so many seconds."""
    host, _, port = place.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        return answer.status, said if isinstance(said, dict) else {}
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}
    finally:
        connection.close()


def ready(place: str) -> bool:
    """Whether /ready at HOST:PORT is answered with 200."""
    return asked(place, "/ready")[0] == 200


def wait_until(
    what: str, condition: Callable[[], bool], seconds: float = START_SECONDS_MAX
) -> None:
    """Returns when the condition holds; `LogFailed` names ``what`` after so many ``seconds``."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise LogFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)


def exists(pid: int, began: int) -> bool:
    """Whether the process that `beginning` was asked of is still there."""
    return beginning(pid) == began != 0


def beginning(pid: int) -> int:
    """When a process began, in ticks since the machine did; 0: there is none, or only its remains.

    Together with the number it names a process: numbers are given again.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def send(pid: int, began: int, number: signal.Signals) -> bool:
    """Sends a signal to that process; False if it is not there any more."""
    if not exists(pid, began):
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
