"""Clients that do harm: to themselves only."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_kit import Client, Serving, users

from matchcore.gateways.fix import Settings
from matchcore.gateways.fix.connection import INPUT_BYTES_MAX
from matchcore.gateways.fix.plain import time_text
from matchcore.gateways.fix.store import InUse, Store
from matchcore.gateways.logins import Action, FixedUsers, Login


@pytest.fixture(params=["asyncio", "uvloop"])
def serving(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serving]:
    run = pytest.importorskip(request.param, reason="no uvloop here: pip install uvloop").run
    with Serving(tmp_path / "state", Settings(reset=True), run=run) as found:
        yield found


def test_anything_may_come_and_others_do_not_notice(serving: Serving) -> None:
    chosen = random.Random(5)
    with Client(serving.port, "BOB") as bob:
        bob.log_on(1)
        for number in range(60):
            with Client(serving.port) as client, contextlib.suppress(ConnectionError, EOFError):
                if number % 3:
                    client.log_on(1, _141="Y")
                good = client.message("D", client.order_fields(f"x{number}"), number=2)
                junk = bytearray(good * 3)
                for _ in range(chosen.randint(1, 20)):
                    junk[chosen.randrange(len(junk))] = chosen.randrange(256)
                client.socket.sendall(junk[: chosen.randint(1, len(junk))])
                client.socket.sendall(chosen.randbytes(chosen.randint(0, 500)))
                client.send("5", number=3)
                with contextlib.suppress(OSError):  # it may be closed already
                    client.socket.shutdown(socket.SHUT_WR)
                while True:
                    client.receive()
        bob.order("1")
        assert bob.next("8")[11] == "1"


def test_a_stranger_that_says_too_much_is_cut_off(serving: Serving) -> None:
    with Client(serving.port) as client:
        begin = b"8=FIX.4.4\x019=8000\x0135=A\x01"
        with contextlib.suppress(ConnectionError):
            client.socket.sendall(begin + b"x" * (2 * INPUT_BYTES_MAX))
        with pytest.raises((EOFError, ConnectionError, AssertionError)):
            client.receive()


def test_who_only_connects_shuts_nobody_out(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matchcore.gateways.fix.door.CONNECTIONS_MAX", 4)
    with contextlib.ExitStack() as stack:
        alice = stack.enter_context(Client(serving.port))
        alice.log_on(1)
        strangers = [stack.enter_context(Client(serving.port)) for _ in range(9)]
        assert all(stranger.ends() for stranger in strangers[:6])
        bob = stack.enter_context(Client(serving.port, "BOB"))
        bob.log_on(1)
        assert strangers[6].ends()
        alice.order("1")
        assert alice.next("8")[11] == "1"
        carol = stack.enter_context(Client(serving.port, "CAROL"))
        carol.log_on(1)
        assert serving.door.sessions == 4


def test_too_many_requests_for_old_messages_end_the_session(serving: Serving) -> None:
    with Client(serving.port) as client:
        client.log_on(1)
        asked = [client.message("2", {7: 1, 16: 0}) for _ in range(20)]
        client.socket.sendall(b"".join(asked))
        assert "too many ResendRequests" in client.next("5")[58]
        assert client.ends()


def test_too_much_garbage_ends_the_session(serving: Serving) -> None:
    with Client(serving.port) as client:
        client.log_on(1)
        client.socket.sendall(b"8=FIX.4.4\x01x" * 200)
        assert "no message" in client.next("5")[58]


def test_a_client_that_does_not_read_gets_everything_later(serving: Serving) -> None:
    """What it does not read is bounded; then it reads on and has missed nothing."""
    with Client(serving.port) as client:
        client.log_on(1)
        count = 6000
        for at in range(0, count, 100):
            client.socket.sendall(
                b"".join(client.message("D", client.order_fields(f"n{at + n}")) for n in range(100))
            )
        assert [client.next("8")[11] for _ in range(count)] == [f"n{n}" for n in range(count)]


def test_orders_that_follow_each_other_need_not_wait(serving: Serving) -> None:
    """Orders, changes of them and cancels in one write."""
    with Client(serving.port) as client:
        client.log_on(1)
        about = {55: "ANA", 54: 1, 60: time_text(Serving._now(), 3).decode()}
        change = {**about, 40: 2, 44: "1.00"}
        client.socket.sendall(
            client.message("D", client.order_fields("a", quantity=100))
            + client.message("G", {**change, 11: "b", 41: "a", 38: 60})
            + client.message("G", {**change, 11: "c", 41: "b", 38: 50})
            + client.message("F", {**about, 11: "d", 41: "c"})
            + client.message("F", {**about, 11: "e", 41: "nothing"})
            + client.message("H", {11: "a", 55: "ANA", 54: 1})
        )
        told = [client.receive() for _ in range(6)]
        refused = [one for one in told if one[35] == "9"]
        told = [one for one in told if one[35] == "8"]
        assert [(one[150], one[11], one[38]) for one in told[:4]] == [
            ("0", "a", "100"), ("5", "b", "60"), ("5", "c", "50"), ("4", "d", "50"),
        ]  # fmt: skip
        assert told[4][150] == "I" and told[4][39] == "4"
        assert [one[41] for one in refused] == ["nothing"]


def test_a_replace_never_adds_what_has_traded(serving: Serving) -> None:
    with Client(serving.port) as client, Client(serving.port, "BOB") as bob:
        client.log_on(1)
        bob.log_on(1)
        client.order("a", quantity=100)
        client.next("8")
        bob.order("b", side=2, quantity=30)
        assert client.next("8")[151] == "70"
        change = {55: "ANA", 54: 1, 40: 2, 44: "1.00", 60: time_text(Serving._now(), 3).decode()}
        client.send("G", {**change, 11: "c", 41: "a", 38: 120})
        assert [client.receive()[tag] for tag in (38,)] == ["120"]
        client.send("G", {**change, 11: "d", 41: "c", 38: 20})
        assert [client.next("9")[tag] for tag in (102,)] == ["0"]
        client.send("G", {**change, 11: "e", 41: "c", 38: 30})
        told = client.next("8")
        assert (told[150], told[151], told[14]) == ("4", "0", "30")


def test_a_drop_copy_hears_of_accounts_and_can_not_trade(tmp_path: Path) -> None:
    known = dict(users()._known)
    known["DROP", "secret"] = Login(
        9, "DROP", account=1, accounts=frozenset({1, 2}), may=Action.READ | Action.DROP_COPY
    )
    with (
        Serving(tmp_path, known=FixedUsers(known)) as serving,
        Client(serving.port) as alice,
        Client(serving.port, "CAROL") as carol,
    ):
        alice.log_on(1)
        carol.log_on(1)
        alice.order("before")
        alice.next("8")
        carol.order("other")
        carol.next("8")
        with Client(serving.port, "DROP") as drop:
            drop.log_on(1)
            copied = drop.next("8")
            assert (copied[11], copied[1], copied[797]) == ("before", "1", "Y")
            alice.order("after")
            alice.next("8")
            assert drop.next("8")[11] == "after"
            drop.order("mine")
            refused = drop.next("8")
            assert (refused[150], refused[39], 797 in refused) == ("8", "8", False)
            drop.send("2", {7: 1, 16: 0})
            again = [drop.receive() for _ in range(4)]
            assert [one[35] for one in again] == ["4", "8", "8", "8"]


def test_a_store_is_locked_and_survives_its_process(tmp_path: Path) -> None:
    store = Store(tmp_path, 7, 0)
    assert store.lost
    store.number()
    assert store.number_reports(1, 3, False) == 2
    assert store.number_reports(4, 2, False) == 5
    assert store.number_text(b"j\x0158=x") == 7
    store.save(4)
    with pytest.raises(InUse):
        Store(tmp_path, 7, 0)
    script = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from matchcore.gateways.fix.store import Store
        store = Store(Path({str(tmp_path)!r}), 8, 0)
        store.number(); store.number_reports(1, 5, False); store.save(3)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    other = Store(tmp_path, 8, 0)
    assert (other.lost, other.expected, other.next, other.told) == (False, 3, 7, 5)
    other.close(3)
    store.close(4)
    again = Store(tmp_path, 7, 0)
    assert (again.expected, again.next, again.told, again.lost) == (4, 8, 5, False)
    found = again.entry_from(3)
    assert found is not None and (found.first, found.count, found.report) == (2, 5, 1)
    assert again.entry_from(1) is found and again.entry_from(8) is None
    again.close(4)
    later = Store(tmp_path, 7, 1)
    assert (later.expected, later.next, later.told, later.lost) == (1, 1, 0, False)
    later.close(1)


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"x" * 72, None])
def test_a_damaged_store_is_lost(tmp_path: Path, damage: bytes | None) -> None:
    store = Store(tmp_path, 7, 0)
    store.number_reports(1, 3, False)
    store.close(4)
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    file.write_bytes(damage if damage is not None else data[:20] + b"\xff" + data[21:])
    again = Store(tmp_path, 7, 0)
    assert again.lost and (again.expected, again.next) == (1, 1)
    again.close(1)


def test_a_file_of_another_boot_counts_only_if_it_was_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, 7, 0)
    store.number()
    store.save(2)
    os.close(store._file)  # as when the machine goes down
    monkeypatch.setattr("matchcore.gateways.fix.store._boot", lambda: bytes(range(16)))
    again = Store(tmp_path, 7, 0)
    assert again.lost
    again.number()
    again.close(2)
    monkeypatch.undo()
    assert not Store(tmp_path, 7, 0).lost
