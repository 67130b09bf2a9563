"""Doors of an engine: closed while it is a standby, and open at once when it has taken over."""

from __future__ import annotations

import base64
import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from standby_kit import Command, EngineProcess, wait_until

import matchcore as mc
from matchcore.cli.app import app
from matchcore.journal.stream import StreamReader

PASSWORD = "correct horse battery staple"
LOGIN = "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode()


def command(*words: str, given: str = "") -> None:
    result = CliRunner().invoke(app, [*words], input=given)
    assert result.exit_code == 0, result.output


def asked(url: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Of a web door; its status is `code`."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + path, data)
    request.add_header("Authorization", LOGIN)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return {"code": answer.status, **json.loads(answer.read())}
    except urllib.error.HTTPError as error:
        return {"code": error.code, **json.loads(error.read())}


def order(number: int, side: str, quantity: int) -> dict[str, Any]:
    return {"client_order_id": str(number), "symbol": "ANA", "side": side, "quantity": quantity,
            "price": "95.70"}  # fmt: skip


@pytest.fixture
def users(where: str) -> str:
    """The address of a log with an instrument and a user."""
    mc.Engine.open(where, instruments=[mc.Instrument("ANA", tick="0.05")]).close()
    command("user", "add", where, "alice", "--account", "7")
    command("user", "password", where, "alice", given=f"{PASSWORD}\n{PASSWORD}\n")
    return where


def test_orders_go_on_at_the_other_door(engine: Callable[..., EngineProcess], users: str) -> None:
    where = users
    one = engine(where, "one", "serve", "--web", "127.0.0.1:0")
    first = wait_until(lambda: one.at("web door"))
    two = engine(where, "two", "standby", "--web", "127.0.0.1:0")
    wait_until(two.follows)
    refused = CliRunner().invoke(app, ["notice", where, "late"])
    assert refused.exit_code == 1 and "one is primary: name the directory" in refused.output

    assert asked(first, "/orders", order(1, "sell", 5))["code"] in (200, 201, 202)
    shown = wait_until(
        lambda: two.ask("/book?symbol=ANA").get("asks") and two.ask("/book?symbol=ANA")
    )
    assert shown["asks"] == [{"price": "95.70", "quantity": 5, "orders": 1}]
    assert shown["role"] == "standby" and shown["sequence"] == two.ask("/standby")["sequence"]
    assert not two.at("web door") and two.ask("/ready")["code"] == 503
    assert two.ask("/book?symbol=X")["code"] == 404 and two.ask("/book?levels=x")["code"] == 400

    one.signal(signal.SIGKILL)
    second = wait_until(lambda: two.at("web door"))
    assert asked(second, "/orders/1")["code"] == 200
    assert asked(second, "/orders", order(2, "buy", 3))["code"] in (200, 201, 202)
    book = wait_until(lambda: two.ask("/book?symbol=ANA") or None)
    wait_until(lambda: two.ask("/book?symbol=ANA")["asks"][0]["quantity"] == 2)
    assert book["role"] == "primary" and two.ask("/ready").get("status") == "ok"
    last = two.ask("/standby")
    code, said = two.end()
    assert code == 0 and said["handed_over"] is False and said["epoch"] == last["epoch"] > 1
    assert said["sequence"] >= last["sequence"]  # of its end, not of its takeover


def test_each_order_through_a_gateway_is_answered_once(
    engine: Callable[..., EngineProcess], gateway: Callable[..., Command], users: str
) -> None:
    """The primary is killed while orders are sent; a client without an answer sends again."""
    one = engine(users, "one", "serve")
    two = engine(users, "two", "standby")
    between = gateway(one, two)
    door = wait_until(lambda: between.at("web door"))
    wait_until(two.follows)
    killer = threading.Timer(0.2, one.signal, [signal.SIGKILL])
    killer.start()
    ids = range(1, 61)
    for number in ids:
        wait_until(lambda n=number: asked(door, "/orders", order(n, "sell", 1))["code"] < 300)
        time.sleep(0.01)  # the flow lasts longer than the primary
    killer.join()
    assert two.role == "primary"
    answered = [wait_until(lambda n=n: asked(door, f"/orders/{n}")) for n in ids]
    assert {one["code"] for one in answered} == {200}
    with StreamReader(users) as reader:
        rows = np.concatenate([frame.commands for frame in reader.read()])
    news = rows[rows["kind"] == mc.Kind.NEW]["client_order_id"].tolist()
    accepted = two.ask("/book?symbol=ANA")["asks"]
    assert set(news) == set(ids) and accepted == [{"price": "95.70", "quantity": 60, "orders": 60}]
    assert between.end()[0] == 0
