"""A second engine of others as the client: fixcore, in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_kit import Serving
from quickfix_kit import now

pytest.importorskip("fixcore", reason="no fixcore here: pip install fixcore-engine")

from fixcore.application import Application
from fixcore.message.message import Message
from fixcore.session.session_id import SessionID
from fixcore.session.session_settings import SessionSettings
from fixcore.transport.initiator import SocketInitiator

WAIT_SECONDS = 20.0
SETTINGS = """[DEFAULT]
ConnectionType=initiator
HeartBtInt=10
ReconnectInterval=1
UseDataDictionary=Y
DataDictionary=FIX44.xml
FileStorePath={place}
[SESSION]
BeginString=FIX.4.4
SenderCompID=ALICE
TargetCompID=MATCHCORE
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
"""


class Trader(Application):  # type: ignore[misc]  # the package has no types
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.on, self.said = asyncio.Event(), asyncio.Queue[Message]()

    def on_logon(self, session_id: SessionID) -> None:
        self.on.set()

    def to_admin(self, message: Message, session_id: SessionID) -> None:
        if message.get(35) == "A" or getattr(message, "msg_type", "") == "A":
            message.set_field(554, "secret")

    def from_app(self, message: Message, session_id: SessionID) -> None:
        self.said.put_nowait(message)

    async def next(self) -> Message:
        return await asyncio.wait_for(self.said.get(), WAIT_SECONDS)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with Serving(tmp_path / "state") as found:
        yield found


def order(id: str) -> Message:
    message = Message()
    message.header.set(35, "D")
    values = {11: id, 55: "ANA", 54: 1, 38: 10, 40: 2, 44: "1.00", 59: 1, 60: now()}
    for tag, value in values.items():
        message.set_field(tag, str(value))
    return message


def test_fixcore_trades_and_comes_back(serving: Serving, tmp_path: Path) -> None:
    config = tmp_path / "fixcore.cfg"
    config.write_text(SETTINGS.format(port=serving.port, place=tmp_path / "store"))

    async def trade(id: str) -> None:
        trader = Trader()
        initiator = SocketInitiator(SessionSettings.from_file(str(config)), trader)
        await initiator.start()
        try:
            await asyncio.wait_for(trader.on.wait(), WAIT_SECONDS)
            (session,) = initiator.sessions.values()
            await session.send_app(order(id))
            told = await trader.next()
            assert (told.get(11), told.get(150), told.get(39)) == (id, "0", "0")
        finally:
            await initiator.stop()
            for session in initiator.sessions.values():
                session.close()  # else the files of its store stay open

    for id in ("first", "second", "third"):
        asyncio.run(trade(id))
