"""Clients that log in with a certificate, at each door, and lose it."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from certificates import Certificates
from gateway_kit import ANA, Served, until

from matchcore import Engine
from matchcore.cli.tls import door_tls
from matchcore.errors import InvalidArgument
from matchcore.gateways.desk import Desk
from matchcore.gateways.fix import FixDoor
from matchcore.gateways.fix.plain import build, time_text
from matchcore.gateways.logins import Grant, LoginRefused
from matchcore.gateways.ouch.door import OuchDoor
from matchcore.gateways.presence import commands_of
from matchcore.gateways.users import RegisteredUsers, editing
from matchcore.gateways.users.entries import Entry
from matchcore.gateways.ways import Direct
from matchcore.gateways.web.door import WebDoor
from matchcore.serving.certificates import fingerprint_of

WAIT_SECONDS = 30.0
HOST = "127.0.0.1"
SOUP_LOGIN = b"\x00\x2fL" + b"alice ".ljust(16) + b" " * 10 + b"0".rjust(20)


def context(papers: Certificates, *, required: bool = False) -> ssl.SSLContext:
    found = door_tls("x", {"x_cert": papers.server, "x_key": papers.key, "x_client_ca": papers.ca,
                           "x_client_required": required})  # fmt: skip
    assert found is not None
    return found


def client_of(papers: Certificates, name: str = "") -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=papers.ca)
    if name:
        found.load_cert_chain(*papers.client(name))
    return found


def known(engine: Engine, papers: Certificates) -> RegisteredUsers:
    """alice, who has a certificate."""
    users = RegisteredUsers()
    papers.client("alice")
    mark = fingerprint_of((papers.ca.parent / "alice.pem").read_text())
    for edit in (
        lambda: editing.add(users, "alice", account=1),
        lambda: editing.grant(users, "alice", Grant()),
        lambda: editing.certificate(users, "alice", mark, time.time_ns()),
    ):
        entries = edit()
        engine.submit_batch(commands_of(entries))
        for entry in entries:
            users.take(entry)
    with pytest.raises(InvalidArgument, match="has it already"):
        editing.certificate(users, "alice", mark, time.time_ns())
    return users


def fix_logon() -> bytes:
    now = time_text(time.time_ns(), 3).decode()
    body = f"35=A\x0149=alice\x0156=MATCHCORE\x0134=1\x0152={now}\x0198=0\x01108=30\x01"
    return build(b"FIX.4.4", body.encode())


async def said(port: int, tls: ssl.SSLContext, data: bytes, marks: tuple[bytes, ...]) -> bytes:
    """Which of the marks the first answer has; empty if the server closes, or refuses TLS."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=tls)
        writer.write(data)
        heard = b""
        while not any(mark in heard for mark in marks):
            more = await asyncio.wait_for(reader.read(4096), WAIT_SECONDS)
            if not more:
                return b""
            heard += more
        writer.transport.abort()
        return next(mark for mark in marks if mark in heard)
    except (ssl.SSLError, ConnectionError):
        return b""


async def asked(door: WebDoor, tls: ssl.SSLContext) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{door.url}/me", ssl=tls) as answer:
        return answer.status


def test_a_certificate_takes_the_place_of_a_password(tmp_path: Path) -> None:
    async def work() -> None:
        papers, engine = Certificates(tmp_path / "papers"), Engine.memory(instruments=[ANA])
        users = known(engine, papers)
        alice = ssl.create_default_context(cafile=papers.ca)
        alice.load_cert_chain(papers.ca.parent / "alice.pem", papers.ca.parent / "alice.key")
        bob, nobody = client_of(papers, "bob"), client_of(papers)
        fix = FixDoor(HOST, 0, tmp_path / "fix", tls=context(papers))
        ouch, opened = OuchDoor(HOST, 0, tls=context(papers)), asyncio.Event()
        web = WebDoor(HOST, 0, tls=context(papers), started=lambda _: opened.set())
        desk = Desk(Direct(engine), users)
        async with Served(desk, fix, ouch, web):
            await asyncio.wait_for(opened.wait(), WAIT_SECONDS)
            ports = fix.address[1], ouch.address[1]
            for tls, good in ((alice, True), (bob, False), (nobody, False)):
                assert await said(ports[0], tls, fix_logon(), (b"35=A",)) == b"35=A" * good
                await until(lambda: not desk.connected)
                mark = await said(ports[1], tls, SOUP_LOGIN, (b"\x1fA", b"\x02J"))
                assert mark == (b"\x1fA" if good else b"\x02J")
                await until(lambda: not desk.connected)
                assert await asked(web, tls) == (200 if good else 401)
            # the log takes it away
            entries = editing.revoke(users, "alice", secret=0)
            desk._forward(np.concatenate([commands_of(entries)]))
            await until(lambda: not users.secrets[1])
            assert await asked(web, alice) == 401
        users.close()

    asyncio.run(asyncio.wait_for(work(), 3 * WAIT_SECONDS))


def test_a_door_that_requires_one_lets_nobody_else_connect(tmp_path: Path) -> None:
    async def work() -> None:
        papers, engine = Certificates(tmp_path / "papers"), Engine.memory(instruments=[ANA])
        users = known(engine, papers)
        ouch = OuchDoor(HOST, 0, tls=context(papers, required=True))
        async with Served(Desk(Direct(engine), users), ouch):
            await until(lambda: not ouch.closed)
            assert await said(ouch.address[1], client_of(papers), SOUP_LOGIN, (b"J", b"A")) == b""
        users.close()

    asyncio.run(asyncio.wait_for(work(), 3 * WAIT_SECONDS))


def test_a_certificate_is_of_its_user_and_no_password(tmp_path: Path) -> None:
    async def work() -> None:
        papers, engine = Certificates(tmp_path / "papers"), Engine.memory(instruments=[ANA])
        users = known(engine, papers)
        users.take(Entry(*editing.add(users, "carol")[0]))
        mark = fingerprint_of((papers.ca.parent / "alice.pem").read_text())
        assert (await users.login("", "", "here", mark)).user == "alice"
        for user, secret in (("carol", ""), ("alice", "wrong word"), ("alice", mark.hex())):
            with pytest.raises(LoginRefused):
                await users.login(user, secret, "here", mark)
        with pytest.raises(LoginRefused):
            await users.login("alice", "", "here")
        users.close()

    asyncio.run(work())


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n\xff", "x" * 1000])
def test_what_is_no_certificate_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match="no certificate"):
        fingerprint_of(text)
