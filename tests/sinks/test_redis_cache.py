"""The newest state of an exchange in Redis: equal to the engine, whole batches, filled again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis_server import RedisServer

import matchcore as mc
from matchcore.errors import SinkError
from matchcore.sinks import FollowerProcess, SinkAway, open_sink, open_store
from matchcore.sinks.cache import Cache
from matchcore.sinks.opening import built_in

ANA, TEF = mc.Instrument("ANA", "0.05"), mc.Instrument("TEF", "0.001")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path_factory.mktemp("redis") / "server", password="half a secret")
    found.url = f"redis://:half%20a%20secret@127.0.0.1:{found.port}/0"
    found.start()
    yield found
    found.kill()


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    found = redis.Redis.from_url(server.url, decode_responses=True)
    found.flushall()
    return found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[mc.Engine]:
    with mc.Engine.open(tmp_path / "x.d", instruments=[ANA, TEF], policy="os") as found:
        yield found


def trade(engine: mc.Engine, count: int, seed: int = 1) -> None:
    """Orders, trades, cancels and amends of four accounts."""
    drawn = random.Random(seed)
    for _ in range(count):
        symbol = drawn.choice(["ANA", "TEF"])
        side = drawn.choice(list(mc.Side))
        ticks = 1900 + drawn.randrange(12)
        price = engine.instruments[symbol].price(ticks)
        order = mc.NewOrder(symbol, side, drawn.randrange(1, 40), price, account=drawn.randrange(4))
        answer = engine.submit(order)
        if answer.left and drawn.random() < 0.3:
            engine.cancel(symbol, answer.order_id)
        elif answer.left and drawn.random() < 0.3:
            engine.amend(symbol, answer.order_id, quantity=drawn.randrange(1, 60))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def follow(engine: mc.Engine, url: str) -> None:
    assert engine.path is not None
    engine.sequence  # noqa: B018 - waits until all is durable
    with mc.Follower(engine.path, open_sink(url, engine.identity)) as follower:
        follower.run()


def agree(engine: mc.Engine, cache: Cache) -> None:
    """What readers see is what the engine has."""
    for account in range(4):
        found = cache.open_orders(account)
        assert found.sequence == engine.sequence
        told = {(one["symbol"], int(one["order_id"])): one for one in found.value}
        mine = {(one.symbol, one.order_id): one for one in engine.open_orders(account)}
        assert told.keys() == mine.keys()
        for key, one in mine.items():
            seen = told[key]
            assert seen == cache.order(*key).value
            assert (seen["left"], seen["filled"], seen["quantity"] > 0, seen["status"]) == (
                one.left, str(one.filled), True, "open",
            )  # fmt: skip
            assert seen["price"] == str(one.price) and seen["side"] == str(one.side.name).lower()
            assert (seen["sequence"], seen["time"]) == (str(one.sequence), str(one.time))
    for symbol in ("ANA", "TEF"):
        book, top = engine.book(symbol), cache.top(symbol).value
        for name, best in (("buy", book.best_bid), ("sell", book.best_ask)):
            if best is None:
                assert top is None or top[name] is None
            else:
                assert top[name] == {
                    "price": str(best.price), "quantity": best.quantity, "orders": best.orders,
                }  # fmt: skip


def test_readers_see_what_the_engine_has(
    engine: mc.Engine, server: RedisServer, client: redis.Redis
) -> None:
    with Cache(server.url, engine.identity) as cache:
        assert cache.open_orders(1) == cache.open_orders(2)
        assert (cache.top("ANA").value, cache.top("ANA").sequence) == (None, 0)
        for seed in range(6):  # a new follower each time: it reads again what it needs
            trade(engine, 60, seed)
            follow(engine, server.url)
            agree(engine, cache)
        assert cache.instruments().value["TEF"]["tick"] == "0.001"
        engine.mass_cancel()
        follow(engine, server.url)
        agree(engine, cache)
        assert cache.top("ANA").value == {"buy": None, "sell": None}
    assert not client.hlen(client.keys("*rows:open_orders")[0] if client.keys("*rows:o*") else "x")


def test_orders_that_ended_stay_for_a_while(
    engine: mc.Engine, server: RedisServer, client: redis.Redis
) -> None:
    order = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 10, "95.70", account=1))
    engine.submit(mc.NewOrder("ANA", mc.Side.SELL, 10, "95.70", account=2))
    gone = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 10, "95.70", account=1))
    engine.cancel("ANA", gone.order_id)
    old = mc.NewOrder(
        "ANA", mc.Side.BUY, 10, "95.70", account=1, time=1_000, time_in_force=mc.TimeInForce.IOC
    )
    past = engine.submit(old)
    follow(engine, f"{server.url}?keep=100")
    with Cache(server.url, engine.identity) as cache:
        filled, cancelled = (cache.order("ANA", one.order_id).value for one in (order, gone))
        assert (filled["status"], filled["filled"], filled["left"]) == ("filled", "10", 0)
        assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "requested")
        assert cache.order("ANA", past.order_id).value is None
    (key,) = client.keys(f"*order:ANA:{order.order_id}")
    assert 0 < client.ttl(key) <= 100
    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 10, "95.70", account=1, order_id=order.order_id))
    follow(engine, server.url)  # the id is used again, and the key lives as long as the order
    assert client.ttl(key) == -1


def test_a_redis_that_lost_everything_is_filled_again(
    engine: mc.Engine, server: RedisServer, client: redis.Redis
) -> None:
    trade(engine, 80)
    assert engine.path is not None
    went_back = []
    sink = open_sink(server.url, engine.identity)
    engine.sequence  # noqa: B018 - waits until all is durable
    with (
        mc.Follower(engine.path, sink, went_back=lambda *at: went_back.append(at)) as follower,
        Cache(server.url, engine.identity) as cache,
    ):
        follower.run()
        client.flushall()
        trade(engine, 20, 2)
        engine.sequence  # noqa: B018 - as above
        while cache.top("ANA").sequence < engine.sequence:
            follower.run()
        agree(engine, cache)
    assert went_back


def test_keys_without_their_position_are_swept_before_it_is_filled(
    engine: mc.Engine, server: RedisServer, client: redis.Redis
) -> None:
    trade(engine, 40)
    follow(engine, server.url)
    (position,) = client.keys("*position")
    client.delete(position)
    client.set(position.replace("position", "order:ANA:999"), "{}")
    other = position.replace(":0}", ":7}")
    client.set(other, "of another shard")
    follow(engine, server.url)
    with Cache(server.url, engine.identity) as cache:
        agree(engine, cache)
        assert cache.order("ANA", 999).value is None
    assert client.get(other) == "of another shard"


def test_bars_of_old_days_do_not_pile_up(
    engine: mc.Engine, server: RedisServer, client: redis.Redis
) -> None:
    day = 86_400 * 10**9
    for at in range(1, 8):
        for side in mc.Side:
            engine.submit(mc.NewOrder("ANA", side, 1, "95.70", time=at * day))
    follow(engine, server.url)
    (key,) = client.keys("*rows:daily_bars")
    assert client.hlen(key) == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1/x?keep=x", "keep=SECONDS"),
        ("redis://127.0.0.1:1/0?keep=-1", "keep=SECONDS"),
        ("redis://127.0.0.1:1/0?socket_timeout=1", "keep=SECONDS"),
        ("redis://:word@[half", "must be redis://"),
    ],
)
def test_a_wrong_url_says_so_and_shows_no_password(url: str, said: str) -> None:
    with pytest.raises(SinkError) as error:
        open_store(url, bytes(16))
    assert said in str(error.value) and "word" not in str(error.value).replace("password", "")


def test_a_redis_that_is_away_or_refuses(server: RedisServer, client: redis.Redis) -> None:
    with pytest.raises(SinkAway, match=r"127\.0\.0\.1:1"):
        open_store("redis://127.0.0.1:1/0", bytes(16))
    wrong = f"redis://:other@127.0.0.1:{server.port}/0"
    with pytest.raises(SinkError, match="check user, password") as error:
        open_store(wrong, bytes(16))
    assert not isinstance(error.value, SinkAway) and "other" not in str(error.value)
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(SinkError, match="set it to noeviction"):
            open_store(server.url, bytes(16))
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")


def test_another_follower_and_an_older_epoch_are_refused(
    engine: mc.Engine, server: RedisServer, client: redis.Redis
) -> None:
    trade(engine, 20)
    follow(engine, server.url)
    (position,) = client.keys("*position")
    client.hset(position, "epoch", 99)
    trade(engine, 5, 3)
    with pytest.raises(SinkError, match="epoch 99"):
        follow(engine, server.url)
    client.hset(position, mapping={"epoch": 1, "sequence": "half"})
    with pytest.raises(SinkError, match="not written by matchcore"):
        follow(engine, server.url)
    client.hset(position, mapping={"version": 1, "sequence": 3})
    with pytest.raises(SinkError, match="delete the keys"):
        follow(engine, server.url)
    client.hset(position, "sequence", "half")
    with Cache(server.url, engine.identity) as cache, pytest.raises(SinkError, match="matchcore"):
        cache.top("ANA")


def test_a_cache_is_for_followers_only() -> None:
    with pytest.raises(SinkError, match="followers only"):
        built_in("redis://127.0.0.1:1/0")
    with pytest.raises(SinkError, match="16"):
        Cache("redis://127.0.0.1:1/0", b"short")


def test_a_follower_beside_an_engine_fills_a_cache_again_after_a_kill(
    tmp_path: Path, engine: mc.Engine
) -> None:
    server = RedisServer(tmp_path / "mine")
    server.start()
    assert engine.path is not None
    trade(engine, 30)
    try:
        with FollowerProcess(engine.path, server.url) as beside:
            until(lambda: beside.sequence == engine.sequence)
            server.kill()
            trade(engine, 30, 2)
            server.start()
            with Cache(server.url, engine.identity) as cache:
                sequence = engine.sequence
                until(lambda: cache.top("ANA").sequence == sequence)
                agree(engine, cache)
    finally:
        server.kill()


def test_the_command_follows_into_a_cache(
    engine: mc.Engine, server: RedisServer, client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from matchcore.cli.app import app

    trade(engine, 20)
    engine.sequence  # noqa: B018 - waits until all is durable
    monkeypatch.setenv("MATCHCORE_SINK_URL", server.url)
    with pytest.raises(SystemExit) as ended:
        app(["follow", str(engine.path), "--json"])
    said = capsys.readouterr().out
    assert not ended.value.code and json.loads(said)["last_sequence"] == engine.sequence
    assert "secret" not in said
