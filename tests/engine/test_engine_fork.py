"""What-if: own orders among recorded ones, which keep their ids and are what their commands hit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_kit import ANA, WORLD, filled, logged, opened, run
from flows import flow
from numpy.typing import NDArray

import matchcore as mc
from matchcore.engine.forks import OWN_IDS

BUY, SELL = mc.Side.BUY, mc.Side.SELL


def exchange(log: mc.MemoryLog | None = None) -> mc.Engine:
    return mc.Engine.memory(instruments=[ANA], log=log or mc.MemoryLog())


def same_events(one: NDArray, other: NDArray) -> None:
    """But for sequences, which a fork counts by itself."""
    for name in mc.EVENT.names or ():
        if name != "sequence":
            assert one[name].tolist() == other[name].tolist(), name


def test_an_own_order_does_not_shift_the_ids_of_recorded_ones() -> None:
    """The case that goes wrong when the log's commands are simply applied behind an own one."""
    engine = exchange()
    fork, plain = engine.fork(), mc.Engine.memory(instruments=[ANA])
    kept = engine.submit(mc.NewOrder("ANA", BUY, 10, "95.00")).order_id
    gone = engine.submit(mc.NewOrder("ANA", BUY, 20, "95.05")).order_id
    engine.cancel("ANA", gone)
    mine = fork.submit(mc.NewOrder("ANA", BUY, 5, "94.00", account=7))
    plain.submit(mc.NewOrder("ANA", BUY, 5, "94.00", account=7))
    events = fork.replay()
    plain.submit_batch(np.concatenate([frame.commands for frame in engine.log.frames(1)]))  # type: ignore[union-attr]
    assert events["order_id"].tolist() == [kept, gone, gone]
    assert [order["order_id"] for order in fork.book("ANA").orders()] == [kept, mine.order_id]
    assert mine.order_id == OWN_IDS
    assert [int(order["quantity"]) for order in plain.book("ANA").orders()] == [20, 5]  # not so


@pytest.mark.parametrize("machine", ["cython", "reference"])
@pytest.mark.parametrize("seed", range(4))
def test_without_own_orders_it_is_the_log(tmp_path: Path, machine: str, seed: int) -> None:
    """Instruments, refusals, repeats and assigned ids: every event but its sequence."""
    filled(tmp_path, seed, 300)
    commands, events = logged(tmp_path), []
    for sequence in (0, 57, 302):
        fork = mc.Engine.at(tmp_path, sequence=sequence, machine=machine).fork()
        before = mc.Engine.at(tmp_path, sequence=sequence)._machine
        events = [fork.replay(sequence=at) for at in range(sequence, 302, 49)] + [fork.replay()]
        expected = before.apply(commands[sequence:])
        assert np.concatenate(events).tobytes() == expected.tobytes()
        assert fork.recorded == fork.sequence == 302
        state, end = fork.state(), mc.Engine.at(tmp_path).state()
        state.next_order_id = end.next_order_id
        assert state.digest() == end.digest()


@pytest.mark.parametrize("seed", range(4))
def test_recorded_orders_keep_their_ids_whatever_own_ones_do(tmp_path: Path, seed: int) -> None:
    """Own orders between all recorded ones: each recorded order is accepted with the id that it
    has in the log, and only own orders have others."""
    filled(tmp_path, seed, 400)
    commands = logged(tmp_path)
    told = mc.Machine().apply(commands)
    ids = told["order_id"][told["kind"] == mc.EventKind.ACCEPTED].tolist()
    ids += commands["order_id"][commands["kind"] == mc.Kind.NEW].tolist()  # those of clients
    fork, own = mc.Engine.at(tmp_path, sequence=2).fork(), flow(99, 400)
    own_ids: list[int] = []
    accepted: list[int] = []
    own = own[own["kind"] == mc.Kind.NEW]
    own["order_id"] = own["client_order_id"] = 0
    for at in range(3, 403):
        events = mc.fresh(fork.submit_batch(own[at % len(own) :][:1]))
        own_ids += events["order_id"][events["kind"] == mc.EventKind.ACCEPTED].tolist()
        events = mc.fresh(fork.feed(commands[at - 1 : at]))
        accepted += events["order_id"][events["kind"] == mc.EventKind.ACCEPTED].tolist()
    fork._machine._check()
    assert len(own_ids) > 50 and min(own_ids) >= OWN_IDS
    assert not set(own_ids) & set(accepted)
    low = [one for one in accepted if one < OWN_IDS]
    assert len(low) > 50 and set(low) <= set(ids)
    resting = {int(o["order_id"]) for name in ("ONE", "TWO") for o in fork.book(name).orders()}
    assert resting <= set(own_ids) | set(ids) | set(accepted)


