"""Snapshots from between two rounds, and updates of feeds whose rounds differ, join."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from web_kit import TAKERS, exchange, flow

import matchcore as mc
from matchcore.feeds.serving import Feed
from matchcore.feeds.stream import Changes
from matchcore.feeds.web import frames, texts
from matchcore.feeds.web.topics import Key, Known, Topic, topic_of
from matchcore.feeds.web.windows import windows_since

FOLLOWERS_MAX = 25  # the oldest ones have followed through this many states


class Follower:
    """Has the state of a snapshot, and takes what is new to it."""

    def __init__(self, channel: str, said: dict[str, Any]) -> None:
        self._take = TAKERS[channel]
        self.number, self.now = said["number"], self._take(None, said)

    def take(self, said: dict[str, Any]) -> None:
        if said["number"] <= self.number:
            return
        assert said["prev"] <= self.number, said
        self.number, self.now = said["number"], self._take(self.now, said)


class Rounds:
    """An outlet: updates of a topic in two rhythms, to followers who begin at every change."""

    def __init__(self, key: Key, *rhythm: int) -> None:
        self.key, self._rhythm = key, rhythm
        self._pending: list[list[Changes]] = [[] for _ in rhythm]
        self._followers: list[Follower] = []
        self.taken = self.told = 0

    async def start(self, feed: Feed) -> None:
        self._feed = feed
        self._known = Known(feed, texts.NoticeTexts(feed, None), orders_max=0)
        self._topics = [self._fresh() for _ in self._rhythm]

    def beat(self) -> None: ...

    async def close(self) -> None: ...

    def _fresh(self) -> Topic:
        return topic_of(self.key, self._known, self._feed.history.last)

    def _whole(self) -> Follower:
        said = json.loads(frames.payload(self._fresh().snapshot(0)))
        return Follower(self.key.channel, said)

    def take(self, changes: Changes, live: bool) -> None:
        if not live:
            return
        self.taken += 1
        for at, every in enumerate(self._rhythm):
            self._pending[at].append(changes)
            if self.taken % every == 0:
                pending, self._pending[at] = self._pending[at], []
                self._round(self._topics[at], pending)
        self._followers = [*self._followers[1 - FOLLOWERS_MAX :], self._whole()]

    def _round(self, topic: Topic, pending: list[Changes]) -> None:
        window = windows_since(pending, [self.key.instrument]).get(self.key.instrument)
        frame = None if window is None else topic.update(window, 0)
        whole = self._whole()
        for follower in self._followers:
            if frame is not None:
                follower.take(json.loads(frames.payload(frame)))
            assert follower.now == whole.now, (self.key, self.taken, follower.number)
        self.told += frame is not None


@pytest.mark.parametrize("seed", range(3))
def test_any_state_becomes_that_of_a_later_update(tmp_path: Path, seed: int) -> None:
    channels = {"book.l1": [0], "book.l2": [1, 3, 50], "bars.1m": [0], "status": [0]}
    outlets = [
        Rounds(Key(channel, 1, depth), 3, 7)
        for channel, depths in channels.items()
        for depth in depths
    ]

    async def serve(engine: mc.Engine) -> None:
        feed = Feed(tmp_path, outlets)
        await feed._poll(live=False)
        for outlet in outlets:
            await outlet.start(feed)
        for row in flow(seed, 600, 1):
            engine.submit_batch(row.reshape(1))
            await feed._poll(live=True)
        feed.stream.close()

    with exchange(tmp_path, mc.Instrument("ANA", "0.05")) as engine:
        asyncio.run(serve(engine))
    for outlet in outlets:
        assert outlet.taken > 200 and outlet.told > 50, outlet.key
