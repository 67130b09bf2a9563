"""Where markets stand, as a desk follows the log: as the engine has it, also after a restart."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest
from gateway_kit import ANA, Served, until

from matchcore import Engine, Instrument, MemoryLog, NewOrder, Phase, Side
from matchcore.errors import ReportsError
from matchcore.gateways.desk import Desk
from matchcore.gateways.logins import FixedUsers
from matchcore.gateways.standing import Standing
from matchcore.gateways.ways import Direct
from matchcore.reports import saved

SYMBOLS = ("ANA", "BBVA", "TEF", "SAN")


def exchange() -> Engine:
    return Engine.memory(instruments=[Instrument(one, "0.05") for one in SYMBOLS], log=MemoryLog())


def a_step(engine: Engine, rng: random.Random, number: int) -> None:
    symbol = rng.choice(SYMBOLS)
    if rng.random() < 0.3 and engine.market(symbol) is not None:
        engine.set_phase(rng.choice([symbol, None]), rng.choice(list(Phase)), group=0)
    elif rng.random() < 0.1:
        engine.mass_cancel(symbol)
        engine.set_market(symbol, reference_price=rng.randint(1, 9), group=rng.randint(0, 2))
    else:
        side, price = rng.choice(list(Side)), rng.randint(98, 102)
        id = number if rng.random() < 0.7 else rng.randint(1, number)  # some are sent again
        engine.submit(NewOrder(symbol, side, 10, price, account=1, client_order_id=id))


@pytest.mark.parametrize("seed", range(4))
def test_phases_prices_and_groups_are_those_of_the_engine(seed: int) -> None:
    rng, standing, last = random.Random(seed), Standing(), dict.fromkeys(SYMBOLS)
    with exchange() as engine, engine.events() as log:
        for number in range(1, 400):
            a_step(engine, rng, number)
            while (part := log.read(timeout=0)) is not None:
                if number % 50 == 0:
                    image = standing.image()
                    standing = Standing()
                    standing.restore(image)
                moved = standing.follow(part.commands, part.events)
                assert moved == [] or (part.events["instrument"] > 0).any()
                newest = part.events["sequence"] == part.events["sequence"].max()
                for event in part.events[newest & (part.events["kind"] == 2)]:
                    last[SYMBOLS[int(event["instrument"]) - 1]] = int(event["price"])
            for place, symbol in enumerate(SYMBOLS, 1):
                stand, market = standing.of(place), engine.market(symbol)
                assert stand.phase == engine.phase(symbol) and stand.last == last[symbol]
                if market is not None:
                    assert stand.group == market.group
                    given = market.reference_price
                    assert stand.reference == (0 if given is None else int(given * 20))
        wanted = [engine.phase(one) for one in SYMBOLS if engine.phase(one) is not None]
        assert sum(standing.phases().values()) == len(wanted) > 0
        assert standing.of(99).phase is None


def test_a_changed_tick_forgets_the_last_price() -> None:
    with exchange() as engine, engine.events() as log:
        standing = Standing()
        engine.submit(NewOrder("ANA", Side.SELL, 10, "1.00"))
        engine.submit(NewOrder("ANA", Side.BUY, 10, "1.00"))
        engine.change_instrument(Instrument("ANA", "0.10"))
        while (part := log.read(timeout=0)) is not None:
            standing.follow(part.commands, part.events)
        assert standing.of(1).last is None


def test_an_image_of_something_else_is_refused() -> None:
    with pytest.raises(ReportsError):
        Standing().restore(b"x")


def test_a_desk_that_starts_again_knows_the_phases(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def start(engine: Engine) -> Standing:
        async def run() -> Standing:
            desk = Desk(Direct(engine), FixedUsers({}), state=tmp_path / "s")
            async with Served(desk):
                await until(lambda: desk.live)
                return desk.standing

        return asyncio.run(run())

    with Engine.open(tmp_path / "e", instruments=[ANA]) as engine:
        engine.set_market("ANA", reference_price=5)
        engine.set_phase("ANA", Phase.CLOSING_CALL)
        before = start(engine)
        for number in range(1, 20):
            engine.submit(NewOrder("ANA", Side.BUY, 10, number, account=1))
        after = start(engine)
        assert after.of(1) == before.of(1) and after.of(1).phase == Phase.CLOSING_CALL
        found = saved.read(tmp_path / "s")
        assert isinstance(found, saved.Saved)
        left = {name: part for name, part in found.parts.items() if name != "beside markets"}
        saved.write(tmp_path / "s", found.head, left)
        assert start(engine).of(1) == before.of(1)  # from the log's beginning
        assert any("where the markets stand" in said for said in caplog.messages)
        engine.set_phase("ANA", Phase.CLOSED)
        assert start(engine).of(1).phase == Phase.CLOSED
        assert np.frombuffer(start(engine).image(), np.uint8).any()
