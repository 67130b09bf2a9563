"""A copy in another region: byte for byte, started again anywhere, and promoted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from regions_kit import ANA, PATIENCE_SECONDS, SEGMENT_BYTES, bytes_of, copied, flow, frames_of
from standby_kit import wait_until

import matchcore as mc
from matchcore.cli.app import app
from matchcore.journal.copies import CopyLog, mark_of
from matchcore.journal.format import FrameHeader
from matchcore.journal.stream import Address, Servers
from matchcore.journal.stream.link import Link
from matchcore.journal.stream.servers import configuration, find_program
from matchcore.standby.copying import Copier
from matchcore.standby.promotion import (
    REGION_EPOCHS,
    close_log,
    promote_copy,
    promote_mirror,
    refuse_superseded,
)


def test_it_has_the_same_bytes_and_every_tool_reads_it(city: str, tmp_path: Path) -> None:
    with copied(city, tmp_path / "a") as copier:
        assert copier.step() == 0
        with mc.Engine.open(city) as engine:
            flow(engine, 60)
            digest = engine.digest()
        wait_until(lambda: (copier.step(), copier.log.sequence == engine.log.sequence)[1])
        copier.measure()
        assert copier.lag.commands == 0 and copier.log.sequence == engine.log.sequence
        with mc.Engine.at(tmp_path / "a") as shown:
            assert shown.digest() == digest
    assert bytes_of(tmp_path / "a") == b"".join(frames_of(city))
    assert len(list((tmp_path / "a").glob("*.mcj"))) > 1
    assert CliRunner().invoke(app, ["verify", str(tmp_path / "a")]).exit_code == 0
    with copied(city, tmp_path / "b"):
        pass
    for file in (tmp_path / "a").glob("*.mcj"):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_it_goes_on_after_a_crash_anywhere(city: str, tmp_path: Path) -> None:
    """Cut within every frame, as a power cut leaves it, and at every end of one."""
    with copied(city, tmp_path / "whole"):
        pass
    wanted = bytes_of(tmp_path / "whole")
    header = next((tmp_path / "whole").glob("*001.mcj")).read_bytes()[:128]
    mark = (tmp_path / "whole" / "copy").read_bytes()
    frames, draw = frames_of(city), np.random.default_rng(5)
    ends = np.cumsum([len(frame) for frame in frames])
    cuts = {int(end) for end in ends[:6]} | {int(at) for at in draw.integers(0, ends[-1], 6)}
    for cut in sorted(cuts):
        place = tmp_path / f"cut-{cut}"
        place.mkdir()
        (place / "copy").write_bytes(mark)
        whole = int(ends[ends <= cut][-1]) if (ends <= cut).any() else 0
        torn = wanted[whole:cut] + bytes(40)
        (place / f"journal-{1:020d}.mcj").write_bytes(header + wanted[:whole] + torn)
        with Copier(Address.of(city), place, 1 << 20) as copier:
            assert copier.log.cut_bytes == len(torn)
            while copier.step():
                pass
        assert bytes_of(place) == wanted


def test_it_is_refused_for_another_exchange_and_to_engines(
    city: str, servers: Servers, tmp_path: Path
) -> None:
    other = servers.address("other")
    mc.Engine.open(other, instruments=[ANA]).close()
    with copied(city, tmp_path), pytest.raises(mc.LogLocked):
        copied(city, tmp_path)
    with pytest.raises(mc.LogError, match="a copy of exchange"):
        copied(other, tmp_path)
    with pytest.raises(mc.LogError, match=r"a copy of nats://.*matchcore promote"):
        mc.Engine.open(tmp_path)
    mc.Engine.open(tmp_path / "log", instruments=[ANA]).close()
    with pytest.raises(mc.LogError, match="no copy of one"):
        copied(city, tmp_path / "log")


def test_damage_of_what_was_on_disk_is_named(city: str, tmp_path: Path) -> None:
    with copied(city, tmp_path):
        pass
    file = sorted(tmp_path.glob("*.mcj"))[-1]
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    with pytest.raises(mc.LogDamaged, match="were on disk"):
        copied(city, tmp_path)


def test_a_city_that_can_be_reached_is_closed_and_nothing_is_lost(
    city: str, tmp_path: Path
) -> None:
    with copied(city, tmp_path / "c"):
        pass
    old = mc.Engine.open(city)
    flow(old, 30)  # behind the copy
    result = CliRunner().invoke(
        app, ["promote", str(tmp_path / "c"), "--close", city, "--yes", "--json"]
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["closed"] and said["missing"] is None and said["sequence"] == old.log.sequence
    with pytest.raises(mc.LogFailed, match="another engine writes it now"):
        flow(old, 1)
    digest = old.digest()
    old.close()
    with pytest.raises(mc.LogClosed, match="closed for ever"):
        mc.Engine.open(city)
    with pytest.raises(mc.LogClosed), closing(mc.standby.Standby(city)) as standby:
        while standby.step():
            pass
    with mc.Engine.open(tmp_path / "c") as new:
        assert new.digest() == digest and new.log.epoch == said["epoch"] + 1
        flow(new, 5)
    again = promote_copy(tmp_path / "c", Address.of(city), PATIENCE_SECONDS)
    assert again.closed and again.sequence == said["sequence"]
    assert mark_of(tmp_path / "c") is None


def test_what_is_known_to_be_lost_is_said(city: str, tmp_path: Path) -> None:
    """The city answers on, the copy hears of that, and does not get it."""
    with copied(city, tmp_path / "c") as copier:
        with mc.Engine.open(city) as engine:
            flow(engine, 20)
            end = engine.log.sequence
        copier.measure()
        copier._notes_at = 0.0
        copier._note()
        at = copier.log.sequence
    promoted = promote_copy(tmp_path / "c", None, PATIENCE_SECONDS)
    assert promoted.missing == (at + 1, end) and not promoted.closed
    assert promoted.heard_seconds is not None
    assert promoted.epoch > REGION_EPOCHS
    with mc.Engine.open(tmp_path / "c") as new:
        flow(new, 1)
    # The old city comes back before it is closed: what was made there is no part of this history.
    assert close_log(Address.of(city)) == end
    with pytest.raises(mc.LogError, match="no copy of one"):
        copied(city, tmp_path / "c")


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200))
def test_a_mark_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "copy").write_bytes(data)
        with pytest.raises(mc.LogDamaged, match="mark"):
            mark_of(Path(folder))


def test_a_frame_that_is_not_the_next_one_is_refused(city: str, tmp_path: Path) -> None:
    frames = frames_of(city)
    with copied(city, tmp_path):
        pass
    with CopyLog(tmp_path, city, SEGMENT_BYTES) as log:
        assert all(log.knows(FrameHeader.from_bytes(frame)) for frame in frames)
        with pytest.raises(mc.LogDamaged, match="not the next one"):
            log.append(frames[0])


# ---------------------------------------------------------------- a mirror in another region


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """Addresses of a log in a city and of its mirror in a region, each one server; the city's."""
    import socket

    with ExitStack() as sockets:
        free = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [one.getsockname()[1] for one in free]
    leaf = f'leafnodes {{ listen: "127.0.0.1:{ports[2]}" }}'
    to = f'leafnodes {{ remotes: [ {{ url: "nats://127.0.0.1:{ports[2]}" }} ] }}'
    running = []
    for name, port, more in (("city", ports[0], leaf), ("region", ports[1], to)):
        text = configuration(name=name, store=tmp_path / name, host="127.0.0.1", port=port)
        text = text.replace("jetstream {", f"jetstream {{ domain: {name},") + more + "\n"
        (tmp_path / f"{name}.conf").write_text(text)
        with (tmp_path / f"{name}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [str(find_program()), "-c", str(tmp_path / f"{name}.conf")], stderr=log
                )
            )
    yield (
        f"nats://127.0.0.1:{ports[0]}/x?replicas=1",
        f"nats://127.0.0.1:{ports[1]}/far?replicas=1",
        running[0],
    )
    for process in running:
        process.kill()
        process.wait()


