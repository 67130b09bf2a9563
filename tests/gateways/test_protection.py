"""What one login may ask of a gateway, and what becomes of its orders when it is gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest
from gateway_kit import ANA, Frozen, Heard, Served, desk, login, order, until
from hypothesis import given
from hypothesis import strategies as st

from matchcore import Engine, Kind, Side
from matchcore.gateways import absences
from matchcore.gateways import desk as desk_module
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import FixedUsers, Limits, Login, Throttled
from matchcore.gateways.protection import RELIEVING_KINDS, Guards
from matchcore.gateways.reports import Reports
from matchcore.records.reports import REPORT, ReportFlag, ReportKind
from matchcore.serving.rates import Bucket

NEW, CANCEL = np.array([Kind.NEW], np.uint8), np.array([Kind.CANCEL], np.uint8)
steps = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 5)), max_size=30)


@given(st.floats(0, 100), st.integers(1, 10), steps)
def test_a_bucket_gives_no_more_than_its_rate(rate: float, burst: int, asked: Any) -> None:
    bucket, now, given = Bucket(rate, burst, 0.0), 0.0, 0
    for pause, count in asked:
        now += pause
        wait = bucket.wait(count, now)
        took = bucket.take(count, now)
        assert took == (wait == 0.0 and count <= burst)
        given += count if took else 0
        assert given <= burst + rate * now + 1e-6
        if not took and count <= burst and 0 < wait < 1e9:
            assert bucket.wait(count, now + wait * (1 + 1e-9)) < 1e-6


def test_orders_and_cancels_have_their_own_shares() -> None:
    guards, now = Guards(), time.monotonic()
    user = Login(1, "u", limits=Limits(messages_per_second=10, burst=2, under_way=3))
    with pytest.raises(Throttled, match="3 commands at once, 2 at most"):
        guards.admit(user, NEW.repeat(3), now)
    guards.admit(user, NEW.repeat(2), now)
    with pytest.raises(Throttled) as throttled:
        guards.admit(user, NEW, now)
    assert throttled.value.after_ns == pytest.approx(1e8)
    guards.admit(user, CANCEL.repeat(2), now)
    with pytest.raises(Throttled):
        guards.admit(user, CANCEL, now)
    guards.admit(user, NEW, now + 100)
    with pytest.raises(Throttled, match="3 commands wait for an answer"):
        guards.admit(user, NEW, now + 200)
    assert (guards.waiting, guards.under_way(1)) == (5, 3)
    commands = order(1, Side.BUY, 1, 1, session=1).repeat(4)
    commands["kind"][3] = Kind.CANCEL
    guards.answered(commands)
    assert (guards.waiting, guards.under_way(1)) == (1, 0)
    guards.answered(commands)  # of another gateway
    assert guards.waiting == 0


def test_other_limits_hold_at_once_and_to_connect_again_gives_nothing() -> None:
    guards, now = Guards(), time.monotonic()
    limits = Limits(messages_per_second=1, burst=1, under_way=1)
    guards.admit(Login(1, "u", limits=limits), NEW, now)
    with pytest.raises(Throttled):
        guards.admit(Login(1, "u", limits=limits), NEW, now)
    guards.admit(Login(2, "v", limits=limits), NEW, now)  # others do not notice
    wider = Limits(messages_per_second=100, burst=100, under_way=2)
    guards.admit(Login(1, "u", limits=wider), NEW, now)
    with pytest.raises(Throttled, match="wait for an answer"):
        guards.admit(Login(1, "u", limits=wider), NEW, now)


def test_cancels_move_when_orders_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        frozen = Desk(Frozen(full=True), FixedUsers({}))
        async with Served(frozen):
            await until(lambda: frozen.waiting == 1)  # that the gateway is there
            monkeypatch.setattr(desk_module, "PENDING_MAX", 4)
            heard = Heard(login(1))
            for number in range(1, 4):
                frozen.send(heard, order(number, Side.SELL, 30, 1914, account=1))
            with pytest.raises(Throttled, match="behind"):
                frozen.send(heard, order(4, Side.SELL, 30, 1914, account=1))
            for number, kind in enumerate(sorted(RELIEVING_KINDS), 10):
                frozen.send(heard, order(number, 0, 1, 0, account=1, order_id=1, kind=kind))
            frozen.send(heard, order(13, 0, 1, 0, account=1, order_id=1, kind=Kind.CANCEL))
            with pytest.raises(Throttled):
                frozen.send(heard, order(20, 0, 1, 0, account=1, order_id=1, kind=Kind.CANCEL))
            assert frozen.waiting == 8

    asyncio.run(test())


def leaving(**more: Any) -> Login:
    return login(1, cancel_on_disconnect=True, **more)


def enter(served: Desk, heard: Heard, *numbers: int) -> None:
    for number in numbers:
        served.send(heard, order(number, Side.SELL, 30, 1914, account=1))


def test_orders_are_cancelled_once_after_the_grace() -> None:
    async def test() -> None:
        async with Served(desk(Engine.memory(instruments=[ANA]))) as served:
            heard, other = Heard(leaving()), Heard(login(2))
            served.attach(heard)
            served.attach(other)
            enter(served, heard, 7, 8)
            served.send(other, order(9, Side.SELL, 30, 1914, account=1))  # not its own
            await until(lambda: len(heard.reports) == 2)
            enter(served, heard, 10)
            served.detach(heard)  # with an order under way
            await until(lambda: served.reports.last(1) == 6)
            told = served.reports.read(1, 1, 10)
            gone = told[told["kind"] == ReportKind.CANCELLED]
            assert sorted(gone["client_order_id"].tolist()) == [7, 8, 10]
            assert (gone["flags"] & int(ReportFlag.UNSOLICITED)).all()
            assert served.reports.open_orders(1)["client_order_id"].tolist() == [9]
            await until(lambda: not served._attendance.absences._left)
            served.attach(heard)
            enter(served, heard, 11)
            await until(lambda: served.reports.last(1) == 7)

    asyncio.run(test())


def test_who_comes_back_in_time_keeps_his_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with Served(desk(Engine.memory(instruments=[ANA]))) as served:
            heard, stays = Heard(leaving(grace_ns=3600 * 10**9)), Heard(login(2))
            served.attach(heard)
            served.attach(stays)
            enter(served, heard, 7)
            served.send(stays, order(8, Side.SELL, 30, 1914, account=2))
            await until(lambda: len(heard.reports) == len(stays.reports) == 1)
            served.detach(heard)
            served.detach(stays)  # does not cancel on disconnect
            served._attendance.absences.look()
            served.attach(heard)
            moment = time.monotonic() + 7200
            monkeypatch.setattr("matchcore.gateways.absences.time.monotonic", lambda: moment)
            served._attendance.absences.look()
            monkeypatch.undo()
            enter(served, heard, 9)
            await until(lambda: len(heard.reports) == 2)
            assert heard.kinds() == [ReportKind.NEW] * 2
            assert len(served.reports.open_orders(2)) == 1

    asyncio.run(test())


def test_two_gateways_cancel_an_order_once() -> None:
    async def test() -> None:
        async with Served(desk(Engine.memory(instruments=[ANA]))) as served:
            heard = Heard(leaving())
            served.attach(heard)
            enter(served, heard, 7)
            await until(lambda: len(heard.reports) == 1)
            twice = served._attendance.absences
            first, second = twice._cancels(1), twice._cancels(1)
            assert (first == second).all() and len(first) == 1
            for commands in (first, second):
                served._forward(commands)
            before = served.sequence
            await until(lambda: served.sequence == before + 2)
            assert heard.kinds() == [ReportKind.NEW, ReportKind.CANCELLED]

    asyncio.run(test())


def test_accounts_that_are_remembered_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absences, "PAIRS_MAX", 3)
    known = absences.Absences(Reports(), lambda _: True, lambda _: 0)
    told = np.zeros(5, REPORT)
    told["kind"], told["session"] = ReportKind.NEW, [1, 1, 2, 2, 1]
    told["account"] = [10, 11, 2**64 - 1, 2**64 - 1, 12]
    for row in range(5):
        known.told(told[row : row + 1])
    assert known._accounts == {1: {11, 12}, 2: {2**64 - 1}}
    known.told(told[:2])
    assert len(known._pairs) == 3 and 10 in known._accounts[1]
