"""A replicated log beside what its client library does alone: three servers on this machine."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchcore.bench.neutral import commands, messages
from matchcore.bench.throughput import INSTRUMENT
from matchcore.engine.engine import Engine
from matchcore.journal.stream import Address, Servers, StreamLog, StreamReader
from matchcore.journal.stream.messages import WINDOW
from matchcore.records.commands import COMMAND

SECONDS = 4.0
BATCH = 4096
SIZES_KIB = (64, 256)
_names = itertools.count(1)


def groups(count: int) -> Iterator[list[tuple[Any, ...]]]:
    place = tempfile.TemporaryDirectory(prefix="matchcore-bench-", dir=os.environ.get("TMPDIR"))
    with place as at, Servers(Path(at)) as servers:
        StreamLog.open(servers.address("first")).close()  # they have elected their leaders
        fresh = partial(_fresh, servers)
        for kib in SIZES_KIB:
            yield [
                (f"frames of {kib} KiB, {WINDOW} under way: StreamLog",
                 lambda kib=kib: appended(fresh(), kib), "MB/s"),
                ("the same with nats-py alone", lambda kib=kib: published(fresh(), kib), "MB/s"),
                ("StreamLog to that", lambda kib=kib: ratio(fresh(), fresh(), kib), "times"),
            ]  # fmt: skip
        flow = commands(messages("normal", count))
        yield [
            (f"commands appended in batches of {BATCH}", lambda: packed(fresh(), flow)),
            ("the same submitted to an engine", lambda: submitted(fresh(), flow)),
            ("the same read and verified", lambda: read(fresh(), flow)),
            ("one command, appended and synced", lambda: one_by_one(fresh(), flow), "us"),
        ]


def _fresh(servers: Servers) -> str:
    return servers.address(f"bench-{next(_names)}")


def _frames(size_kib: int) -> NDArray[np.void]:
    """Commands of noise, whose frame has about this size."""
    count = (size_kib << 10) // COMMAND.itemsize - 2
    return np.frombuffer(np.random.default_rng(1).bytes(count * COMMAND.itemsize), COMMAND)


def appended(address: str, size_kib: int) -> float:
    """Megabytes a second that a log takes."""
    rows = _frames(size_kib)
    log = StreamLog.open(address)
    started = time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        log.append(rows, 1)
    log.sync()
    rate = log.appended_bytes / (time.perf_counter() - started) / 1e6
    log.close()
    return rate


def published(address: str, size_kib: int) -> float:
    """Megabytes a second that the client library takes, into a stream like that of a log."""
    StreamLog.open(address).close()
    return asyncio.run(_published(Address.of(address), (size_kib << 10)))


async def _published(address: Address, size: int) -> float:
    import nats

    client = await nats.connect(**address.connect_options())
    streams = client.jetstream(publish_async_max_pending=WINDOW)
    payload, done, sent = os.urandom(size), [], 0
    started = time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        done.append(await streams.publish_async(address.name, payload, wait_stall=10))
        sent += size
    await asyncio.gather(*done)
    rate = sent / (time.perf_counter() - started) / 1e6
    await client.close()
    return rate


def ratio(one: str, other: str, size_kib: int) -> float:
    return appended(one, size_kib) / published(other, size_kib)


def packed(address: str, flow: NDArray[np.void]) -> float:
    """Million commands a second that a log takes."""
    log = StreamLog.open(address)
    started = time.perf_counter()
    for at in range(0, len(flow), BATCH):
        log.append(flow[at : at + BATCH], 1)
    log.sync()
    rate = len(flow) / (time.perf_counter() - started) / 1e6
    log.close()
    return rate


def submitted(address: str, flow: NDArray[np.void]) -> float:
    """The same, matched and answered by an engine."""
    with Engine.open(address, instruments=[INSTRUMENT]) as engine:
        started = time.perf_counter()
        last = None
        for at in range(0, len(flow), BATCH):
            last = engine.submit_async(flow[at : at + BATCH])
        if last is not None:
            last.result()
        return len(flow) / (time.perf_counter() - started) / 1e6


def read(address: str, flow: NDArray[np.void]) -> float:
    """Million commands a second that a reader gives."""
    packed(address, flow)
    started = time.perf_counter()
    with StreamReader(address) as reader:
        count = sum(frame.count for frame in reader.read())
    assert count == len(flow)
    return count / (time.perf_counter() - started) / 1e6


def one_by_one(address: str, flow: NDArray[np.void]) -> float:
    """The median, in microseconds."""
    log = StreamLog.open(address)
    took = []
    for at in range(200):
        started = time.perf_counter()
        log.append(flow[at : at + 1], 1)
        log.sync()
        took.append(time.perf_counter() - started)
    log.close()
    return float(np.median(took)) * 1e6
