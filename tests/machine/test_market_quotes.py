"""Quotes of market makers, their protection, groups of accounts, and busts, on both machines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flows import definitions
from market_flows import parameter
from numpy.typing import NDArray
from rules_kit import Exchange, on_both_machines

import matchcore as mc
from matchcore import COMMAND, EventKind, Field, Kind, Reason
from matchcore.machine.reference import Machine as Reference
from matchcore.records.markets import PROTECTION, PROTECTION_STATE, PROTECTIONS_MAX
from matchcore.records.schema import Parameter

PAIR = (mc.Instrument("ONE", tick=1), mc.Instrument("TWO", tick=1))


def market(machine: str) -> Exchange:
    exchange = Exchange(machine)
    exchange.run("set trading")
    return exchange


@on_both_machines
def test_a_quote_is_two_orders_and_replaces_the_one_before(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        quote 10@99 20@101 acc=7 => accepted 1 10@99, accepted 2 20@101, quote_set -0 +2
        book => 99: 1x10 / 101: 2x20
        quote 5@98 5@102 acc=7 => cancelled 1 10@99 QUOTE_REPLACED,
            cancelled 2 20@101 QUOTE_REPLACED, accepted 3 5@98, accepted 4 5@102, quote_set -2 +2
        quote 5@98 - acc=7 => cancelled 3 5@98 QUOTE_REPLACED, cancelled 4 5@102 QUOTE_REPLACED,
            accepted 5 5@98, quote_set -2 +1
        quote - 3@101 acc=7 => cancelled 5 5@98 QUOTE_REPLACED, accepted 6 3@101, quote_set -1 +1
        quote - - acc=7 => cancelled 6 3@101 QUOTE_REPLACED, quote_set -1 +0
        quote - - acc=7 => quote_set -0 +0
        book => - / -
        """
    )


@on_both_machines
def test_quotes_of_others_and_other_orders_stay(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        buy 100 1@97 acc=7
        quote 1@98 1@102 acc=7
        quote 1@99 1@101 acc=8
        quote - - acc=7 => cancelled 1 1@98 QUOTE_REPLACED, cancelled 2 1@102 QUOTE_REPLACED,
            quote_set -2 +0
        book => 99: 3x1; 97: 100x1 / 101: 4x1
        """
    )


@on_both_machines
def test_a_quote_may_trade_and_its_sides_come_one_after_the_other(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        sell 100 4@99
        quote 10@100 5@101 acc=7 => accepted 1 10@100, trade 100 4@99 by 1 left 0/6,
            accepted 2 5@101, quote_set -0 +2
        sell 102 6@100 => accepted 102 6@100, trade 1 6@100 by 102 left 0/0
        quote 10@100 5@102 acc=7 => cancelled 2 5@101 QUOTE_REPLACED, accepted 3 10@100,
            accepted 4 5@102, quote_set -1 +2
        """
    )


@on_both_machines
def test_a_new_quote_does_not_meet_the_one_before(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        quote 1@98 1@100 acc=7
        quote 1@101 1@103 acc=7 => cancelled 1 1@98 QUOTE_REPLACED,
            cancelled 2 1@100 QUOTE_REPLACED, accepted 3 1@101, accepted 4 1@103, quote_set -2 +2
        """
    )


@on_both_machines
def test_orders_of_a_quote_are_orders(machine: str) -> None:
    """They are reduced, amended and cancelled like others, and stay those of the quote."""
    exchange = market(machine)
    exchange.run(
        """
        quote 10@98 10@102 acc=7
        reduce 1 4 => amended 1 6@98
        amend 1 8@97 => amended 1 8@97
        cancel 2 acc=7 => cancelled 2 10@102 REQUESTED
        quote 1@99 1@101 acc=7 => cancelled 1 8@97 QUOTE_REPLACED, accepted 3 1@99,
            accepted 4 1@101, quote_set -1 +2
        buy 5 1@90 acc=7 link=3
        quote - - acc=7 => cancelled 3 1@99 QUOTE_REPLACED, cancelled 4 1@101 QUOTE_REPLACED,
            cancelled 5 1@90 ONE_CANCELS_OTHER, quote_set -2 +0
        quote 1@99 - acc=7
        endday => cancelled 5 1@99 END_OF_DAY, day_ended 1
        quote - - acc=7 => quote_set -0 +0
        """
    )


@on_both_machines
def test_a_quote_outside_the_cage_waits_or_is_refused(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        set cage mode=1 part=200
        sell 100 1@1000
        quote 1@1021 1@1025 acc=7 => rejected OUTSIDE_CAGE PRICE
        buy 101 1@950
        quote 1@900 1@930 acc=7 => rejected OUTSIDE_CAGE STOP_PRICE
        set cage mode=2 part=200
        quote 1@900 1@930 acc=7 => accepted 1 1@900, accepted 2 1@930, quote_set -0 +2
        waiting => caged 2x1@930
        quote - - acc=7 => cancelled 1 1@900 QUOTE_REPLACED, cancelled 2 1@930 QUOTE_REPLACED,
            quote_set -2 +0
        """
    )


