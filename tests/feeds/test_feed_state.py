"""A state that cannot be saved stops nobody, and a relay that lost its upstream says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import feed_kit as kit
import pytest

from matchcore.feeds import Client
from matchcore.feeds.files import replacing
from matchcore.feeds.itch import add_login
from matchcore.serving.addresses import Addresses


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_full_disk_under_the_state_ends_no_feed(tmp_path: Path, small_disk: Path) -> None:
    path, logins = tmp_path / "e", tmp_path / "logins.json"
    add_login(logins, "alice", "correct-1")
    given = (path, "--state", small_disk, "--soup", kit.free_port(), "--logins", logins)
    with kit.opened(path) as engine:
        kit.trade(engine, 20)
        with kit.FeedProcess(*given) as feed:
            kit.until(feed.listens, feed.said)
            assert feed.stop() == 0 and "not saved" not in feed.said()
        kept = {one.name: one.read_bytes() for one in small_disk.iterdir()}
        assert json.loads(kept["feed.json"])["sequence"] == 22
        kit.trade(engine, 5000)
        with kit.FeedProcess(*given) as feed:
            kit.until(feed.listens, feed.said)
            assert feed.stop() == 0
            assert "state is not saved: [Errno 28] No space left on device" in feed.said()
            assert "place of ITCH is not saved: [Errno 28]" in feed.said()
        assert {one.name: one.read_bytes() for one in small_disk.iterdir()} == kept
        with kit.FeedProcess(*given) as feed, Client(feed.address, first=1) as client:
            taken = kit.Taken(client)
            taken.until(len(kit.truth(path)) // 88)
            assert bytes(taken.bytes) == kit.truth(path)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="full"), replacing(path) as file:
        file.write(b"after")
        raise OSError("full")
    assert [one.name for one in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"before"
    with replacing(path) as file:
        file.write(b"after")
    assert [one.name for one in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"after"


def test_a_relay_whose_upstreams_lost_its_numbers_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine, kit.FeedProcess(path) as feed:
        upstream = kit.FeedProcess("--upstream", feed.address)
        with upstream, kit.FeedProcess("--upstream", upstream.address) as relay:
            kit.until(relay.listens, relay.said)
            upstream.kill()
            kit.trade(engine, 300)
            again = kit.FeedProcess("--upstream", feed.address, port=upstream.port)
            with again:  # it begins with a snapshot of now, and has nothing older
                assert relay.process.wait(kit.SECONDS_MAX) == 2
                assert "are on no line any more" in relay.said()


def test_a_quarter_of_the_connections_is_for_one_address() -> None:
    found = Addresses(8)
    for address in ("a", "a", "b"):
        assert not found.full(address)
        found.enter(address)
    assert found.full("a") == "2 clients are connected from this address" and not found.full("b")
    found.leave("a")
    assert not found.full("a")
    for at in range(6):
        found.enter(str(at))
    assert found.full("new") == "8 clients are connected"
