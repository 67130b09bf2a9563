"""What the log costs, in figures: an in-process meter, and its face for Prometheus.

meter = Meter()
engine = Engine.open("exchange.d", metrics=meter)
export(meter, engine="cash")            # needs the extra `metrics`
prometheus_client.start_http_server(9000)
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from .submissions import Commit

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

#: upper bounds, inclusive, as Prometheus has them
SYNC_SECONDS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 1.0)
COMMANDS = tuple(4**n for n in range(9))


class Histogram:
    """Counts by fixed buckets; the last one, without an upper bound, takes the rest."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Meter:
    """A `metrics` hook that adds up every `Commit`.  Read it from any thread.

    ``sync_seconds`` and ``commands`` (of a sync): histograms; ``submissions`` and ``bytes``:
    totals; ``waiting``: submissions that the last sync left in the queue.  A sync by the clock,
    under "interval", or for a snapshot answers no submission, and counts in ``sync_seconds``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sync_seconds = Histogram(SYNC_SECONDS)
        self.commands = Histogram(COMMANDS)
        self.submissions = 0
        self.bytes = 0
        self.waiting = 0

    def __call__(self, commit: Commit) -> None:
        with self._lock:
            self.sync_seconds.add(commit.sync_ns / 1e9)
            if commit.submissions:  # not a sync by the clock, or for a snapshot
                self.commands.add(commit.commands)
            self.submissions += commit.submissions
            self.bytes += commit.bytes
            self.waiting = commit.waiting

    def read(self) -> dict[str, Any]:
        """All of it at one moment, as plain values."""
        with self._lock:
            return {
                "sync_seconds": _plain(self.sync_seconds),
                "commands": _plain(self.commands),
                "submissions": self.submissions,
                "bytes": self.bytes,
                "waiting": self.waiting,
            }


def _plain(histogram: Histogram) -> dict[str, Any]:
    return {
        "bounds": list(histogram.bounds),
        "counts": list(histogram.counts),
        "sum": histogram.sum,
    }


def export(
    meter: Meter,
    *,
    registry: CollectorRegistry | None = None,
    engine: str = "matchcore",
    lag: Callable[[], int | None] | None = None,
) -> None:
    """Shows a meter to Prometheus, with ``engine`` as a label; needs the extra `metrics`.

    ``lag``: asked for the commands that a database has not got yet, such as
    ``lambda: beside.lag`` of a `FollowerProcess`; while it says None it is not shown.
    All engines of one registry are one collector, because a metric has one description.
    ValueError if the name is taken.
    """
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        raise MissingExtra("the Prometheus exporter", "metrics") from None
    where = registry if registry is not None else REGISTRY
    with _collectors_lock:
        collector = _collectors.get(id(where))
        if collector is None:
            collector = _collectors[id(where)] = _Collector(where)
            where.register(collector)
        if engine in collector.meters:
            raise ValueError(f"engine {engine!r} is exported already: give each its own name")
        collector.meters = {**collector.meters, engine: meter}
        if lag is not None:
            collector.lags = {**collector.lags, engine: lag}


class _Collector:
    """Reads the meters when Prometheus asks: a sync pays nothing for it."""

    def __init__(self, registry: object) -> None:
        self.registry = registry  # kept, so that its id stays its own
        self.meters: dict[str, Meter] = {}
        self.lags: dict[str, Callable[[], int | None]] = {}

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        read = {name: meter.read() for name, meter in self.meters.items()}
        for key, name, what in _HISTOGRAMS:
            family = HistogramMetricFamily(name, what, labels=["engine"])
            for engine, values in read.items():
                family.add_metric([engine], _cumulative(values[key]), values[key]["sum"])
            yield family
        for key, name, what, made in (
            ("submissions", "matchcore_submissions", "Submissions answered", CounterMetricFamily),
            ("bytes", "matchcore_log_bytes", "Bytes appended to the log", CounterMetricFamily),
            ("waiting", "matchcore_queue_depth", "Submissions that wait", GaugeMetricFamily),
        ):
            totals = made(name, what, labels=["engine"])
            for engine, values in read.items():
                totals.add_metric([engine], values[key])
            yield totals
        lags = GaugeMetricFamily(
            "matchcore_database_lag", "Durable commands a database has not got", labels=["engine"]
        )
        for engine, lag in self.lags.items():
            behind = lag()
            if behind is not None:
                lags.add_metric([engine], behind)
        yield lags


_HISTOGRAMS = (
    ("sync_seconds", "matchcore_sync_seconds", "Time until a group is as safe as the policy says"),
    ("commands", "matchcore_sync_commands", "Commands that shared a sync"),
)
_collectors: dict[int, _Collector] = {}
_collectors_lock = threading.Lock()


def _cumulative(values: dict[str, Any]) -> list[tuple[str, float]]:
    buckets, total = [], 0
    for bound, count in zip([*values["bounds"], float("inf")], values["counts"], strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(total)))
    return buckets
