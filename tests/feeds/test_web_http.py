"""What HTTP answers, and who may see what."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from pathlib import Path

import pytest
from certificates import Certificates
from web_kit import CHANNELS, client, exchange, flow, run, serving, sm2_keys
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import matchcore as mc
from matchcore.cli.tls import tls_of
from matchcore.errors import FeedError, InvalidArgument
from matchcore.feeds.web.tokens import Tokens, add_token, digest_of

ANA, BBB = mc.Instrument("ANA", "0.05"), mc.Instrument("B/B", "0.01")


def test_answers_are_those_of_the_channels(tmp_path: Path) -> None:
    page = tmp_path / "page"
    (page / "lib").mkdir(parents=True)
    (page / "index.html").write_text("<title>market</title>")
    (page / "lib" / "a.js").write_text("let a")
    (tmp_path / "secret").write_text("secret")

    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BBB) as engine:
            engine.submit_batch(flow(1, 400, 2))
            async with serving(tmp_path / "e", page=page) as served, client(served) as seen:
                await seen.subscribe(CHANNELS, ["B/B"])
                await seen.settle()
                now = {channel: seen.now[channel, "B/B"] for channel in CHANNELS}
                book = (await served.get("/api/book/B%2FB?depth=1000")).said
                assert {(side, price): (quantity, orders)
                        for side in ("bids", "asks")
                        for price, quantity, orders in book[side]} == now["book.l2"]  # fmt: skip
                top = (await served.get("/api/book/B%2FB?depth=1")).said
                best = tuple(top[side][0] if top[side] else None for side in ("bids", "asks"))
                assert best == now["book.l1"]
                trades = (await served.get("/api/trades/B%2FB?limit=50")).said["trades"]
                assert trades == now["trades"]
                for interval in ("1m", "1d"):
                    bars = (await served.get(f"/api/bars/B%2FB?interval={interval}")).said["bars"]
                    assert {bar[0]: bar for bar in bars} == now[f"bars.{interval}"]
                status = (await served.get("/api/status/B%2FB")).said
                assert now["status"].items() <= status.items()
                assert status["number"] == served.outlet.number
                said = (await served.get("/api/instruments")).said
                assert said["instruments"] == seen.hello["instruments"]
                health = (await served.get("/health")).said
                assert (health["status"], health["connections"]) == ("ok", 1)
                index = await served.get("/")
                assert index.body == b"<title>market</title>" and "text/html" in index.head
                assert (await served.get("/lib/a.js")).body == b"let a"
                paths = (await served.get("/openapi.json")).said["paths"]
                assert {"/api/book/{symbol}", "/api/bars/{symbol}"} <= paths.keys()

    run(test())


WRONG = [
    ("/nix", 404), ("/../secret", 404), ("/%2e%2e/secret", 404), ("/api/", 404), ("/api/nix", 404),
    ("/api/book/NIX", 404), ("/api/book/", 404), ("/api/book/ANA/x", 404), ("/api/book/%ff", 404),
    ("/api/book/ANA?depth=0", 400), ("/api/book/ANA?depth=1001", 400),
    ("/api/book/ANA?depth=x", 400), ("/api/book/ANA?depth=\u0663", 400),
    ("/api/trades/ANA?limit=501", 400), ("/api/bars/ANA?interval=1h", 400),
    ("/api/book/ANA?" + "&".join(f"a{i}=1" for i in range(50)), 400), ("/ws", 400),
]  # fmt: skip


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", ANA):
            async with serving(tmp_path / "e") as served:
                for path, status in WRONG:
                    answer = await served.get(path)
                    assert answer.status == status, path
                    if path != "/ws":
                        assert answer.said["error"]["message"]
                assert (await served.get("/" + "x" * 15_000)).status == 404
                with pytest.raises((IndexError, OSError)):  # closed without a word
                    await served.get("/" + "x" * 20_000)

    run(test())


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def test_a_token_gives_its_rights_and_no_more(tmp_path: Path, tokens: Path) -> None:
    some = add_token(tokens, "some", ["book.l2", "trades"], ["ANA"], None)
    every = add_token(tokens, "every", [], [], "2199-01-01T00:00:00Z")
    late = add_token(tokens, "late", [], [], "2001-01-01T00:00:00Z")
    assert not any(token in tokens.read_text() for token in (some, every, late))
    assert tokens.stat().st_mode & 0o077 == 0

    async def test() -> None:
        with exchange(tmp_path / "e", ANA, BBB):
            async with serving(tmp_path / "e", tokens=Tokens(tokens)) as served:
                async with client(served) as seen:
                    assert seen.hello["token_needed"] and "instruments" not in seen.hello
                    await seen.subscribe(["trades"], ["ANA"])
                    assert (await seen.until("error"))["code"] == "token"
                    await seen.ask("auth", token="wrong", id=1)
                    assert (await seen.until("error", id=1))["code"] == "token"
                    await seen.ask("auth", token=some, id=2)
                    assert len((await seen.until("authenticated"))["instruments"]) == 2
                    await seen.subscribe(["trades", "book.l2"], ["ANA"])
                    await seen.until("snapshot", channel="book.l2")
                    for channel, symbol in (("book.l3", "ANA"), ("trades", "B/B")):
                        await seen.subscribe([channel], [symbol])
                        assert (await seen.until("error"))["code"] == "forbidden"
                    await seen.subscribe(CHANNELS, ["*"])
                    await seen.settle()
                    assert set(seen.now) == {("trades", "ANA"), ("book.l2", "ANA")}
                async with client(served) as seen:
                    for _ in range(3):
                        await seen.ask("auth", token=late)
                    with pytest.raises(ConnectionClosed):
                        await seen.until("never")
                    assert seen.messages[-1]["code"] == "token"
                bearer = f"Authorization: Bearer {some}"
                assert (await served.get("/api/book/ANA")).status == 401
                assert (await served.get("/api/book/ANA", "Authorization: Basic x")).status == 401
                assert (await served.get("/api/book/ANA", bearer)).status == 200
                assert (await served.get("/api/book/B%2FB", bearer)).status == 403
                assert (await served.get("/api/bars/ANA", bearer)).status == 403
                assert (await served.get("/health")).status == 200

    run(test())


def test_a_token_that_is_taken_away_ends_its_connections(tmp_path: Path, tokens: Path) -> None:
    one, other = (add_token(tokens, name, [], [], None) for name in ("one", "other"))

    async def test() -> None:
        with exchange(tmp_path / "e", ANA):
            known = Tokens(tokens)
            async with serving(tmp_path / "e", tokens=known) as served:
                headers = {"Authorization": f"Bearer {one}"}
                async with client(served, additional_headers=headers) as seen:
                    assert seen.hello["instruments"]
                    async with client(served) as stays:
                        await stays.ask("auth", token=other)
                        await seen.ask("ping")
                        said = json.loads(tokens.read_text())
                        said["tokens"] = [entry for entry in said["tokens"]
                                          if entry["sha256"] != digest_of(one)]  # fmt: skip
                        tokens.write_text(json.dumps(said))
                        assert (await seen.until("bye"))["code"] == "token"
                        await stays.settle()
                tokens.write_text("{}")
                with pytest.raises(FeedError, match="not a file of tokens"):
                    known.refresh()
                assert known.rights(digest_of(other)) is None

    run(test())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"tokens": [5]}', '{"tokens": [{"sha256": "zz"}]}',
     '{"tokens": [{"sha256": "%s", "name": "x", "channels": "*", "symbols": []}]}' % ("00" * 32),
     '{"tokens": [{"sha256": "%s", "name": "x", "channels": [], "symbols": [],'
     ' "expires": "soon"}]}' % ("00" * 32)],
)  # fmt: skip
def test_what_is_no_file_of_tokens_is_refused(tokens: Path, text: str) -> None:
    tokens.write_text(text)
    with pytest.raises(FeedError, match="not a file of tokens"):
        Tokens(tokens)


def test_pages_of_other_origins_may_not_connect(tmp_path: Path) -> None:
    async def test() -> None:
        with exchange(tmp_path / "e", ANA):
            async with serving(tmp_path / "e", origins=["https://good.example"]) as served:
                own = served.outlet.url.rstrip("/")
                for origin in (own, "https://good.example"):
                    async with client(served, origin=origin):
                        pass
                for origin in ("https://bad.example", "null", f"{own}.bad.example"):
                    with pytest.raises(InvalidStatus):
                        await connect(served.ws, origin=origin)

    run(test())


def test_over_tls_it_is_the_same(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "certificates")

    async def test() -> None:
        trust = ssl.create_default_context(cafile=str(made.ca))
        with exchange(tmp_path / "e", ANA) as engine:
            async with serving(tmp_path / "e", tls=tls_of(made.server, made.key)) as served:
                assert served.ws.startswith("wss://")
                async with client(served, ssl=trust) as seen:
                    await seen.subscribe(CHANNELS, ["ANA"])
                    for turn in range(5):
                        engine.submit_batch(flow(turn, 50, 1, 50 * turn))
                        await served.come_to(engine.sequence)
                    await seen.settle()
                    assert seen.numbers["book.l2", "ANA"] > 50
                    answer = await served.get("/health", tls=trust)
                    assert answer.said["number"] == served.outlet.number
                with pytest.raises((OSError, asyncio.IncompleteReadError, IndexError)):
                    await served.get("/health")  # not encrypted

    run(test())
    with pytest.raises(InvalidArgument, match="no certificate with its key"):
        tls_of(made.server, made.locked_key)


def test_answers_are_signed_where_a_key_is_given(tmp_path: Path) -> None:
    sign, verifier = sm2_keys(tmp_path)

    async def test() -> None:
        with exchange(tmp_path / "e", ANA) as engine:
            engine.submit_batch(flow(1, 100, 1))
            async with serving(tmp_path / "e", sign=sign) as served:
                answer = await served.get("/api/book/ANA")
                (said,) = re.findall("SM2-Signature: (.*)\r\n", answer.head)
                signature = base64.b64decode(said)
                assert verifier.fits(answer.body, signature)
                assert not verifier.fits(answer.body + b" ", signature)
                assert "SM2" not in (await served.get("/health")).head

    run(test())
