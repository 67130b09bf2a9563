"""Clients over real sockets: what they send, what they hear, and what they cannot spoil."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from gateway_kit import ANA, Served, until
from ouch_kit import answer, packet, request

from matchcore import COMMAND, ChangeInstrument, Engine, Instrument, Kind, encode
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import FixedUsers, Grant, Limits, Login
from matchcore.gateways.ouch import layout, names
from matchcore.gateways.ouch.door import OuchDoor
from matchcore.gateways.ways import Direct
from matchcore.serving import soup

HOST, PATIENCE = "127.0.0.1", 20.0


class Client:
    """One connection, which keeps all that it has heard."""

    opened: ClassVar[list[Client]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened.append(self)
        self._reader, self._writer = reader, writer
        self.number = 0  # of the next sequenced message
        self.exchanged: list[tuple[bool, bytes]] = []
        self.unsequenced: list[bytes] = []

    @classmethod
    async def connect(cls, door: OuchDoor) -> Client:
        return cls(*await asyncio.open_connection(*door.address))

    @classmethod
    async def logged_in(cls, door: OuchDoor, user: str = "user1", **more: Any) -> Client:
        client = await cls.connect(door)
        kind, payload = await client.login(user, **more)
        assert kind == b"A", payload
        return client

    def send(self, *data: bytes) -> None:
        together = b"".join(data)
        self.exchanged.append((True, together))
        self._writer.write(together)

    async def packet(self) -> tuple[bytes, bytes]:
        """The next one: type and payload; (b"", b"") behind the last."""

        async def read() -> tuple[bytes, bytes]:
            head = await self._reader.readexactly(2)
            body = await self._reader.readexactly(int.from_bytes(head, "big"))
            self.exchanged.append((False, head + body))
            return body[:1], body[1:]

        try:
            return await asyncio.wait_for(read(), PATIENCE)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b"", b""

    async def login(
        self, user: str = "user1", password: str = "secret", session: str = "", number: Any = 0
    ) -> tuple[bytes, bytes]:
        fields = user.ljust(6) + password.ljust(10) + session.rjust(10) + str(number).rjust(20)
        self.send(packet(b"L", fields.encode()))
        while (said := await self.packet())[0] == b"+":
            pass
        if said[0] == b"A":
            self.number = int(said[1][10:])
        return said

    async def answers(self, count: int) -> list[dict[str, Any]]:
        """So many sequenced messages; fewer if the connection ends before."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            kind, payload = await self.packet()
            if kind in (b"", b"Z"):
                break
            if kind == b"S":
                self.number += 1
                found.append(answer(payload))
            elif kind == b"U":
                self.unsequenced.append(payload)
        return found

    async def bytes(self, count: int) -> bytes:
        """So many, as they come."""
        return await asyncio.wait_for(self._reader.readexactly(count), PATIENCE)

    async def rest(self) -> list[tuple[bytes, bytes]]:
        """All packets until the connection ends."""
        found = []
        while (said := await self.packet())[0]:
            found.append(said)
        return found

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def login(session: int, **more: Any) -> Login:
    return Login(session, f"user{session}", account=session, **more)


def users(count: int = 3, **more: Any) -> FixedUsers:
    return FixedUsers({(f"user{n}", "secret"): login(n, **more) for n in range(1, count + 1)})


@asynccontextmanager
async def served(engine: Engine | None = None, **more: Any) -> AsyncIterator[tuple[Desk, OuchDoor]]:
    engine = engine or Engine.memory(instruments=[ANA, Instrument("FINE", "0.0000001")])
    door = OuchDoor(HOST, 0)
    desk = Desk(Direct(engine), users(**more))
    async with Served(desk, door):
        await until(lambda: not door.closed)
        try:
            yield desk, door
        finally:
            while Client.opened:
                await Client.opened.pop().close()
    desk.reports.close()


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 3 * PATIENCE))


def test_two_clients_trade() -> None:
    async def test() -> None:
        async with served() as (_, door):
            ana, bob = await Client.logged_in(door), await Client.logged_in(door, "user2")
            ana.send(request(b"O", user_ref=1, side=b"S", quantity=30, price=957_000))
            assert [one["type"] for one in await ana.answers(1)] == [b"A"]
            bob.send(request(b"O", user_ref=1, quantity=10, price=957_000, time_in_force=b"3"))
            assert [one["type"] for one in await bob.answers(2)] == [b"A", b"E"]
            ana.send(request(b"X", user_ref=1, quantity=0))
            traded, gone = await ana.answers(2)
            assert (traded["type"], traded["quantity"], traded["price"]) == (b"E", 10, 957_000)
            assert (gone["type"], gone["quantity"], gone["reason"]) == (b"C", 20, b"U")
            assert ana.number == 4

    run(test())