@on_both_machines
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("quote 10@99 10@101", "BAD_VALUE ACCOUNT"),
        ("quote 10@99 10@101 acc=7 post", "BAD_FLAGS FLAGS"),
        ("quote 10@99 10@101 acc=7 reserved=1", "UNSUPPORTED RESERVED"),
        ("quote 10@99 10@101 acc=7 expiry=1", "UNSUPPORTED EXPIRY"),
        ("quote 10@99 10@101 acc=7 self_trade=5", "BAD_SELF_TRADE SELF_TRADE"),
        ("quote 10@101 10@101 acc=7", "QUOTE_CROSSED STOP_PRICE"),
        ("quote 10@102 10@101 acc=7", "QUOTE_CROSSED STOP_PRICE"),
        ("quote 0@99 10@101 acc=7", "PRICE_NOT_ALLOWED PRICE"),
        ("quote 10@99 0@101 acc=7", "PRICE_NOT_ALLOWED STOP_PRICE"),
        ("quote -1@99 10@101 acc=7", "QUANTITY_NOT_POSITIVE QUANTITY"),
        ("quote 10@99 -1@101 acc=7", "QUANTITY_NOT_POSITIVE DISPLAY_QUANTITY"),
        (f"quote 10@{2**40 + 1} - acc=7", "OUTSIDE_LIMITS PRICE"),
        (f"quote - 10@{-(2**40) - 1} acc=7", "OUTSIDE_LIMITS STOP_PRICE"),
        (f"quote {2**63 - 1}@99 - acc=7", "LEVEL_OVERFLOW QUANTITY"),
        ("quote 10@99 10@101 acc=7 on=9", "UNKNOWN_INSTRUMENT INSTRUMENT"),
    ],
)
def test_a_quote_that_cannot_be(machine: str, line: str, refusal: str) -> None:
    """It changes nothing: the one before stays."""
    exchange = market(machine)
    exchange.run("buy 100 1@90\nquote 5@98 5@102 acc=7")
    assert exchange.say(line) == [f"rejected {refusal}"]
    exchange.run("book => 98: 1x5; 90: 100x1 / 102: 2x5")


@on_both_machines
def test_a_quote_and_the_state_of_its_market(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        quote 10@99 10@101 acc=7 => rejected NO_MARKET INSTRUMENT
        set quantities buy_least=5 sell_step=5
        quote 4@99 10@101 acc=7 => rejected QUANTITY_TOO_SMALL QUANTITY
        quote 5@99 8@101 acc=7 => rejected OFF_LOT DISPLAY_QUANTITY
        set day reference=100
        set limits up=100
        quote 5@99 10@102 acc=7 => rejected OUTSIDE_LIMITS STOP_PRICE
        phase quiet
        quote 5@99 10@101 acc=7 => rejected BAD_PHASE KIND
        phase opening_call
        quote 5@99 10@101 acc=7 => accepted 1 5@99, accepted 2 10@101, quote_set -0 +2
        phase opening_call_locked
        quote 5@99 10@101 acc=7 => rejected BAD_PHASE KIND
        """
    )


@on_both_machines
def test_limits_of_accounts_and_quotes(machine: str) -> None:
    """The orders that a quote replaces make place for it."""
    exchange = market(machine)
    exchange.run(
        """
        limit acc=7 max_open_orders=2
        quote 1@98 1@102 acc=7
        quote 1@99 1@101 acc=7 => cancelled 1 1@98 QUOTE_REPLACED,
            cancelled 2 1@102 QUOTE_REPLACED, accepted 3 1@99, accepted 4 1@101, quote_set -2 +2
        buy 100 1@90 acc=7 => rejected LIMIT_EXCEEDED MAX_OPEN_ORDERS
        quote 1@99 - acc=7
        buy 100 1@90 acc=7
        quote 1@99 1@101 acc=7 => rejected LIMIT_EXCEEDED MAX_OPEN_ORDERS
        limit acc=7 max_quantity=5
        quote 5@99 6@101 acc=7 => rejected LIMIT_EXCEEDED MAX_QUANTITY
        limit acc=7 flags=1
        quote 1@99 1@101 acc=7 => rejected ACCOUNT_BLOCKED ACCOUNT
        """
    )


# ---------------------------------------------------------------------- protection


@on_both_machines
def test_fills_in_a_window_pull_the_quotes(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        protect acc=7 max_fills=2 window_ns=10 => protection_set 7 0/2 group 0
        quote 10@99 10@101 acc=7 time=1
        buy 101 1@101 time=5 => accepted 101 1@101, trade 2 1@101 by 101 left 9/0
        buy 102 1@101 time=14 => accepted 102 1@101, trade 2 1@101 by 102 left 8/0,
            cancelled 1 10@99 PROTECTION, cancelled 2 8@101 PROTECTION
        quote 10@99 10@101 acc=7 time=15
        sell 103 1@99 time=20 => accepted 103 1@99, trade 3 1@99 by 103 left 9/0
        sell 104 1@99 time=30 => accepted 104 1@99, trade 3 1@99 by 104 left 8/0
        buy 105 1@101 time=39 => accepted 105 1@101, trade 4 1@101 by 105 left 9/0,
            cancelled 3 8@99 PROTECTION, cancelled 4 9@101 PROTECTION
        """
    )


