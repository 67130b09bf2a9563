"""Waiting for a log to grow."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

import matchcore as mc
from matchcore.journal import Growth

FOREVER = 60.0  # seconds; a test that waits so long has failed


@pytest.fixture
def engine(tmp_path: Path) -> mc.Engine:
    return mc.Engine.open(tmp_path, instruments=[mc.Instrument("ANA", "0.05")])


def waited(found: Growth) -> None:
    """Waits, and knows that something ended it."""
    until = time.monotonic() + FOREVER
    found.wait(FOREVER)
    assert time.monotonic() < until


def order(engine: mc.Engine) -> None:
    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, "100"))


def test_what_was_written_since_the_last_wait_ends_the_next(
    tmp_path: Path, engine: mc.Engine
) -> None:
    with engine, Growth(tmp_path) as found:
        found.wait(FOREVER)  # the first one knows nothing yet
        order(engine)
        waited(found)


def test_a_wait_ends_when_a_command_is_durable(tmp_path: Path, engine: mc.Engine) -> None:
    with engine, Growth(tmp_path) as found:
        found.wait(FOREVER)
        writing = threading.Thread(target=order, args=(engine,))
        writing.start()
        waited(found)
        writing.join()


def test_in_an_event_loop(tmp_path: Path, engine: mc.Engine) -> None:
    async def grows() -> None:
        with Growth(tmp_path) as found:
            await found.grown(FOREVER)
            waiting = asyncio.ensure_future(found.grown(FOREVER))
            await asyncio.sleep(0)
            order(engine)
            await asyncio.wait_for(waiting, FOREVER / 2)

    with engine:
        asyncio.run(grows())


def test_frames_that_are_not_safe_yet_end_no_wait(tmp_path: Path) -> None:
    segment = tmp_path / "1.mcj"
    segment.write_bytes(b"")
    with Growth(tmp_path) as found, segment.open("ab", buffering=0) as file:
        found.wait(FOREVER)
        file.write(b"frame")
        assert found._notify is not None
        assert not found._grew(0)
        (tmp_path / "2.mcj").touch()
        assert found._grew(0)


def test_without_watches_it_looks_now_and_then(
    tmp_path: Path, engine: mc.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("inotify_simple.INotify", refused)
    with engine, Growth(tmp_path) as found:
        for _ in range(2):
            found.wait(0.01)
            asyncio.run(found.grown(0.01))


def test_a_directory_that_is_gone_is_no_error(tmp_path: Path) -> None:
    with Growth(tmp_path / "nothing") as found:
        found.wait(0.01)
        found.wait(0.01)
