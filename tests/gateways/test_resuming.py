"""A desk that goes on from its state: what sessions are told is what an undisturbed one tells."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_kit import ANA, Heard, Served, login, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lines_kit import address_of, orders, served, unix

from matchcore import COMMAND, Engine, Kind
from matchcore.errors import NotInTheLog
from matchcore.gateways.desk import Desk
from matchcore.gateways.lines import Lines
from matchcore.gateways.presence import commands_of
from matchcore.gateways.users import RegisteredUsers
from matchcore.gateways.users.entries import User
from matchcore.gateways.ways import Direct, Past, digests
from matchcore.operations import archive
from matchcore.reports import Reports, saved

NOT_USED = "the state in"


def end_day() -> Any:
    commands = np.zeros(1, COMMAND)
    commands["kind"] = Kind.END_DAY
    return commands


def trade(engine: Engine, first: int, count: int) -> None:
    """Orders in many small frames."""
    for at in range(first, first + count, 50):
        engine.submit_batch(orders(at, min(50, first + count - at)))


@contextmanager
def exchange(path: Path) -> Iterator[Engine]:
    """Small segments, so that there is something to archive."""
    with Engine.open(path, instruments=[ANA], segment_bytes=1 << 13) as engine:
        yield engine


@asynccontextmanager
async def desk_over(engine: Engine, state: Path | None, kind: str = "direct") -> Any:
    """A desk that is live."""
    if kind == "direct":
        desk = Desk(Direct(engine), RegisteredUsers(), state=state)
        running = Served(desk)
        async with running:
            await ready(desk, running)
            yield desk
        return
    assert engine.place is not None
    service = await served(engine, unix(Path(str(engine.place))))
    try:
        desk = Desk(Lines([address_of(service)]), RegisteredUsers(), state=state)
        running = Served(desk)
        async with running:
            await ready(desk, running)
            yield desk
    finally:
        await service.close()


async def ready(desk: Desk, served: Served) -> None:
    await until(lambda: desk.live or served._running.done())
    if served._running.done():
        await served._running


def heard(desk: Desk) -> list[bytes]:
    """All that session 1 can ask for again, and what is known of its orders."""
    reports = desk.reports
    days = [reports.read(1, 1, 10**6, day=day).tobytes() for day in (reports.day - 1, reports.day)]
    return [*days, reports.open_orders(1).tobytes()]


def there(desk: Desk) -> dict[int, Any]:
    """Sessions as the log has them."""
    return {key: one[:4] for key, one in desk._attendance.presences._sessions.items()}


async def compare(engine: Engine, desk: Desk) -> None:
    """With a desk that has read the whole log."""
    await until(lambda: desk.sequence == engine.durable)
    said = heard(desk)
    async with desk_over(engine, None) as other:
        assert heard(other) == said
        assert (other.day, other.reports.last(1)) == (desk.day, desk.reports.last(1))
        assert there(other) == there(desk)
        assert other._users.users == desk._users.users
        assert other._attendance.absences._accounts == desk._attendance.absences._accounts


def killed(state: Path, copy: Path) -> Path:
    """What a directory holds when its process is killed now."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state, copy)
    return copy


@pytest.mark.parametrize("kind", ["direct", "lines"])
def test_a_clean_restart_reads_only_what_is_new(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def restart() -> None:
        with exchange(tmp_path / "e") as engine:
            engine.submit_batch(commands_of([User(1, "alice").entry()]))
            async with desk_over(engine, tmp_path / "s", kind):
                trade(engine, 1, 200)
                engine.submit_batch(end_day())
                trade(engine, 201, 300)
            before = engine.sequence
            trade(engine, 501, 100)
            taken: list[int] = []
            take = Desk._take

            def counting(desk: Desk, commands: Any, events: Any) -> None:
                taken.append(len(commands))
                take(desk, commands, events)

            with monkeypatch.context() as patched:
                patched.setattr(Desk, "_take", counting)
                async with desk_over(engine, tmp_path / "s", kind) as desk:
                    assert sum(taken) < 100 + engine.sequence - before
                    assert sum(taken) < 150
                    patched.undo()
                    await compare(engine, desk)
                    missed = Heard(login(1))
                    desk.attach(missed)
                    last = desk.reports.last(1)
                    trade(engine, 601, 50)
                    await until(lambda: len(missed.reports) >= 50)
                    assert int(missed.reports[0]["number"]) == last + 1

    asyncio.run(restart())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(1, 120), st.integers(0, 120), st.booleans(), st.sampled_from(["direct", "lines"])
)
def test_a_desk_that_was_killed_tells_each_report_once(
    tmp_path_factory: pytest.TempPathFactory, saved_at: int, more: int, ends: bool, kind: str
) -> None:
    path = tmp_path_factory.mktemp("killed")

    async def kill() -> None:
        with exchange(path / "e") as engine:
            async with desk_over(engine, path / "s", kind) as desk:
                desk.attach(Heard(login(1, cancel_on_disconnect=True)))
                trade(engine, 1, saved_at)
                await until(lambda: desk.sequence == engine.durable)
                await desk._resuming.save()
                trade(engine, 1000, more)
                if ends:
                    engine.submit_batch(end_day())
                trade(engine, 2000, more)
                await until(lambda: desk.sequence == engine.durable)
                left = killed(path / "s", path / "copy")
            async with desk_over(engine, left, kind) as desk:
                assert not desk.reports.rebuilt
                await compare(engine, desk)

    asyncio.run(kill())


