"""Logs of a city, and copies of them."""

from __future__ import annotations

from pathlib import Path

import matchcore as mc
from matchcore.journal.stream import Address, StreamReader
from matchcore.standby.copying import Copier

ANA = mc.Instrument("ANA", tick="0.05")
SEGMENT_BYTES = 8192
PATIENCE_SECONDS = 5.0


def flow(engine: mc.Engine, count: int) -> None:
    for at in range(count):
        side = mc.Side.SELL if at % 3 else mc.Side.BUY
        answer = engine.submit_async(mc.NewOrder("ANA", side, 1 + at % 7, "95.70"))
        if not at % 5:  # a frame of its own
            answer.result()
    engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 1, "95.80"))


def frames_of(where: str) -> list[bytes]:
    frames: list[bytes] = []
    with StreamReader(where) as reader:
        reader.walk.raw = frames.append
        for _ in reader.read():
            pass
    return frames


def bytes_of(copy: Path) -> bytes:
    return b"".join(file.read_bytes()[128:] for file in sorted(copy.glob("*.mcj")))


def copied(where: str, to: Path) -> Copier:
    copier = Copier(Address.of(where), to, SEGMENT_BYTES)
    while copier.step():
        pass
    return copier
