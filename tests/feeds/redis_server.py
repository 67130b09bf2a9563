"""A Redis of the tests' own, as a process that they start, kill and start again."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import feed_kit as kit
import redis
from missing import missing


class RedisServer:
    """Without persistence, in an empty directory; `port` stays."""

    def __init__(self, place: Path, password: str = "") -> None:
        self._binary = shutil.which("redis-server") or missing("Redis", "redis-server")
        self._place, self._password = place, password
        place.mkdir()
        self.port = kit.free_port()
        self.url = f"redis://:{password}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> redis.Redis:
        """A client of it, once it answers."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "dir": self._place,
                   "requirepass": self._password}  # fmt: skip
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._binary, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        client = redis.Redis.from_url(self.url, decode_responses=True)
        kit.until(lambda: self._answers(client))
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
