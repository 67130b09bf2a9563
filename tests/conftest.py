"""What all tests share."""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

#: Descriptors that a process has by default; root and CI often have many more.
OPEN_FILES_MAX = 1024


def pytest_configure() -> None:
    """A file that is left open is noticed by every user."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES_MAX, hard), hard))


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_works() -> Iterator[None]:
    """Who runs the tests in the background may have them ignore SIGINT, and so all children.

    Of the session: the fixtures of a module start children, too.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason that something was skipped for."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(str(report.longrepr[2]) for report in skipped)  # type: ignore[index]
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number} {reason[:1].lower()}{reason[1:]}")
