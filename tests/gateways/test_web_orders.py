"""Orders over HTTP: every answer is what the log says."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway_kit import ANA, until
from web_gate_kit import end_day, gate, run, users

from matchcore import Engine
from matchcore.gateways.logins import Action, Grant, Login


def test_an_order_trades_and_both_sides_are_told() -> None:
    async def test() -> None:
        async with gate() as here:
            status, said = await here.enter("sell/1", "sell", 30, "95.70")
            assert status == 201
            order = said["order"]
            assert (order["status"], order["left"], order["price"]) == ("new", 30, "95.70")
            assert order["client_order_id"] == "sell/1"
            status, said = await here.enter("7", "buy", 10, "95.75", user="bob")
            assert status == 201
            assert [report["kind"] for report in said["reports"]] == ["new", "trade"]
            trade = said["reports"][1]
            assert (trade["last_price"], trade["last_quantity"], trade["maker"]) == (
                "95.70", 10, False,
            )  # fmt: skip
            order = said["order"]
            assert (order["status"], order["average_price"]) == ("filled", "95.700000")
            status, order = await here.ask("GET", "/orders/sell%2F1")
            assert (status, order["status"], order["filled"]) == (200, "partly_filled", 10)
            status, said = await here.ask("GET", "/fills")
            (fill,) = said["reports"]
            assert (status, fill["number"], fill["maker"], fill["trade_id"]) == (200, 2, True, 1)
            assert (said["last"], said["more"]) == (2, False)
            status, said = await here.ask("GET", "/fills?after=2")
            assert (status, said["reports"], said["last"]) == (200, [], 2)

    run(test())


def test_orders_are_changed_and_taken_away() -> None:
    async def test() -> None:
        async with gate() as here:
            await here.enter("a", "buy", 30, "95.00")
            status, said = await here.ask("PATCH", "/orders/a", {"price": "95.05"})
            order = said["order"]
            assert (status, order["price"], order["quantity"]) == (200, "95.05", 30)
            status, said = await here.ask(
                "PATCH", "/orders/a", {"reduce_by": 10, "request_id": "r"}
            )
            assert (status, said["order"]["left"]) == (200, 20)
            assert said["reports"][0]["client_order_id"] == "r"
            status, said = await here.ask("DELETE", "/orders/a?request_id=c")
            assert (status, said["order"]["status"]) == (200, "cancelled")
            status, said = await here.ask("DELETE", "/orders/a")
            assert (status, said["error"]["code"], said["error"]["field"]) == (
                422, "unknown_order", "order_id",
            )  # fmt: skip
            status, said = await here.ask("DELETE", "/orders/never")
            assert (status, said["error"]["code"]) == (404, "unknown_order")

    run(test())


def test_all_orders_of_an_account_go_at_once() -> None:
    async def test() -> None:
        async with gate() as here:
            for name in ("a", "b", "c"):
                await here.enter(name, "buy", 5, "95.00")
            status, said = await here.ask("GET", "/orders")
            assert [order["client_order_id"] for order in said["orders"]] == ["a", "b", "c"]
            status, said = await here.ask("POST", "/cancel-all", {"side": "sell"})
            assert (status, said["cancelled"]) == (200, 0)
            for bound in ({"symbol": "ANA", "lowest": "95.00"}, {"of_session": True}):
                status, said = await here.ask("POST", "/cancel-all", bound)
                assert (status, said["error"]["field"]) == (400, [*bound][-1])
            status, said = await here.ask("POST", "/cancel-all")
            assert (status, said["cancelled"]) == (200, 3)
            assert (await here.ask("GET", "/orders"))[1]["orders"] == []

    run(test())


def test_the_same_request_again_is_done_once() -> None:
    async def test() -> None:
        async with gate() as here:
            first = await here.enter("x", "buy", 30, "95.00")
            status, said = await here.enter("x", "buy", 30, "95.00")
            assert (first[0], status, said["repeated"]) == (201, 200, True)
            assert said["order"] == first[1]["order"]
            assert said["reports"] == first[1]["reports"]
            refused = await here.enter("y", "buy", 30, "95.00", time_in_force="fok", post_only=True)
            again = await here.enter("y", "buy", 30, "95.00", time_in_force="fok", post_only=True)
            assert refused[0] == again[0] == 422
            assert refused[1]["error"] == again[1]["error"] and again[1]["repeated"]
            together = await asyncio.gather(*(here.enter("z", "buy", 1, "95.00") for _ in range(5)))
            assert sorted(status for status, _ in together) == [200, 200, 200, 200, 201]

    run(test())


def test_a_login_cancels_an_order_of_another_one_of_its_account() -> None:
    async def test() -> None:
        known = users(carol=Login(3, "carol", account=1))
        async with gate(known=known) as here, here.stream() as alice:
            await alice.hear()
            await here.enter("a", "buy", 5, "95.00")
            assert (await alice.hear())["kind"] == "new"
            status, said = await here.ask("DELETE", "/orders/a?request_id=c", user="carol")
            assert (status, said["order"]["status"]) == (200, "cancelled")
            (report,) = said["reports"]
            assert (report["client_order_id"], report["copy"]) == ("c", True)
            report = await alice.hear()
            assert (report["client_order_id"], report["unsolicited"]) == ("a", True)
            status, said = await here.ask("GET", "/orders/a", user="bob", params={"account": "1"})
            assert status == 200  # his rights are to all accounts

    run(test())


GOOD = {"client_order_id": "n", "symbol": "ANA", "side": "buy", "quantity": 1, "price": "95.00"}
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"client_order_id": None}, "malformed", "client_order_id"),
    ({"client_order_id": "a b"}, "malformed", "client_order_id"),
    ({"client_order_id": "x" * 21}, "malformed", "client_order_id"),
    ({"client_order_id": True}, "malformed", "client_order_id"),
    ({"symbol": "NIX"}, "unknown_symbol", "symbol"),
    ({"symbol": 5}, "malformed", "symbol"),
    ({"side": "BUY"}, "malformed", "side"),
    ({"quantity": 0}, "malformed", "quantity"),
    ({"quantity": -1}, "malformed", "quantity"),
    ({"quantity": 2**63}, "malformed", "quantity"),
    ({"quantity": 1.0}, "malformed", "quantity"),
    ({"quantity": True}, "malformed", "quantity"),
    ({"quantity": "\u0661"}, "malformed", "quantity"),
    ({"price": 95.05}, "malformed", "price"),
    ({"price": "95.01"}, "price", "price"),
    ({"price": "NaN"}, "price", "price"),
    ({"price": "1e99999999"}, "price", "price"),
    ({"price": "9" * 5000}, "malformed", "price"),
    ({"price": None, "order_type": "limit"}, "malformed", "price"),
    ({"order_type": "market"}, "malformed", "price"),
    ({"time_in_force": "gtd"}, "malformed", "time_in_force"),
    ({"post_only": "yes"}, "malformed", "post_only"),
    ({"account": -1}, "malformed", "account"),
    ({"account": 2**64}, "malformed", "account"),
    ({"post_olny": True}, "malformed", "post_olny"),
]


def test_wrong_fields_are_named_and_nothing_is_sent() -> None:
    async def test() -> None:
        async with gate() as here:
            for change, code, field in WRONG:
                status, said = await here.ask("POST", "/orders", {**GOOD, **change})
                error = said["error"]
                assert (status, error["code"], error.get("field")) == (400, code, field), change
                assert error["message"]
            for data in (b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"quantity":NaN}', b"\xff",
                         b"[" * 30_000):  # fmt: skip
                status, said = await here.ask("POST", "/orders", data=data)
                assert (status, said["error"]["code"]) == (400, "malformed"), data[:20]
            assert here.desk.reports.last(1) == 0

    run(test())


def test_the_machine_refuses_with_reason_and_field() -> None:
    async def test() -> None:
        async with gate() as here:
            await here.enter("a", "sell", 5, "95.00")
            status, said = await here.enter("b", "buy", 5, "95.00", post_only=True)
            assert (status, said["error"]["code"], said["error"]["field"]) == (
                422, "would_trade", "price",
            )  # fmt: skip
            assert said["reports"][0]["kind"] == "rejected"

    run(test())


def test_rights_are_kept() -> None:
    trader = Login(3, "trader", account=7, grants=(
        Grant(Action.TRADE | Action.READ, 7, 7, 1), Grant(Action.READ, 8, 9)))  # fmt: skip
    reader = Login(4, "reader", account=7, may=Action.READ, grants=(Grant(Action.READ, 7, 7),))

    async def test() -> None:
        engine = Engine.memory(instruments=[ANA])
        async with gate(engine, users(trader=trader, reader=reader)) as here:
            assert (await here.enter("a", "buy", 5, "95.00", user="trader"))[0] == 201
            assert (await here.enter("b", "buy", 5, "95.00", user="reader"))[0] == 403
            assert (await here.enter("b", "buy", 5, "95.00", user="trader", account=8))[0] == 403
            assert (await here.ask("DELETE", "/orders/a", user="reader"))[0] == 403
            assert (await here.ask("DELETE", "/orders/a?account=7", user="trader"))[0] == 200
            assert (await here.ask("GET", "/orders/a", user="reader"))[0] == 200
            for account, status in ((7, 200), (8, 200), (10, 403)):
                path = f"/orders?account={account}"
                assert (await here.ask("GET", path, user="trader"))[0] == status
            all_symbols = await here.ask("POST", "/cancel-all", {}, user="trader")
            assert all_symbols[0] == 403  # its right is to one instrument
            status, said = await here.ask("GET", "/me", user="trader")
            assert (status, said["grants"][1]["may"]) == (200, ["read"])

    run(test())


def test_who_does_not_log_in_hears_nothing() -> None:
    async def test() -> None:
        async with gate() as here:
            for path in ("/me", "/instruments", "/orders", "/orders/a", "/reports", "/fills"):
                assert (await here.ask("GET", path, user=""))[0] == 401, path
                assert (await here.ask("GET", path, user="nobody"))[0] == 401, path
            for said in ("Basic x", "Basic eA==", "Digest a", "", "Bearer "):
                answer = await here.ask("GET", "/me", user="", headers={"Authorization": said})
                assert answer[0] == 401, said
            basic = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}  # alice:secret
            assert (await here.ask("GET", "/me", user="", headers=basic))[1]["user"] == "alice"
            evil = {"Origin": "https://evil.example"}
            assert (await here.ask("POST", "/orders", GOOD, headers=evil))[0] == 403
            assert (await here.ask("GET", "/me", headers=evil))[0] == 200
            for path in ("/health", "/ready", "/openapi.json"):
                assert (await here.ask("GET", path, user=""))[0] == 200
            assert (await here.ask("GET", "/nix"))[0] == 404
            assert (await here.ask("PUT", "/orders"))[0] == 405
            status, said = await here.ask("POST", "/orders", data=b"x" * 70_000)
            assert (status, said["error"]["code"]) == (413, "request_entity_too_large")

    run(test())


def test_an_answer_that_is_late_is_asked_for() -> None:
    async def test() -> None:
        async with gate(answer_seconds=0.0) as here:
            status, said = await here.enter("late/1", "buy", 5, "95.00")
            assert (status, said["pending"]) == (202, True)
            await until(lambda: here.desk.reports.last(1) == 1)
            status, order = await here.ask("GET", said["ask"])
            assert (status, order["status"]) == (200, "new")
            assert not len(here.door.sessions)

    run(test())


def test_an_engine_that_is_down_is_said_and_not_waited_for() -> None:
    async def test() -> None:
        engine = Engine.memory(instruments=[ANA])
        async with gate(engine) as here:
            await here.enter("a", "buy", 5, "95.00")
            engine.close()
            await here.enter("b", "buy", 5, "95.00")
            status, said = await here.enter("c", "buy", 5, "95.00")
            assert (status, said["error"]["code"]) == (503, "unavailable")
            assert said["error"]["retry_after_ms"] == 1000
            assert (await here.ask("GET", "/ready"))[0] == 503
            assert (await here.ask("GET", "/health"))[0] == 200
            assert (await here.ask("GET", "/orders/a"))[1]["status"] == "new"

    run(test())


def test_numbers_begin_again_with_a_day() -> None:
    async def test() -> None:
        async with gate() as here:
            await here.enter("a", "buy", 5, "95.00", time_in_force="day")
            said = (await here.ask("GET", "/reports"))[1]
            assert (said["day"], said["last"]) == (0, 1)
            await end_day(here.desk)
            said = (await here.ask("GET", "/reports"))[1]
            assert (said["day"], said["last"], said["reports"]) == (1, 0, [])
            assert (await here.ask("GET", "/orders/a"))[1]["status"] == "expired"

    run(test())
