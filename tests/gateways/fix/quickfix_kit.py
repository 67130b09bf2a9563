"""QuickFIX as a client: its own engine, store and dictionary, in threads of its own."""

from __future__ import annotations

import importlib.util
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

fix = pytest.importorskip("quickfix", reason="no QuickFIX: pip install quickfix-tls")
WAIT_SECONDS = 20.0


def dictionaries() -> Path:
    """Where the dictionaries are that QuickFIX checks messages with."""
    found = importlib.util.find_spec("fixcore")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no dictionaries: pip install fixcore-engine")
    return Path(found.submodule_search_locations[0]) / "specs"


SETTINGS = """
[DEFAULT]
ConnectionType=initiator
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
HeartBtInt=10
ReconnectInterval=1
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=Y
ValidateUserDefinedFields=Y
ValidateFieldsHaveValues=Y
ValidateFieldsOutOfOrder=Y
CheckLatency=N
{more}
[SESSION]
SenderCompID={user}
TargetCompID=MATCHCORE
"""
FIX44 = "BeginString=FIX.4.4\nDataDictionary={specs}/FIX44.xml\n"
FIXT = (
    "BeginString=FIXT.1.1\nDefaultApplVerID=FIX.5.0SP2\n"
    "TransportDataDictionary={specs}/FIXT11.xml\nAppDataDictionary={specs}/FIX50SP2.xml\n"
)


def fields_of(message: Any) -> dict[int, str]:
    pairs = (part.split("=", 1) for part in message.toString().split("\x01") if part)
    return {int(tag): value for tag, value in pairs}


class Trader(fix.Application):  # type: ignore[misc]  # the module has no types
    """Keeps what it is told."""

    def __init__(self, password: str = "secret") -> None:
        super().__init__()
        self.password = password
        self.said: queue.Queue[dict[int, str]] = queue.Queue()
        self.admin: queue.Queue[dict[int, str]] = queue.Queue()
        self.states: queue.Queue[str] = queue.Queue()
        self.session: Any = None

    def onCreate(self, session: Any) -> None:
        self.session = session

    def onLogon(self, session: Any) -> None:
        self.states.put("on")

    def onLogout(self, session: Any) -> None:
        self.states.put("off")

    def toAdmin(self, message: Any, session: Any) -> None:
        if fields_of(message)[35] == "A":
            message.setField(554, self.password)
        if fields_of(message)[35] == "3":  # it refuses what it was sent
            self.said.put({**fields_of(message), 0: "refused"})

    def toApp(self, message: Any, session: Any) -> None:
        if fields_of(message)[35] == "j":
            self.said.put({**fields_of(message), 0: "refused"})

    def fromAdmin(self, message: Any, session: Any) -> None:
        self.admin.put(fields_of(message))

    def fromApp(self, message: Any, session: Any) -> None:
        self.said.put(fields_of(message))

    # ------------------------------------------------------------------

    def send(self, kind: str, values: dict[int, Any]) -> None:
        message = fix.Message()
        message.getHeader().setField(35, kind)
        for tag, value in values.items():
            message.setField(tag, str(value))
        assert fix.Session.sendToTarget(message, self.session)

    def order(self, id: str, **fields: Any) -> None:
        values = {11: id, 21: 1, 55: "ANA", 54: 1, 38: 10, 40: 2, 44: "1.00", 59: 1, 60: now()}
        self.send("D", {**values, **{int(name[1:]): value for name, value in fields.items()}})

    def next(self) -> dict[int, str]:
        said = self.said.get(timeout=WAIT_SECONDS)
        assert said.get(0) != "refused", said
        return said

    def next_admin(self, kind: str) -> dict[int, str]:
        while True:
            said = self.admin.get(timeout=WAIT_SECONDS)
            if said[35] == kind:
                return said

    def forget(self, expected: int) -> None:
        """Is to expect 2 at the next Logon, once it has taken the message before ``expected``."""
        session = fix.Session.lookupSession(self.session)
        deadline = time.monotonic() + WAIT_SECONDS
        while session.getExpectedTargetNum() != expected:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        session.setNextTargetMsgSeqNum(1)  # and the Logout makes it 2

    def is_now(self, state: str) -> None:
        while self.states.get(timeout=WAIT_SECONDS) != state:
            pass


def now() -> str:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


@contextmanager
def trading(
    port: int, place: Path, user: str = "ALICE", version: str = FIX44, more: str = ""
) -> Iterator[Trader]:
    """A QuickFIX initiator that has logged on, with its numbers in files of ``place``."""
    place.mkdir(parents=True, exist_ok=True)
    config = place / "quickfix.cfg"
    text = version.format(specs=dictionaries()) + more + f"\nFileStorePath={place / 'store'}"
    config.write_text(SETTINGS.format(port=port, user=user, more=text))
    trader = Trader()
    settings = fix.SessionSettings(str(config))
    logs = fix.FileLogFactory(str(place / "log"))
    initiator = fix.SocketInitiator(trader, fix.FileStoreFactory(settings), settings, logs)
    initiator.start()
    try:
        trader.is_now("on")
        yield trader
    finally:
        initiator.stop()
