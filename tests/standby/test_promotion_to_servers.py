"""A copy in files becomes a replicated log in another region."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner
from regions_kit import PATIENCE_SECONDS, bytes_of, copied, flow, frames_of

import matchcore as mc
from matchcore.cli.app import app
from matchcore.journal.copies import CopyLog, mark_of
from matchcore.journal.stream import Address, Servers, StreamReader, messages, restoring
from matchcore.journal.stream.sender import Sending
from matchcore.standby.promotion import (
    REGION_EPOCHS,
    promote_copy,
    promote_copy_to,
    refuse_superseded,
)


@pytest.fixture
def far(servers: Servers, where: str) -> str:
    """The address of a log that is not there yet, in another region."""
    return where + "-far"


@pytest.fixture
def copy(city: str, tmp_path: Path) -> Iterator[Path]:
    with copied(city, tmp_path / "c"):
        pass
    yield tmp_path / "c"


def test_a_city_that_can_be_reached_is_closed_and_nothing_is_lost(
    city: str, copy: Path, far: str
) -> None:
    assert refuse_superseded(Address.of(city), Address.of(far), PATIENCE_SECONDS)
    old = mc.Engine.open(city)
    flow(old, 30)  # behind the copy
    words = ["promote", str(copy), "--to", far, "--close", city, "--yes", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["closed"] and said["missing"] is None and said["sequence"] == old.log.sequence
    with pytest.raises(mc.LogError):
        flow(old, 1)
    digest = old.digest()
    old.close()
    assert b"".join(frames_of(far)[:-1]) == bytes_of(copy)
    with mc.Engine.open(far) as new:
        assert new.digest() == digest and new.log.epoch == said["epoch"] + 1
        assert said["epoch"] > REGION_EPOCHS
        flow(new, 5)
        digest = new.digest()
    assert json.loads(CliRunner().invoke(app, words).stdout)["sequence"] == said["sequence"]
    with pytest.raises(mc.LogClosed):
        mc.Engine.open(city)
    with copied(far, copy):  # it goes on as a copy of the new log
        pass
    with mc.Engine.at(copy) as shown:
        assert shown.digest() == digest
    with pytest.raises(mc.LogError, match=f"a copy of {Address.of(far)}"):
        mc.Engine.open(copy)


def test_a_city_that_comes_back_is_closed(city: str, copy: Path, far: str) -> None:
    promoted = promote_copy_to(copy, Address.of(far), None, PATIENCE_SECONDS)
    assert not promoted.closed and promoted.missing is None
    with pytest.raises(mc.LogClosed):
        refuse_superseded(Address.of(city), Address.of(far), PATIENCE_SECONDS)


def test_the_region_that_was_promoted_can_be_lost_in_turn(copy: Path, far: str) -> None:
    promote_copy_to(copy, Address.of(far), None, PATIENCE_SECONDS)
    with mc.Engine.open(far) as engine:
        flow(engine, 9)
        digest = engine.digest()
    again = promote_copy(copy, Address.of(far), PATIENCE_SECONDS)
    assert again.closed and again.epoch > 2 * REGION_EPOCHS
    with mc.Engine.open(copy) as engine:
        assert engine.digest() == digest


@pytest.mark.parametrize("part_bytes", [messages.PART_BYTES, 256])
def test_what_was_interrupted_goes_on(
    copy: Path, far: str, part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind some messages, also parts of frames; and before the copy knows that all is there."""
    monkeypatch.setattr(messages, "PART_BYTES", part_bytes)
    address, mark = Address.of(far), mark_of(copy)
    assert mark is not None
    whole, interrupted = restoring._messages, KeyboardInterrupt("interrupted")

    def some(count: int) -> Callable[..., Iterator[Sending]]:
        def given(frames: Iterable[tuple[bytes, int]]) -> Iterator[Sending]:
            yield from islice(whole(frames), count)
            raise interrupted

        return given

    for count in (0, 1, 2, 3, 40, 10**6):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(restoring, "_messages", some(count))
            promote_copy_to(copy, address, None, PATIENCE_SECONDS)
        with pytest.raises(mc.LogError, match="has only a part of a log: matchcore promote --to"):
            mc.Engine.open(far)
    promoted = promote_copy_to(copy, address, None, PATIENCE_SECONDS)
    assert b"".join(frames_of(far)[:-1]) == bytes_of(copy)
    with mc.Engine.open(far) as engine:
        flow(engine, 1)
    with CopyLog(copy, mark.source, 1 << 20) as log:
        log.note(mark)
    assert promote_copy_to(copy, address, None, PATIENCE_SECONDS).chain == promoted.chain
    now = mark_of(copy)
    assert now is not None and now.source == str(address)


def test_another_log_or_copy_is_refused(
    city: str, copy: Path, far: str, servers: Servers, tmp_path: Path
) -> None:
    with pytest.raises(mc.InvalidArgument, match="has this name"):
        promote_copy_to(copy, Address.of(city), None, PATIENCE_SECONDS)
    other = servers.address("other-log")
    mc.Engine.open(other).close()
    with pytest.raises(mc.LogError, match="with something else in it: choose another name"):
        promote_copy_to(copy, Address.of(other), Address.of(city), PATIENCE_SECONDS)
    mc.Engine.open(city).close()  # nothing was closed
    with pytest.raises(mc.LogError, match="no copy of a log is here"):
        promote_copy_to(tmp_path / "none", Address.of(far), Address.of(city), PATIENCE_SECONDS)
    with pytest.raises(mc.LogError, match="no journal here"), StreamReader(far):
        pass
    (copy / f"journal-{1:020d}.mcj").unlink()
    with pytest.raises(mc.LogError, match="a replicated log needs all of it"):
        promote_copy_to(copy, Address.of(far), None, PATIENCE_SECONDS)
    result = CliRunner().invoke(app, ["promote", far, "--to", other, "--yes"])
    assert result.exit_code == 2 and "leave --to out" in result.output
