"""The client over lines of ITCH: every change once, with what the messages lack."""

from __future__ import annotations

import re
from pathlib import Path

import feed_kit as kit
import numpy as np
import pytest
from itch_kit import PASSWORD, USER
from numpy.typing import NDArray

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds import Client, Snapshot
from matchcore.feeds.itch import Encoder, add_login
from matchcore.feeds.itch._frames import BLOCK, blocks_of, rows_of
from matchcore.feeds.stream import Stream

SAID = ["kind", "instrument", "side", "price", "quantity", "left", "trade_id", "level_quantity",
        "level_orders", "flags"]  # fmt: skip
LOGIN = USER, PASSWORD


class ItchProcess(kit.FeedProcess):
    """A feed with SoupBinTCP and GLIMPSE."""

    def __init__(self, path: Path) -> None:
        logins = path.parent / "logins.json"
        if not logins.exists():
            add_login(logins, *LOGIN)
        soup, glimpse = kit.free_port(), kit.free_port()
        self.soup, self.glimpse = f"soup://127.0.0.1:{soup}", f"127.0.0.1:{glimpse}"
        super().__init__(path, "--soup", soup, "--glimpse", glimpse, "--logins", logins)


def public(rows: NDArray[np.void]) -> list[tuple[int, ...]]:
    """What ITCH says of them, after completion; of definitions and days the kind only."""
    orders = np.isin(rows["kind"], [1, 2, 3, 4]).tolist()
    return [row if order else row[:1]
            for row, order in zip(rows[SAID].tolist(), orders, strict=True)]  # fmt: skip


def truth(path: Path) -> NDArray[np.void]:
    return np.frombuffer(kit.truth(path), mc.CHANGE)


def take(client: Client, parts: list[NDArray[np.void]], number: int) -> None:
    while client.number < number:
        item = client.next(kit.SECONDS_MAX)
        assert item is not None and not isinstance(item, Snapshot), client.health()
        parts.append(item.rows)


def test_two_lines_and_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 2000)
        with ItchProcess(path) as one, ItchProcess(path) as two:
            kit.until(one.listens, one.said)
            kit.until(two.listens, two.said)
            parts: list[NDArray[np.void]] = []
            with Client(one.soup, two.soup, first=1, login=LOGIN) as client:
                take(client, parts, len(truth(path)))
                assert client.session == path_session(path)
                one.kill()
                engine.add_instrument(mc.Instrument("NEW", "0.5", lot=3))
                kit.trade(engine, 1000, seed=2)
                take(client, parts, len(truth(path)))
                kit.equal_books(client, engine)
                assert client.instruments.number("NEW") == 3
            assert public(np.concatenate(parts)) == public(truth(path))


def path_session(path: Path) -> str:
    with Stream(path) as stream:
        return stream.session


def test_a_snapshot_of_glimpse_first(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path) as engine:
        kit.trade(engine, 2000)
        with ItchProcess(path) as feed:
            kit.until(feed.listens, feed.said)
            with Client(feed.soup, login=LOGIN, glimpse=feed.glimpse) as client:
                snapshot = client.next(kit.SECONDS_MAX)
                assert isinstance(snapshot, Snapshot)
                assert snapshot.number == len(truth(path)) and snapshot.rows["level_orders"].all()
                kit.equal_books(client, engine)
                before, parts = len(truth(path)), list[NDArray[np.void]]()
                kit.trade(engine, 1000, seed=2)
                take(client, parts, len(truth(path)))
                kit.equal_books(client, engine)
                assert public(np.concatenate(parts)) == public(truth(path)[before:])


def test_wrong_logins_and_snapshots_are_named(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with kit.opened(path), ItchProcess(path) as feed:
        kit.until(feed.listens, feed.said)
        for password, first, said in (
            ("wrong", 1, "the login is refused: (wrong user|too many)"),  # after five
            (PASSWORD, 0, "no snapshot: name glimpse=HOST:PORT"),
        ):
            with Client(feed.soup, first=first, login=(USER, password)) as client:
                kit.until(
                    lambda said=said, client=client: re.search(said, client.health()[0].error)
                )
    for lines, first, said in (
        (["soup://127.0.0.1:1", "127.0.0.1:2"], 1, "lines of ITCH and others"),
        (["soup://127.0.0.1:1"], 7, "begin with a snapshot"),
        (["soup://"], 1, "must be HOST:PORT"),
    ):
        with pytest.raises(FeedError, match=said):
            Client(*lines, first=first)


def test_blocks_as_rows_and_back(tmp_path: Path) -> None:
    with kit.opened(tmp_path / "e") as engine:
        kit.trade(engine, 300)
    with Stream(tmp_path / "e") as stream:
        encoder = Encoder(stream.instruments)
        blocks = b"".join(encoder.blocks(changes.rows) for changes in stream.poll())
    rows = rows_of(blocks)
    assert rows.dtype == BLOCK and blocks_of(rows) == blocks
    assert blocks_of(rows[3:7]) + blocks_of(rows[7:9]) == blocks_of(rows[3:9])
    assert rows_of(b"").tobytes() == blocks_of(rows[:0]) == b""
    for wrong in (blocks[:-1], b"\0\x4f" + bytes(79), b"\0"):
        with pytest.raises(ValueError):
            rows_of(wrong)
    damaged = np.frombuffer(b"\xff" * BLOCK.itemsize, BLOCK)
    assert blocks_of(damaged) == b"\xff" * BLOCK.itemsize  # never more than there is
