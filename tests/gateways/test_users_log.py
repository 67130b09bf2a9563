"""Users in the log of a running exchange: a change is known at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import numpy as np
import pytest
from gateway_kit import ANA, until
from web_gate_kit import gate, run

from matchcore import COMMAND, Engine, encode
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import Action, Grant
from matchcore.gateways.users import Entry, RegisteredUsers, editing, entries_of
from matchcore.records.operating import Register

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def hashes_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt as it is, at a cost that nobody should use."""
    monkeypatch.setattr(editing, "COST_LOG2", 2)


async def put(desk: Desk, entries: Iterable[Entry]) -> None:
    """As the engine's operator does; the log then says it."""
    made = [encode(Register(*entry), desk.instruments) for entry in entries]
    commands, before = np.concatenate(made).astype(COMMAND), desk.sequence
    desk._way.send(commands)
    await until(lambda: desk.sequence >= before + len(made))


def known() -> RegisteredUsers:
    users = RegisteredUsers()
    for entry in editing.add(users, "alice", account=7):
        users.take(entry)
    grants = editing.grant(users, "alice", Grant(Action.TRADE | Action.READ, 7, 7))
    for entry in (*editing.password(users, "alice", PASSWORD, 1), *grants):
        users.take(entry)
    return users


def test_who_is_revoked_is_out_at_once() -> None:
    async def test() -> None:
        users = known()
        async with gate(Engine.memory(instruments=[ANA]), users) as here:
            token, entries = editing.token(users, "alice", 1)
            await put(here.desk, entries)
            assert (await here.enter("a", "buy", 5, "95.00", user=token))[0] == 201
            assert (await here.enter("b", "buy", 5, "95.00", user=token, account=8))[0] == 403
            await put(here.desk, editing.grant(users, "alice", Grant(Action.TRADE, 8, 8)))
            assert (await here.enter("b", "buy", 5, "95.00", user=token, account=8))[0] == 201
            async with here.stream(token) as stream:
                await stream.hear()
                await put(here.desk, editing.revoke(users, "alice", secret=1))
                bye = await stream.hear()
                assert (bye["type"], bye["code"]) == ("bye", "dropped")
                assert "revoked" in bye["reason"]
            assert (await here.ask("GET", "/me", user=token))[0] == 401
            async with here.stream("") as stream:
                await stream.say("login", user="alice", password=PASSWORD)
                assert (await stream.hear())["user"] == "alice"
                await put(here.desk, editing.revoke(users, "alice"))
                assert (await stream.until("bye"))[-1]["code"] == "dropped"
        users.close()

    run(test())


def test_what_the_machine_refused_is_not_taken() -> None:
    async def test() -> None:
        users = RegisteredUsers()
        async with gate(Engine.memory(instruments=[ANA]), users) as here:
            good = editing.add(RegisteredUsers(), "alice")[0]
            rows = [encode(Register(*good), here.desk.instruments) for _ in range(3)]
            commands = np.concatenate(rows)
            commands[0]["side"] = 0  # the byte of the topic: 0 is none
            commands[2]["side"] = 0
            engine = here.desk._way._engine  # type: ignore[attr-defined]  # of `Direct`
            here.desk._way.send(commands[:1])
            await until(lambda: here.desk.sequence == engine.sequence > 1)
            assert not users.users
            here.desk._way.send(commands)
            await until(lambda: len(users.users) == 1)
            assert entries_of(engine.register()) == [good]
            await asyncio.sleep(0)

    run(test())
