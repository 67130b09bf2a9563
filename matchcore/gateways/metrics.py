"""The figures of a gateway for Prometheus; needs the extra `gateway`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from ..journal.snapshots import listing
from .desk import Desk
from .watch import ANSWER_SECONDS, Watch

#: Attribute of `Watch` -> name, label, what it is.
_BY_WORD = {
    "refused": ("refusals", "reason", "Commands that the exchange refused"),
    "turned_away": ("turned_away", "reason", "Commands that the gateway refused"),
    "logins": ("logins", "result", "Logins"),
}
_GAUGES: dict[str, tuple[str, Callable[[Desk], float]]] = {
    "sessions": ("Logins that are connected", lambda desk: desk.connected),
    "under_way": ("Commands without an answer", lambda desk: desk.under_way),
    "queue": ("Commands that wait for the way to the engine", lambda desk: desk.waiting),
    "engine_up": ("1 while commands are taken", lambda desk: not desk.why_down),
    "engine_silent_seconds": (
        "How long commands have waited while no command was answered",
        lambda desk: desk.silent_seconds(),
    ),
    "behind_seconds": (
        "How long ago the log had something that has not come here",
        lambda desk: desk.behind_seconds(),
    ),
    "orphans": (
        "Sessions of gateways that have gone, which are not seen to yet",
        lambda desk: desk.orphans,
    ),
    "day": ("Number of the trading day", lambda desk: desk.day),
    "sequence": ("Of the last command of the log that was taken", lambda desk: desk.sequence),
    "loop_late_seconds": (
        "Since the event loop last came round; more than 3 is not healthy",
        lambda desk: time.monotonic() - desk.watch.turned,
    ),
}


class Collector:
    """Reads the desk when Prometheus asks.

    ``directory``: of the exchange, for the age of its newest snapshot; None: it is elsewhere.
    Doors, and the way to the engine, may have ``counts`` of their own.
    """

    def __init__(self, desk: Desk, directory: Path | None = None) -> None:
        self._desk, self._directory = desk, directory

    def collect(self) -> Iterator[Any]:
        """All metrics, with their values of now."""
        watch, prefix = self._desk.watch, "matchcore_gateway_"
        for name, (what, value) in _GAUGES.items():
            yield GaugeMetricFamily(prefix + name, what, value=float(value(self._desk)))
        for attribute, (name, label, what) in _BY_WORD.items():
            words = CounterMetricFamily(prefix + name, what, labels=[label])
            for word, count in sorted(getattr(watch, attribute).items()):
                words.add_metric([word], count)
            yield words
        yield CounterMetricFamily(
            prefix + "commands", "Commands of sessions in the log", value=watch.commands
        )
        yield CounterMetricFamily(
            prefix + "reports", "Execution reports of all sessions", value=watch.reports
        )
        yield _answers(watch, prefix + "answer_seconds")
        yield self._others(prefix + "figure")
        yield from self._snapshot()

    def _others(self, name: str) -> GaugeMetricFamily:
        found = GaugeMetricFamily(name, "Of a door or a line", labels=["of", "what"])
        for of, counts in self._desk.counts().items():
            for what, value in sorted(counts.items()):
                if isinstance(value, int | float):
                    found.add_metric([of, what], float(value))
        return found

    def _snapshot(self) -> Iterator[GaugeMetricFamily]:
        """Nothing while there is none."""
        if self._directory is not None:
            times = [file.stat().st_mtime for file in listing(self._directory)[:1]]
            for made in times:
                yield GaugeMetricFamily(
                    "matchcore_snapshot_age_seconds", "Age of the newest snapshot",
                    value=max(0.0, time.time() - made),
                )  # fmt: skip


def _answers(watch: Watch, name: str) -> HistogramMetricFamily:
    found = HistogramMetricFamily(name, "From a command's time until its answer is known here")
    buckets, total = [], 0
    bounds = [*map(str, ANSWER_SECONDS), "+Inf"]
    for bound, count in zip(bounds, watch.answers.tolist(), strict=True):
        total += count
        buckets.append((bound, float(total)))
    found.add_metric([], buckets, watch.answer_seconds)
    return found
