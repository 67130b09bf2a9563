"""Lines between gateways and the engine: every command once, whatever the lines do."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path

import numpy as np
import pytest
import uvloop
from certificates import Certificates
from hypothesis import given, settings
from hypothesis import strategies as st
from lines_kit import (
    ANA,
    HERE,
    Proxy,
    Taken,
    address_of,
    memory,
    orders,
    send,
    served,
    unix,
    until,
)

import matchcore as mc
from matchcore.gateways.lines import Lines
from matchcore.gateways.lines.address import Address
from matchcore.gateways.lines.wire import ANY, Frame, Frames, LineError, Type, batch, join


def logged(engine: mc.Engine) -> np.ndarray:
    assert engine.log is not None
    return np.concatenate([frame.commands for frame in engine.log.frames()])


def news(engine: mc.Engine) -> list[int]:
    rows = logged(engine)
    return [int(n) for n in rows["client_order_id"][rows["kind"] == mc.Kind.NEW]]


def run(work) -> None:  # type: ignore[no-untyped-def]  # any coroutine
    asyncio.run(asyncio.wait_for(work, 60))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_commands_go_and_the_log_comes(tmp_path: Path, kind: str, quick: bool) -> None:
    async def work() -> None:
        engine, taken = memory(), Taken()
        engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, "5.00"))
        service = await served(engine, unix(tmp_path) if kind == "unix" else HERE)
        way = Lines([address_of(service)])
        await way.start(taken.take, taken.is_down)
        assert taken.count == engine.sequence and way.instruments["ANA"] == ANA
        way.send(orders(1, 3))
        way.send(orders(4, 3000))
        await until(lambda: taken.count == 3005 and not way.counts["unsettled_bytes"])
        assert taken.ids()[1:] == [*range(1, 3004)]
        machine_digest = way.machine.digest()
        assert machine_digest == engine.digest() and not taken.down
        await way.close()
        await service.close()
        engine.close()
        assert kind == "tcp" or not Path(address_of(service).host).exists()

    (uvloop.run if quick else asyncio.run)(asyncio.wait_for(work(), 60))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), both=st.booleans(), lines=st.integers(1, 2))
def test_random_cuts_lose_nothing_and_double_nothing(seed: int, both: bool, lines: int) -> None:
    """Two gateways; each command once in the log, each told once and in order."""

    async def work() -> None:
        draw = random.Random(seed)
        engine = memory()
        service = await served(engine)
        async with Proxy(address_of(service)) as one, Proxy(address_of(service)) as two:
            proxies, ways, ears = [one, two][:lines], [], []
            for _ in range(2):
                way, taken = (
                    Lines([p.address for p in proxies], both=both, dead_seconds=0.3),
                    Taken(),
                )
                await way.start(taken.take, taken.is_down)
                ways.append(way)
                ears.append(taken)
            sent = 0
            for _ in range(25):
                count = draw.choice([1, 2, 30, 700])
                await send(draw.choice(ways), orders(sent + 1, count, seed))
                sent += count
                proxy = draw.choice(proxies)
                draw.choice([proxy.cut, proxy.thaw, proxy.freeze, lambda: None])()
                proxy.delay_seconds = draw.choice([0, 0, 0.01])
                await asyncio.sleep(draw.choice([0, 0, 0.001, 0.02]))
            for proxy in proxies:
                proxy.thaw()
            await until(lambda: all(taken.count == sent + 1 for taken in ears))
            for taken in ears:
                assert sorted(taken.ids()) == [*range(1, sent + 1)]
                assert taken.told() == ears[0].told() and not taken.down
            assert sorted(news(engine)) == [*range(1, sent + 1)]
            for way in ways:
                await way.close()
        await service.close()
        engine.close()

    run(work())


def test_an_engine_that_is_started_again_gets_what_it_lost_and_nothing_twice(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        taken, sent, address = Taken(), 0, unix(tmp_path)
        way: Lines | None = None
        for seed in range(6):
            engine = mc.Engine.open(tmp_path / "x", instruments=[ANA])
            service = await served(engine, address)
            if way is None:
                way = Lines([address, address], both=False)
                await way.start(taken.take, taken.is_down)
            for _ in range(seed + 2):
                way.send(orders(sent + 1, 40, seed))
                sent += 40
                await asyncio.sleep(0.001 * seed)
            for link in list(service.links):  # as when it is killed: no last words
                link.end("gone")
            service.gateways.clear()
            await service.close()
            way.send(orders(sent + 1, 5, seed))
            sent += 5
            engine.close()
        engine = mc.Engine.open(tmp_path / "x")
        service = await served(engine, address)
        assert way is not None
        await until(lambda: len(news(engine)) == sent and taken.count == engine.sequence)
        assert news(engine) == [*range(1, sent + 1)] == taken.ids()
        await way.close()
        await service.close()
        engine.close()

    run(work())


def test_a_frozen_line_is_noticed_within_a_second(tmp_path: Path) -> None:
    async def work() -> None:
        engine, taken = memory(), Taken()
        service = await served(engine)
        async with Proxy(address_of(service)) as proxy:
            way = Lines([proxy.address, address_of(service)])
            await way.start(taken.take, taken.is_down)
            await until(lambda: way.counts["lines_up"] == 2)
            assert way.active is not None
            first = way.active
            if first.line.address != proxy.address:  # the proxy's is to be the active one
                first.end("for the test")
                await until(lambda: way.counts["lines_up"] == 2)
            began = asyncio.get_running_loop().time()
            proxy.freeze()
            way.send(orders(1, 10))
            await until(lambda: taken.count == engine.sequence >= 11)
            assert way.lines[0].lost == 1
            assert way.lines[0].why.startswith("nothing was heard") or way.lines[0].lost
            assert asyncio.get_running_loop().time() - began > 0.5  # it was the silence
            assert sorted(news(engine)) == [*range(1, 11)]
            await way.close()
        await service.close()
        engine.close()

    run(work())


def test_lines_are_encrypted_and_the_engine_is_known(tmp_path: Path) -> None:
    async def work() -> None:
        papers, strangers = Certificates(tmp_path / "a"), Certificates(tmp_path / "b")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(papers.server, papers.key)
        engine, taken = memory(), Taken()
        service = await served(engine, tls=server, token="word")
        knowing = ssl.create_default_context(cafile=papers.ca)
        way = Lines([address_of(service)], token="word", tls=knowing)
        await way.start(taken.take, taken.is_down)
        way.send(orders(1, 2000))
        await until(lambda: taken.count == 2001)
        other = Lines([address_of(service)], tls=ssl.create_default_context(cafile=strangers.ca))
        starting = asyncio.ensure_future(other.start(taken.take, taken.is_down))
        await until(lambda: "CERTIFICATE_VERIFY_FAILED" in other.lines[0].why)
        starting.cancel()
        for one in (way, other):
            await one.close()
        await service.close()
        engine.close()

    run(work())


@pytest.mark.parametrize(
    "token, identity, why", [("wrong", ANY, "another token"), ("right", b"x" * 16, "exchange")]
)
def test_a_gateway_that_is_refused_says_why_and_stops(
    token: str, identity: bytes, why: str
) -> None:
    async def work() -> None:
        engine, taken = memory(), Taken()
        service = await served(engine, token="right")
        way = Lines([address_of(service)], token=token)
        way._identity = identity
        with pytest.raises(mc.LogError, match=why):
            await asyncio.wait_for(way.start(taken.take, taken.is_down), 10)
        assert why in taken.down
        with pytest.raises(mc.LogError, match=why):
            way.send(orders(1, 1))
        await way.close()
        await service.close()
        engine.close()

    run(work())


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n" + bytes(64),
        b"\xff" * 64,
        Frame(Type.JOIN, 7, payload=b"MCGATE").to_bytes(),
        join(7, ANY, b"t" * 300),
        Frame(Type.FOLLOW).to_bytes(),
        join(7, ANY, b"") + Frame(Type.BATCH, 1, rows=9, payload=b"x").to_bytes(),
        join(7, ANY, b"") + Frame(Type.BATCH, 1, rows=0).to_bytes(),
        join(7, ANY, b"") + Frame(Type.BATCH, 1, rows=1 << 31, codec=2, payload=b"x").to_bytes(),
        join(7, ANY, b"") + Frame(Type.FOLLOW, 1 << 63).to_bytes(),
        join(7, ANY, b"") + Frame(Type.FOLLOW).to_bytes() * 2,
        join(7, ANY, b"") + Frame(Type.WELCOME).to_bytes(),
        join(7, ANY, b"")[:20],
    ],
)
def test_what_no_gateway_says_ends_that_line_and_no_other(said: bytes) -> None:
    async def work() -> None:
        engine, taken = memory(), Taken()
        service = await served(engine)
        way = Lines([address_of(service)])
        await way.start(taken.take, taken.is_down)
        reader, writer = await asyncio.open_connection(*address_of(service))
        writer.write(said)
        writer.write_eof()
        assert len(await asyncio.wait_for(reader.read(), 20)) < 4096
        writer.close()
        way.send(orders(1, 4))
        await until(lambda: taken.count == engine.sequence >= 5)
        await way.close()
        await service.close()
        engine.close()

    run(work())


@given(data=st.binary(max_size=300), cuts=st.integers(1, 40))
def test_any_bytes_are_frames_or_an_error(data: bytes, cuts: int) -> None:
    frames = Frames(1 << 20)
    try:
        for at in range(0, len(data), cuts):
            for frame in frames.take(data[at : at + cuts]):
                if frame.type in (Type.BATCH, Type.LOG):
                    frame.commands()
    except LineError:
        pass


def test_frames_come_out_as_they_went_in() -> None:
    commands = orders(1, 500)
    data = batch(5, commands) + Frame(Type.ALIVE, 9).to_bytes() + batch(6, commands[:3])
    for step in (1, 7, 10_000):
        frames = Frames(1 << 20)
        found = [f for at in range(0, len(data), step) for f in frames.take(data[at : at + step])]
        assert [(frame.type, frame.number) for frame in found] == [
            (Type.BATCH, 5), (Type.ALIVE, 9), (Type.BATCH, 6)
        ]  # fmt: skip
        assert found[0].commands().tobytes() == commands.tobytes()


@pytest.mark.parametrize(
    "text, meant",
    [("unix:/a/b", ("/a/b", -1)), ("70", ("127.0.0.1", 70)), ("[::1]:9", ("::1", 9)),
     ("x:70000", None), ("unix:", None), ("x", None), ("x:-1", None), ("", None),
     ("unix:" + "x" * 108, None)],
)  # fmt: skip
def test_addresses(text: str, meant: tuple[str, int] | None) -> None:
    if meant is None:
        with pytest.raises(mc.InvalidArgument, match=r"must be unix:PATH|longer than"):
            Address.of(text)
    else:
        assert Address.of(text) == meant and Address.of(str(Address.of(text))) == meant


def test_a_unix_socket_takes_the_place_of_a_dead_one_only(tmp_path: Path) -> None:
    async def work() -> None:
        engine, address = memory(), unix(tmp_path)
        service = await served(engine, address)
        with pytest.raises(mc.InvalidArgument, match="another process listens"):
            await served(engine, address)
        await asyncio.sleep(0.01)  # whoever looked there is gone
        await until(lambda: not service.links)
        service._servers[0].close()  # and leaves its file
        await service._servers[0].wait_closed()
        service = await served(engine, address)
        assert Path(address.host).stat().st_mode & 0o777 == 0o600
        await service.close()
        Path(address.host).write_text("mine")
        with pytest.raises(mc.InvalidArgument, match="no socket"):
            await served(engine, address)
        engine.close()

    run(work())