def test_two_clients_trade_in_the_loop_of_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is missing (extra gateway)")

    async def test() -> None:
        async with served() as (_, door):
            ana = await Client.logged_in(door)
            ana.send(request(b"O", user_ref=1, price=10_000), request(b"X", user_ref=1, quantity=0))
            assert [one["type"] for one in await ana.answers(2)] == [b"A", b"C"]
            ana.send(packet(b"U", b"?"))
            assert (await ana.rest())[0][0] == b"+"

    uvloop.run(test())


def test_what_another_door_does_with_an_order_is_told() -> None:
    async def test() -> None:
        async with served() as (desk, door):
            ana = await Client.logged_in(door)
            ana.send(request(b"O", user_ref=7, quantity=100, price=10_000, cl_ord_id=b"MINE"))
            (accepted,) = await ana.answers(1)
            change = np.zeros(3, COMMAND)
            change["kind"] = Kind.REDUCE, Kind.REDUCE, Kind.CANCEL
            change["instrument"], change["account"], change["quantity"] = 1, 1, 30
            change["order_id"] = accepted["order_reference"]
            change["session"] = 2, 1, 2  # another login; the same by another door; another login
            change["client_order_id"] = [2**63, 2**63 + 1, 2**63 + 2]
            change["client_order_tail"] = 9
            desk._forward(change)
            other, same, gone = await ana.answers(3)
            assert (other["type"], other["original_ref"], other["user_ref"]) == (b"U", 7, 7)
            assert (other["quantity"], other["items"]) == (70, {})
            assert (same["type"], same["original_ref"], same["user_ref"]) == (b"U", 7, 7)
            assert same["quantity"] == 40
            assert same["items"] == {layout.CLIENT_ID: struct.pack(">QQ", 2**63 + 1, 9)}
            assert (gone["type"], gone["user_ref"], gone["quantity"]) == (b"C", 7, 40)
            assert gone["reason"] == b"S"
            ana.send(request(b"X", user_ref=7, quantity=0))
            assert [one["type"] for one in await ana.answers(1)] == [b"I"]

    run(test())


def test_a_client_that_was_cut_off_goes_on_from_any_number() -> None:
    async def test() -> None:
        async with served() as (_, door):
            ana = await Client.logged_in(door)
            orders = [request(b"O", user_ref=ref, price=10_000) for ref in range(1, 51)]
            ana.send(*orders)
            heard = await ana.answers(50)
            await ana.close()
            await until(lambda: not door.connected)
            again = await Client.logged_in(door, session="0000000000", number=11)
            again.send(*orders[40:], request(b"O", user_ref=51, price=10_000), request(b"Q"))
            resent = await again.answers(41)
            assert resent[:40] == heard[10:] and resent[40]["user_ref"] == 51
            assert door.counts["passed_over"] == 10
            (said,) = again.unsequenced
            assert answer(said)["next_ref"] == 52
            await again.close()
            await until(lambda: not door.connected)
            for wrong in ({"number": 53}, {"session": "0000000001"}, {"number": "x"}):
                client = await Client.connect(door)
                assert await client.login(**wrong) == (b"J", b"S")
                await client.close()

    run(test())


def test_another_gateway_says_the_same_and_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        with Engine.open(tmp_path, instruments=[ANA], policy="os") as engine:
            async with served(engine) as (_, one), served(engine) as (_, other):
                ana = await Client.logged_in(one)
                ana.send(
                    request(b"O", user_ref=1, price=10_000, quantity=100, cl_ord_id=b"ABC"),
                    request(b"U", original_ref=1, user_ref=2, price=11_000, quantity=90),
                    request(b"X", user_ref=2, quantity=80),
                    request(b"O", user_ref=3, price=1, cl_ord_id=b"no tick"),
                )
                heard = await ana.answers(4)
                assert [said["type"] for said in heard] == [b"A", b"U", b"C", b"J"]
                await ana.close()
                await until(lambda: other.desk.reports.last(1) == 4)
                ana = await Client.logged_in(other, number=1)
                assert await ana.answers(4) == heard
                ana.send(
                    request(b"O", user_ref=3, price=10_000),
                    request(b"X", user_ref=2, quantity=0),
                    request(b"O", user_ref=4, price=10_000),
                )
                gone, new = await ana.answers(2)
                assert (gone["type"], gone["user_ref"], gone["quantity"]) == (b"C", 2, 80)
                assert (new["type"], new["user_ref"]) == (b"A", 4)

    run(test())


