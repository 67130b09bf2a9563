"""The orders of the clients, the same for every way: half of them trade."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from matchcore.serving.soup import packet
from matchcore.traffic.ouch import ENTER, USUAL

HOST, SYMBOL, TICK = "127.0.0.1", "ANA", "0.01"
LOW, STEPS, QUANTITY = 950_000, 20, 100  # prices of OUCH


def orders(session: int, count: int) -> NDArray[np.void]:
    """As OUCH packets."""
    random = np.random.default_rng(session)
    made = np.zeros(count, ENTER)
    made["size"], made["kind"], made["letter"] = ENTER.itemsize - 2, b"U", b"O"
    made["user_ref"] = 1 + np.arange(count)
    made["side"] = np.where(random.integers(2, size=count) == 1, b"B", b"S")
    made["quantity"] = random.integers(1, QUANTITY + 1, size=count)
    made["symbol"] = SYMBOL.ljust(8).encode()
    made["price"] = LOW + 100 * random.integers(STEPS, size=count)
    for name, letter in USUAL.items():
        made[name] = letter
    return made


def as_lines(session: int, made: NDArray[np.void]) -> list[bytes]:
    """The same as lines of JSON."""
    return [
        json.dumps(
            {
                "id": int(one["user_ref"]), "account": session, "quantity": int(one["quantity"]),
                "side": "BUY" if one["side"] == b"B" else "SELL",
                "price": f"{int(one['price']) / 10_000:.2f}",
            }
        ).encode() + b"\n"
        for one in made
    ]  # fmt: skip


def login(session: int) -> bytes:
    """The packet."""
    fields = f"user{session}".ljust(6) + "secret".ljust(10) + " " * 10 + "0".rjust(20)
    return packet(b"L", fields.encode())
