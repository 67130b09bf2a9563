"""The desk: commands in, each session's reports out."""

from __future__ import annotations

import asyncio

import pytest
from gateway_kit import Heard, Served, desk, login, order, until

from matchcore import Kind, Side
from matchcore.gateways.logins import AlreadyThere, Forbidden, LoginRefused
from matchcore.records.reports import OrderStatus, ReportFlag, ReportKind


def test_both_sides_of_a_trade_hear_of_it_under_their_own_numbers() -> None:
    async def trade() -> None:
        async with Served(desk()) as served:
            seller, buyer = Heard(login(1)), Heard(login(2))
            served.attach(seller)
            served.attach(buyer)
            served.send(seller, order(7, Side.SELL, 30, 1914, account=1))
            served.send(buyer, order(8, Side.BUY, 10, 1914, account=2))
            await until(lambda: len(buyer.reports) == 2 and len(seller.reports) == 2)
            assert seller.kinds() == [ReportKind.NEW, ReportKind.TRADE]
            assert buyer.kinds() == [ReportKind.NEW, ReportKind.TRADE]
            made, took = seller.reports[1], buyer.reports[1]
            assert made["number"] == took["number"] == 2
            assert made["flags"] == ReportFlag.MAKER and took["flags"] == 0
            assert (made["status"], took["status"]) == (
                OrderStatus.PARTLY_FILLED,
                OrderStatus.FILLED,
            )
            assert (made["left"], made["filled"], made["turnover"]) == (20, 10, 19140)
            again = served.reports.read(1, 1, 10)
            assert again.tolist() == [report.tolist() for report in seller.reports]

    asyncio.run(trade())


def test_a_cancel_finds_an_order_that_is_under_way() -> None:
    async def trade() -> None:
        async with Served(desk()) as served:
            heard = Heard(login(1))
            served.attach(heard)
            served.send(heard, order(7, Side.SELL, 30, 1914, account=1))
            found = served.reports.find(1, 7)
            assert found is not None
            cancel = order(8, 0, 0, 0, account=1, kind=Kind.CANCEL, order_id=found[1],
                           order_type=0, time_in_force=0)  # fmt: skip
            served.send(heard, cancel)
            await until(lambda: len(heard.reports) == 2)
            gone = heard.reports[1]
            assert (gone["kind"], gone["status"]) == (ReportKind.CANCELLED, OrderStatus.CANCELLED)
            assert (gone["client_order_id"], gone["original_id"]) == (8, 7)

    asyncio.run(trade())


def test_a_second_connection_and_a_wrong_secret_are_refused() -> None:
    async def trade() -> None:
        async with Served(desk()) as served:
            served.attach(Heard(login(1)))
            with pytest.raises(AlreadyThere, match="user1 is connected"):
                served.attach(Heard(login(1)))
            assert (await served.login("user2", "secret", "here")).session == 2
            with pytest.raises(LoginRefused):
                await served.login("user2", "wrong", "here")

    asyncio.run(trade())


def test_rights_are_of_accounts_and_actions() -> None:
    async def trade() -> None:
        async with Served(desk()) as served:
            heard = Heard(login(1, accounts=frozenset({1})))
            served.attach(heard)
            with pytest.raises(Forbidden, match="no right to account 2"):
                served.send(heard, order(7, Side.SELL, 30, 1914, account=2))

    asyncio.run(trade())


def test_a_day_ends_and_numbers_begin_again() -> None:
    async def trade() -> None:
        async with Served(desk()) as served:
            heard = Heard(login(1))
            served.attach(heard)
            served.send(heard, order(7, Side.SELL, 30, 1914, account=1))
            end = order(0, 0, 0, 0, kind=Kind.END_DAY, instrument=0, order_type=0, time_in_force=0)
            served.send(heard, end)
            await until(lambda: heard.days == 1)
            served.send(heard, order(9, Side.SELL, 30, 1914, account=1))
            await until(lambda: len(heard.reports) == 2)
            assert [int(report["number"]) for report in heard.reports] == [1, 1]
            assert [int(report["day"]) for report in heard.reports] == [0, 1]

    asyncio.run(trade())