@on_both_machines
def test_a_quantity_pulls_the_quotes_behind_the_whole_order(machine: str) -> None:
    """The one that comes in takes all it can of what is there; then the quotes go."""
    exchange = market(machine)
    exchange.run(
        """
        protect acc=7 max_quantity=5 window_ns=10
        quote 10@99 10@101 acc=7 time=1
        sell 100 9@101 time=2
        buy 101 12@101 time=2 => accepted 101 12@101, trade 2 10@101 by 101 left 0/2,
            trade 100 2@101 by 101 left 7/0, cancelled 1 10@99 PROTECTION
        """
    )


@on_both_machines
def test_only_fills_of_quotes_count_and_only_quotes_go(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        protect acc=7 max_fills=1 window_ns=10
        sell 100 5@101 acc=7
        quote 5@99 5@102 acc=7
        buy 101 1@101 => accepted 101 1@101, trade 100 1@101 by 101 left 4/0
        sell 102 1@99 => accepted 102 1@99, trade 1 1@99 by 102 left 4/0,
            cancelled 1 4@99 PROTECTION, cancelled 2 5@102 PROTECTION
        book => - / 101: 100x4
        """
    )


@on_both_machines
def test_a_new_protection_counts_anew_and_none_is_none(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        protect acc=7 max_fills=2 window_ns=100
        quote 10@99 10@101 acc=7 time=1
        buy 100 1@101 time=2
        protect acc=7 max_fills=2 window_ns=100
        buy 101 1@101 time=3 => accepted 101 1@101, trade 2 1@101 by 101 left 8/0
        protect acc=7 => protection_set 7 0/0 group 0
        buy 102 8@101 time=4 => accepted 102 8@101, trade 2 8@101 by 102 left 0/0
        """
    )
    assert len(exchange.engine.state().protections) == 0


@on_both_machines
def test_the_quantity_of_a_window_has_63_bits(machine: str) -> None:
    exchange = market(machine)
    most = 2**63 - 1
    exchange.run(
        f"""
        protect acc=7 max_fills=9 window_ns=100
        quote {most}@99 - acc=7 time=1
        sell 100 {most}@99 time=1
        quote 5@99 - acc=7 time=1
        sell 101 5@99 time=1
        """
    )
    assert exchange.engine.state().protections["quantity"].tolist() == [most]


@on_both_machines
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("protect acc=7 max_fills=1 window_ns=1 reserved=1", "UNSUPPORTED RESERVED"),
        ("protect acc=7 max_fills=1 window_ns=1 reserved3=1", "UNSUPPORTED RESERVED"),
        ("protect acc=7 on=9 max_fills=1 window_ns=1", "UNKNOWN_INSTRUMENT INSTRUMENT"),
        ("protect acc=0 max_fills=1 window_ns=1", "BAD_VALUE ACCOUNT"),
        ("protect acc=7 on=2 max_fills=1 window_ns=1", "NO_MARKET INSTRUMENT"),
        ("protect acc=7 group=1", "BAD_VALUE GROUP"),
        ("protect acc=7 max_quantity=-1 window_ns=1", "BAD_LIMIT MAX_QUANTITY"),
        ("protect acc=7 max_fills=-1 window_ns=1", "BAD_LIMIT MAX_FILLS"),
        ("protect acc=7 max_fills=1 window_ns=-1", "BAD_LIMIT WINDOW"),
        ("protect acc=7 max_fills=1", "BAD_LIMIT WINDOW"),
        ("protect acc=7 window_ns=1", "BAD_LIMIT WINDOW"),
        ("protect acc=7 on=0 max_quantity=1 window_ns=1", "BAD_LIMIT MAX_QUANTITY"),
        ("protect acc=7 on=0 max_fills=1 window_ns=1", "BAD_LIMIT MAX_FILLS"),
        ("protect acc=7 on=0 group=3 window_ns=1", "BAD_LIMIT WINDOW"),
    ],
)
def test_a_protection_that_cannot_be(machine: str, line: str, refusal: str) -> None:
    exchange = Exchange(machine, *PAIR)
    exchange.run("set trading")
    assert exchange.say(line) == [f"rejected {refusal}"]
    assert len(exchange.engine.state().protections) == 0