def test_what_was_under_way_when_a_client_was_cut_off_is_done_once(tmp_path: Path) -> None:
    async def test() -> None:
        orders = [request(b"O", user_ref=ref, price=10_000) for ref in range(1, 801)]
        with Engine.open(tmp_path, instruments=[ANA], policy="os") as engine:
            async with served(engine) as (_, one), served(engine) as (_, other):
                ana = await Client.logged_in(one)
                ana.send(*orders[:500])
                await ana.answers(1)
                await ana.close()
                again = await Client.logged_in(other, number=1)
                again.send(*orders)
                said = await again.answers(800)
                assert sorted(one["user_ref"] for one in said) == list(range(1, 801))
                assert len(engine.book("ANA").orders()) == 800

    run(test())


def test_the_day_ends_and_the_day_before_can_be_read() -> None:
    async def test() -> None:
        engine = Engine.memory(instruments=[ANA])
        async with served(engine) as (desk, door):
            ana = await Client.logged_in(door)
            ana.send(request(b"O", user_ref=1, price=10_000))
            await ana.answers(1)
            end = np.zeros(1, COMMAND)
            end["kind"] = Kind.END_DAY
            desk._forward(end)
            packets = await ana.rest()
            kinds = [kind for kind, _ in packets if kind != b"H"]
            assert kinds == [b"S", b"U", b"Z"]
            assert answer(packets[-3][1])["reason"] == b"T"
            assert answer(packets[-2][1])["event"] == b"E"
            new = await Client.logged_in(door)
            new.send(request(b"O", user_ref=1, price=10_000))
            assert (await new.answers(1))[0]["type"] == b"A"
            old = await Client.logged_in(door, session="0000000000", number=2)
            said = [kind for kind, _ in await old.rest()]
            assert [kind for kind in said if kind != b"H"] == [b"S", b"Z"]

    run(test())


def test_logins_that_are_refused() -> None:
    async def test() -> None:
        async with served() as (_, door):
            first = await Client.logged_in(door)
            for wrong in ({"password": "no"}, {"user": "nobody"}, {}):
                client = await Client.connect(door)
                assert await client.login(**wrong) == (b"J", b"A")
                assert (await client.packet())[0] == b""
                await client.close()
            first.send(request(b"O", user_ref=1, price=10_000))
            assert len(await first.answers(1)) == 1

    run(test())


def test_a_session_number_that_has_no_room() -> None:
    async def test() -> None:
        door = OuchDoor(HOST, 0)
        far = Login(names.SESSION_MAX + 1, "far")
        desk = Desk(Direct(Engine.memory(instruments=[ANA])), FixedUsers({("far", "secret"): far}))
        async with Served(desk, door):
            await until(lambda: not door.closed)
            client = await Client.connect(door)
            assert await client.login("far") == (b"J", b"A")
            await client.close()
        desk.reports.close()

    run(test())


@pytest.mark.parametrize(
    "sent",
    [b"\0\0", packet(b"U"), packet(b"U", b"?" * 9), packet(b"L", b" " * 46), packet(b"S"),
     b"\0\x30U" + b"O" * 47, b"\xff\xffU" + bytes(65534), b"GET / HTTP/1.1\r\n\r\n" * 2000],
    ids=lambda sent: repr(sent[:8]),
)  # fmt: skip
def test_what_is_no_request_closes_only_its_own_connection(sent: bytes) -> None:
    async def test() -> None:
        async with served() as (_, door):
            good, bad = await Client.logged_in(door), await Client.logged_in(door, "user2")
            bad.send(request(b"O", user_ref=1, price=10_000), sent)
            await bad.rest()
            good.send(request(b"O", user_ref=1, price=10_000))
            assert len(await good.answers(1)) == 1
            back = await Client.logged_in(door, "user2", number=1)
            assert (await back.answers(1))[0]["type"] == b"A"

    run(test())


def test_requests_before_a_login_are_no_requests() -> None:
    async def test() -> None:
        async with served() as (desk, door):
            client = await Client.connect(door)
            client.send(request(b"O", user_ref=1, price=10_000))
            assert await client.rest() == []
            assert desk.reports.last(1) == 0
            await client.close()

    run(test())


def test_single_bytes_are_put_together() -> None:
    async def test() -> None:
        async with served() as (_, door):
            client = await Client.logged_in(door)
            for byte in request(b"O", user_ref=1, price=10_000) + packet(b"R"):
                client.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await client.answers(1))[0]["type"] == b"A"
            await client.close()

    run(test())


def test_a_silent_client_is_dropped_and_a_slow_login_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with served() as (_, door):
            monkeypatch.setattr(soup, "LOGIN_SECONDS", 0.0)
            late = await Client.connect(door)
            late.send(packet(b"L")[:2])
            assert await late.rest() == []
            monkeypatch.undo()
            silent = await Client.logged_in(door)
            monkeypatch.setattr(soup, "IDLE_SECONDS", 0.0)
            await silent.rest()
            await until(lambda: not door.connected)

    run(test())


