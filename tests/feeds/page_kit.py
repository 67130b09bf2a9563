"""A real feed beside an exchange, and a headless Chromium that looks at its page."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from missing import missing

SECONDS_MAX = 60.0
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--lang=en-US")  # fmt: skip


def until(true: Callable[[], object], say: Callable[[], object] = str) -> None:
    """Waits for something that is to come about."""
    end = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < end, say()
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class RunningFeed:
    """`matchcore feed --web` as a process of its own, with these options."""

    def __init__(self, exchange: Path, said: Path, *options: object) -> None:
        self._exchange, self._said, self.port = exchange, said, free_port()
        self._options = options
        self.start()

    def start(self) -> None:
        feed = ["feed", self._exchange, "--web", self.port, *self._options]
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "matchcore", *map(str, feed)],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        until(self._serves, self._said.read_text)

    def _serves(self) -> bool:
        assert self.process.poll() is None, self._said.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def __enter__(self) -> RunningFeed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self.process.wait(SECONDS_MAX)
        finally:
            self.kill()


class Browser:
    """Chromium, driven; `place`: an empty directory for its profile and the screenshots."""

    def __init__(self, place: Path) -> None:
        selenium = pytest.importorskip("selenium.webdriver")
        from selenium.webdriver.chrome.service import Service

        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        if chromium is None or driver is None:
            missing("Chromium", "chromium chromium-driver")
        options = selenium.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={place / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._driver = selenium.Chrome(options=options, service=Service(driver))
        self._place = place
        self.size(1280, 800)

    def size(self, width: int, height: int) -> None:
        """Of the page, in CSS pixels; a narrow one is a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, url: str) -> None:
        """Loads a page; what the one before it has complained of is forgotten."""
        self._driver.get("about:blank")
        self.complaints()
        self._driver.get(url)

    def run(self, code: str, *arguments: object) -> Any:
        """The value of a JavaScript function body."""
        return self._driver.execute_script(code, *arguments)

    def keys(self, *keys: str) -> None:
        """Presses keys where the focus is."""
        self._driver.switch_to.active_element.send_keys(*keys)

    def state(self) -> dict[str, Any]:
        """What the page knows of its line and its market."""
        found: dict[str, Any] = self.run("return globalThis.matchcore?.state() ?? {}")
        return found

    def until(self, **wanted: object) -> dict[str, Any]:
        """Waits for a state of the page that holds this, and has no snapshot to come."""
        found: dict[str, Any] = {}
        wanted.setdefault("whole", True)

        def there() -> bool:
            nonlocal found
            found = self.state()
            return all(found.get(name) == value for name, value in wanted.items())

        until(there, lambda: {**found, "wanted": wanted})
        return found

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        log = self._driver.get_log("browser")
        return [line["message"] for line in log if line["level"] in ("SEVERE", "WARNING")]

    def shot(self, name: str) -> Path:
        """A screenshot, kept with the other files of the test run."""
        path = self._place / f"{name}.png"
        assert self._driver.save_screenshot(str(path))
        return path

    def close(self) -> None:
        self._driver.quit()
