"""A third engine of others as the client: jspurefix, in TypeScript on Node.

It is not part of CI: Debian's npm needs more than 300 packages.  `MATCHCORE_NPM=DIRECTORY` runs it;
npm installs jspurefix into that directory unless it is there.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from served_kit import cli, free_port, served

import matchcore as mc

PACKAGE = "jspurefix@5.11.4"
UNTIL = "2026-11-28"  # of this day are the newest packages that it may bring along
WAIT_SECONDS = 60.0  # it reads its dictionary first
CLIENT = Path(__file__).parent / "jspurefix_client.cjs"
Said = dict[int, str]
VERSIONS = ("FIX.4.4", "FIXT.1.1")

pytestmark = pytest.mark.skipif(
    "MATCHCORE_NPM" not in os.environ, reason="asked for by MATCHCORE_NPM=DIRECTORY; needs npm"
)


@pytest.fixture(scope="module")
def modules() -> Path:
    """Where jspurefix and what it needs are."""
    place = Path(os.environ["MATCHCORE_NPM"]).absolute()
    if not (place / "node_modules" / "jspurefix").is_dir():
        place.mkdir(parents=True, exist_ok=True)
        line = ["npm", "install", "--prefix", str(place), "--ignore-scripts", "--no-audit"]
        line += ["--no-fund", "--before", UNTIL, PACKAGE]
        subprocess.run(line, check=True)
    return place / "node_modules"


class Client:
    """A process of Node with one session.  ``said`` and ``heard``: fields of its messages."""

    def __init__(self, modules: Path, port: int, user: str, begin: str, store: Path) -> None:
        modern = begin == "FIXT.1.1"
        application = {
            "type": "initiator", "name": user, "protocol": "ascii",
            "dictionary": "qf50sp2" if modern else "qf44",
            "tcp": {"host": "127.0.0.1", "port": port},
        }  # fmt: skip
        description: dict[str, Any] = {
            "application": application, "BeginString": begin, "SenderCompId": user,
            "TargetCompID": "MATCHCORE", "Username": user, "Password": "secret word",
            "HeartBtInt": 30, "ResetSeqNumFlag": False,
        }  # fmt: skip
        if modern:
            description["Logon"] = {"DefaultApplVerID": "9"}
        self.process = subprocess.Popen(
            ["node", str(CLIENT), json.dumps(description), str(store)],
            env={**os.environ, "NODE_PATH": str(modules)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._told: queue.Queue[dict[str, str]] = queue.Queue()
        self.said: list[Said] = []
        self.heard: list[Said] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as told:
            for line in told:
                self._told.put(json.loads(line))

    def do(self, act: str, **more: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"act": act, **more}) + "\n")
        self.process.stdin.flush()

    def send(self, kind: str, fields: dict[str, object]) -> None:
        self.do("send", kind=kind, fields=fields)

    def is_now(self, state: str) -> None:
        while (found := self._next())[0] != "state" or found[1] != state:
            assert not (found[0] == "state" and "Error" in str(found[1])), found

    def hears(self, kind: str) -> Said:
        """The next message of this type; all before it are kept."""
        while (found := self._next())[0] != "heard" or found[1][35] != kind:
            continue
        return found[1]

    def report(self) -> Said:
        """The next ExecutionReport; nothing is refused meanwhile."""
        while True:
            what, found = self._next()
            if what == "heard":
                assert found[35] not in ("3", "5", "j", "9"), found
                if found[35] == "8":
                    return found

    def _next(self) -> tuple[str, Any]:
        ((what, text),) = self._told.get(timeout=WAIT_SECONDS).items()
        if what == "state":
            return what, text
        pairs = (part.split("=", 1) for part in text.split("|") if part)
        found = {int(tag): value for tag, value in pairs}
        (self.heard if what == "heard" else self.said).append(found)
        return what, found

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_SECONDS)
        self._reading.join(WAIT_SECONDS)
        assert self.process.stdin is not None
        self.process.stdin.close()


class Place:
    """A served exchange, and clients of it."""

    def __init__(self, directory: Path, modules: Path, port: int, begin: str) -> None:
        self.directory, self.modules, self.port, self.begin = directory, modules, port, begin

    @contextmanager
    def client(self, user: str) -> Iterator[Client]:
        """A client that has logged on; its numbers are in files, as they were left."""
        found = Client(self.modules, self.port, user, self.begin, self.directory / user)
        try:
            found.is_now("on")
            yield found
        finally:
            found.kill()

    def waits_until_saved(self, user: str, number: int) -> None:
        """Until its file has the number of its next message: it is written later."""
        (file,) = (self.directory / user).glob("*.seqnums")
        until = time.monotonic() + WAIT_SECONDS
        while int(file.read_text().partition(":")[0] or 0) < number:  # empty while it is written
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exchange with two users, to be copied."""
    exchange = tmp_path_factory.mktemp("made") / "exchange.d"
    with mc.Engine.open(exchange, instruments=[mc.Instrument("ANA", tick="0.05")]):
        pass
    for user, account in (("ALICE", 7), ("BOB", 8)):
        cli("user", "add", exchange, user, "--account", account)
        cli("user", "password", exchange, user, MATCHCORE_PASSWORD="secret word")
    return exchange


