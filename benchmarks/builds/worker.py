"""Takes one figure of the build of matchcore that this Python imports: `worker.py FIGURE PLACE`.

Runs against older builds too.  So it uses the public API only, and the compiled loops of
`matchcore.bench._loops`; commands are copied field by field into the build's own records.  Says
as JSON the best of some takes, which is the one that nobody else disturbed; where a disk or other
threads have a part in it, their median.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import matchcore as mc

BATCH = 4096
UNDER_WAY = 6  # batches, as in `matchcore.bench.sharing`
TASKS = 64
LEVELS, DEPTH, LOOKS = 1_000, 50, 2_000
SYNCED = 256  # single commands, each on disk before its answer
TICK = "0.005"


@dataclass(frozen=True)
class Figure:
    """`take` measures once, given the directory of the inputs."""

    what: str
    take: Callable[[Path], float]
    unit: str = "million/s"
    needs: tuple[str, ...] = ()  # names of inputs
    times: int = 5  # takes of a process
    several: bool = False  # whether it may use all cores

    @property
    def more_is_faster(self) -> bool:
        return self.unit.endswith("/s")


@cache
def commands(place: Path, name: str) -> NDArray[np.void]:
    """An input in the records of this build."""
    given: NDArray[np.void] = np.load(place / f"{name}.npy", allow_pickle=False)
    if given.dtype == mc.COMMAND:
        return given
    made = np.zeros(len(given), mc.COMMAND)
    for field in set(given.dtype.names or ()) & set(made.dtype.names or ()):
        made[field] = given[field]
    return made


def in_batches(rows: NDArray[np.void], size: int) -> list[NDArray[np.void]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def instruments(symbol: str = "BENCH", tick: str = TICK) -> list[mc.Instrument]:
    return [mc.Instrument(symbol, tick)]


@contextmanager
def opened(place: Path, policy: str) -> Iterator[mc.Engine]:
    with (
        tempfile.TemporaryDirectory(dir=place) as directory,
        mc.Engine.open(directory, instruments=instruments(), policy=policy) as engine,
    ):
        yield engine


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# The machine


def native(batch: int, place: Path) -> float:
    from matchcore.bench._loops import Rig

    rows = commands(place, "flow")
    return float(len(rows) / Rig(batch=batch).run(rows, batch)[0] * 1e3)


def market(place: Path) -> float:
    """The second pass over the flow: at the first one its pages are fresh."""
    from matchcore.bench._loops import Rig

    crowd, flow = commands(place, "crowd"), commands(place, "spread").copy()
    rig = Rig(instruments=max(int(crowd["instrument"].max()), int(flow["instrument"].max())))
    rig.run(crowd, BATCH)
    took = 0.0
    for _ in range(2):
        flow["order_id"] += max(int(crowd["order_id"].max()), int(flow["order_id"].max()))
        took = rig.run(flow, BATCH)[0]
    return len(flow) / took * 1e3


# The engine


def feed(engine: mc.Engine, rows: NDArray[np.void], size: int) -> float:
    batches = in_batches(rows, size)

    def work() -> None:
        for batch in batches:
            engine.submit_batch(batch)

    return len(rows) / seconds(work) / 1e6


def in_memory(name: str, size: int, place: Path) -> float:
    with mc.Engine.memory(instruments=instruments()) as engine:
        return feed(engine, commands(place, name), size)


def durable(policy: str, place: Path) -> float:
    with opened(place, policy) as engine:
        return feed(engine, commands(place, "flow"), BATCH)


def pipelined(place: Path) -> float:
    rows = commands(place, "flow")
    batches = in_batches(rows, BATCH)

    def work(engine: mc.Engine) -> None:
        under_way: deque[Any] = deque()
        for batch in batches:
            under_way.append(engine.submit_async(batch))
            if len(under_way) > UNDER_WAY:
                under_way.popleft().result()
        while under_way:
            under_way.popleft().result()

    with opened(place, "sync") as engine:
        return len(rows) / seconds(partial(work, engine)) / 1e6


def replay(place: Path) -> float:
    """Opens a log that this build has written, and that is still in the system's cache."""
    rows = commands(place, "flow")
    log = place / f"log-of-{os.getpid()}"
    if not log.exists():
        with mc.Engine.open(log, instruments=instruments(), policy="os") as engine:
            feed(engine, rows, BATCH)
    return len(rows) / seconds(lambda: mc.Engine.open(log).close()) / 1e6


def submit(place: Path) -> float:
    """Typed commands, made beforehand."""
    orders: list[Any] = [
        mc.NewOrder("BENCH", mc.Side(side), quantity, price, order_id=order_id)
        if side
        else mc.Cancel("BENCH", order_id)
        for order_id, side, price, quantity in operations(place)
    ]
    with mc.Engine.memory(instruments=instruments(tick="1")) as engine:

        def work() -> None:
            call = engine.submit
            for order in orders:
                call(order)

        return len(orders) / seconds(work) / 1e3


def one_order() -> mc.NewOrder:
    return mc.NewOrder("BENCH", mc.Side.BUY, 10, "1.00")


def one_by_one(place: Path) -> float:
    def work(engine: mc.Engine) -> None:
        for _ in range(SYNCED):
            engine.submit(one_order())

    with opened(place, "sync") as engine:
        return SYNCED / seconds(partial(work, engine)) / 1e3


