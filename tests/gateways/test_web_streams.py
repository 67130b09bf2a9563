"""The private stream: orders in, numbered reports out, from any number."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_kit import ANA, Heard, until
from web_gate_kit import Listener, end_day, gate, run, users

from matchcore import Engine
from matchcore.gateways.logins import AlreadyThere, Limits, Login
from matchcore.gateways.web import streams

NEW = {"symbol": "ANA", "side": "buy", "quantity": 5, "price": "95.00"}


async def entered(here: Listener, *names: str) -> list[dict[str, Any]]:
    """Enters orders under these names; their reports."""
    for name in names:
        await here.say("order", client_order_id=name, **NEW)
    return [await here.hear() for _ in names]


def test_orders_go_in_and_reports_come_out() -> None:
    async def test() -> None:
        async with gate() as here, here.stream() as stream:
            welcome = await stream.hear()
            assert welcome["type"] == "welcome"
            assert (welcome["user"], welcome["day"], welcome["after"]) == ("alice", 0, 0)
            (report,) = await entered(stream, "a")
            assert (report["type"], report["number"], report["kind"]) == ("report", 1, "new")
            await stream.say("amend", client_order_id="a", price="95.05")
            report = await stream.hear()
            assert (report["kind"], report["price"]) == ("replaced", "95.05")
            assert report["original_client_order_id"] == "a"
            await here.enter("b", "sell", 2, "95.05", user="bob")
            report = await stream.hear()
            assert (report["kind"], report["last_quantity"], report["left"]) == ("trade", 2, 3)
            await stream.say("cancel", client_order_id="a", request_id="c")
            report = await stream.hear()
            assert (report["kind"], report["client_order_id"]) == ("cancelled", "c")
            await entered(stream, "d")
            await stream.say("cancel_all")
            kinds = [(await stream.hear())["kind"] for _ in range(2)]
            assert kinds == ["cancelled", "mass_cancelled"]
            await stream.say("order", client_order_id="d", **NEW)
            again = await stream.hear()
            assert (again["kind"], again["number"]) == ("repeated", 0)
            await stream.say("ping")
            assert await stream.hear() == {"type": "pong", "day": 0, "number": 7}

    run(test())


def test_what_comes_at_once_is_answered_behind_the_welcome() -> None:
    async def test() -> None:
        async with gate() as here, here.stream() as stream:
            await stream.say("ping")
            await stream.say("nothing")
            await stream.say("order", client_order_id="a", **NEW)
            heard = [await stream.hear() for _ in range(4)]
            assert heard[0]["type"] == "welcome"
            assert {one["type"] for one in heard[1:]} == {"pong", "error", "report"}

    run(test())


@pytest.mark.parametrize("read_count", [1, 3, 500])
def test_a_client_goes_on_from_any_number(read_count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "READ_COUNT", read_count)

    async def test() -> None:
        async with gate() as here:
            async with here.stream() as stream:
                await stream.hear()
                first = await entered(stream, *"abcde")
            for after in (0, 2, 5):
                async with here.stream(query=f"?after={after}&day=0") as stream:
                    welcome = await stream.hear()
                    assert (welcome["resumed"], welcome["after"]) == (True, after)
                    heard = [await stream.hear() for _ in range(5 - after)]
                    assert heard == first[after:]
                    await stream.say("ping")
                    assert (await stream.hear())["number"] == 5
            for query in ("?after=6", "?after=2&day=1"):
                async with here.stream(query=query) as stream:
                    welcome = await stream.hear()
                    assert (welcome["resumed"], welcome["after"]) == (False, 0)
                    assert (await stream.hear())["number"] == 1

    run(test())


def test_a_client_that_did_not_read_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIVE_MAX", 10)

    async def test() -> None:
        async with gate() as here, here.stream() as stream, here.stream() as other:
            await stream.hear()
            await other.hear()
            names = [f"n{n}" for n in range(300)]
            await asyncio.gather(*(here.enter(name, "buy", 1, "95.00") for name in names[:60]))
            await entered(other, *names[60:])
            heard = [await stream.hear() for _ in names]
            assert [report["number"] for report in heard] == list(range(1, 301))

    run(test())


def test_a_day_ends_in_the_stream() -> None:
    async def test() -> None:
        async with gate() as here, here.stream() as stream:
            await stream.hear()
            await stream.say("order", client_order_id="a", time_in_force="day", **NEW)
            await stream.hear()
            await end_day(here.desk)
            expired = await stream.hear()
            assert (expired["status"], expired["unsolicited"]) == ("expired", True)
            assert await stream.hear() == {"type": "day_ended", "day": 1}
            (report,) = await entered(stream, "b")
            assert (report["number"], report["day"]) == (1, 1)
            for query, day, after, numbers in (("?after=1&day=0", 0, 1, [2, 1]),
                                               ("?after=0&day=1", 1, 0, [1]),
                                               ("?after=2&day=0", 0, 2, [1])):  # fmt: skip
                async with here.stream(query=query) as late:
                    welcome = await late.hear()
                    assert (welcome["day"], welcome["after"], welcome["resumed"]) == (
                        day, after, True,
                    )  # fmt: skip
                    await late.say("ping")
                    heard = [one for one in await late.until("pong") if one["type"] == "report"]
                    assert [one["number"] for one in heard] == numbers

    run(test())


def test_the_first_message_may_be_the_login() -> None:
    async def test() -> None:
        async with gate(first_seconds=0.5) as here:
            async with here.stream(user="") as stream:
                await stream.say("login", user="alice", password="secret", after=0)
                assert (await stream.hear())["type"] == "welcome"
            async with here.stream(user="") as stream:
                await stream.say("login", token="bob")
                assert (await stream.hear())["user"] == "bob"
            await here.enter("a", "buy", 1, "95.00")
            async with here.stream(user="", query="?after=0") as stream:
                await stream.say("login", token="alice")
                assert (await stream.hear())["resumed"]
                assert (await stream.hear())["client_order_id"] == "a"
            for said in ({"op": "ping"}, {"op": "login"}, {"op": "login", "token": "x"},
                         {"op": "login", "user": "alice", "password": 5},
                         {"op": "login", "token": "bob", "day": -1}):  # fmt: skip
                async with here.stream(user="") as stream:
                    await stream.say(**said)  # type: ignore[arg-type]  # wrong on purpose
                    bye = await stream.hear()
                    assert bye["type"] == "bye", said
                    assert (await stream.socket.receive()).type == aiohttp.WSMsgType.CLOSE
            async with here.stream(user="") as stream:  # says nothing
                assert (await stream.hear())["code"] == "idle"
            assert here.desk.connected == 0

    run(test())


def test_wrong_messages_are_answered_and_change_nothing() -> None:
    async def test() -> None:
        async with gate() as here, here.stream() as stream:
            await stream.hear()
            for text in ("", "x", "[]", "{}", '{"op":"nix"}', '{"op":{}}', '{"op":"ping","a":1}'):
                await stream.socket.send_str(text)
                error = await stream.hear()
                assert (error["type"], error["error"]["code"]) == ("error", "malformed"), text
            await stream.say("order", id="q", client_order_id="a", **{**NEW, "price": 95})
            error = await stream.hear()
            assert (error["id"], error["error"]["field"]) == ("q", "price")
            await stream.say("cancel", id=4, client_order_id="never")
            error = await stream.hear()
            assert (error["id"], error["error"]["code"]) == (4, "unknown_order")
            await stream.socket.send_bytes(b"\xff\x00")
            assert (await stream.hear())["error"]["code"] == "malformed"
            await entered(stream, "fine")
            await stream.socket.send_str("x" * 70_000)
            assert (await stream.socket.receive()).type == aiohttp.WSMsgType.CLOSE

    run(test())


def test_a_login_is_connected_at_one_door() -> None:
    async def test() -> None:
        async with gate() as here:
            elsewhere = Heard(Login(1, "alice"))
            here.desk.attach(elsewhere)
            async with here.stream() as stream:
                bye = await stream.hear()
                assert (bye["type"], bye["code"]) == ("bye", "connected_elsewhere")
            status, said = await here.enter("a", "buy", 5, "95.00")
            assert (status, said["error"]["code"]) == (409, "connected_elsewhere")
            here.desk.detach(elsewhere)
            async with here.stream() as stream, here.stream() as second:
                for one in (stream, second):
                    assert (await one.hear())["type"] == "welcome"
                with pytest.raises(AlreadyThere):
                    here.desk.attach(elsewhere)
                assert (await here.enter("a", "buy", 5, "95.00"))[0] == 201
                for one in (stream, second):
                    assert (await one.hear())["client_order_id"] == "a"
            await until(lambda: not here.desk.connected)

    run(test())


def test_streams_and_commands_of_a_login_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "OPS_PER_SECOND", 0)
    limits = Limits(messages_per_second=0, burst=3, under_way=2, connections=1)

    async def test() -> None:
        known = users(carol=Login(3, "carol", limits=limits))
        async with (
            gate(known=known) as here,
            here.stream("carol") as stream,
            here.stream("carol") as second,
        ):
            assert (await stream.hear())["type"] == "welcome"
            assert (await second.hear())["code"] == "full"
            for name in "abc":
                await entered(stream, name)
            await stream.say("order", client_order_id="d", **NEW)
            error = (await stream.hear())["error"]
            assert error["code"] == "throttled" and error["retry_after_ms"] == 3_600_000
            status, said = await here.enter("e", "buy", 1, "95.00", user="carol")
            assert (status, said["error"]["code"]) == (429, "throttled")
            assert here.headers["Retry-After"] == "3600"
            for name in "abc":  # cancels have their own share
                await stream.say("cancel", client_order_id=name)
                assert (await stream.hear())["kind"] == "cancelled"
            for _ in range(streams.OPS_BURST + 50):
                await stream.say("ping")
            assert (await stream.until("bye"))[-1]["code"] == "too_many"

    run(test())


def test_orders_of_a_client_that_is_gone_are_cancelled() -> None:
    gone = Login(3, "gone", account=3, cancel_on_disconnect=True)

    async def test() -> None:
        engine = Engine.memory(instruments=[ANA])
        async with gate(engine, users(gone=gone)) as here:
            status, said = await here.enter("a", "buy", 5, "95.00", user="gone")
            assert (status, said["error"]["code"]) == (409, "stream_needed")
            async with here.stream("gone") as stream:
                await stream.hear()
                await entered(stream, "a", "b")
                assert (await here.enter("c", "buy", 5, "95.00", user="gone"))[0] == 201
            await until(lambda: here.desk.reports.last(3) == 6)
            said = (await here.ask("GET", "/reports?after=3", user="gone"))[1]["reports"]
            assert [(one["kind"], one["unsolicited"]) for one in said] == [("cancelled", True)] * 3
            assert [one["client_order_id"] for one in said] == ["a", "b", "c"]

    run(test())


def test_a_gateway_that_closes_says_so() -> None:
    async def test() -> None:
        async with gate() as here:
            async with here.stream() as stream:
                await stream.hear()
                draining = asyncio.ensure_future(here.door.drain())
                assert (await stream.hear())["code"] == "dropped"
                await draining
            assert not here.desk.connected

    run(test())


def test_a_slow_client_hears_of_the_day_before_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIVE_MAX", 0)

    async def test() -> None:
        async with gate() as here:
            for name in "abc":
                await here.enter(name, "buy", 1, "95.00")
            await end_day(here.desk)
            await here.enter("d", "buy", 1, "95.00")
            async with here.stream(query="?after=1&day=0") as stream:
                heard = await stream.until("day_ended")
                assert [one.get("client_order_id") for one in heard] == [None, "b", "c", None]
                assert (await stream.hear())["client_order_id"] == "d"
            await end_day(here.desk)
            async with here.stream(query="?after=1&day=0") as stream:
                welcome = await stream.hear()
                assert (welcome["resumed"], welcome["day"]) == (False, 2)

    run(test())


def test_another_gateway_answers_and_tells_the_same(tmp_path: Path) -> None:
    engine = Engine.open(tmp_path / "e", instruments=[ANA], policy="os")

    async def test() -> None:
        async with gate(engine) as one, gate(engine) as two:
            first = await one.enter("a", "buy", 5, "95.00")
            await one.enter("b", "sell", 2, "95.00", user="bob")
            await until(lambda: two.desk.reports.last(1) == 2)
            status, said = await two.enter("a", "buy", 5, "95.00")  # its answer was lost
            assert (status, said["repeated"], said["order"]["left"]) == (200, True, 3)
            assert said["reports"] == first[1]["reports"]
            told = []
            for here, after in ((one, 0), (two, 0), (two, 1)):
                async with here.stream(query=f"?after={after}&day=0") as stream:
                    await stream.hear()
                    told.append([await stream.hear() for _ in range(2 - after)])
            assert told[0] == told[1] and told[2] == told[1][1:]
            status, said = await two.ask("DELETE", "/orders/a")
            assert (status, said["order"]["filled"]) == (200, 2)

    with engine:
        run(test())
