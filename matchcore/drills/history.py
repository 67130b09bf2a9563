"""What the log says, by the reference machine; and whether what clients were told is in it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.recovery import apply
from ..journal import Batch
from ..machine import machine_class
from ..records.ids import text_of
from ..records.reports import ReportKind
from ..records.schema import EventKind, ReportFlag
from ..reports import Reports

#: Reports that answer a request which was done, and not done before.
FIRST = (ReportKind.NEW, ReportKind.REJECTED, ReportKind.CANCELLED, ReportKind.CANCEL_REJECTED)


class Broken(AssertionError):
    """A promise was broken; the text says which."""


class History:
    """Applies the log with the machine in plain Python, part by part, and keeps what was told.

    ``answers``: of each request, the ids of the executions that answer it.
    """

    def __init__(self) -> None:
        self._machine = machine_class("reference")()
        self._reports = Reports()
        self.answers: dict[str, list[str]] = defaultdict(list)
        self._trade = 0

    @property
    def sequence(self) -> int:
        """Of the last command."""
        return int(self._machine.sequence)

    def digest(self) -> str:
        """Of the state after it."""
        return str(self._machine.digest())

    def take(self, parts: Iterable[Batch]) -> None:
        """Goes on with what follows; `Broken` if trades have not the next numbers."""
        for part in parts:
            events = apply(self._machine, part)
            trades = np.unique(events["trade_id"][events["kind"] == EventKind.TRADED])
            if len(trades):
                expected = np.arange(self._trade + 1, self._trade + 1 + len(trades))
                if not np.array_equal(trades, expected):
                    raise Broken(f"trade {self._trade} is followed by {trades[:3].tolist()}")
                self._trade = int(trades[-1])
            self._keep(self._reports.apply(part.commands, events))

    def _keep(self, told: Any) -> None:
        for row in told[np.isin(told["kind"], FIRST)]:
            if row["flags"] & (ReportFlag.UNSOLICITED | ReportFlag.COPY):
                continue
            name = text_of(int(row["client_order_id"]), int(row["client_order_tail"]))
            self.answers[name].append(f"{row['sequence']}-{row['part']}-0")


class Answers:
    """What clients were told, from the file that their process writes."""

    def __init__(self, file: Path) -> None:
        self._file, self._at = file, 0
        self.names: set[str] = set()
        self.rows: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """Those that have come since."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        self._at += len(text)
        fresh = [json.loads(line) for line in text.splitlines()]
        self.rows += fresh
        return fresh


def lost(fresh: Iterable[dict[str, Any]], history: History) -> list[str]:
    """Names of those answered requests that the log does not have; `Broken` for a false answer."""
    missing = []
    for answer in fresh:
        if answer["status"] in (400, 404, 409):  # it has no place in the log
            continue
        there = history.answers.get(answer["name"])
        if there is None:
            missing.append(answer["name"])
        elif answer["exec_id"] and not answer["repeated"] and answer["exec_id"] not in there:
            raise Broken(f"{answer['name']} was answered with {answer['exec_id']}, and the log has"
                         f" {there}")  # fmt: skip
    return missing


def done_twice(history: History) -> list[str]:
    """Names of requests that two commands of the log have done."""
    return [
        name
        for name, found in history.answers.items()
        if len({one.partition("-")[0] for one in found}) > 1  # an execution begins with its command
    ]