@on_both_machines
def test_accounts_of_a_group_do_not_trade_with_each_other(machine: str) -> None:
    exchange = market(machine)
    exchange.run(
        """
        protect acc=7 on=0 group=3 => protection_set 7 0/0 group 3
        protect acc=8 on=0 group=3
        protect acc=9 on=0 group=4
        sell 1 5@100 acc=7
        buy 2 5@100 acc=8 self_trade=cancel_newest => accepted 2 5@100, cancelled 2 5@100 SELF_TRADE
        buy 3 1@100 acc=9 self_trade=cancel_newest => accepted 3 1@100, trade 1 1@100 by 3 left 4/0
        protect acc=8 on=0
        buy 4 1@100 acc=8 self_trade=cancel_newest => accepted 4 1@100, trade 1 1@100 by 4 left 3/0
        """
    )
    rows = exchange.engine.state().protections
    assert rows[["account", "group"]].tolist() == [(7, 3), (9, 4)]


def protections(rows: list[tuple[int, int, int]]) -> NDArray[np.void]:
    """SET_PROTECTION commands: account, instrument (0: a group), value (0: nothing)."""
    records = np.zeros(len(rows), PROTECTION)
    records["kind"] = Kind.SET_PROTECTION
    records["account"], records["instrument"], values = np.array(rows).T
    records["group"] = np.where(records["instrument"] == 0, values, 0)
    records["max_fills"] = np.where(records["instrument"] == 0, 0, values)
    records["window_ns"] = records["max_fills"]
    return records.view(COMMAND)


@pytest.mark.parametrize("kind", [mc.Machine, Reference])
def test_there_is_an_end_to_protections(kind: type[mc.Machine]) -> None:
    rows = np.zeros(PROTECTIONS_MAX, PROTECTION_STATE)
    rows["account"], rows["group"] = np.arange(1, PROTECTIONS_MAX + 1), 1
    machine = kind.from_state(replace(mc.Machine().state(), protections=rows))
    events = machine.apply(
        protections([(10**9, 0, 1), (7, 0, 2), (8, 0, 0), (10**9, 0, 0), (10**9, 0, 1)])
    )
    assert events[0][["reason", "field"]].item() == (Reason.TOO_MANY_ENTRIES, Field.ACCOUNT)
    assert (events["kind"][1:] == EventKind.PROTECTION_SET).all()
    kept = machine.state().protections
    assert len(kept) == PROTECTIONS_MAX
    assert kept["account"][6:9].tolist() == [7, 9, 10]


def test_thousands_of_protections_come_and_go_and_none_is_lost() -> None:
    rng = np.random.default_rng(1)
    machine = mc.Machine()
    machine.apply(definitions(*PAIR))
    machine.apply(parameter(2, Parameter.TRADING))
    known: dict[tuple[int, int], int] = {}
    for _ in range(40):
        rows = [
            (int(rng.integers(1, 400)), 2 * int(rng.integers(0, 2)), int(rng.integers(0, 2)))
            for _ in range(200)
        ]
        machine.apply(protections(rows))
        machine._check()
        known |= {(account, number): value for account, number, value in rows}
        kept = machine.state().protections[["account", "instrument"]].tolist()
        assert kept == sorted(place for place, value in known.items() if value)


# ---------------------------------------------------------------------- busts


@on_both_machines
def test_a_bust_names_a_trade_and_moves_nothing(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        sell 1 5@100
        buy 2 2@100
        bust 2 => rejected UNKNOWN_TRADE ORDER_ID
        bust 0 => rejected UNKNOWN_TRADE ORDER_ID
        bust 1 on=2 => rejected UNKNOWN_INSTRUMENT INSTRUMENT
        bust 1 2@100 => busted 1 2@100
        bust 1 => busted 1 0@0
        book => - / 100: 1x3
        """
    )