async def _mirror(link: Link, name: str) -> None:
    from nats.js.api import ExternalStream, StreamConfig, StreamSource

    source = StreamSource(name="x", external=ExternalStream(api="$JS.city.API"))
    await link.retried(lambda: link.streams.add_stream(StreamConfig(name=name, mirror=source)))


@pytest.mark.parametrize("lost", [False, True])
def test_a_mirror_becomes_the_log(
    regions: tuple[str, str, subprocess.Popen[bytes]], lost: bool
) -> None:
    city, region, process = regions
    engine = mc.Engine.open(city, instruments=[ANA])
    with Link(Address.of(region)) as link:
        link.call(_mirror(link, "far"))
        link.call(_mirror(link, "x"))
    flow(engine, 200)
    digest = engine.digest()

    wait_until(lambda: _is_there(Address.of(region), engine.sequence))
    with pytest.raises(mc.LogError, match="stream"):
        mc.Engine.open(region)
    if lost:
        process.kill()
    with pytest.raises(mc.LogError, match="another name"):
        promote_mirror(Address.of(region.replace("/far", "/x")), None, 1.0)
    promoted = promote_mirror(Address.of(region), Address.of(city), 1.0)
    assert promoted.closed is not lost and promoted.missing is None
    with mc.Engine.open(region) as new:
        assert new.digest() == digest and new.log.epoch == promoted.epoch + 1
        flow(new, 5)
    if not lost:
        assert promoted.closed
        with pytest.raises(mc.LogClosed):
            mc.Engine.open(city)
        with pytest.raises(mc.LogError):
            flow(engine, 1)
    engine.close()


def test_a_city_that_comes_back_asks_the_region(
    regions: tuple[str, str, subprocess.Popen[bytes]],
) -> None:
    city, region, _ = (Address.of(one) if isinstance(one, str) else one for one in regions)
    with mc.Engine.open(city, instruments=[ANA]) as engine:
        with Link(region) as link:
            link.call(_mirror(link, "far"))
        wait_until(lambda: _is_there(region, 1))
        assert refuse_superseded(city, region, 5.0)
        flow(engine, 3)
    promote_mirror(region, None, 5.0)
    with pytest.raises(mc.LogClosed):
        refuse_superseded(city, region, 5.0)
    with pytest.raises(mc.LogClosed):
        mc.Engine.open(city)
    away = Address.of(str(region).replace(region.servers[0], "127.0.0.1:1"))
    assert not refuse_superseded(city, away, 0.2)


def _is_there(where: Address, sequence: int) -> bool:
    try:
        with mc.Engine.at(where) as shown:
            return shown.sequence >= sequence
    except mc.LogError:
        return False
