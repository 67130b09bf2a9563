"""Notices: a text that was written to the log reaches everybody whole, in order and numbered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_kit import Served, client, exchange, flow, run, serving, sm2_keys
from websockets.asyncio.client import ClientConnection, connect

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds import Books, Stream
from matchcore.feeds.notices import NOTICES_KEPT, Notices, check_notice
from matchcore.feeds.stream import Changes
from matchcore.feeds.web.tokens import Tokens, add_token
from matchcore.records.changes import NOTICE, ChangeKind

ANA, BEE = mc.Instrument("ANA", "0.05"), mc.Instrument("BEE", "0.01")
LONG = "Ünïcode ✓ " * 60


def changes_of(path: Path) -> list[Changes]:
    with Stream(path) as stream:
        return [*stream.poll()]


def test_the_stream_gives_them_whole(tmp_path: Path) -> None:
    with exchange(tmp_path, ANA, BEE) as engine:
        engine.notify("first")
        engine.submit_batch(flow(1, 200, 2))
        engine.notify(LONG, "BEE")
        engine.submit(mc.Register(1, 2, b"nobody's business"))
        engine.submit(mc.SetLimits(7, max_quantity=1))
        engine.notify("last", key=9)
    found, notices, books = changes_of(tmp_path), Notices(), None
    told = [one for changes in found for one in notices.apply(changes)]
    assert [(one.text, one.instrument) for one in told] == [("first", 0), (LONG, 2), ("last", 0)]
    rows = np.concatenate([changes.rows for changes in found])
    assert {*rows["kind"].tolist()} <= {*ChangeKind}
    for one in told:
        row = rows[one.number - 1]
        assert (row["kind"], row["sequence"], row["time"]) == (
            ChangeKind.NOTICE, one.sequence, one.time,
        )  # fmt: skip
    with Stream(tmp_path) as stream:
        for changes in stream.poll():
            books = books or Books(stream.instruments)
            if changes.first > 1:
                books.apply(changes.rows)


def rows_of(*parts: tuple[int, int, int, bytes]) -> Changes:
    """Changes of (sequence, part, parts, text)."""
    rows = np.zeros(len(parts), NOTICE)
    for row, (sequence, part, of, text) in zip(rows, parts, strict=True):
        row["sequence"], row["part"], row["parts"] = sequence, part, of
        row["data"], row["kind"] = text.ljust(56, b"\0"), ChangeKind.NOTICE
    return Changes(1, 1, rows.view(mc.CHANGE))


@pytest.mark.parametrize(
    "parts",
    [
        [(1, 1, 2, b"b")], [(1, 0, 2, b"a"), (3, 1, 2, b"b")], [(1, 0, 2, b"a"), (2, 1, 3, b"b")],
        [(1, 0, 3, b"a"), (2, 2, 3, b"b")], [(1, 0, 2, b"a"), (2, 0, 2, b"a")],
    ],
)  # fmt: skip
def test_parts_that_do_not_belong_together_are_no_notice(
    parts: list[tuple[int, int, int, bytes]],
) -> None:
    notices = Notices()
    assert notices.apply(rows_of(*parts)) == []
    (one,) = notices.apply(rows_of((8, 0, 2, b"fine, "), (9, 1, 2, b"again")))
    assert one.text == "fine, again"


def test_the_last_are_kept_and_saved() -> None:
    notices = Notices()
    notices.apply(rows_of(*((at, 0, 1, b"%d" % at) for at in range(1, 50))))
    assert [one.sequence for one in notices.last] == [*range(50 - NOTICES_KEPT, 50)]
    assert Notices.of_said(notices.said()).last == notices.last
    for wrong in ([[1]], [[1, 2, 3, 4, 5]], [["1", 2, 3, 4, "x"]], 5):
        with pytest.raises((TypeError, ValueError)):
            Notices.of_said(wrong)  # type: ignore[arg-type]


def test_a_channel_of_notices(tmp_path: Path) -> None:
    async def follow() -> None:
        with exchange(tmp_path / "e", ANA, BEE) as engine:
            for at in range(25):
                engine.notify(f"before {at}")
            async with serving(tmp_path / "e", tmp_path / "state") as served:
                async with client(served) as seen:
                    await seen.ask("subscribe", channels=["notices"], symbols=["ANA"], id=5)
                    said = await seen.until("subscribed", id=5)
                    assert said["channel"] == "notices" and "symbol" not in said
                    message = await seen.socket.recv()
                    shown = json.loads(message)
                    assert shown["type"] == "snapshot"
                    assert [one["text"] for one in shown["notices"]] == [
                        f"before {at}" for at in range(5, 25)
                    ]
                    last = shown["number"]
                    engine.notify("now", "BEE")
                    engine.notify(LONG)
                    texts = []
                    while len(texts) < 2:
                        update = json.loads(await seen.socket.recv())
                        if update["type"] == "update":
                            assert update["prev"] == last
                            last = update["number"]
                            texts += [(one["text"], one["symbol"]) for one in update["notices"]]
                    assert texts == [("now", "BEE"), (LONG, None)]
                    await seen.ask("unsubscribe", channels=["notices"], symbols=[])
                    await seen.until("unsubscribed", channel="notices")
                async with client(served) as seen:
                    await seen.ask("subscribe", channels=["notices", "status"], symbols=["*"])
                    while "notices" not in (shown := json.loads(
                        await asyncio.wait_for(seen.socket.recv(), 20))):  # fmt: skip
                        pass
                    assert shown["notices"][-1]["text"] == LONG
            async with serving(tmp_path / "e", tmp_path / "state") as served:
                assert len(served.feed.notices.last) == NOTICES_KEPT
                assert served.feed.notices.last[-1].text == LONG

    run(follow())


async def board(served: Served, token: str) -> tuple[ClientConnection, dict[str, Any]]:
    """A subscription to notices with this token, and its snapshot."""
    socket = await connect(served.ws, additional_headers={"Authorization": f"Bearer {token}"})
    await socket.send('{"op":"subscribe","channels":["notices"],"symbols":["*"]}')
    return socket, await following(socket, "snapshot")


async def following(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while (said := json.loads(await asyncio.wait_for(socket.recv(), 20)))["type"] != kind:
        assert said["type"] in ("hello", "subscribed", "heartbeat"), said
    return dict(said)


def texts_of(message: dict[str, Any]) -> list[str]:
    return [one["text"] for one in message["notices"]]


def test_a_token_sees_the_notices_of_its_symbols_and_those_for_all(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    every, ana, bee = (add_token(file, "x", ("notices",), symbols, None)
                       for symbols in ((), ("ANA",), ("BEE", "GONE")))  # fmt: skip
    deaf = add_token(file, "x", ("trades",), (), None)

    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BEE) as engine:
            for text, symbol in (("to all", None), ("of ANA", "ANA"), ("of BEE", "BEE")):
                engine.notify(text, symbol)
            async with serving(tmp_path / "e", tokens=Tokens(file)) as served:
                seen = [await board(served, token) for token in (every, ana, ana, bee)]
                assert [texts_of(snapshot) for _, snapshot in seen] == [
                    ["to all", "of ANA", "of BEE"], *2 * [["to all", "of ANA"]],
                    ["to all", "of BEE"],
                ]  # fmt: skip
                engine.notify("only BEE", "BEE")
                await served.come_to(engine.sequence)
                engine.notify("again all")
                wanted = [["only BEE", "again all"], ["again all"], ["again all"],
                          ["only BEE", "again all"]]  # fmt: skip
                for (socket, snapshot), texts in zip(seen, wanted, strict=True):
                    got, last = [], snapshot["number"]
                    while len(got) < len(texts):
                        update = await following(socket, "update")
                        assert update["prev"] == last
                        last = update["number"]
                        got += texts_of(update)
                    assert got == texts
                    await socket.close()
                with pytest.raises(AssertionError, match="forbidden"):
                    await board(served, deaf)

    run(test())


def test_each_notice_is_signed(tmp_path: Path) -> None:
    sign, verifier = sm2_keys(tmp_path)

    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BEE) as engine:
            engine.notify(LONG)
            engine.notify("two\nlines", "BEE")
            async with serving(tmp_path / "e", sign=sign) as served:
                socket, snapshot = await board(served, "")
                session = served.feed.stream.session
                engine.notify("third")
                update = await following(socket, "update")
                (other, again) = await board(served, "")
                assert again["notices"] == snapshot["notices"] + update["notices"]  # signed once
                for one in again["notices"]:
                    check_notice(verifier, session, one)
                    for name, value in {"text": "x", "symbol": "ANA", "time": "1", "number": 1,
                                        "signature": "AAAA"}.items():  # fmt: skip
                        with pytest.raises(FeedError, match="not signed by this key"):
                            check_notice(verifier, session, {**one, name: value})
                    with pytest.raises(FeedError, match="not signed"):
                        check_notice(verifier, "ANOTHER", one)
                for wrong in ({}, {"number": 1, "signature": None}):
                    with pytest.raises(FeedError, match="not signed"):
                        check_notice(verifier, session, wrong)
                await socket.close()
                await other.close()

    run(test())
