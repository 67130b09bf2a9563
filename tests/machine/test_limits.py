"""Limits that decide whether an order trades: each one, its edges, and what they count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flows import definitions
from rules_kit import Exchange, on_both_machines, record_of

import matchcore as mc
from matchcore import LIMITS, EventKind, Field, Kind, LimitFlag, Reason
from matchcore.machine.reference import Machine as Reference
from matchcore.records.limits import ACCOUNT_LIMITS, LAST, LIMITS_MAX

MACHINES: list[Any] = [mc.Machine, Reference]
WORLD = (mc.Instrument("ONE", 1), mc.Instrument("TWO", 1))
MOST = 2**63 - 1
SECOND = 10**9


def exchange_of(machine: str) -> Exchange:
    return Exchange(machine, *WORLD)


def set_limits(exchange: Exchange, account: int = 7, **fields: int) -> np.ndarray:
    return exchange.submit(
        record_of({"kind": Kind.SET_LIMITS, "account": account, **fields}, LIMITS)
    )


def refused(exchange: Exchange, line: str, field: Field, *, time: int = 0) -> None:
    from rules_kit import parsed

    (event,) = exchange.send(**parsed(line), time=time)
    found = EventKind(int(event["kind"])), Reason(int(event["reason"])), Field(int(event["field"]))
    reason = Reason.ACCOUNT_BLOCKED if field == Field.ACCOUNT else Reason.LIMIT_EXCEEDED
    assert found == (EventKind.REJECTED, reason, field), line


@on_both_machines
def test_setting_is_answered_and_shown(machine: str) -> None:
    exchange = exchange_of(machine)
    (event,) = set_limits(exchange, 9, max_quantity=5, instrument=2, flags=LimitFlag.BLOCKED)
    assert (event["kind"], event["account"], event["instrument"]) == (EventKind.LIMITS_SET, 9, 2)
    assert (event["quantity"], event["left"]) == (0, 1)
    set_limits(exchange, 7, collar=3)
    engine = exchange.engine
    assert engine.limits() == [
        mc.SetLimits(7, collar=3), mc.SetLimits(9, "TWO", max_quantity=5, blocked=True),
    ]  # fmt: skip
    assert engine.limits(9) == [mc.SetLimits(9, "TWO", max_quantity=5, blocked=True)]
    set_limits(exchange, 9, instrument=2)
    set_limits(exchange, 8)
    assert engine.limits() == [mc.SetLimits(7, collar=3)]


@on_both_machines
def test_the_largest_quantity(machine: str) -> None:
    exchange = exchange_of(machine)
    set_limits(exchange, max_quantity=10)
    exchange.run("buy 1 10@100 acc=7\nbuy 2 11@100 acc=8")
    refused(exchange, "buy 3 11@100 acc=7", Field.MAX_QUANTITY)
    refused(exchange, "buy 3 11@100 acc=7 on=2", Field.MAX_QUANTITY)
    refused(exchange, "buy 3 11@100 ioc acc=7", Field.MAX_QUANTITY)
    refused(exchange, "buy 3 11@market ioc acc=7", Field.MAX_QUANTITY)
    refused(exchange, "amend 1 11@100", Field.MAX_QUANTITY)
    set_limits(exchange, max_quantity=4)
    refused(exchange, "amend 1 10@101", Field.MAX_QUANTITY)
    exchange.run("amend 1 9@100\nreduce 1 1\namend 1 4@101\ncancel 1")


@on_both_machines
def test_the_largest_value_has_128_bits(machine: str) -> None:
    exchange = exchange_of(machine)
    set_limits(exchange, max_value=1000)
    exchange.run("buy 1 10@100 acc=7\nbuy 2 10@-100 acc=7\nsell 3 1@1000 acc=7")
    for line in ("sell 4 10@101 acc=7", "buy 4 10@-101 acc=7", f"buy 4 1@{-MOST - 1} acc=7"):
        refused(exchange, line, Field.MAX_VALUE)
    refused(exchange, f"sell 4 {MOST}@{MOST} acc=7", Field.MAX_VALUE)
    refused(exchange, "amend 3 @1001", Field.MAX_VALUE)
    set_limits(exchange, max_value=MOST)
    exchange.run(f"buy 5 1@{-MOST} acc=7\nsell 6 1@{MOST} acc=7")
    refused(exchange, f"buy 7 2@{-(2**62)} acc=7", Field.MAX_VALUE)


@on_both_machines
def test_the_value_of_a_market_order_is_at_the_last_price(machine: str) -> None:
    exchange = exchange_of(machine)
    set_limits(exchange, max_value=1000)
    exchange.run(
        """
        sell 1 500@100 acc=8
        buy 2 5@market ioc acc=7  => accepted 2 5@0, trade 1 5@100 by 2 left 495/0
        buy 3 10@market ioc acc=7 => accepted 3 10@0, trade 1 10@100 by 3 left 485/0
        """
    )
    refused(exchange, "buy 4 11@market ioc acc=7", Field.MAX_VALUE)


@on_both_machines
def test_open_orders_are_those_that_rest(machine: str) -> None:
    exchange = exchange_of(machine)
    exchange.run("buy 1 5@100 acc=7\nbuy 2 5@99 acc=7 on=2\nbuy 3 5@98 acc=8")
    set_limits(exchange, max_open_orders=3)
    set_limits(exchange, max_open_orders=1, instrument=2)
    refused(exchange, "buy 4 5@98 acc=7 on=2", Field.MAX_OPEN_ORDERS)
    exchange.run("buy 5 5@97 acc=7")
    refused(exchange, "buy 6 5@97 acc=7", Field.MAX_OPEN_ORDERS)
    exchange.run(
        """
        buy 6 5@97 ioc acc=7       => accepted 6 5@97, cancelled 6 5@97 IMMEDIATE_OR_CANCEL
        amend 5 6@96
        sell 7 5@100 acc=8         => accepted 7 5@100, trade 1 5@100 by 7 left 0/0
        buy 8 5@97 acc=7
        """
    )
    refused(exchange, "buy 9 5@97 acc=7", Field.MAX_OPEN_ORDERS)
    exchange.run("cancel 2 on=2\nbuy 9 5@97 acc=7 on=2\nmass acc=7\nbuy 10 5@97 acc=7")


@on_both_machines
def test_the_collar_is_around_the_last_trade(machine: str) -> None:
    exchange = exchange_of(machine)
    set_limits(exchange, collar=5)
    exchange.run("sell 1 9@100 acc=8\nbuy 2 9@5000 acc=7\nbuy 3 9@105 acc=7\nbuy 4 9@95 acc=7")
    for line in ("sell 5 1@106 acc=7", "buy 5 1@94 acc=7", f"sell 5 1@{MOST} acc=7"):
        refused(exchange, line, Field.COLLAR)
    refused(exchange, f"buy 5 1@{-MOST - 1} acc=7", Field.COLLAR)
    refused(exchange, "amend 4 @94", Field.COLLAR)
    exchange.run("amend 4 8@95\nbuy 6 1@94 acc=8\nbuy 6 1@50 acc=7 on=2\namend 4 @96")
    exchange.run("mass\nmass on=2")
    change = {"kind": Kind.CHANGE_INSTRUMENT, "instrument": 1, "symbol": b"ONE", "tick_mantissa": 2,
              "lot": 1, "max_quantity": MOST, "max_orders": 99}  # fmt: skip
    exchange.submit(record_of(change, mc.INSTRUMENT))
    exchange.run("buy 7 1@5 acc=7")  # the last price was in other ticks


@on_both_machines
def test_messages_are_counted_in_windows(machine: str) -> None:
    exchange = exchange_of(machine)
    set_limits(exchange, max_messages=3, window_ns=SECOND)
    set_limits(exchange, max_messages=1, window_ns=10, instrument=2)
    t = 5 * SECOND
    for at, line in enumerate(("buy 1 5@10 acc=7", "buy 1 5@10 acc=7", "amend 1 6@10")):
        exchange.send(**__import__("rules_kit").parsed(line), time=t + at)
    for line in ("buy 2 5@10 acc=7", "amend 1 7@10", "buy 2 5@10 acc=7 on=2"):
        refused(exchange, line, Field.MAX_MESSAGES, time=t + SECOND - 1)
    refused(exchange, "buy 2 5@10 acc=7", Field.MAX_MESSAGES, time=1)  # time that ran backwards
    exchange.run("buy 3 5@10 acc=8\nreduce 1 1\ncancel 1\nmass acc=7")  # never refused
    ok = exchange.send(**__import__("rules_kit").parsed("buy 4 5@10 acc=7 on=2"), time=t + SECOND)
    assert ok[0]["kind"] == EventKind.ACCEPTED
    refused(exchange, "buy 5 5@10 acc=7 on=2", Field.MAX_MESSAGES, time=t + SECOND + 9)
    (row,) = [row for row in exchange.engine.state().limits if row["instrument"] == 0]
    assert (row["window_start"], row["messages"]) == (t + SECOND, 1)


@on_both_machines
def test_a_window_over_all_of_time_does_not_overflow(machine: str) -> None:
    exchange = exchange_of(machine)
    set_limits(exchange, max_messages=1, window_ns=MOST)
    for time in (-MOST - 1, -2, MOST):
        (event,) = exchange.send(
            kind=1, side=1, order_type=1, time_in_force=1, quantity=1, price=1, account=7, time=time
        )
        fine = time != -2
        assert (event["kind"] == EventKind.ACCEPTED) == fine, time


@on_both_machines
def test_a_blocked_account_may_only_leave(machine: str) -> None:
    exchange = exchange_of(machine)
    exchange.run("buy 1 5@100 acc=7\nbuy 2 5@99 acc=7\nbuy 3 5@98 acc=7 on=2\nbuy 4 5@98 acc=8")
    set_limits(exchange, flags=1, instrument=2)
    refused(exchange, "buy 5 5@98 acc=7 on=2", Field.ACCOUNT)
    refused(exchange, "amend 3 6@98 on=2", Field.ACCOUNT)
    refused(exchange, "amend 3 4@98 on=2", Field.ACCOUNT)
    exchange.run("buy 5 5@97 acc=7")
    set_limits(exchange, flags=1)
    refused(exchange, "buy 6 5@98 acc=7", Field.ACCOUNT)
    exchange.run("cancel 5\nreduce 2 1\nmass acc=7 on=2")
    assert exchange.book() == "100: 1x5; 99: 2x4; 98: 4x5 / -"
    set_limits(exchange)
    exchange.run("buy 6 5@98 acc=7")


@on_both_machines
def test_the_kill_switch_takes_off_what_rests(machine: str) -> None:
    exchange = exchange_of(machine)
    for book in (1, 2):
        for order in range(40):
            account, side = 7 + order % 2, "buy" if order % 3 else "sell"
            price = 200 if side == "sell" else 100
            exchange.say(f"{side} {order + 1} 5@{price + order} acc={account} on={book}")
    events = set_limits(exchange, flags=3, instrument=2)
    assert set(events["reason"][:-1].tolist()) == {Reason.KILL_SWITCH} and len(events) == 21
    assert (events["kind"][-1], events["quantity"][-1]) == (EventKind.LIMITS_SET, 20)
    events = set_limits(exchange, flags=3)
    assert (len(events), events["quantity"][-1], events["left"][-1]) == (21, 20, 3)
    assert {order["account"] for book in exchange.engine.state().orders for order in book} == {8}
    assert [one.blocked for one in exchange.engine.limits(7)] == [True, True]
    assert len(set_limits(exchange, flags=3)) == 1


BAD: list[tuple[Reason, Field, dict[str, int]]] = [
    (Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT, {"instrument": 3, "account": 0}),
    (Reason.BAD_VALUE, Field.ACCOUNT, {"account": 0, "flags": 2}),
    *((Reason.BAD_FLAGS, Field.FLAGS, {"flags": flags, "reserved": 1}) for flags in (2, 4, 65535)),
    *((Reason.UNSUPPORTED, Field.RESERVED, {name: 1, "max_quantity": -1}) for name in
      ("reserved_long", "reserved", "reserved_short", "reserved_next", "reserved_last")),
    (Reason.BAD_LIMIT, Field.MAX_QUANTITY, {"max_quantity": -1, "max_value": -1}),
    (Reason.BAD_LIMIT, Field.MAX_VALUE, {"max_value": -1, "max_open_orders": -1}),
    (Reason.BAD_LIMIT, Field.MAX_OPEN_ORDERS, {"max_open_orders": -1, "collar": -1}),
    (Reason.BAD_LIMIT, Field.COLLAR, {"collar": -MOST, "max_messages": -1}),
    (Reason.BAD_LIMIT, Field.MAX_MESSAGES, {"max_messages": -1}),
    (Reason.BAD_LIMIT, Field.WINDOW, {"window_ns": -1}),
    (Reason.BAD_LIMIT, Field.WINDOW, {"window_ns": 1}),
    (Reason.BAD_LIMIT, Field.WINDOW, {"max_messages": 1}),
]  # fmt: skip


@on_both_machines
@pytest.mark.parametrize("at", range(len(BAD)))
def test_what_are_no_limits_is_refused(machine: str, at: int) -> None:
    reason, field, fields = BAD[at]
    exchange = exchange_of(machine)
    (event,) = set_limits(exchange, **{"account": 7, **fields})
    assert (event["kind"], event["reason"], event["field"]) == (EventKind.REJECTED, reason, field)
    assert event["account"] == 0 and not exchange.engine.limits()


@pytest.mark.parametrize("made", MACHINES, ids=["cython", "reference"])
def test_version_1_knows_no_limits(made: Any) -> None:
    machine = made(rules=1)
    (event,) = machine.apply(record_of({"kind": Kind.SET_LIMITS, "account": 7}, LIMITS))
    assert (event["reason"], event["account"]) == (Reason.UNKNOWN_KIND, 7)


def many(count: int) -> np.ndarray:
    rows = np.zeros(count, LIMITS)
    rows["kind"], rows["account"], rows["max_quantity"] = (
        Kind.SET_LIMITS,
        np.arange(1, count + 1),
        5,
    )
    return rows.view(mc.COMMAND)


@pytest.mark.parametrize("made", MACHINES, ids=["cython", "reference"])
def test_there_are_so_many_and_no_more(made: Any) -> None:
    machine = made()
    machine.apply(definitions(*WORLD))
    events = machine.apply(many(LIMITS_MAX + 1))
    assert (events["kind"][:-1] == EventKind.LIMITS_SET).all()
    assert (events["reason"][-1], events["field"][-1]) == (
        Reason.TOO_MANY_ENTRIES, Field.ACCOUNT,
    )  # fmt: skip
    again = many(2)
    again.view(LIMITS)["max_quantity"] = [0, 9]
    assert (machine.apply(again)["kind"] == EventKind.LIMITS_SET).all()
    assert len(machine.limits()) == LIMITS_MAX - 1
    machine._check()


@pytest.mark.parametrize("giver", MACHINES, ids=["cython", "reference"])
@pytest.mark.parametrize("taker", MACHINES, ids=["cython", "reference"])
def test_limits_are_in_state_and_digest(giver: Any, taker: Any) -> None:
    machine = giver()
    machine.apply(definitions(*WORLD))
    empty = machine.state().to_bytes()
    for account, instrument in ((9, 0), (7, 2), (7, 0), (2**64 - 1, 1)):
        fields = {"kind": Kind.SET_LIMITS, "account": account, "instrument": instrument}
        machine.apply(record_of(fields | {"max_messages": 5, "window_ns": 100}, LIMITS))
    order = {"kind": 1, "instrument": 2, "account": 7, "order_type": 1, "time_in_force": 1}
    for side in (1, 2):
        machine.apply(record_of(order | {"side": side, "price": -3, "quantity": 5, "time": 50}))
    state = machine.state()
    assert state.limits[["account", "instrument"]].tolist() == [
        (7, 0), (7, 2), (9, 0), (2**64 - 1, 1),
    ]  # fmt: skip
    assert state.limits["messages"].tolist() == [2, 2, 0, 0]
    assert state.last.tolist() == [(0, 0), (-3, 1)]
    data = state.to_bytes()
    assert len(data) == len(empty) + 4 * ACCOUNT_LIMITS.itemsize
    again = taker.from_state(mc.State.from_bytes(data))
    again._check()
    assert again.state().to_bytes() == data and again.digest() == machine.digest()
    more = record_of(order | {"side": 1, "price": -3, "quantity": 5, "time": 60})
    for _ in range(4):
        assert again.apply(more).tobytes() == machine.apply(more).tobytes()


def test_limits_that_no_machine_has_are_damaged() -> None:
    machine = Reference()
    machine.apply(definitions(*WORLD))
    machine.apply(many(2))
    state = machine.state()
    state.check()
    changes: list[dict[str, int]] = [
        {"account": 0}, {"account": 2}, {"instrument": 3}, {"max_quantity": -1}, {"flags": 2},
        {"max_messages": 1}, {"window_ns": 1}, {"messages": 1}, {"window_start": 1},
        {"max_quantity": 0},
    ]  # fmt: skip
    for change in changes:
        rows = state.limits.copy()
        for name, value in change.items():
            rows[name][0] = value
        machine.state().check()
        damaged = machine.state()
        damaged.limits = rows
        with pytest.raises(mc.SnapshotDamaged, match="limits"):
            damaged.check()
    for last in (np.zeros(1, LAST), np.array([(1, 0), (0, 0)], LAST), np.array([(1, 2)] * 2, LAST)):
        damaged = machine.state()
        damaged.last = last
        with pytest.raises(mc.SnapshotDamaged, match="last trades"):
            damaged.check()


def test_an_engine_counts_by_the_time_that_the_log_has(tmp_path: Any) -> None:
    """A batch without times is matched and logged at the same one."""
    clock = iter(range(10 * SECOND, 1000 * SECOND, SECOND // 10))
    rows = np.zeros(4, mc.COMMAND)
    rows["kind"] = rows["instrument"] = rows["side"] = rows["order_type"] = 1
    rows["time_in_force"] = rows["quantity"] = rows["price"] = 1
    rows["account"] = 7
    with mc.Engine.open(tmp_path, instruments=WORLD, clock=lambda: next(clock)) as engine:
        engine.submit(mc.SetLimits(7, max_messages=10, window_ns=SECOND))
        accepted = [
            int((engine.submit_batch(rows)["kind"] == EventKind.ACCEPTED).sum()) for _ in range(20)
        ]
        digest = engine.digest()
    assert accepted[:3] == [4, 4, 2] and 0 in accepted and sum(accepted) == 20
    with mc.Engine.open(tmp_path, machine="reference") as engine:
        assert engine.digest() == digest
