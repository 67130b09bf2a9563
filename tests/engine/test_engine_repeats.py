"""Commands sent again to an engine: also after a kill, when nobody heard the answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_kit import WORLD, logged, opened, replayed

import matchcore as mc
from matchcore import EventKind, NewOrder, Side, Status
from matchcore.machine.dedup import EVENTS_KEPT

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(
    map(str, [HERE, HERE.parent / "machine", Path(mc.__file__).parents[1]])
)}  # fmt: skip
OTHERS: list[Any] = [
    mc.Amend("ONE", 500, 7, "1.02", 5, client_order_id=2),
    mc.Reduce("ONE", 500, 2, 5, client_order_id=3),
    mc.Cancel("ONE", 500, 5, client_order_id=4),
    mc.MassCancel("TWO", 5, Side.BUY, client_order_id=5),
]


def assert_told_again(again: mc.Answer, first: mc.Answer) -> None:
    assert again.repeat and not first.repeat
    assert again.first_sequence == first.sequence < again.sequence
    assert again.events[1:].tobytes() == first.events.tobytes()
    for name in ("status", "left", "filled", "order_id", "reason", "trades"):
        assert getattr(again, name) == getattr(first, name)


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_typed_commands_of_every_kind_are_told_their_first_answer(machine: str) -> None:
    engine = mc.Engine.memory(instruments=WORLD, machine=machine)
    bought = NewOrder("ONE", Side.BUY, 9, "1.01", account=5, order_id=500, client_order_id=1)
    engine.submit(NewOrder("TWO", Side.BUY, 3, "50", account=5))
    story = [bought, *OTHERS]
    first = [engine.submit(command) for command in story]
    assert [answer.left for answer in first[:4]] == [9, 7, 5, 0]
    assert not any(answer.rejected for answer in first)
    assert first[4].events["kind"].tolist() == [EventKind.CANCELLED, EventKind.MASS_CANCELLED]
    # the same ids would find other orders now
    engine.submit(NewOrder("ONE", Side.BUY, 9, "1.01", account=5, order_id=500))
    engine.submit(NewOrder("TWO", Side.BUY, 3, "50", account=5))
    orders = engine.book("ONE").orders().tobytes(), engine.book("TWO").orders().tobytes()
    for command, answer in zip(story, first, strict=True):
        assert_told_again(engine.submit(command), answer)
    calls = [
        engine.amend("ONE", 500, 7, "1.02", account=5, client_order_id=2),
        engine.reduce("ONE", 500, 2, account=5, client_order_id=3),
        engine.cancel("ONE", 500, account=5, client_order_id=4),
        engine.mass_cancel("TWO", account=5, side=Side.BUY, client_order_id=5),
    ]
    for again, answer in zip(calls, first[1:], strict=True):
        assert_told_again(again, answer)
    assert orders == (engine.book("ONE").orders().tobytes(), engine.book("TWO").orders().tobytes())


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_an_answer_with_events_missing_says_how_it_ended(machine: str) -> None:
    engine = mc.Engine.memory(instruments=WORLD, machine=machine)
    for _ in range(40):
        engine.submit(NewOrder("ONE", Side.SELL, 2, "1.00"))
    for _ in range(20):
        engine.submit(NewOrder("TWO", Side.BUY, 3, "50", account=6))
    story = [  # thirty trades and all filled; ten, and the rest stays; nothing but cancels; twenty
        NewOrder("ONE", Side.BUY, 59, "1.00", account=5, client_order_id=1),
        NewOrder("ONE", Side.BUY, 25, "1.00", account=5, client_order_id=2),
        mc.MassCancel("TWO", 6, client_order_id=1),
        NewOrder("ONE", Side.SELL, 50, account=5, client_order_id=3),
    ]
    first = [engine.submit(command) for command in story[:3]]
    for _ in range(20):
        engine.submit(NewOrder("ONE", Side.BUY, 1, "0.75", account=7))
    first.append(engine.submit(story[3]))
    assert [(a.status, a.filled, a.left) for a in first] == [
        (Status.FILLED, 59, 0),
        (Status.PARTLY_FILLED, 21, 4),
        (Status.DONE, 0, 0),
        (Status.CANCELLED, 24, 0),
    ]
    missing = [max(0, len(answer.events) - EVENTS_KEPT) for answer in first]
    assert [many > 0 for many in missing] == [True, False, True, True]
    for command, answer, many in zip(story, first, missing, strict=True):
        again = engine.submit(command)
        assert (again.repeat, again.first_sequence) == (True, answer.sequence)
        assert again.events_missing == many
        assert len(again.rows) == len(answer.rows) - many
        for name in ("status", "filled", "left", "order_id", "reason", "rejected"):
            assert getattr(again, name) == getattr(answer, name), name
        assert again.trades[:14] == answer.trades[:14]


#: Sends typed commands with few under way, and dies right after one; nobody reads an answer.
CHILD = """
import os, signal, sys
import matchcore as mc
from test_engine_repeats import lost
engine = mc.Engine.open(sys.argv[1], policy="sync", queue_depth=8)
for command in lost()[: int(sys.argv[2])]:
    engine.submit_async(command)
