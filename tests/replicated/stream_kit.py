"""Replicated logs to test with, and what only somebody else would do to their streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import nats
import numpy as np
from journal_kit import orders
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from numpy.typing import NDArray

from matchcore import COMMAND
from matchcore.journal.format import NO_CHAIN, FrameHeader
from matchcore.journal.packing import Packed
from matchcore.journal.stream import Address, StreamLog, StreamReader
from matchcore.journal.stream.messages import EXPECTED, HEADER, frame_of, split
from matchcore.journal.stream.settings import wanted
from matchcore.records.rules import first_rules

NEWEST = first_rules(None)  # version of the rules that a new log begins with


def write(log: StreamLog, counts: list[int], *, seed: int = 1, sync: bool = True) -> NDArray:
    """Appends a frame of each size; returns all commands."""
    batches = [orders(count, seed + n) for n, count in enumerate(counts)]
    for batch in batches:
        log.append(batch, 1)
        if sync:
            log.sync()
    log.sync()
    return np.concatenate(batches)


def read_back(address: str, after: int = 0) -> NDArray:
    """The commands of the frames that a reader gives."""
    with StreamReader(address, after=after) as reader:
        parts = [frame.commands for frame in reader.read()]
    return np.concatenate([np.zeros(0, COMMAND), *parts])


def asked(address: str, work: Callable[[JetStreamContext], Coroutine[Any, Any, Any]]) -> Any:
    """What somebody else's client does there."""

    async def run() -> Any:
        client = await nats.connect(**Address.of(address).connect_options())
        try:
            return await work(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


def publish(address: str, data: bytes, note: str = "", *, expected: int | None = None) -> int:
    """Puts a message at the end of a stream; returns its number."""
    headers = {HEADER: note} if note else {}
    if expected is not None:
        headers[EXPECTED] = str(expected)

    async def work(streams: JetStreamContext) -> int:
        name = Address.of(address).name
        return (await streams.publish(name, data, headers=headers or None)).seq

    return asked(address, work)


def changed(address: str, **settings: Any) -> None:
    """Changes settings of a stream."""

    async def work(streams: JetStreamContext) -> None:
        info = await streams.stream_info(Address.of(address).name)
        await streams.update_stream(info.config.evolve(**settings))

    asked(address, work)


def made(address: str, **settings: Any) -> None:
    """A stream as a log makes it, but for these settings."""
    config = StreamConfig(**{**wanted(Address.of(address)), **settings})
    asked(address, lambda streams: streams.add_stream(config))


def frame(
    commands: NDArray, *, epoch: int, first: int, chain: bytes = NO_CHAIN, rules: int = NEWEST
) -> tuple[bytes, str]:
    """The message of a writer, with one frame behind a chain."""
    codec, count, payload = Packed(commands, 1).frames[0] if len(commands) else (0, 0, b"")
    header = FrameHeader(codec, count, len(payload), epoch, first, first - 1, 1, NO_CHAIN)
    header.chain = header.chain_after(chain, payload)
    return next(split(frame_of(header, payload), header, rules))