@pytest.fixture(params=VERSIONS)
def place(
    tmp_path: Path, made: Path, modules: Path, request: pytest.FixtureRequest
) -> Iterator[Place]:
    port = free_port()
    exchange = Path(shutil.copytree(made, tmp_path / "exchange.d"))
    with served(exchange, port):
        yield Place(tmp_path, modules, port, request.param)


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def order(id: str, symbol: str = "ANA", **more: object) -> dict[str, object]:
    units = {"OrderQty": more.pop("OrderQty", 10)}
    fields = {"HandlInst": "1", "Side": "1", "OrdType": "2", "Price": 1.0, "TimeInForce": "1"}
    return {"ClOrdID": id, **about(symbol), "OrderQtyData": units, **fields, **more}


def about(symbol: str = "ANA") -> dict[str, object]:
    return {"Instrument": {"Symbol": symbol}, "Side": "1", "TransactTime": now()}


def told(message: Said, *tags: int) -> tuple[str, ...]:
    """What it has in these tags."""
    return tuple(message[tag] for tag in tags)


def shows(report: Said, *expected: str) -> None:
    """ClOrdID, ExecType and OrdStatus."""
    assert told(report, 11, 150, 39) == expected, report


def test_a_small_day(place: Place) -> None:
    with place.client("ALICE") as alice, place.client("BOB") as bob:
        alice.send("D", order("a1"))
        shows(alice.report(), "a1", "0", "0")
        bob.send("D", order("b1", Side="2", OrderQty=4))
        shows(bob.report(), "b1", "0", "0")
        shows(bob.report(), "b1", "F", "2")
        traded = alice.report()
        shows(traded, "a1", "F", "1")
        assert (traded[32], traded[31], traded[151]) == ("4", "1.00", "6")
        alice.send("G", {**order("a2", OrderQty=12, Price=0.95), "OrigClOrdID": "a1"})
        shows(alice.report(), "a2", "5", "1")
        alice.send("H", {"ClOrdID": "a2", **about()})
        asked = alice.report()
        shows(asked, "a2", "I", "1")
        assert (asked[38], asked[14], asked[44]) == ("12", "4", "0.95")
        alice.send("F", {"ClOrdID": "a3", "OrigClOrdID": "a2", **about(),
                         "OrderQtyData": {"OrderQty": 12}})  # fmt: skip
        shows(alice.report(), "a3", "4", "4")
        for id in ("a4", "a5"):
            alice.send("D", order(id))
            shows(alice.report(), id, "0", "0")
        alice.send("q", {"ClOrdID": "a6", "MassCancelRequestType": "7", "TransactTime": now()})
        shows(alice.report(), "a4", "4", "4")
        shows(alice.report(), "a5", "4", "4")
        done = alice.hears("r")
        assert (done[11], done[531], done[533]) == ("a6", "7", "2")
        alice.do("logout")
        assert 58 not in alice.hears("5")
        alice.is_now("off")


def test_what_is_refused_and_why(place: Place) -> None:
    with place.client("ALICE") as alice:
        alice.send("D", order("a1"))
        shows(alice.report(), "a1", "0", "0")
        for fields, reason, text in (
            (order("a1"), "6", ""),
            (order("a2", symbol="NONE"), "1", "Symbol"),
            (order("a3", Price=1.01), "99", "tick"),
            (order("a4", OrderQty=0), "13", "OrderQty"),
            (order("a5", ExpireDate="20300101"), "11", "432"),
        ):
            alice.send("D", fields)
            refused = alice.report()
            shows(refused, str(fields["ClOrdID"]), "8", "8")
            assert refused[103] == reason and text in refused[58], refused
        alice.send("F", {"ClOrdID": "a6", "OrigClOrdID": "none", **about()})
        refused = alice.hears("9")
        assert (refused[11], refused[41], refused[434], refused[102]) == ("a6", "none", "1", "1")
        alice.send("D", {"ClOrdID": "a7", "Side": "1"})
        assert told(alice.hears("3"), 371, 372, 373) == ("55", "D", "1")
        alice.send("R", {"QuoteReqID": "q1"})
        assert told(alice.hears("j"), 372, 380) == ("R", "3")