def test_it_saves_now_and_then(tmp_path: Path) -> None:
    async def go() -> None:
        with exchange(tmp_path / "e") as engine:
            async with desk_over(engine, tmp_path / "s") as desk:
                file = tmp_path / "s" / saved.NAME
                await until(file.exists)  # the whole log was read: at once
                resuming = desk._resuming
                await until(lambda: resuming._saving is None)
                file.unlink()
                for _ in range(3):
                    resuming.beat()
                assert resuming._saving is None
                trade(engine, 1, 10)
                await until(lambda: desk.sequence == engine.durable)
                resuming._due = 0.0
                resuming.beat()
                assert resuming._saving is None  # it is not quiet
                resuming.beat()
                await until(file.exists)
                await until(lambda: resuming._saving is None)
                trade(engine, 100, 10)
                await until(lambda: desk.sequence == engine.durable)
                resuming._latest = 0.0
                resuming.beat()
                assert resuming._saving is not None
                trade(engine, 200, 10)  # while it is written
                engine.submit_batch(end_day())
                engine.submit_batch(end_day())
                await until(lambda: resuming._saving is None)
                left = killed(tmp_path / "s", tmp_path / "copy")
            async with desk_over(engine, left) as desk:
                assert not desk.reports.rebuilt
                await compare(engine, desk)

    asyncio.run(go())


def with_state(path: Path, kind: str = "direct", count: int = 2500) -> None:
    """An exchange in `e` with a desk's state in `s`."""

    async def make() -> None:
        with exchange(path / "e") as engine:
            async with desk_over(engine, path / "s", kind):
                trade(engine, 1, count)

    asyncio.run(make())


def start(path: Path, state: Path, kind: str = "direct") -> None:
    """A desk starts, and is what one without a state is."""

    async def go() -> None:
        with exchange(path) as engine:
            async with desk_over(engine, state, kind) as desk:
                await compare(engine, desk)

    asyncio.run(go())


def archived(path: Path) -> None:
    """The exchange has lost its beginning."""
    for at in (90_000, 91_000):
        with exchange(path) as engine:
            engine.snapshot()
            trade(engine, at, 500)
    assert archive(path, path.parent / "old", keep_snapshots=1).segments


@pytest.mark.parametrize("kind", ["direct", "lines"])
def test_a_log_without_its_beginning_is_served_from_the_state(tmp_path: Path, kind: str) -> None:
    with_state(tmp_path, kind)
    undisturbed = tmp_path / "whole"
    with exchange(tmp_path / "e") as engine:
        engine.snapshot()
    assert archive(tmp_path / "e", tmp_path / "old", keep_snapshots=1).segments

    async def go() -> None:
        with exchange(tmp_path / "e") as engine:
            async with desk_over(engine, tmp_path / "s", kind) as desk:
                trade(engine, 50_000, 100)
                await until(lambda: desk.sequence == engine.durable)
                said, sequence = heard(desk), desk.sequence
        shutil.copytree(tmp_path / "e", undisturbed)
        for old in (tmp_path / "old").iterdir():
            shutil.copy(old, undisturbed)
        with exchange(undisturbed) as engine:
            async with desk_over(engine, None) as desk:
                assert desk.sequence >= sequence and heard(desk) == said

    asyncio.run(go())


@pytest.mark.parametrize(
    ("kind", "state"),
    [(kind, state) for kind in ("direct", "lines") for state in ("none", "too old")]
    + [("lines", "without machine")],
)
def test_a_log_without_its_beginning_and_no_state_that_fits(
    tmp_path: Path, kind: str, state: str
) -> None:
    with_state(tmp_path, "direct" if state == "without machine" else kind)
    if state == "none":
        shutil.rmtree(tmp_path / "s")
    with exchange(tmp_path / "e") as engine:
        trade(engine, 10_000, 2500)
    archived(tmp_path / "e")
    with pytest.raises(NotInTheLog, match=r"Restore the archived segments and start once") as error:
        start(tmp_path / "e", tmp_path / "s", kind)
    said = {"none": "there is none", "too old": "begins with", "without machine": "no machine"}
    assert said[state] in str(error.value)
    for old in (tmp_path / "old").iterdir():
        shutil.copy(old, tmp_path / "e")
    start(tmp_path / "e", tmp_path / "s", kind)


