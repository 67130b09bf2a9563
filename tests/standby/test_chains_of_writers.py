"""Whoever goes on with a log where other writers began finds his place in its history."""

from __future__ import annotations

import pytest

import matchcore as mc
from matchcore.journal.stream import StreamLog, StreamReader, reader


def test_a_follower_that_begins_where_writers_began_goes_on(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = mc.NewOrder("ANA", mc.Side.BUY, 1, "95.00")
    listed = [mc.Instrument("ANA", "0.05")]
    with mc.Engine.open(where, policy="replicated", instruments=listed) as engine:
        for _ in range(20):
            engine.submit(order)
        at = engine.sequence
    with StreamReader(where) as reading:
        *_, last = reading.read()
    for _ in range(2):
        StreamLog.open(where).close()  # writers that write no command
    monkeypatch.setattr(reader, "LEAD", 5)  # reading begins just before the first of them

    def read(chain: bytes) -> int:
        with StreamReader(where, after=at, chain=chain) as reading:
            return sum(frame.count for frame in reading.read())

    assert read(last.chain) == 0
    with pytest.raises(mc.LogDamaged, match="different histories"):
        read(bytes(32))
    with mc.Engine.open(where, policy="replicated") as engine:
        engine.submit(order)
    assert read(last.chain) == 1
    with pytest.raises(mc.LogDamaged, match="different histories"):
        read(bytes(32))