def test_a_client_that_was_killed_comes_back(place: Place) -> None:
    """Node dies without a word; what happens meanwhile is told when it is back."""
    with place.client("ALICE") as alice:
        alice.send("D", order("a1"))
        shows(alice.report(), "a1", "0", "0")
        place.waits_until_saved("ALICE", 3)
        alice.kill()
        with place.client("BOB") as bob:
            bob.send("D", order("b1", Side="2"))
            shows(bob.report(), "b1", "0", "0")
            shows(bob.report(), "b1", "F", "2")
    with place.client("ALICE") as alice:
        missed = alice.report()
        shows(missed, "a1", "F", "2")
        assert 43 not in missed
        alice.send("D", order("a2"))
        while (report := alice.report())[11] != "a2":
            assert report[43] == "Y"  # its file may not have what it heard last: it asks again
        shows(report, "a2", "0", "0")


def test_it_asks_for_what_it_has_missed(place: Place) -> None:
    with place.client("ALICE") as alice:
        for id in ("a1", "a2"):
            alice.send("D", order(id))
            alice.report()
        alice.send("1", {"TestReqID": "are you there"})
        assert alice.hears("0")[112] == "are you there"
        alice.do("forget", count=4)  # Logon, two reports, a Heartbeat
        alice.send("D", order("a3"))
        late = alice.report()  # shows that something is missing
        shows(late, "a3", "0", "0")
        filled = alice.hears("4")
        assert told(filled, 34, 43, 123, 36) == ("1", "Y", "Y", "2")
        again = [alice.report(), alice.report()]
        assert told(again[0], 34, 11, 43) == ("2", "a1", "Y")
        assert told(again[1], 34, 11, 43) == ("3", "a2", "Y")
        assert all(one[122] <= one[52] for one in again)
        assert {one[17] for one in again} <= {one[17] for one in alice.heard[:3] if 17 in one}
        filled = alice.hears("4")
        assert told(filled, 34, 123, 36) == ("4", "Y", "5")
        newest = alice.report()
        assert (newest[34], newest[17], newest[43]) == (late[34], late[17], "Y")


def test_it_is_asked_for_what_was_lost_on_the_way(place: Place) -> None:
    with place.client("ALICE") as alice:
        alice.do("lose", kind="D", fields=order("a1"))
        alice.send("D", order("a2"))
        asked = alice.hears("2")
        assert (asked[7], asked[16]) == ("2", "0")
        shows(alice.report(), "a1", "0", "0")
        shows(alice.report(), "a2", "0", "0")
        sent = [one for one in alice.said if one[35] == "D"]
        assert [(one[11], one.get(43)) for one in sent[-2:]] == [("a1", "Y"), ("a2", "Y")]
        alice.do("number", number=9)  # it has nothing before that to send again: it fills the gap
        alice.send("1", {"TestReqID": "x"})
        assert alice.hears("2")[7] == "4"
        alice.send("1", {"TestReqID": "y"})
        assert alice.hears("0")[112] == "y"


def test_its_numbers_are_set_anew_upwards_only(place: Place) -> None:
    with place.client("ALICE") as alice:
        alice.send("4", {"NewSeqNo": 50, "GapFillFlag": False})
        alice.do("number", number=50)
        alice.send("D", order("a1"))
        shows(alice.report(), "a1", "0", "0")
        alice.send("4", {"NewSeqNo": 20, "GapFillFlag": False})
        assert told(alice.hears("3"), 45, 371, 373) == ("51", "36", "5")


def test_a_number_that_is_too_low_ends_the_session(place: Place) -> None:
    with place.client("ALICE") as alice:
        alice.do("number", number=1)
        alice.send("D", order("a1"))
        assert alice.hears("5")[58] == "MsgSeqNum too low, expecting 2 but received 1"
        alice.is_now("off")


def test_a_wrong_comp_id_ends_the_session(place: Place) -> None:
    with place.client("ALICE") as alice:
        alice.do("describe", fields={"TargetCompID": "SOMEBODY"})
        alice.send("D", order("a1"))
        refused = alice.hears("3")
        assert (refused[371], refused[373]) == ("56", "9")
        assert alice.hears("5")[58]
        alice.is_now("off")


def test_a_second_connection_is_closed_and_the_first_one_stays(place: Place) -> None:
    with place.client("ALICE") as alice:
        second = Client(place.modules, place.port, "ALICE", place.begin, place.directory / "other")
        try:
            second.is_now("off")
            assert not second.heard
        finally:
            second.kill()
        alice.send("D", order("a1"))
        shows(alice.report(), "a1", "0", "0")
