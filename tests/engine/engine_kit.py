"""Engines to test with: a small world, flows into it, and what a log alone says of the state."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.journal import LogReader
from matchcore.machine import machine_class

ANA = mc.Instrument("ANA", tick="0.05", lot=1)
WORLD = (mc.Instrument("ONE", "0.01"), mc.Instrument("TWO", "0.5", lot=3, max_quantity=999))


def order(n: int = 0) -> mc.NewOrder:
    return mc.NewOrder("ONE", mc.Side.BUY, 1, "1.00", client_order_id=n)


class Held(mc.MemoryLog):
    """A log whose syncs wait, from `hold` on, until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.free = threading.Event(), threading.Event()
        self.free.set()

    def hold(self) -> None:
        self.free.clear()
        self.entered.clear()

    def sync(self, *, to_disk: bool = False) -> None:
        self.entered.set()
        assert self.free.wait(20)
        super().sync()


def opened(path: Path, **more: object) -> mc.Engine:
    return mc.Engine.open(path, instruments=WORLD, **more)  # type: ignore[arg-type]


def run(engine: mc.Engine, seed: int, count: int = 300, step: int = 50) -> NDArray:
    """Submits a random flow in batches; returns its events."""
    commands = flow(seed, count)
    return np.concatenate(
        [engine.submit_batch(commands[at : at + step]) for at in range(0, count, step)]
    )


def filled(path: Path, seed: int = 1, count: int = 300) -> str:
    """An exchange with some history, closed; its digest."""
    with opened(path) as engine:
        run(engine, seed, count)
        return engine.digest()


def logged(path: Path) -> NDArray:
    """Every command in the log."""
    with LogReader(path) as reader:
        return np.concatenate([frame.commands for frame in reader.read()])


def replayed(path: Path, machine: str = "cython") -> str:
    """The digest of a fresh machine that has applied the whole log."""
    made = machine_class(machine)()
    made.apply(logged(path))
    return made.digest()


def segment(path: Path) -> Path:
    (file,) = path.glob("journal-*.mcj")
    return file


def spoil(file: Path) -> None:
    """Flips a bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 16
    file.write_bytes(data)
