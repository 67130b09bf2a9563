"""matchcore's own ways in, the book of plain Python, and the loop with nothing in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plain_book import PlainBook

import matchcore as mc

Flow = list[tuple[int, ...]]
Fills = Iterable[tuple[int, int]]
BATCH = 4000


class Loop:
    """What the loop of every contestant costs by itself."""

    def prepare(self, flow: Flow) -> list[Any]:
        return flow

    def run(self, operations: list[Any]) -> None:
        add = cancel = len
        for operation in operations:
            if len(operation) == 4:
                add(operation)
            else:
                cancel(operation)

    def fills(self, operation: Any) -> Fills:
        return ()


class Book:
    """A contestant with `add` and `cancel`."""

    book: Any

    def prepare(self, flow: Flow) -> list[Any]:
        return flow

    def run(self, operations: list[Any]) -> None:
        add, cancel = self.book.add, self.book.cancel
        for operation in operations:
            if len(operation) == 4:
                add(*operation)
            else:
                cancel(*operation)


class Plain(Book):
    def __init__(self) -> None:
        self.book = PlainBook()

    def fills(self, operation: Any) -> Fills:
        if len(operation) == 4:
            return [(price, size) for _, price, size in self.book.add(*operation)]
        self.book.cancel(*operation)
        return ()


class OrderBook(Book):
    def __init__(self) -> None:
        self.book = mc.OrderBook()

    def fills(self, operation: Any) -> Fills:
        self.run([operation])
        return fills_of(self.book.events)


class Submit:
    """`Engine.submit`, typed command by typed command; nothing is written anywhere."""

    def __init__(self) -> None:
        self.engine = mc.Engine.memory(instruments=[mc.Instrument("ANA", "1")])

    def prepare(self, flow: Flow) -> list[Any]:
        return [
            mc.NewOrder(
                "ANA", mc.Side(operation[1]), operation[3], operation[2], order_id=operation[0]
            )
            if len(operation) == 4
            else mc.Cancel("ANA", operation[0])
            for operation in flow
        ]

    def run(self, operations: list[Any]) -> None:
        submit = self.engine.submit
        for operation in operations:
            submit(operation)

    def fills(self, operation: Any) -> Fills:
        return fills_of(self.engine.submit(operation).events)


class Batch:
    """`Engine.submit_batch`, arrays of 4,000 commands; nothing is written anywhere."""

    machine = "cython"

    def __init__(self) -> None:
        self.engine = mc.Engine.memory(
            instruments=[mc.Instrument("ANA", "1")], machine=self.machine
        )

    def prepare(self, flow: Flow) -> list[Any]:
        rows = [operation if len(operation) == 4 else (*operation, 0, 0, 0) for operation in flow]
        commands = np.zeros(len(flow), mc.COMMAND)
        for column, name in zip(
            np.array(rows).T, ("order_id", "side", "price", "quantity"), strict=True
        ):
            commands[name] = column
        is_new = commands["side"] != 0
        commands["kind"] = np.where(is_new, mc.Kind.NEW, mc.Kind.CANCEL)
        commands["order_type"] = np.where(is_new, mc.OrderType.LIMIT, 0)
        commands["time_in_force"] = np.where(is_new, mc.TimeInForce.GTC, 0)
        commands["instrument"] = commands["time"] = 1
        return [commands[at : at + BATCH] for at in range(0, len(commands), BATCH)]

    def run(self, operations: list[Any]) -> None:
        apply = self.engine.submit_batch
        for commands in operations:
            apply(commands)

    def fills(self, operation: Any) -> Fills:
        return fills_of(self.engine.submit_batch(operation))


class Reference(Batch):
    """The rules in plain Python, with every check of the rule book; what the others must equal."""

    machine = "reference"


def fills_of(events: NDArray[np.void]) -> Fills:
    rows = events[events["kind"] == mc.EventKind.TRADED]
    return zip(rows["price"].tolist(), rows["quantity"].tolist(), strict=True)
