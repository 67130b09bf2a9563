"""Who comes again gets what he missed, or a fresh snapshot and the word that it is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_kit import CHANNELS, Client, client, exchange, flow, run, serving

import matchcore as mc
from matchcore.errors import FeedError
from matchcore.feeds.web.limits import Limits

ANA, BBB = mc.Instrument("ANA", "0.05"), mc.Instrument("BBB", "0.01")
RESUMED = ["book.l2", "book.l3", "trades"]


def as_before(fresh: Client, old: Client) -> None:
    """Goes on with what another connection knew."""
    fresh.numbers, fresh.now = dict(old.numbers), dict(old.now)


async def subscribe_after(seen: Client, channels: list[str]) -> list[bool]:
    """With the last number of each; whether each was resumed."""
    resumed = []
    for channel in channels:
        after = seen.numbers[channel, "ANA"]
        await seen.subscribe([channel], ["ANA"], **{"from": after}, id=channel)
        told = await seen.until("subscribed")
        assert told["number"] == after or not told["resumed"]
        resumed.append(told["resumed"])
    await seen.settle()
    return resumed


def test_nothing_is_missed_between_two_connections(tmp_path: Path) -> None:
    path = tmp_path / "e"

    async def test() -> None:
        with exchange(path, ANA, BBB) as engine:
            engine.submit_batch(flow(1, 200, 2))
            async with serving(path) as served, client(served) as always:
                await always.subscribe(CHANNELS, ["ANA"])
                await always.settle()
                async with client(served) as first:
                    await first.subscribe(CHANNELS, ["ANA"])
                    await first.settle()
                for turn in range(5):
                    engine.submit_batch(flow(turn + 2, 30, 2, 200 + 30 * turn))
                    await served.come_to(engine.sequence)
                    async with client(served) as again:
                        as_before(again, first)
                        resumed = await subscribe_after(again, CHANNELS)
                        assert resumed == [channel in RESUMED for channel in CHANNELS]
                        await always.settle()
                        for channel in ("book.l1", "book.l2", "book.l3", "status"):
                            assert again.now[channel, "ANA"] == always.now[channel, "ANA"]
                        assert again.now["trades", "ANA"] == always.now["trades", "ANA"]
                        assert again.numbers == always.numbers
                    first = again

    run(test())


def test_without_a_change_in_between_it_is_resumed_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "e"

    async def test() -> None:
        with exchange(path, ANA, BBB) as engine:
            engine.submit_batch(flow(1, 100, 1))
            async with serving(path) as served:
                async with client(served) as first:
                    await first.subscribe(RESUMED, ["ANA"])
                    await first.settle()
                engine.submit(mc.NewOrder("BBB", mc.Side.BUY, 1, price="-5"))
                await served.come_to(engine.sequence)
                async with client(served) as other, client(served) as again:
                    as_before(again, first)
                    as_before(other, first)
                    for channel in RESUMED:  # a number of its own, beyond its last message
                        other.numbers[channel, "ANA"] = served.outlet.number
                    for seen in (again, other):
                        before = dict(seen.now)
                        assert await subscribe_after(seen, RESUMED) == [True] * 3
                        assert seen.now == before
                    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, price="-5"))
                    await served.come_to(engine.sequence)
                    for seen in (again, other):
                        await seen.settle()
                        assert seen.now["book.l2", "ANA"]["bids", "-5.00"] == (1, 1)

    run(test())


def test_what_is_too_old_or_of_another_tick_is_a_fresh_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "e"

    async def test() -> None:
        with exchange(path, ANA) as engine:
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, price="1"))
            async with serving(path, limits=Limits(resume_changes=3)) as served:
                async with client(served) as first:
                    await first.subscribe(RESUMED, ["ANA"])
                    await first.settle()
                engine.mass_cancel("ANA")
                engine.change_instrument(mc.Instrument("ANA", "0.01"))
                await served.come_to(engine.sequence)
                async with client(served) as again:
                    as_before(again, first)
                    assert await subscribe_after(again, RESUMED) == [False] * 3
                    assert again.now["book.l2", "ANA"] == {}
                for _ in range(4):
                    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, price="1"))
                await served.come_to(engine.sequence)
                async with client(served) as late:
                    as_before(late, again)
                    assert await subscribe_after(late, RESUMED) == [False] * 3
                    assert late.now["book.l2", "ANA"] == {("bids", "1.00"): (4, 4)}

    run(test())


def test_a_feed_that_starts_again_goes_on(tmp_path: Path) -> None:
    """With the same numbers, statistics and bars, with a state and without one."""
    path, state = tmp_path / "e", tmp_path / "s"

    async def seen_by(state: Path | None, before: Client | None) -> Client:
        async with serving(path, state) as served:
            await served.come_to(sequence)
            async with client(served) as seen:
                await seen.subscribe(CHANNELS, ["*"])
                await seen.settle()
                if before is not None:
                    assert seen.hello["session"] == before.hello["session"]
                async with client(served) as again:
                    after = seen.hello["number"]
                    await again.subscribe(
                        ["trades"], ["ANA"], session=seen.hello["session"], **{"from": after}
                    )
                    await again.until("subscribed", resumed=True)
        return seen

    async def test() -> None:
        nonlocal sequence
        before = None
        for turn in range(3):
            with exchange(path, ANA, BBB) as engine:
                engine.submit_batch(flow(turn, 150, 2, 150 * turn))
                sequence = engine.sequence
            kept = await seen_by(state, before)
            derived = await seen_by(None, before)
            assert kept.now == derived.now
            assert kept.numbers == derived.numbers
            before = kept

    sequence = 0
    run(test())


def test_a_state_whose_files_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    path, state = tmp_path / "e", tmp_path / "s"

    async def served_once() -> None:
        async with serving(path, state):
            pass

    with exchange(path, ANA) as engine:
        engine.submit_batch(flow(1, 50, 1))
    run(served_once())
    (saved,) = state.glob("statistics-*.npz")
    whole = saved.read_bytes()
    with exchange(path, ANA) as engine:
        engine.submit_batch(flow(2, 50, 1, 50))
    run(served_once())
    (other,) = state.glob("statistics-*.npz")
    assert other != saved
    fresh = other.read_bytes()
    for wrong in (None, whole, b"", fresh[:-30], fresh[:100]):
        if wrong is None:
            other.unlink()
        else:
            other.write_bytes(wrong)
        with pytest.raises(FeedError, match="not the statistics that"):
            run(served_once())
    other.write_bytes(fresh)
    run(served_once())