def test_a_log_that_has_no_snapshot_before_the_state(tmp_path: Path) -> None:
    async def make() -> None:
        with exchange(tmp_path / "e") as engine:
            engine.submit_batch(orders(1, 4000)[:1])
            async with desk_over(engine, tmp_path / "s"):
                trade(engine, 2, 2500)
            trade(engine, 5000, 20)
            engine.snapshot()
            trade(engine, 6000, 1000)

    asyncio.run(make())
    assert archive(tmp_path / "e", tmp_path / "old", keep_snapshots=1).segments
    with pytest.raises(NotInTheLog, match="want of a snapshot"):
        start(tmp_path / "e", tmp_path / "s")


@pytest.mark.parametrize("kind", ["direct", "lines"])
def test_a_desk_that_nobody_used(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with_state(tmp_path, kind, 0)
    start(tmp_path / "e", tmp_path / "s", kind)
    assert not any(NOT_USED in said for said in caplog.messages)
    found = saved.read(tmp_path / "s")
    assert isinstance(found, saved.Saved)
    left = {**found.parts, "beside entries": b"", "beside pairs": b""}
    saved.write(tmp_path / "s", found.head, left)  # as of an engine that knows no presences
    start(tmp_path / "e", tmp_path / "s", kind)
    assert not any(NOT_USED in said for said in caplog.messages)


def damage(state: Path, how: str) -> None:
    file = state / saved.NAME
    data = bytearray(file.read_bytes())
    if how == "damaged":
        data[-100] ^= 1
    elif how == "cut off":
        del data[-7:]
    elif how == "empty":
        data.clear()
    elif how in ("newer", "another build"):
        found = saved.read(state)
        assert isinstance(found, saved.Saved)
        changed = {"format": 2} if how == "newer" else {"build": "9.9"}
        head = {**found.head, **changed}
        line = json.dumps(head).encode()
        digest = hashlib.blake2b(line, digest_size=16).hexdigest().encode()
        data = line + b" " + digest + b"\n" + data[data.index(b"\n") + 1 :]
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("damaged", "damaged or cut off"),
        ("cut off", "damaged or cut off"),
        ("empty", "first line is damaged"),
        ("newer", "format 2, not 1"),
        ("another build", "of another build"),
        ("spool gone", "No such file"),
    ],
)
def test_a_state_that_cannot_be_used_is_named(
    tmp_path: Path, how: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with_state(tmp_path, count=100)
    if how == "spool gone":
        (tmp_path / "s" / "reports-0").unlink()
    else:
        damage(tmp_path / "s", how)
    start(tmp_path / "e", tmp_path / "s")
    assert any(why in said and NOT_USED in said for said in caplog.messages)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        start(tmp_path / "e", tmp_path / "s")
    assert not any(NOT_USED in said for said in caplog.messages)


def test_gateways_share_a_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_state(tmp_path, count=100)
    with Reports(tmp_path / "s-2"), Reports(tmp_path / "s", identity=b"of no exchange..") as first:
        assert first.rebuilt  # it has put the state aside
        start(tmp_path / "e", tmp_path / "s")
        assert (tmp_path / "s-3" / saved.NAME).exists()
    assert not any(NOT_USED in said for said in caplog.messages)


@pytest.mark.parametrize("kind", ["direct", "lines"])
def test_the_state_of_another_exchange_stays_aside(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        with_state(tmp_path / name, kind, 100)
    before = (tmp_path / "one" / "s" / saved.NAME).read_bytes()
    start(tmp_path / "two" / "e", tmp_path / "one" / "s", kind)
    assert any("of another exchange" in said for said in caplog.messages)
    assert (tmp_path / "one" / "s" / saved.UNUSED / saved.NAME).read_bytes() == before


@pytest.mark.parametrize("kind", ["direct", "lines"])
@pytest.mark.parametrize("more", [0, 400])
def test_another_history_and_a_log_that_lost_its_end(
    tmp_path: Path, kind: str, more: int, caplog: pytest.LogCaptureFixture
) -> None:
    with_state(tmp_path, kind, 100)
    shutil.copytree(tmp_path / "e", tmp_path / "fork")
    with exchange(tmp_path / "e") as engine:

        async def go() -> None:
            async with desk_over(engine, tmp_path / "s", kind):
                trade(engine, 1000, 100)

        asyncio.run(go())
    for _ in range(3):  # its epoch is no lower
        with exchange(tmp_path / "fork") as engine:
            if more:
                trade(engine, 5000 + engine.sequence, more)
    start(tmp_path / "fork", tmp_path / "s", kind)
    why = "of another history" if more else "and the log with"
    assert any(why in said for said in caplog.messages)


def test_a_past_is_compared_as_far_as_the_log_has_it() -> None:
    commands = orders(1, 30)
    past = Past(30, digests(commands[10:]), b"")
    assert past.first == 11
    for first in range(1, 31):
        past.check(first, commands[first - 1 :])
        past.check(first, np.concatenate([commands, orders(31, 9)])[first - 1 :])
    past.check(31, orders(900, 5))
    past.check(3, orders(900, 5))  # before what it knows
    with pytest.raises(Exception, match="another history"):
        past.check(12, orders(900, 2))
