"""Lines that are cut at random moments, also inside a frame: nothing is lost or repeated."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from pathlib import Path

import feed_kit as kit
import pytest

from matchcore.feeds import AsyncClient, Changes, Snapshot
from matchcore.feeds.lines import LineOutlet
from matchcore.feeds.lines.address import Address
from matchcore.feeds.serving import Feed

SECONDS_MAX = 60.0
CUTS = 40


class Cutting:
    """A proxy that cuts each connection after some bytes, or holds it up for a while."""

    def __init__(self, target: int, chance: random.Random) -> None:
        self._target, self._chance, self.cuts = target, chance, 0
        self.quiet = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._served(streams, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _served(self, streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [asyncio.ensure_future(self._pumped(streams, forth, 1 << 30)),
                asyncio.ensure_future(self._pumped(back, writer, self._bytes()))]  # fmt: skip
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (*ways, forth, writer):
                one.cancel() if isinstance(one, asyncio.Task) else one.transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)

    def _bytes(self) -> int:
        return 1 << 30 if self.quiet else self._chance.choice([10, 100, 1000, 10_000, 100_000])

    async def _pumped(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, most: int
    ) -> None:
        with suppress(OSError):
            while most > 0 and (data := await source.read(self._chance.randint(1, 50_000))):
                if self._chance.random() < 0.1:
                    await asyncio.sleep(self._chance.uniform(0, 0.05))
                target.write(data[:most])
                most -= len(data)
                await target.drain()
            self.cuts += most <= 0


@pytest.mark.parametrize("first", [0, 1])
def test_every_change_once_over_lines_that_are_cut(
    tmp_path: Path, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matchcore.feeds.client.line.PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("matchcore.feeds.client.line.PAUSE_SECONDS_MAX", 0.01)
    monkeypatch.setattr("matchcore.feeds.lines.wire.ROWS_MAX", 200)  # so that some get through
    monkeypatch.setattr("matchcore.feeds.client.following.READY_MAX", 1000)
    chance, path, stop = random.Random(first), tmp_path / "e", asyncio.Event()

    async def within() -> None:
        with kit.opened(path) as engine:
            kit.trade(engine, 2000)
            outlets = [LineOutlet(Address("127.0.0.1", 0)) for _ in range(2)]
            feeds = [Feed(path, [outlet]) for outlet in outlets]
            tasks = [asyncio.ensure_future(feed.run(stop)) for feed in feeds]
            while any(outlet._server is None for outlet in outlets):
                await asyncio.sleep(0.001)
            proxies = [Cutting(outlet.port, chance) for outlet in outlets]
            lines = [await proxy.start() for proxy in proxies]
            async with AsyncClient(*lines, first=first) as client:
                got = await followed(client, engine, proxies)
                kit.equal_books(client, engine)
                assert all(one.state != "refused" for one in client.health())
            for proxy in proxies:
                await proxy.close()
            stop.set()
            await asyncio.gather(*tasks)
        if first:
            assert got == kit.truth(path)
        else:
            assert got and kit.truth(path).endswith(got)

    async def followed(client: AsyncClient, engine: kit.mc.Engine, proxies: list[Cutting]) -> bytes:
        """Everything up to the last change, while the exchange trades on."""
        got, seed, last, before = bytearray(), 0, 0, 0
        async for item in client:
            if isinstance(item, Snapshot):
                assert not got
            else:
                assert isinstance(item, Changes) and (not got or item.first == before + 1)
                got += item.rows.tobytes()
            before = client.number
            if before % 7 == 0:  # a program that works for a while
                await asyncio.sleep(0.01)
            if sum(proxy.cuts for proxy in proxies) < CUTS:
                seed += 1
                kit.trade(engine, 100, 100 + seed)
            elif not last:
                last = len(kit.truth(path)) // 88
                for proxy in proxies:
                    proxy.quiet = True
            if last and before >= last:
                return bytes(got)
        raise AssertionError("it ended")

    asyncio.run(asyncio.wait_for(within(), SECONDS_MAX))
