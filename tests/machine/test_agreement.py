"""The compiled machine and the reference: the same commands, every event, the whole book."""

from __future__ import annotations

import numpy as np
import pytest
from flows import definitions, flow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from matchcore import (
    COMMAND,
    EVENT,
    INSTRUMENT,
    LIMITS,
    Instrument,
    Kind,
    Machine,
    OrderType,
    TimeInForce,
)
from matchcore.machine.reference import Machine as Reference
from matchcore.records.instruments import write_instrument
from matchcore.records.schema import RULES_LATEST, UNPRICED_TYPES, Flag

WORLD = (
    Instrument("ONE", "0.01", max_orders=15),
    Instrument("TWO", "0.5", lot=3, max_quantity=999),
)
INT64_MAX = 2**63 - 1
WIDE = (Instrument("ONE", "0.01"), Instrument("TWO", "0.5"))


def both(
    world: tuple[Instrument, ...], reserve: int = 0, rules: int | None = None
) -> tuple[Machine, Reference]:
    pair = Machine(reserve, rules), Reference(rules=rules)
    for machine in pair:
        machine.apply(definitions(*world))
    return pair


def agree(fast: Machine, slow: Reference, commands: NDArray, room: int | None = None) -> NDArray:
    """Applies to both; compares events byte for byte, then the whole state."""
    out = None if room is None else np.empty(room, EVENT)
    said, expected = fast.apply(commands, out), slow.apply(commands)
    if said.tobytes() != expected.tobytes():
        shorter = min(len(said), len(expected))
        at = next((i for i in range(shorter) if said[i] != expected[i]), shorter)
        raise AssertionError(
            f"event {at}: {EVENT.names}\n{said[at : at + 1]}\n{expected[at : at + 1]}"
        )
    fast._check()
    assert fast.state().to_bytes() == slow.state().to_bytes()
    return said


@pytest.mark.parametrize("extreme", [False, True], ids=["small", "extreme"])
@pytest.mark.parametrize("seed", range(12))
def test_flows_agree(seed: int, extreme: bool) -> None:
    fast, slow = both(WIDE if extreme else WORLD, reserve=seed % 2, rules=(3, 3, 2, 1)[seed % 4])
    rng = np.random.default_rng(seed)
    commands = flow(seed, 3000, extreme=extreme, again=0.2)
    at = 0
    while at < len(commands):
        step = int(rng.integers(1, 200))
        agree(fast, slow, commands[at : at + step], int(rng.choice([4, 5, 7, 4096])))
        at += step
    slow._check()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32),
    st.integers(1, 400),
    st.booleans(),
    st.sampled_from([4, 6, 1000]),
    st.integers(0, 1),
    st.sampled_from([1, 2, 3, 3]),
)
def test_any_flow_agrees(
    seed: int, count: int, extreme: bool, room: int, reserve: int, rules: int
) -> None:
    fast, slow = both(WIDE if extreme else WORLD, reserve, rules)
    agree(fast, slow, flow(seed, count, extreme=extreme, again=0.3), room)


def test_the_flows_meet_every_reason_and_event() -> None:
    """The check above is worth something only if the flows get everywhere."""
    reasons, kinds = set(), set()
    for seed in range(8):
        for extreme in (False, True):
            fast, _ = both(WIDE if extreme else WORLD)
            events = fast.apply(flow(seed, 3000, extreme=extreme, again=0.2))
            reasons |= set(events["reason"].tolist())
            kinds |= set(events["kind"].tolist())
    assert kinds >= {1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 14}
    assert reasons >= set(range(18)) | {22, 25, 27, 28} | set(range(32, 40))


