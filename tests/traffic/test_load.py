"""The load over every protocol, against our doors, and against servers that do wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from traffic_kit import FLOW, HOST, PATIENCE, Exchange, accounts, exchange, in_a_thread

from matchcore import InvalidArgument
from matchcore._children import environment
from matchcore.cli.app import app
from matchcore.gateways.ouch import layout
from matchcore.records.schema import ReportKind
from matchcore.serving.soup import packet
from matchcore.traffic import running
from matchcore.traffic.flow import UNITS, Flow
from matchcore.traffic.ledger import HEARD, Ledger
from matchcore.traffic.running import Result, run_load
from matchcore.traffic.session import Account, LoadFailed, Session, Target

EVERY = ("ouch", "fix44", "fix50", "web")


def fine(result: Result, orders: int) -> None:
    """Every order has one answer that fits."""
    counts = result.whole.counts
    assert result.fine, (counts, result.whole.first_wrong, result.whole.gave_up)
    assert counts["orders"] == counts["accepted"] == orders and not counts["not_sent"]
    assert counts["executions"] > 0 and counts["found"] == 0
    assert int(result.whole.latency.counts.sum()) == orders


def test_every_order_is_answered_once_over_all_protocols(tmp_path: Path) -> None:
    passed: list[float] = []
    with exchange(tmp_path) as ours:
        for _ in range(2):  # the second goes on behind the numbers of the first
            result = run_load(
                ours.targets, accounts(8), FLOW, rate=2000, seconds=1.0, progress=passed.append
            )
            fine(result, 2000)
            assert sorted(result.by_protocol) == sorted(EVERY)
            assert all(part.counts["cancels"] for part in result.by_protocol.values())
            latency = result.whole.latency
            assert latency.at(0.5) <= latency.at(0.999) <= latency.largest


def when(ours: Exchange, commands: int, act: Callable[[], None]) -> threading.Thread:
    """Acts once the desk has seen so many commands."""

    def wait() -> None:
        until = time.monotonic() + PATIENCE
        while ours.desk.watch.commands < commands and time.monotonic() < until:
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_sessions_that_are_cut_off_come_back_and_miss_nothing(tmp_path: Path) -> None:
    with exchange(tmp_path) as ours:
        cutting = [when(ours, count, ours.cut) for count in (400, 900)]
        result = run_load(ours.targets, accounts(8), FLOW, rate=2000, seconds=1.0)
        for thread in cutting:
            thread.join()
        fine(result, 2000)
        assert result.whole.counts["reconnects"] >= 8


def test_an_exchange_that_says_nothing_is_left(tmp_path: Path) -> None:
    with exchange(tmp_path) as ours:
        for target in ours.targets.values():
            target.silence_seconds = 1.0
        freezing = when(ours, 300, lambda: ours.freeze(2.5))
        result = run_load(ours.targets, accounts(4), FLOW, rate=1000, seconds=1.0)
        freezing.join()
        fine(result, 1000)
        assert result.whole.counts["reconnects"] >= 4


Answered = Callable[[bytes, int], list[bytes]]


class Fake(asyncio.Protocol):
    """An OUCH server of one client: each order gets what ``answered(order, ref)`` returns."""

    transport: asyncio.Transport

    def __init__(self, answered: Answered) -> None:
        self._answered, self._data = answered, b""
        self.asked = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) > 2:
            size = 2 + int.from_bytes(self._data[:2], "big")
            if len(self._data) < size:
                break
            body, self._data = self._data[2:size], self._data[size:]
            self.transport.write(self._answer(body))

    def _answer(self, body: bytes) -> bytes:
        if body[:1] == b"L":
            return packet(b"A", b"0000000000" + b"1".rjust(20))
        if body[1:2] == b"Q":
            return packet(b"U", layout.ANSWERS[b"Q"].packer.pack(b"Q", 0, 1))
        if body[1:2] != b"O":
            return b""
        self.asked.set()
        ref = int.from_bytes(body[2:6], "big")
        return b"".join(packet(b"S", one) for one in self._answered(body[1:], ref))


def ouch_server(answered: Answered, *, dies: bool = False) -> Any:
    """A server in a thread; with ``dies`` it is gone for good once it has got an order."""

    async def serve(stop: asyncio.Event, begun: Callable[[Target], None]) -> None:
        fake = Fake(answered)
        server = await asyncio.get_running_loop().create_server(lambda: fake, HOST, 0)
        begun(Target(*server.sockets[0].getsockname()))
        await (fake.asked if dies else stop).wait()
        server.close()
        fake.transport.abort()
        await stop.wait()

    return serve


def refused(ref: int) -> bytes:
    return layout.ANSWERS[b"J"].packer.pack(b"J", 0, ref, 15, b" " * 14)


def accepted(order: bytes, ref: int, **more: Any) -> bytes:
    """What an exchange says that takes the order as it is, or with other fields."""
    names = ("user_ref", "side", "quantity", "symbol", "price")
    asked = layout.REQUESTS[b"O"]
    told = dict(zip(asked.names, asked.packer.unpack(order[: asked.size])[1:], strict=True))
    values = {name: told[name] for name in names} | more
    answer = layout.ANSWERS[b"A"]
    usual = {"time": 0, "time_in_force": b"0", "display": b"Y", "order_reference": ref,
             "capacity": b"P", "sweep": b"N", "cross": b"N", "state": b"L",
             "cl_ord_id": b" " * 14}  # fmt: skip
    return answer.packer.pack(b"A", *((usual | values)[name] for name in answer.names)) + b"\0\0"


def traded(ref: int, quantity: int, price: int) -> bytes:
    packed = layout.ANSWERS[b"E"].packer.pack(b"E", 0, ref, quantity, price, b"A", 1)
    return packed + b"\0\0"


@pytest.mark.parametrize(
    ("answered", "what", "count"),
    [
        (lambda order, ref: [refused(ref)] * 2, "twice", 50),
        (lambda order, ref: [accepted(order, ref, quantity=10**6)], "wrong", 50),
        (lambda order, ref: [accepted(order, ref, symbol=b"BBVA    ")], "wrong", 50),
        (lambda order, ref: [accepted(order, ref), traded(ref, 10**6, 955_000)], "wrong", 50),
        (lambda order, ref: [accepted(order, ref), traded(ref, 1, 10**6), traded(ref, 1, 1)],
         "wrong", 50),
        (lambda order, ref: [], "missing", 50),
    ],
    ids=["twice", "quantity", "symbol", "too much", "price", "none"],
)  # fmt: skip
def test_answers_that_do_not_fit_are_seen(
    monkeypatch: pytest.MonkeyPatch, answered: Answered, what: str, count: int
) -> None:
    if what == "missing":
        monkeypatch.setattr(running, "DRAIN_SECONDS", 0.2)
    flow = Flow(("ANA",), 955_000, 955_000, 500, open=0)
    with in_a_thread(ouch_server(answered)) as target:
        result = run_load({"ouch": target}, accounts(1), flow, rate=1000, seconds=0.05)
    assert not result.fine and result.whole.counts[what] >= count
    assert bool(result.whole.first_wrong) == (what == "wrong")


def test_cancels_of_orders_that_are_done_need_no_answer() -> None:
    flow = Flow(("ANA",), 955_000, 955_000, 500, open=1)
    with in_a_thread(ouch_server(lambda order, ref: [refused(ref)])) as target:
        result = run_load({"ouch": target}, accounts(1), flow, rate=1000, seconds=0.05)
    assert result.fine and result.whole.counts["refused"] == 50


def test_a_session_that_cannot_come_back_gives_up() -> None:
    with in_a_thread(ouch_server(lambda order, ref: [], dies=True)) as target:
        target.patience_seconds = 0.1
        result = run_load({"ouch": target}, accounts(1), FLOW, rate=1000, seconds=0.05)
    assert result.whole.gave_up and not result.fine and result.whole.counts["missing"]


def test_logins_and_addresses_that_are_none(tmp_path: Path) -> None:
    with exchange(tmp_path) as ours:
        for protocol in EVERY:
            target = {protocol: ours.targets[protocol]}
            with pytest.raises(LoadFailed, match="user9: "):
                run_load(target, [Account("user9", "x")], FLOW, rate=10, seconds=1)
        with pytest.raises(InvalidArgument, match="http"):
            run_load(ours.targets, [Account("user1", "x", "http")], FLOW, rate=10, seconds=1)
        with pytest.raises(InvalidArgument, match="6 characters"):
            run_load(ours.targets, [Account("longname", "x", "ouch")], FLOW, rate=10, seconds=1)
        long = Flow(("LONGSYMBOL",), 1, 1, 1)
        with pytest.raises(InvalidArgument, match="8 characters"):
            run_load(ours.targets, accounts(1, "ouch"), long, rate=10, seconds=1)
    with socket.create_server((HOST, 0)) as taken:
        nobody = Target(*taken.getsockname())
    with pytest.raises(ConnectionRefusedError):
        run_load({"ouch": nobody}, accounts(1), FLOW, rate=10, seconds=1)
    for rate, seconds, count in ((0, 1, 1), (1, 0, 1), (1, 1, 0), (1e9, 1e3, 1)):
        with pytest.raises(InvalidArgument):
            run_load({"ouch": nobody}, accounts(count), FLOW, rate=rate, seconds=seconds)
    for wrong in ({"symbols": ()}, {"low": 0}, {"high": 1}, {"tick": 0}, {"quantity": 0},
                  {"open": -1}, {"symbols": ("",)}, {"lot": 101}):  # fmt: skip
        with pytest.raises(InvalidArgument):
            Flow(**{"symbols": ("ANA",), "low": 10, "high": 20, "tick": 1, **wrong})  # type: ignore[arg-type]  # wrong on purpose


def command(ours: Exchange, logins: Path, *more: str) -> list[str]:
    addresses = [
        part
        for option, protocol in (("--ouch", "ouch"), ("--fix", "fix44"), ("--web", "web"))
        for part in (option, f"{HOST}:{ours.targets[protocol].port}")
    ]
    return ["load", *addresses, "--logins", str(logins), "--symbol", "ANA", "--low", "9.5",
            "--high", "9.6", "--tick", "0.05", *more]  # fmt: skip


def test_the_command(tmp_path: Path) -> None:
    logins = tmp_path / "users.txt"
    logins.write_text("user1 secret\n\nuser2 secret web\nuser3 secret fix\n")
    runner = CliRunner()
    with exchange(tmp_path / "fix") as ours:
        line = command(ours, logins, "--rate", "500", "--seconds", "0.24")
        ran = runner.invoke(app, [*line, "--json"])
        assert ran.exit_code == 0, ran.output
        said = json.loads(ran.output)
        assert (said["sessions"], said["orders"], said["missing"]) == (3, 120, 0)
        assert sorted(said["by_protocol"]) == ["fix44", "ouch", "web"]
        assert said["fine"] and not said["interrupted"] and said["latency_us"]["p50"] > 0
        ran = runner.invoke(app, [*line, "--protocol", "web", "--fix-version", "5.0", "--json"])
        assert json.loads(ran.output)["sessions"] == 2, "user1 takes what there is"
        ran = runner.invoke(app, [*line, "--fix-version", "both"])
        assert ran.exit_code == 0 and "fix44" in ran.output and "p99, ms" in ran.output
        for text, said_wrong in (("user1\n", "line 1"), ("user1 x gopher\n", "line 1"), ("", "no")):
            logins.write_text(text)
            ran = runner.invoke(app, line)
            assert ran.exit_code == 2 and said_wrong in ran.output
        logins.write_text("user1 secret\n")
        line[line.index("9.5")] = "9.00001"
        assert "4 decimals" in runner.invoke(app, line).output
    line[line.index("9.00001")] = "9"
    assert "no address" in runner.invoke(app, [line[0], *line[7:]]).output


def test_ctrl_c_shows_what_there_is(tmp_path: Path) -> None:
    logins = tmp_path / "users.txt"
    logins.write_text("".join(f"user{n} secret\n" for n in range(1, 4)))
    with exchange(tmp_path / "fix") as ours:
        line = command(ours, logins, "--rate", "300", "--seconds", "600", "--json")
        process = subprocess.Popen(
            [sys.executable, "-m", "matchcore", *line], env=environment(), stdout=subprocess.PIPE
        )
        when(ours, 100, lambda: os.kill(process.pid, signal.SIGINT)).join()
        output, _ = process.communicate(timeout=PATIENCE)
    said = json.loads(output)
    assert process.returncode == 130 and said["interrupted"] and said["fine"]
    assert said["accepted"] == said["orders"] > 50 and said["not_sent"] > 100_000


def test_prices_of_fix_and_web_are_decimal() -> None:
    from matchcore.traffic.fix import price_text

    for price in (1, 10, UNITS, 957_000, 10 * UNITS, 123_456_789):
        assert round(float(price_text(price)) * UNITS) == price
    assert price_text(957_000) == b"95.7" and price_text(20 * UNITS) == b"20"


def test_the_orders_of_a_session_do_not_depend_on_how_they_are_asked_for() -> None:
    one, other = Ledger(FLOW, 3, 10_000), Ledger(FLOW, 3, 10_000)
    parts = [one.take(count).copy() for count in (1, 4095, 1, 900, 5003)]
    whole = other.take(10_000)
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert Ledger(FLOW, 4, 10_000).take(100).tobytes() != whole[:100].tobytes()


def test_an_acceptor_of_quickfix_is_a_server_like_others() -> None:
    pytest.importorskip("quickfix", reason="no wheel of quickfix-tls for this machine")
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "benchmarks.fixing", "quickfix", str(port), "user1,user2"]
    process = subprocess.Popen(
        line, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None and process.stdin is not None
        assert b"ready" in process.stdout.readline()
        flow = Flow(("ANA",), 955_000, 955_000, 500, open=0)
        result = run_load({"fix44": Target(HOST, port)}, accounts(2), flow, rate=500, seconds=0.5)
        process.stdin.close()
        process.wait(PATIENCE)
    assert result.fine and result.whole.counts["accepted"] == 250


def test_a_session_never_has_more_requests_without_an_answer_than_its_window() -> None:
    """The exchange remembers 1,024 requests of an account: beyond, sending again is not safe."""
    most = 0

    class Silent(Session):
        gone = full = False

        async def connect(self) -> None: ...
        async def disconnect(self) -> None: ...
        def alive(self) -> None: ...
        def orders(self, first: int, rows: np.ndarray, *, again: bool) -> None: ...
        def cancels(self, places: np.ndarray, *, again: bool) -> None: ...

    class AllAtOnce:
        def due(self, now: int) -> int:
            return 10**6

        def moments(self, places: np.ndarray) -> np.ndarray:
            return places * 0

    async def test() -> None:
        nonlocal most
        ledger = Ledger(FLOW, 0, 10_000)
        session = Silent(Target(HOST, 1, window=100), Account("a", "b"), ledger)
        session.pace = AllAtOnce()
        session.ready.cancel()
        for _ in range(300):
            session._send_due(0)
            most = max(most, ledger.waiting)
            answered = ledger.unanswered()[:7]
            rows = np.zeros(len(answered), HEARD)
            rows["kind"], rows["place"], rows["filled"] = ReportKind.NEW, answered, -1
            ledger.hear(rows)
            for place in ledger.unsettled()[:3].tolist():
                ledger.settle(place)

    asyncio.run(test())
    assert 90 < most <= 100
