"""Starts a feed, subscribes to a book over its WebSocket, and checks that nothing is missing."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from websockets.asyncio.client import connect

import matchcore as mc
from matchcore.feeds.serving import Feed
from matchcore.feeds.web.server import WebOutlet

Book = dict[tuple[str, str], int]


def take(book: Book, message: dict[str, object]) -> None:
    """A snapshot or an update: levels as they are now."""
    if message["type"] == "snapshot":
        book.clear()
    for side in ("bids", "asks"):
        for price, quantity, _ in message[side]:
            book[side, price] = quantity
            if not quantity:
                del book[side, price]


async def follow(url: str, updates: int) -> Book:
    """The book of ANA after so many updates."""
    book, last = Book(), 0
    async with connect(url) as socket:
        asked = {"op": "subscribe", "channels": ["book.l2"], "symbols": ["ANA"]}
        await socket.send(json.dumps(asked))
        async for text in socket:
            message = json.loads(text)
            if message["type"] not in ("snapshot", "update"):
                continue
            if message["type"] == "update":
                assert message["prev"] == last, "something is missing"
                updates -= 1
            last = message["number"]
            take(book, message)
            print(f"{message['type']} {last}: {len(book)} levels")
            if not updates:
                break
    return book


async def main(directory: str) -> None:
    ready, stop = asyncio.Event(), asyncio.Event()
    web = WebOutlet("127.0.0.1", 0, started=lambda _: ready.set())
    serving = asyncio.create_task(Feed(Path(directory), [web]).run(stop))
    await ready.wait()
    following = asyncio.create_task(follow(web.url.replace("http", "ws", 1) + "ws", 3))
    with mc.Engine.open(directory) as engine:
        while not following.done():
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, quantity=1, price="95.00"))
            await asyncio.sleep(0.05)
        assert (await following).keys() >= {("bids", "95.00")}
    stop.set()
    await serving


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "exchange.d"))