def tasks(place: Path) -> float:
    each = SYNCED // 8

    async def work(engine: mc.AsyncEngine) -> None:
        for _ in range(each):
            await engine.submit(one_order())

    async def all_of_them(engine: mc.AsyncEngine) -> float:
        started = time.perf_counter()
        await asyncio.gather(*[work(engine) for _ in range(TASKS)])
        return TASKS * each / (time.perf_counter() - started) / 1e3

    with opened(place, "sync") as engine:
        return asyncio.run(all_of_them(mc.AsyncEngine(engine)))


# One book


@cache
def operations(place: Path) -> list[tuple[int, ...]]:
    """Order id, side (0: a cancel), price and quantity."""
    return [tuple(row) for row in np.load(place / "book.npy", allow_pickle=False).tolist()]


def adds(place: Path) -> float:
    book = mc.OrderBook()
    orders = [row for row in operations(place) if row[1]]

    def work() -> None:
        add = book.add
        for order_id, side, price, quantity in orders:
            add(order_id, side, price, quantity)

    return len(orders) / seconds(work) / 1e6


def cancels(place: Path) -> float:
    book = mc.OrderBook()
    buys = [row for row in operations(place) if row[1] == mc.Side.BUY]
    for row in buys:
        book.add(*row)

    def work() -> None:
        cancel = book.cancel
        for order_id, _, _, _ in buys:
            cancel(order_id)

    return len(buys) / seconds(work) / 1e6


def mixed(place: Path) -> float:
    book = mc.OrderBook()
    rows = operations(place)

    def work() -> None:
        add, cancel = book.add, book.cancel
        for order_id, side, price, quantity in rows:
            if side:
                add(order_id, side, price, quantity)
            else:
                cancel(order_id)

    return len(rows) / seconds(work) / 1e6


def bids(place: Path) -> float:
    with mc.Engine.memory(instruments=instruments(tick="1")) as engine:
        for price in range(1, LEVELS + 1):
            engine.submit(mc.NewOrder("BENCH", mc.Side.BUY, 10, price))
        view = engine.book("BENCH")

        def work() -> None:
            for _ in range(LOOKS):
                view.bids(DEPTH)

        return LOOKS / seconds(work) / 1e3


# The start


def start(place: Path, *, whole: bool) -> float:
    """CPU milliseconds of the import in a fresh process, after or with NumPy's."""
    code = (
        "import time; began = time.process_time(); import numpy; then = time.process_time();"
        "import matchcore; end = time.process_time();"
        f"print(end - {'began' if whole else 'then'})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=place, check=True, capture_output=True, text=True)
    return float(done.stdout) * 1e3


FLOW = ("flow",)
THOUSAND = "thousand/s"
FIGURES = {
    "c-batches": Figure("C calls, batches of 4096", partial(native, BATCH), needs=FLOW),
    "c-singles": Figure("C calls, one by one", partial(native, 1), needs=FLOW),
    "batch-4096": Figure("submit_batch of 4096", partial(in_memory, "flow", BATCH), needs=FLOW),
    "batch-256": Figure("submit_batch of 256", partial(in_memory, "flow", 256), needs=FLOW),
    "sync": Figure("submit_batch of 4096, policy sync", partial(durable, "sync"),
                   needs=FLOW, several=True),
    "os": Figure("submit_batch of 4096, policy os", partial(durable, "os"),
                 needs=FLOW, several=True),
    "async": Figure("submit_async of 4096, policy sync", pipelined, needs=FLOW, several=True),
    "replay": Figure("replay of a journal from disk", replay, needs=FLOW, several=True),
    "submit": Figure("Engine.submit, no log", submit, THOUSAND, ("book",)),
    "submit-sync": Figure("Engine.submit, policy sync", one_by_one, THOUSAND, several=True),
    "tasks-sync": Figure("the same, 64 tasks", tasks, THOUSAND, several=True),
    "add": Figure("OrderBook.add", adds, needs=("book",)),
    "cancel": Figure("OrderBook.cancel", cancels, needs=("book",)),
    "book": Figure("OrderBook.add and cancel in turns", mixed, needs=("book",)),
    "bids": Figure(f"bids({DEPTH}) of a book view", bids, THOUSAND),
    "ids-one": Figure("client order ids of one account",
                      partial(in_memory, "one_account", BATCH), needs=("one_account",)),
    "ids-many": Figure("client order ids of 1,000 accounts",
                       partial(in_memory, "many_accounts", BATCH), needs=("many_accounts",)),
    "instruments": Figure("10,000 instruments, orders resting", market,
                          needs=("crowd", "spread"), times=2),
    "start": Figure("import matchcore, with NumPy", partial(start, whole=True), "ms of CPU"),
    "start-ours": Figure("import matchcore, after NumPy", partial(start, whole=False), "ms of CPU"),
}  # fmt: skip


def main(name: str, place: Path) -> None:
    if name == "version":
        print(json.dumps(mc.__version__))
        return
    figure = FIGURES[name]
    if not figure.several:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    best = statistics.median if figure.several else max if figure.more_is_faster else min
    print(json.dumps(best([figure.take(place) for _ in range(figure.times)])))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