def test_the_engine_and_its_log_stay_as_they_are(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        run(engine, 1, 100)
        digest, files = engine.digest(), {f: f.read_bytes() for f in tmp_path.glob("journal*")}
        fork = engine.fork()
        fork.mass_cancel()
        fork.submit(mc.NewOrder("ONE", BUY, 1, "5.00"))
        assert engine.digest() == digest != fork.digest()
        assert {f: f.read_bytes() for f in tmp_path.glob("journal*")} == files
        run(engine, 2, 50)
        assert len(fork.replay()) and fork.recorded == engine.sequence
    assert fork.sequence == fork.recorded + 2


def test_own_orders_trade_with_recorded_ones() -> None:
    engine = exchange()
    resting = engine.submit(mc.NewOrder("ANA", SELL, 30, "95.70", account=1))
    fork = engine.fork()
    mine = fork.submit(mc.NewOrder("ANA", BUY, 10, "95.70", account=9))
    assert [trade.maker_order_id for trade in mine.trades] == [resting.order_id]
    later = engine.submit(mc.NewOrder("ANA", BUY, 25, "95.70", account=2))
    assert later.filled == 25
    (accepted, traded) = fork.replay()
    assert int(accepted["order_id"]) == later.order_id
    assert (int(traded["quantity"]), int(traded["taker_left"])) == (20, 5)


def test_a_recorded_order_that_only_the_fork_takes_has_an_id_of_the_forks() -> None:
    engine = exchange()
    ask = engine.submit(mc.NewOrder("ANA", SELL, 10, "95.70"))
    fork = engine.fork()
    fork.cancel("ANA", ask.order_id)
    refused = engine.submit(mc.NewOrder("ANA", BUY, 5, "95.70", post_only=True))
    kept = engine.submit(mc.NewOrder("ANA", BUY, 5, "95.00"))
    assert refused.rejected and not kept.rejected
    assert fork.replay()["order_id"].tolist() == [OWN_IDS, kept.order_id]


def test_the_other_way_round_no_id_is_given_twice() -> None:
    """The fork refuses what the exchange took: the next one has its own id all the same."""
    engine = exchange()
    fork = engine.fork()
    fork.submit(mc.NewOrder("ANA", SELL, 10, "95.70"))
    taken = engine.submit(mc.NewOrder("ANA", BUY, 5, "95.70", post_only=True))
    kept = engine.submit(mc.NewOrder("ANA", BUY, 5, "95.00"))
    engine.cancel("ANA", taken.order_id)
    events = fork.replay()
    assert events["kind"].tolist() == [
        mc.EventKind.REJECTED, mc.EventKind.ACCEPTED, mc.EventKind.REJECTED
    ]  # fmt: skip
    assert events["order_id"].tolist() == [taken.order_id, kept.order_id, taken.order_id]


Wrong = Callable[[mc.Engine], Any]
MIXED: dict[str, tuple[Wrong, Wrong, str]] = {
    "order id": (
        lambda fork: fork.submit(mc.NewOrder("ANA", BUY, 1, "1.00")),
        lambda engine: engine.cancel("ANA", OWN_IDS),
        f"sequence 3 of the log uses order id {OWN_IDS}"),
    "client order id": (
        lambda fork: fork.submit(mc.NewOrder("ANA", BUY, 1, "1.00", account=4, client_order_id=8)),
        lambda engine: engine.submit(mc.MassCancel(account=4, client_order_id=8)),
        "sequence 3 of the log has client order id 8 of account 4"),
    "tick": (
        lambda fork: fork.submit(mc.NewOrder("ANA", BUY, 1, "1.00")),
        lambda engine: engine.change_instrument(mc.Instrument("ANA", "0.01")),
        "sequence 3 of the log changes the tick of ANA"),
}  # fmt: skip


@pytest.mark.parametrize("what", MIXED)
def test_what_would_be_taken_for_another_is_refused_before_it_is_done(what: str) -> None:
    own, recorded, says = MIXED[what]
    engine = exchange()
    fork = engine.fork()
    engine.end_day()
    own(fork)  # type: ignore[arg-type]
    assert not recorded(engine).rejected or what == "order id"
    fork.replay(sequence=2)
    before = fork.digest(), fork.recorded
    with pytest.raises(mc.InvalidCommand, match=says):
        fork.replay()
    assert (fork.digest(), fork.recorded) == before
    if what == "tick":
        fork.mass_cancel()
        fork.replay()
        assert fork.instruments["ANA"].tick == engine.instruments["ANA"].tick


def test_own_commands_that_a_fork_does_not_take() -> None:
    fork = exchange().fork()
    for command in (mc.AddInstrument(WORLD[0]), mc.ChangeInstrument(ANA)):
        with pytest.raises(mc.InvalidCommand, match="cannot be added or changed"):
            fork.submit(command)
    for order_id in (1, OWN_IDS - 1):
        with pytest.raises(mc.InvalidCommand, match=f"order_id {order_id}: own orders"):
            fork.submit(mc.NewOrder("ANA", BUY, 1, "1.00", order_id=order_id))
    assert fork.sequence == fork.recorded == 1
    chosen = mc.NewOrder("ANA", BUY, 1, "1.00", order_id=OWN_IDS + 5)
    assert fork.submit(chosen).order_id == OWN_IDS + 5


def test_own_commands_may_be_sent_again() -> None:
    engine = exchange()
    engine.submit(mc.NewOrder("ANA", BUY, 1, "1.00", account=1, client_order_id=1))
    fork = engine.fork()
    order = mc.NewOrder("ANA", BUY, 1, "1.00", account=4, client_order_id=8)
    assert fork.submit(order).order_id == fork.submit(order).order_id == OWN_IDS
    known = mc.NewOrder("ANA", BUY, 1, "1.00", account=1, client_order_id=1)
    assert fork.submit(known).repeat and engine.submit(known).repeat
    assert fork.replay()["kind"].tolist() == [mc.EventKind.REPEATED, mc.EventKind.ACCEPTED]


def test_replay_goes_to_a_sequence_a_time_or_the_end(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path, instruments=[ANA], clock=lambda: 1) as engine:
        batch = mc.encode_all([mc.EndDay()] * 6, engine.instruments)
        batch["time"] = [100, 500, 250, 600, 700, 800]
        engine.submit_batch(batch)
        fork = mc.Engine.at(tmp_path, sequence=1).fork()
        assert len(fork.replay(sequence=1)) == 0 and len(fork.replay(time=99)) == 0
        assert len(fork.replay(time=np.datetime64(250, "ns"))) == 3 and fork.recorded == 4
        assert len(fork.replay(time=datetime.fromtimestamp(0, timezone.utc))) == 0
        assert len(fork.replay(sequence=np.uint64(6))) == 2  # type: ignore[arg-type]
        for wrong in (5, True, 1.5, "7"):
            with pytest.raises(mc.InvalidArgument, match=r"^sequence .*at least 6"):
                fork.replay(sequence=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not both"):
            fork.replay(sequence=7, time=7)
        with pytest.raises(mc.NotInTheLog, match="sequence 9: the log ends with 7"):
            fork.replay(sequence=9)
        assert fork.recorded == 7 and len(fork.replay()) == 0
        engine.end_day()
        assert len(fork.replay()) == 1


def test_an_engine_without_a_log_feeds_by_array() -> None:
    engine = mc.Engine.memory(instruments=[ANA])
    fork = engine.fork()
    with pytest.raises(mc.LogError, match="no log"):
        fork.replay()
    commands = mc.encode_all([mc.NewOrder("ANA", BUY, 3, "1.00")] * 2, engine.instruments)
    fork.submit(mc.NewOrder("ANA", BUY, 1, "1.00"))
    before = commands.tobytes()
    assert fork.feed(commands)["order_id"].tolist() == [1, 2] and commands.tobytes() == before
    same_events(fork.feed(commands[:0]), np.empty(0, mc.EVENT))


def test_an_encrypted_log_is_replayed_with_the_keys_of_the_engine(tmp_path: Path) -> None:
    keys = mc.Keys(lambda name: bytes(range(32)), "one")
    with mc.Engine.open(tmp_path, instruments=[ANA], keys=keys) as engine:
        forks = [engine.fork(), mc.Engine.at(tmp_path, keys=keys).fork()]
        engine.end_day()
        for fork in forks:
            assert len(fork.replay()) == 1
