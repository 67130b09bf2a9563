"""Runs in a process of its own: clients that send orders for as long as they are told.

The first line that it reads is an object of JSON, as `Sending`.  Then `pause` has each client wait
once its last request is answered, and is answered with `paused` and the number of answers; `go` has
them go on; the end of input ends it.  Each answer is appended to the file ``out`` as it comes.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from .clients import Answer, Client, Request

MID, REACH, QUANTITY = 1900, 8, 50  # ticks, ticks, units
OWN_MAX = 20  # own orders that a cancel chooses from
SECONDS = 1.0  # to wait for an answer


class Sending(NamedTuple):
    """``rate``: requests a second of all clients; ``first``: the number of their first one."""

    tokens: list[str]
    places: list[tuple[str, int]]
    symbol: str
    tick: str
    rate: float
    seed: int
    out: str
    first: int = 1


class Gate:
    """What clients pass before each request."""

    def __init__(self, count: int, rate: float) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._waiting, self._count = 0, count
        self._span = count / rate

    def requests(self, given: Iterator[Request]) -> Iterator[Request]:
        """Those of one client, each when it is due."""
        due = time.monotonic()
        for request in given:
            with self._changed:
                self._waiting += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._open)
                self._waiting -= 1
            due = max(due + self._span, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            yield request

    def pause(self) -> None:
        """Returns when all wait, and nothing is under way."""
        with self._changed:
            self._open = False
            self._changed.wait_for(lambda: self._waiting == self._count)

    def go(self) -> None:
        """Lets them go on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()


def requests(told: Sending, client: int) -> Iterator[Request]:
    """Of one client: orders, of which some trade at once, and cancels of its own."""
    from decimal import Decimal

    dice = random.Random(f"{told.seed} {client} {told.first}")
    own: list[str] = []
    number = told.first
    while True:
        name = f"c{client}-{number}"
        number += 1
        if own and dice.random() < 0.2:
            gone = own.pop(dice.randrange(len(own)))
            yield Request(name, "DELETE", f"/orders/{gone}?request_id={name}")
            continue
        price = Decimal(told.tick) * (MID + dice.randint(-REACH, REACH))
        body: dict[str, Any] = {
            "client_order_id": name, "symbol": told.symbol,
            "side": dice.choice(("buy", "sell")), "quantity": dice.randint(1, QUANTITY),
            "price": str(price), "time_in_force": "ioc" if dice.random() < 0.2 else "gtc",
        }  # fmt: skip
        yield Request(name, "POST", "/orders", body)
        own = [*own, name][-OWN_MAX:]


def record(answer: Answer) -> bytes:
    """A line for the file of answers."""
    reports = answer.said.get("reports") or [{}]
    first = reports[0] if isinstance(reports[0], dict) else {}
    return json.dumps({
        "name": answer.request.name, "method": answer.request.method, "status": answer.status,
        "exec_id": first.get("exec_id"), "kind": first.get("kind"),
        "repeated": bool(answer.said.get("repeated")),
        "asked": answer.asked, "answered": answer.answered,
    }).encode() + b"\n"  # fmt: skip


def _end(error: threading.ExceptHookArgs) -> None:
    """Without one of its clients this process is not what it was told to be."""
    threading.__excepthook__(error)
    os._exit(1)


def main() -> None:
    """Until the end of input."""
    threading.excepthook = _end
    told = Sending(**json.loads(sys.stdin.readline()))
    places = [(host, port) for host, port in told.places]
    gate = Gate(len(told.tokens), told.rate)
    out = os.open(told.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    clients = []
    for number, token in enumerate(told.tokens, 1):
        # Each starts at another door, and finds the one that answers.
        begin = places[number % len(places) :] + places[: number % len(places)]
        given = gate.requests(requests(told, number))
        clients.append(
            Client(token, begin, given, lambda answer: os.write(out, record(answer)), SECONDS)
        )
    for client in clients:
        client.start()
    for line in sys.stdin:
        if line.strip() == "pause":
            gate.pause()
            print("paused", sum(client.answered for client in clients), flush=True)
        elif line.strip() == "go":
            gate.go()


if __name__ == "__main__":
    main()
