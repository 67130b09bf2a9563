"""A standby takes over whatever became of the primary; each order has one answer."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from lines_kit import Taken, orders, send, until
from numpy.typing import NDArray
from standby_kit import EngineProcess, wait_until

import matchcore as mc
from matchcore.gateways.lines import Lines
from matchcore.gateways.lines.address import Address
from matchcore.journal.stream import StreamReader
from matchcore.records.codec import pack
from matchcore.records.instruments import Directory

Start = Callable[..., EngineProcess]
ANA = mc.Instrument("ANA", tick="0.05")
TAKEOVER_SECONDS = 60.0  # at most, with an election among the servers, on a machine with much to do

UNDER_WAY = 900  # an account has at most 1,000 requests without an answer: docs/idempotence.md


def pair(engine: Start, where: str) -> tuple[EngineProcess, EngineProcess]:
    """A primary and its standby."""
    one = engine(where, "one", "serve")
    wait_until(lambda: one.role == "primary")
    two = engine(where, "two", "standby")
    wait_until(two.follows)
    return one, two


def way_to(*engines: EngineProcess) -> Lines:
    return Lines([Address(str(one.line), -1) for one in engines])


def defined() -> NDArray[np.void]:
    return np.frombuffer(pack(mc.AddInstrument(ANA), Directory(), 0), mc.COMMAND).copy()


def run(work: Any) -> None:
    asyncio.run(asyncio.wait_for(work, 150))


def logged(where: str) -> list[int]:
    """Client order ids of the log."""
    with StreamReader(where) as reader:
        rows = [frame.commands for frame in reader.read()]
    return [int(n) for part in rows for n in part["client_order_id"][part["kind"] == mc.Kind.NEW]]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_every_order_is_answered_once_when_the_primary_dies(
    engine: Start, where: str, how: signal.Signals
) -> None:
    one, two = pair(engine, where)

    async def work() -> None:
        way, taken = way_to(one, two), Taken()
        await way.start(taken.take, taken.is_down)
        await send(way, defined())
        sent = 0

        async def flow(upto: int) -> None:
            nonlocal sent
            while sent < upto:
                room = sent - UNDER_WAY
                await until(partial(taken.has, room), TAKEOVER_SECONDS)
                await send(way, orders(sent + 1, 20))
                sent += 20
                await asyncio.sleep(0.001)

        await flow(400)
        going = asyncio.ensure_future(flow(4000))
        await until(lambda: taken.count > 300)
        one.signal(how)
        await going
        await until(lambda: len(set(taken.ids())) == sent, TAKEOVER_SECONDS)
        await until(lambda: logged(where) == taken.ids())
        assert not taken.down
        # What the frozen one had sent may come into the log as well: it is there twice, done once.
        assert [*dict.fromkeys(taken.ids())] == [*range(1, sent + 1)]
        events = np.concatenate(taken.events)
        repeats = np.count_nonzero(events["kind"] == mc.EventKind.REPEATED)
        assert repeats == len(taken.ids()) - sent
        # A repeat gets the events of the first time, with its sequence.
        accepted = events["sequence"][events["kind"] == mc.EventKind.ACCEPTED]
        assert len(set(accepted.tolist())) == sent
        await way.close()

    run(work())
    assert two.role == "primary" and two.ask("/standby")["epoch"] > 1
    if how is signal.SIGSTOP:
        one.signal(signal.SIGCONT)
        code, said = one.result()
        assert code == 3 and "not primary any more: two has taken the lease" in said["error"]
    assert two.end()[0] == 0