def test_who_never_reads_holds_up_nobody_and_costs_no_memory() -> None:
    async def test() -> None:
        async with served() as (desk, door):
            silent = socket.create_connection(door.address)
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            fields = b"user1 " + b"secret".ljust(10) + b" " * 10 + b"1".rjust(20)
            silent.sendall(struct.pack(">Hc", 47, b"L") + fields)
            await until(lambda: door.connected == 1)
            (session,) = door._sessions
            count = 100_000
            refs = range(1, count + 1)
            data = b"".join(request(b"O", user_ref=ref, price=10_000) for ref in refs)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, silent.sendall, data)
            await until(lambda: desk.reports.last(1) == count)
            transport = session._soup.transport
            await until(lambda: not session._live)
            assert transport.get_write_buffer_size() <= 2 * soup.BUFFER_BYTES_MAX
            other = await Client.logged_in(door, "user2")
            other.send(request(b"O", user_ref=1, price=10_000))
            assert len(await other.answers(1)) == 1
            silent.close()
            await until(lambda: door.connected == 1)
            back = await Client.logged_in(door, number=1)
            size = len(packet(b"S")) + layout.ANSWERS[b"A"].size + 2
            data = await back.bytes(size * count)
            assert [data[at + 2 : at + 4] for at in range(0, len(data), size)] == [b"SA"] * count

    run(test())


def test_questions_of_who_never_reads_cost_no_memory() -> None:
    async def test() -> None:
        async with served() as (_, door):
            client = await Client.logged_in(door)
            (session,) = door._sessions
            for _ in range(200):
                client.send(request(b"Q") * 5000)
                await client._writer.drain()
            client.send(request(b"O", user_ref=1, price=10_000))
            await until(lambda: door.counts["requests"] == 1)
            assert session._soup.transport.get_write_buffer_size() <= soup.BUFFER_BYTES_MAX
            assert len(await client.answers(1)) == 1

    run(test())


def test_who_sends_too_much_is_read_later_and_loses_nothing() -> None:
    async def test() -> None:
        limits = Limits(messages_per_second=2000, burst=20, under_way=10)
        async with served(limits=limits) as (_, door):
            client = await Client.logged_in(door)
            client.send(*(request(b"O", user_ref=ref, price=10_000) for ref in range(1, 201)))
            assert [one["user_ref"] for one in await client.answers(200)] == list(range(1, 201))
            assert door.counts["throttled"] > 0
            await client.close()

    run(test())


def test_what_a_login_has_no_right_to_ends_its_connection() -> None:
    async def test() -> None:
        async with served(grants=(Grant(first=9, last=9),)) as (desk, door):
            client = await Client.logged_in(door)
            client.send(request(b"O", user_ref=1, price=10_000))
            (said,) = await client.rest()
            assert said[0] == b"+" and b"no right" in said[1]
            assert desk.reports.last(1) == 0
            await client.close()

    run(test())


def test_prices_of_older_reports_have_the_tick_of_their_time() -> None:
    async def test() -> None:
        engine = Engine.memory(instruments=[ANA])
        async with served(engine) as (desk, door):
            client = await Client.logged_in(door)
            client.send(request(b"O", user_ref=1, price=10_000, time_in_force=b"3"))
            before = await client.answers(2)
            changed = encode(ChangeInstrument(Instrument("ANA", tick="0.01")), engine.instruments)
            desk._forward(changed.copy())
            await until(lambda: engine.instruments["ANA"].tick != ANA.tick)
            client.send(request(b"O", user_ref=2, price=10_100, time_in_force=b"3"))
            after = await client.answers(2)
            await client.close()
            await until(lambda: not door.connected)
            again = await Client.logged_in(door, number=1)
            assert await again.answers(4) == before + after
            assert (before[0]["price"], after[0]["price"]) == (10_000, 10_100)
            await again.close()

    run(test())


def test_tables_agree_with_the_page() -> None:
    sizes = {letter: known.size for letter, known in layout.REQUESTS.items()}
    assert sizes == {b"O": 45, b"U": 38, b"X": 9, b"M": 10, b"C": 17, b"Q": 1}
    heard = {letter: known.size for letter, known in layout.ANSWERS.items()}
    assert heard == {b"S": 10, b"A": 62, b"U": 66, b"C": 18, b"E": 34, b"J": 29, b"I": 13,
                     b"M": 18, b"B": 36, b"R": 14, b"D": 32, b"X": 25, b"Q": 13}  # fmt: skip
