"""The meter counts every commit, and Prometheus reads what it counted."""

from __future__ import annotations

import sys
from pathlib import Path
from queue import Empty, Queue

import pytest
from engine_kit import opened, run
from flows import flow
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import matchcore as mc
from matchcore.engine.metrics import COMMANDS, SYNC_SECONDS, Histogram, Meter, export
from matchcore.engine.submissions import Commit

Samples = dict[tuple[str, str, str], float]


def shown(registry: CollectorRegistry) -> Samples:
    """Samples by name, engine and bucket, through Prometheus' own text and parser."""
    text = generate_latest(registry).decode()
    return {
        (sample.name, sample.labels["engine"], sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        histogram.add(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 8.0)


def test_prometheus_reads_what_the_engine_did(tmp_path: Path) -> None:
    meter, quiet, registry = Meter(), Meter(), CollectorRegistry()
    export(meter, registry=registry, engine="cash")
    export(quiet, registry=registry, engine='odd "name"')
    with opened(tmp_path, metrics=meter) as engine:
        run(engine, 1, 100, 50)
        engine.submit_batch(flow(1, 1000))
        assert engine.log is not None
        bytes_now = engine.log.appended_bytes
    samples = shown(registry)
    assert samples["matchcore_submissions_total", "cash", ""] == 2 + 2 + 1
    assert samples["matchcore_log_bytes_total", "cash", ""] == bytes_now
    assert samples["matchcore_queue_depth", "cash", ""] == 0
    assert samples["matchcore_sync_commands_count", "cash", ""] == 5
    assert samples["matchcore_sync_commands_sum", "cash", ""] == 1102
    assert samples["matchcore_sync_commands_bucket", "cash", "1.0"] == 2
    assert samples["matchcore_sync_commands_bucket", "cash", "64.0"] == 4
    assert samples["matchcore_sync_commands_bucket", "cash", "+Inf"] == 5
    assert samples["matchcore_sync_seconds_count", "cash", ""] == 5
    assert samples["matchcore_sync_seconds_sum", "cash", ""] == pytest.approx(
        meter.read()["sync_seconds"]["sum"]
    )
    assert samples["matchcore_sync_seconds_count", 'odd "name"', ""] == 0
    buckets = [
        value for (name, engine_, _), value in samples.items()
        if (name, engine_) == ("matchcore_sync_seconds_bucket", "cash")
    ]  # fmt: skip
    assert buckets == sorted(buckets) and len(buckets) == len(SYNC_SECONDS) + 1
    assert list(COMMANDS) == sorted(COMMANDS)


def test_a_sync_by_the_clock_and_for_a_snapshot_is_told(tmp_path: Path) -> None:
    told: Queue[Commit] = Queue()
    meter = Meter()
    with opened(tmp_path, policy="interval", interval_ms=1, metrics=told.put) as engine:
        commit = None
        while commit is None or commit.submissions:
            try:
                commit = told.get(timeout=0.1)
            except Empty:  # the last one came when the clock's was due, and was it
                engine.submit_batch(flow(1, 5))
                continue
            if commit.submissions:
                meter(commit)
        assert commit.commands == commit.bytes == commit.write_ns == 0 < commit.sync_ns
        meter(commit)
    read = meter.read()
    assert sum(read["sync_seconds"]["counts"]) == sum(read["commands"]["counts"]) + 1
    told = Queue()
    with opened(tmp_path, metrics=told.put) as engine:
        engine.snapshot()
        assert told.get(timeout=60).submissions == 0


def test_prometheus_asks_for_a_database_s_lag() -> None:
    registry, lags = CollectorRegistry(), [0, 700]
    export(Meter(), registry=registry, engine="cash", lag=lambda: lags.pop())
    export(Meter(), registry=registry, engine="none")
    for lag in (700, 0):
        samples = shown(registry)
        assert samples["matchcore_database_lag", "cash", ""] == lag
        assert ("matchcore_database_lag", "none", "") not in samples


def test_a_name_is_exported_once() -> None:
    registry = CollectorRegistry()
    export(Meter(), registry=registry, engine="cash")
    with pytest.raises(ValueError, match="'cash' is exported already"):
        export(Meter(), registry=registry, engine="cash")
    export(Meter(), registry=CollectorRegistry(), engine="cash")


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(mc.MissingExtra, match=r"matchcore\[metrics\]"):
        export(Meter())