os.kill(os.getpid(), signal.SIGKILL)
"""


def lost() -> list[Any]:
    """Orders, and commands about them, each with a client order id of its account."""
    commands: list[Any] = []
    for n in range(1, 301):
        number, account = 1000 + n, 1 + n % 3
        side = Side.SELL if n % 2 else Side.BUY
        price = f"2.0{n % 7}"
        commands.append(NewOrder("ONE", side, 5 + n % 9, price, None, account, number, 4 * n))
        if n % 5 == 0:
            commands.append(mc.Reduce("ONE", number, 2, account, 0, 4 * n + 1))
        if n % 7 == 0:
            commands.append(mc.Amend("ONE", number, 3, None, account, 0, 4 * n + 2))
        if n % 11 == 0:
            commands.append(mc.Cancel("ONE", number, account, 0, 4 * n + 3))
    commands.append(mc.MassCancel("ONE", 2, None, 0, 5000))
    return commands


@pytest.mark.parametrize("sent", [1, 150, len(lost())])
def test_what_a_killed_engine_was_sent_is_done_once_when_all_is_sent_again(
    tmp_path: Path, sent: int
) -> None:
    opened(tmp_path).close()
    died = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(sent)], env=ENVIRONMENT, timeout=60
    )
    assert died.returncode == -signal.SIGKILL
    commands = lost()
    straight = mc.Engine.memory(instruments=WORLD)  # nothing lost and nothing repeated
    expected = [straight.submit(command) for command in commands]
    assert sum(len(answer.trades) for answer in expected) > 100
    with opened(tmp_path) as engine:
        done = engine.sequence - len(WORLD)
        assert max(0, sent - 8) <= done <= sent  # what no longer was under way is durable
        answers = [engine.submit(command) for command in commands]
        assert [answer.repeat for answer in answers] == [at < done for at in range(len(answers))]
        for at, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
            rows = wanted.rows
            if answer.repeat:
                assert answer.first_sequence == wanted.sequence
                rows = rows if answer.events_missing == 0 else [*rows[: EVENTS_KEPT - 1], rows[-1]]
            assert answer.sequence == len(WORLD) + done + at + 1
            assert [row[1:] for row in answer.rows] == [row[1:] for row in rows]
        ours, theirs = engine.state(), straight.state()
        assert [o.tobytes() for o in ours.orders] == [o.tobytes() for o in theirs.orders]
        assert (ours.next_order_id, ours.next_trade_id) == (
            theirs.next_order_id, theirs.next_trade_id)  # fmt: skip
        digest = engine.digest()
    assert len(logged(tmp_path)) == len(WORLD) + done + len(commands)
    assert replayed(tmp_path) == replayed(tmp_path, "reference") == digest