class Exchange(RuleBasedStateMachine):
    """Single commands and batches on both machines, with snapshots and new instruments between."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow = both(WORLD, rules=1)

    prices = st.one_of(
        st.integers(95, 105), st.integers(-(2**63), 2**63 - 1), st.sampled_from([-1, 0, 63, 64])
    )
    quantities = st.one_of(st.integers(-1, 40), st.sampled_from([2**63 - 1, 2**62]))

    @rule(
        instrument=st.integers(0, 3),
        side=st.integers(0, 3),
        kind=st.sampled_from(OrderType),
        tif=st.sampled_from(TimeInForce),
        price=prices,
        quantity=quantities,
        order_id=st.integers(0, 30),
        account=st.integers(0, 2),
        flags=st.sampled_from([0, 0, 0, 1]),
        client=st.integers(0, 9),
        room=st.sampled_from([4, 5, 64]),
    )
    def new(
        self, instrument, side, kind, tif, price, quantity, order_id, account, flags, client, room
    ):  # type: ignore[no-untyped-def]
        row = np.zeros(1, COMMAND)
        row["kind"], row["instrument"], row["side"], row["order_type"] = 1, instrument, side, kind
        row["time_in_force"], row["price"], row["quantity"] = (
            tif,
            0 if kind in UNPRICED_TYPES else price,
            quantity,
        )
        row["order_id"], row["account"], row["flags"] = order_id, account, flags
        row["client_order_id"] = client
        agree(self.fast, self.slow, row, room)

    @rule(
        kind=st.integers(2, 6),
        instrument=st.integers(0, 2),
        order_id=st.integers(0, 30),
        price=prices,
        quantity=quantities,
        account=st.integers(0, 2),
        side=st.integers(0, 3),
        flags=st.sampled_from([0, 2, 4, 6]),
        client=st.integers(0, 9),
        room=st.sampled_from([4, 5, 64]),
    )
    def other(
        self, kind, instrument, order_id, price, quantity, account, side, flags, client, room
    ):  # type: ignore[no-untyped-def]
        row = np.zeros(1, COMMAND)
        row["kind"], row["instrument"], row["order_id"], row["price"] = (
            kind,
            instrument,
            order_id,
            price,
        )
        row["quantity"], row["account"], row["side"] = quantity, account, side
        row["flags"] = flags if kind == Kind.AMEND else 0
        if kind == Kind.MASS_CANCEL and flags:
            row["flags"], row["stop_price"] = Flag.RANGE, price + min(flags, INT64_MAX - price)
        row["client_order_id"] = client
        agree(self.fast, self.slow, row, room)

    @rule(seed=st.integers(0, 2**32), count=st.integers(0, 60), room=st.sampled_from([4, 9, 500]))
    def batch(self, seed: int, count: int, room: int) -> None:
        agree(self.fast, self.slow, flow(seed, count, again=0.3), room)

    @rule(
        kind=st.sampled_from([Kind.ADD_INSTRUMENT, Kind.CHANGE_INSTRUMENT]),
        symbol=st.sampled_from([b"ONE", b"TWO", b"NEW", b"", b"a b", b"\xff", b"A\x00B"]),
        number=st.integers(0, 4),
        mantissa=st.sampled_from([1, 10, 50, 0, -1]),
        exponent=st.sampled_from([-2, -3, -19, 1, 0]),
        lot=st.sampled_from([1, 3, 0]),
        most=st.sampled_from([1, 100, 2**63 - 1]),
        orders=st.sampled_from([0, 5, 2**32 - 1, 2**32]),
    )
    def instrument(self, kind, symbol, number, mantissa, exponent, lot, most, orders):  # type: ignore[no-untyped-def]
        row = np.zeros(1, INSTRUMENT)
        row["kind"], row["symbol"], row["instrument"] = kind, symbol, number
        row["tick_mantissa"], row["tick_exponent"], row["lot"] = mantissa, exponent, lot
        row["max_quantity"], row["max_orders"] = most, orders
        agree(self.fast, self.slow, row.view(COMMAND))

    @rule(
        account=st.integers(0, 2),
        instrument=st.integers(0, 3),
        quantity=st.sampled_from([0, 0, 5, 20, -1]),
        value=st.sampled_from([0, 0, 500, 2**63 - 1]),
        orders=st.sampled_from([0, 0, 1, 3]),
        collar=st.sampled_from([0, 0, 1, 2**62]),
        messages=st.sampled_from([(0, 0), (0, 0), (2, 1), (2, 2**63 - 1), (0, 1)]),
        flags=st.sampled_from([0, 0, 0, 1, 3, 2]),
        room=st.sampled_from([4, 64]),
    )
    def limits(self, account, instrument, quantity, value, orders, collar, messages, flags, room):  # type: ignore[no-untyped-def]
        row = np.zeros(1, LIMITS)
        row["kind"], row["account"], row["instrument"] = Kind.SET_LIMITS, account, instrument
        row["max_quantity"], row["max_value"], row["max_open_orders"] = quantity, value, orders
        row["collar"], row["flags"] = collar, flags
        row["max_messages"], row["window_ns"] = messages
        agree(self.fast, self.slow, row.view(COMMAND), room)

    @precondition(lambda self: self.fast.rules < RULES_LATEST)
    @rule(by=st.integers(1, 2))
    def upgrade(self, by: int) -> None:
        to = min(self.fast.rules + by, RULES_LATEST)
        assert self.fast.upgrade(to).tobytes() == self.slow.upgrade(to).tobytes()

    @rule()
    def swap_states(self) -> None:
        """Each goes on from the other's state."""
        fast, slow = self.fast.state(), self.slow.state()
        self.fast, self.slow = Machine.from_state(slow), Reference.from_state(fast)

    @precondition(lambda self: self.fast.sequence > 0)
    @invariant()
    def sound(self) -> None:
        self.fast._check()
        self.slow._check()
        assert self.fast.digest() == self.slow.digest()


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_write_instrument_is_what_the_machine_reads() -> None:
    row = np.zeros(1, INSTRUMENT)
    write_instrument(row[0], Instrument("X", "0.050", lot=7, max_quantity=70, max_orders=5))
    row["kind"] = Kind.ADD_INSTRUMENT
    machine = Machine()
    machine.apply(row.view(COMMAND))
    assert machine.instruments[1] == Instrument("X", "0.05", lot=7, max_quantity=70, max_orders=5)
