"""From an engine over feeds and lines to a client: every change once, whatever is killed."""

from __future__ import annotations

import ssl
from pathlib import Path

import feed_kit as kit
import pytest
from certificates import Certificates
from click.testing import CliRunner

import matchcore as mc
from matchcore.cli.app import app
from matchcore.errors import FeedError
from matchcore.feeds import Client, Snapshot
from matchcore.feeds.client import Item
from matchcore.feeds.client.following import Merged
from matchcore.journal import identity_of

NEW = mc.Instrument("NEW", "0.5")


def test_two_feeds_and_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 2000)
        with (
            kit.FeedProcess(path) as a,
            kit.FeedProcess(path) as b,
            Client(a.address, b.address, first=1) as client,
        ):
            taken = kit.Taken(client)
            taken.until(1000)
            kit.trade(engine, 500, 2)
            a.kill()
            kit.trade(engine, 500, 3)
            last = len(kit.truth(path)) // 88
            taken.until(last)
            kit.equal_books(client, engine)
            with kit.FeedProcess(path, port=a.port):
                kit.until(lambda: client.health()[0].state == "connected")
                b.kill()
                kit.trade(engine, 500, 4)
                taken.until(len(kit.truth(path)) // 88)
            kit.equal_books(client, engine)
    assert bytes(taken.bytes) == kit.truth(path)


def test_a_snapshot_first_and_then_every_change(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 1000)
        with kit.FeedProcess(path) as feed, Client(feed.address) as client:
            taken = kit.Taken(client)
            taken.until(1)
            kit.equal_books(client, engine)
            before = client.number
            kit.trade(engine, 300, 2)
            engine.add_instrument(NEW)
            engine.submit(mc.NewOrder("NEW", mc.Side.BUY, 5, price="7.5"))
            whole = kit.truth(path)
            taken.until(len(whole) // 88)
            assert bytes(taken.bytes) == whole[before * 88 :]
            assert [one.number for one in taken.snapshots] == [before]
            assert client.instruments["NEW"] == NEW
            assert client.books.levels(3, mc.Side.BUY)["quantity"].tolist() == [5]
            kit.equal_books(client, engine)
            assert client.session in feed.said()
            assert feed.stop() == 0


def test_relays_of_relays_give_the_same_bytes_and_one_may_die(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 500)
        with (
            kit.FeedProcess(path) as feed,
            kit.FeedProcess("--upstream", feed.address) as first,
            kit.FeedProcess("--upstream", first.address) as second,
            kit.FeedProcess("--upstream", feed.address, "--upstream", first.address) as other,
            Client(second.address, other.address) as client,
        ):
            taken = kit.Taken(client)
            taken.until(1)
            kit.until(lambda: {one.state for one in client.health()} == {"connected"})
            before = client.number
            kit.trade(engine, 500, 2)
            engine.add_instrument(NEW)
            taken.until(len(kit.truth(path)) // 88)
            assert client.instruments["NEW"] == NEW
            first.kill()  # and so nothing comes through the second
            kit.trade(engine, 500, 3)
            taken.until(len(kit.truth(path)) // 88)
            second.kill()
            kit.trade(engine, 500, 4)
            taken.until(len(kit.truth(path)) // 88)
            kit.equal_books(client, engine)
            with kit.FeedProcess("--upstream", other.address, port=second.port):
                kit.until(lambda: client.health()[0].state == "connected")
                assert other.stop() == 0
                kit.until(lambda: client.health()[1].state == "away")
        assert bytes(taken.bytes) == kit.truth(path)[before * 88 :]
        assert len(taken.snapshots) == 1


def test_a_relay_has_no_older_numbers_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 300)
        with (
            kit.FeedProcess(path) as feed,
            kit.FeedProcess("--upstream", feed.address) as relay,
        ):
            with (
                Client(relay.address, first=1) as alone,
                pytest.raises(FeedError, match=r"numbers 1 to \d+ are on no line any more"),
            ):
                alone.next(kit.SECONDS_MAX)
            with Client(relay.address, feed.address, first=1) as client:
                taken = kit.Taken(client)
                taken.until(len(kit.truth(path)) // 88)
                assert bytes(taken.bytes) == kit.truth(path)


def test_a_wait_that_ends_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, begin = list[int](), Merged.next

    async def counted(merged: Merged) -> Item:
        calls.append(1)
        return await begin(merged)

    monkeypatch.setattr(Merged, "next", counted)
    path = tmp_path / "e"
    with (
        kit.opened(path) as engine,
        kit.FeedProcess(path) as feed,
        Client(feed.address, first=1) as client,
    ):
        taken = kit.Taken(client)
        taken.until(len(kit.truth(path)) // 88)
        while (item := client.next(0.2)) is not None:
            taken.take(item)
        known = len(calls)
        assert client.next(0) is client.next(0.01) is None
        assert len(calls) == known  # the same wait goes on
        kit.trade(engine, 100)
        taken.until(len(kit.truth(path)) // 88)
        assert bytes(taken.bytes) == kit.truth(path)
        assert client.next(0) is None  # a client may be closed while it waits


def test_another_exchange_is_refused(tmp_path: Path) -> None:
    for name in "ef":
        with kit.opened(tmp_path / name) as engine:
            kit.trade(engine, 100)
    with (
        kit.FeedProcess(tmp_path / "e") as mine,
        kit.FeedProcess(tmp_path / "f") as other,
        Client(mine.address, other.address, first=1) as client,
    ):
        taken = kit.Taken(client)
        taken.until(20)
        kit.until(lambda: "connected" in {one.state for one in client.health()})
        kit.until(lambda: "refused" in {one.state for one in client.health()})
        (refused,) = [one for one in client.health() if one.state == "refused"]
        assert "exchange" in refused.error
        with (
            Client(other.address, identity=identity_of(tmp_path / "e")) as wrong,
            pytest.raises(FeedError, match=r"no line is left: .*this feed is of exchange"),
        ):
            wrong.next(kit.SECONDS_MAX)


def test_tls_and_a_token(tmp_path: Path, certificates: Certificates) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 100)
    options = "--tls-cert", certificates.server, "--tls-key", certificates.key
    tls = ssl.create_default_context(cafile=certificates.ca)
    with (
        kit.FeedProcess(path, *options, MATCHCORE_LINE_TOKEN="word") as feed,
        kit.FeedProcess("--upstream", feed.address, "--upstream-ca", certificates.ca,
                        MATCHCORE_UPSTREAM_TOKEN="word") as relay,
        Client(feed.address, first=1, token="word", tls=tls) as client,
        Client(relay.address) as behind,
    ):  # fmt: skip
        last = len(kit.truth(path)) // 88
        kit.Taken(client).until(last)
        kit.Taken(behind).until(last)
        with (
            Client(feed.address, token="wrong", tls=tls) as wrong,
            pytest.raises(FeedError, match="another token is needed"),
        ):
            wrong.next(kit.SECONDS_MAX)
        with Client(feed.address, token="word") as plain:
            assert plain.next(0.3) is None
            kit.until(lambda: plain.health()[0].error)
        assert "word" not in feed.said() + relay.said()


def test_two_relays_behind_haproxy(tmp_path: Path) -> None:
    """Each is killed in turn; a client of the one address reconnects, and lacks nothing."""
    path, port = tmp_path / "e", kit.free_port()
    with (
        kit.opened(path) as engine,
        kit.FeedProcess(path) as feed,
        kit.FeedProcess("--upstream", feed.address) as a,
        kit.FeedProcess("--upstream", feed.address) as b,
        kit.haproxy(LINE=f"127.0.0.1:{port}", RELAY_A=a.address, RELAY_B=b.address) as proxy,
        Client(f"127.0.0.1:{port}") as client,
    ):
        kit.trade(engine, 100)
        for relay in (a, b):
            kit.until(relay.listens)
        taken = kit.Taken(client)
        taken.until(1)
        before = client.number
        kit.trade(engine, 500, 2)
        a.kill()
        kit.trade(engine, 500, 3)
        taken.until(len(kit.truth(path)) // 88)
        with kit.FeedProcess("--upstream", feed.address, port=a.port) as again:
            kit.until(again.listens)
            b.kill()
            kit.trade(engine, 500, 4)
            taken.until(len(kit.truth(path)) // 88)
        assert bytes(taken.bytes) == kit.truth(path)[before * 88 :]
        assert len(taken.snapshots) == 1 and proxy.poll() is None
        kit.equal_books(client, engine)


def test_an_exchange_without_anything(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with (
        mc.Engine.open(path, policy="os") as engine,
        kit.FeedProcess(path) as feed,
        kit.FeedProcess("--upstream", feed.address) as relay,
        Client(relay.address) as client,
    ):
        snapshot = client.next(kit.SECONDS_MAX)
        assert isinstance(snapshot, Snapshot) and not len(snapshot.rows)
        assert (snapshot.number, snapshot.instruments) == (0, [])
        engine.add_instrument(NEW)
        kit.Taken(client).until(1)
        assert client.instruments["NEW"] == NEW
        assert not len(client.books.orders(1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "name a DIRECTORY, or --upstream"), (["--upstream", "x:1"], "nothing to serve"),
     (["--upstream", "x", "--line", "0"], "'x': must be HOST:PORT"),
     (["--upstream", "x:1", "--line", "x"], "'x': must be HOST:PORT"),
     (["--upstream", "x:1", "--line", "0", "--tls-cert", __file__], "both, or none"),
     (["--upstream", "x:1", "--redis", "http://:hidden@h"], "the URL of Redis")],
)  # fmt: skip
def test_wrong_usage_is_named(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["feed", *arguments])
    assert result.exit_code == 2 and said in result.stderr and "hidden" not in result.stderr
