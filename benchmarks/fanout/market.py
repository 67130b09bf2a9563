"""The market that is sent: an exchange on disk, and its changes in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import matchcore as mc
from matchcore.feeds.stream import Changes
from matchcore.records.commands import COMMAND
from matchcore.records.schema import Kind, OrderType, TimeInForce

CHECKOUT = Path(__file__).parents[2]
SERVER_CORE, CLIENT_CORE = 0, 1
INSTRUMENTS = 10
COMMANDS = 150_000
PIECE = 50  # changes that go out together: those of 5 ms at 10,000/s
CHANNELS = ["book.l2", "trades"]

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
#: A frame of a subscriber that has nothing to ask.
ALIVE = b'\x81\x8d\0\0\0\0{"op":"ping"}'


def flow(seed: int, count: int) -> NDArray[np.void]:
    """Orders near a middle price that moves: some trade, most rest for a while."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, COMMAND)
    rows["kind"] = rng.choice([Kind.NEW, Kind.CANCEL], count, p=[0.7, 0.3])
    rows["instrument"] = rng.integers(1, INSTRUMENTS + 1, count)
    rows["order_id"] = np.arange(1, count + 1)
    gone = rows["kind"] == Kind.CANCEL
    rows["order_id"][gone] = np.maximum(
        1, rows["order_id"][gone] - rng.integers(1, 400, gone.sum())
    )
    rows["side"] = rng.integers(1, 3, count)
    rows["order_type"], rows["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    away = rng.geometric(0.25, count)
    rows["price"] = 20_000 + np.where(rows["side"] == 1, 3 - away, away - 3)
    rows["quantity"] = rng.integers(1, 200, count)
    return rows


def make(path: Path, seed: int = 1, count: int = COMMANDS) -> None:
    """Writes the exchange."""
    instruments = [mc.Instrument(f"SYM{at}", "0.005") for at in range(INSTRUMENTS)]
    with mc.Engine.open(path, instruments=instruments, policy="os") as engine:
        for at in range(0, count, 4096):
            engine.submit_batch(flow(seed, count)[at : at + 4096])


def pieces(changes: Changes) -> Iterator[Changes]:
    """Those that go out together."""
    for at in range(0, len(changes.rows), PIECE):
        yield Changes(changes.first + at, changes.epoch, changes.rows[at : at + PIECE])


def subscription(channels: list[str]) -> bytes:
    """A client's frame that asks for these channels of all symbols."""
    text = json.dumps({"op": "subscribe", "channels": channels, "symbols": ["*"]}).encode()
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text
