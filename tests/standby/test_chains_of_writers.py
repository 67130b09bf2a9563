"""A log has several chains at one sequence, if writers began there; each is that of its history."""

from __future__ import annotations

import pytest

import matchcore as mc
from matchcore.journal.stream import StreamLog, StreamReader, reader


def chains(where: str) -> list[bytes]:
    """The chain behind each message, from the first command on."""
    with StreamReader(where) as reading:
        found = [frame.chain for frame in reading.read()]
        return [*found, reading.chain]


def test_a_follower_that_stands_where_writers_began_goes_on(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = mc.NewOrder("ANA", mc.Side.BUY, 1, "95.00")
    with mc.Engine.open(where, policy="replicated", instruments=[mc.Instrument("ANA", "0.05")]) as e:
        for _ in range(20):
            e.submit(order)
        at = e.sequence
    *_, before, last = chains(where)
    assert before == last
    StreamLog.open(where).close()  # writers that write no command
    StreamLog.open(where).close()
    behind = chains(where)[-1]
    monkeypatch.setattr(reader, "LEAD", 2)  # so that reading begins close to where it stands

    def read(chain: bytes) -> int:
        with StreamReader(where, after=at, chain=chain) as reading:
            return sum(frame.count for frame in reading.read())

    assert read(last) == read(behind) == 0
    with pytest.raises(mc.LogDamaged, match="different histories"):
        read(bytes(32))
    with mc.Engine.open(where, policy="replicated") as e:
        e.submit(order)
    assert read(last) == read(behind) == 1
    with pytest.raises(mc.LogDamaged, match="different histories"):
        read(bytes(32))
