"""A Redis of the tests' own, as a process that they start, kill and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis
from missing import missing

SECONDS_MAX = 30.0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class RedisServer:
    """Without persistence, in an empty directory; `port` stays."""

    def __init__(self, place: Path, password: str = "") -> None:
        self._binary = shutil.which("redis-server") or missing("Redis", "redis-server")
        self._place, self._password = place, password
        place.mkdir()
        self.port = _free_port()
        self.url = f"redis://:{password}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **more: object) -> redis.Redis:
        """A client of it, once it answers."""
        options = {**more, "port": self.port, "bind": "127.0.0.1", "save": "", "dir": self._place,
                   "requirepass": self._password}  # fmt: skip
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._binary, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        client = redis.Redis.from_url(self.url, decode_responses=True)
        end = time.monotonic() + SECONDS_MAX
        while not self._answers(client):
            assert time.monotonic() < end, "Redis does not answer"
            time.sleep(0.01)
        return client

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """It answers nobody until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @staticmethod
    def _answers(client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
