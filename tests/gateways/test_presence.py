"""Where sessions are, and what becomes of those whose gateway has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from gateway_kit import Heard, order, until
from lines_kit import address_of, memory, served

from matchcore import Engine, Side
from matchcore.gateways import presence
from matchcore.gateways.desk import Desk
from matchcore.gateways.lines import EngineService, Lines, roll
from matchcore.gateways.logins import AlreadyThere, FixedUsers, Login
from matchcore.gateways.presence import (
    AWAY_NS,
    Presences,
    State,
    commands_of,
    gateway_entry,
    no_gateway,
    no_session,
    session_entry,
)
from matchcore.gateways.users.entries import Entry
from matchcore.gateways.ways import Direct
from matchcore.records.register import Place

SECOND = 1_000_000_000


def login(session: int, grace: float = 0.0, *, cancels: bool = True) -> Login:
    return Login(session, f"user{session}", account=session, cancel_on_disconnect=cancels,
                 grace_ns=int(grace * SECOND))  # fmt: skip


def table(*entries: Entry) -> Presences:
    """What an engine's log makes of entries; the register has them in no order of time."""
    engine, found = memory(), Presences()
    for entry in entries:
        commands = commands_of([entry])
        found.follow(commands, engine.submit_batch(commands))
    again = Presences.of(engine.register())
    assert {*again.orphans()} == {
        *found.orphans()
    } and again.gateways.keys() == found.gateways.keys()
    return found


def up(*gateways: int) -> list[Entry]:
    return [gateway_entry(one, State.THERE, 0) for one in gateways]


def test_a_session_is_where_it_was_first() -> None:
    there = [session_entry(login(7), one, State.THERE, 5) for one in (1, 2)]
    found = table(*up(1, 2), *there)
    assert found.holder(7) == 1 and found.where(7) == [1, 2] and found.holder(8) is None
    gone = gateway_entry(1, State.AWAY, 6)
    found = table(*up(1, 2), there[0], gone, there[1])
    assert found.holder(7) == 2
    assert table(*up(1, 2), there[0], gone, there[1], *up(1)).holder(7) == 2
    assert table(*up(1, 2), there[0], gone, *up(1), there[1]).holder(7) == 1
    assert table(*up(1, 2), *there, no_session(7, 1)).holder(7) == 2


def test_orphans_are_due_after_their_grace() -> None:
    gone = gateway_entry(1, State.AWAY, 100 * SECOND)
    entries = [
        session_entry(login(7, 30), 1, State.THERE, 5),
        session_entry(login(8, 0), 1, State.THERE, 5),
        session_entry(login(9, 30), 1, State.AWAY, 90 * SECOND),
        session_entry(login(10, cancels=False), 1, State.THERE, 5),
        session_entry(login(11), 2, State.THERE, 5),
    ]
    assert not [*table(*up(1, 2), *entries).orphans()]
    found = {one.session: one for one in table(*up(1, 2), *entries, gone).orphans()}
    assert found.keys() == {7, 8, 9, 10}
    assert found[7].due == 130 * SECOND and found[9].due == 120 * SECOND
    assert found[8].due == 100 * SECOND + AWAY_NS and not found[10].cancels
    left = table(*up(1, 2), *entries, gone, *(no_session(n, 1) for n in (7, 8, 9, 10)))
    assert left.left_behind() == [1] and not [*left.orphans()]
    assert not table(*up(1), gone, no_gateway(1)).gateways


def test_bytes_that_make_no_sense_are_no_presence() -> None:
    odd = [Entry(presence.TOPICS[0], 1, b"\x07" * 56), Entry(presence.TOPICS[1], 1, b"\xff" * 56)]
    assert not table(*odd).gateways and not [*table(*up(2), *odd).orphans()]


# ---------------------------------------------------------------------- gateways


class Gateway:
    """One over a line, in this process; `die` ends it as kill -9 would."""

    def __init__(self, service: EngineService, known: Iterable[Login] = ()) -> None:
        self.way = Lines([address_of(service)])
        users = {(one.user, "secret"): one for one in known}
        self.desk, self._stop = Desk(self.way, FixedUsers(users)), asyncio.Event()

    async def start(self) -> Desk:
        self._running = asyncio.ensure_future(self.desk.run([], self._stop))
        await until(lambda: self.desk.live)
        return self.desk

    async def die(self) -> None:
        for task in self.way._tasks:
            task.cancel()
        for line in self.way.lines:
            if line.link is not None:
                line.link.end("killed")
        self._running.cancel()
        await asyncio.wait({self._running})

    async def stop(self) -> None:
        self._stop.set()
        await self._running


@asynccontextmanager
async def exchange(count: int = 2) -> AsyncIterator[tuple[Engine, EngineService, list[Gateway]]]:
    engine = memory()
    service = await served(engine)
    gateways = [Gateway(service) for _ in range(count)]
    for gateway in gateways:
        await gateway.start()
    yield engine, service, gateways
    for gateway in gateways:
        if not gateway._running.done():
            await gateway.stop()
    await service.close()
    engine.close()


def present(engine: Engine) -> set[int]:
    """Sessions of which the register says something."""
    return {place.key >> 32 for place in engine.register() if place.topic == presence.TOPICS[1]}


def resting(engine: Engine, account: int) -> int:
    return len(engine.open_orders(account))


async def enter(desk: Desk, session: Heard, number: int) -> None:
    account = session.login.account
    desk.send(session, order(number, Side.SELL, 30, 1914, account=account))
    await until(lambda: desk.reports.last(session.login.session) >= 1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway has gone for good at once."""
    monkeypatch.setattr(presence, "AWAY_NS", 0)


@pytest.mark.usefixtures("quick")
def test_the_other_gateway_cancels_for_a_dead_one() -> None:
    async def work() -> None:
        async with exchange() as (engine, _, (first, second)):
            desk = first.desk
            stays, comes, keeps = (
                Heard(login(1)),
                Heard(login(2, 3600)),
                Heard(login(3, cancels=False)),
            )
            for number, session in enumerate((stays, comes, keeps), 1):
                desk.attach(session)
                await enter(desk, session, number)
            await first.die()
            holder = second.desk._attendance.presences.holder
            await until(lambda: holder(2) is None)
            back = Heard(comes.login)
            second.desk.attach(back)
            await until(lambda: resting(engine, 1) == 0)
            await until(lambda: present(engine) == {2})
            assert resting(engine, 2) == resting(engine, 3) == 1
            told = second.desk.reports.read(1, 1, 10)
            assert told["flags"].tolist() == [0, 4]  # unsolicited

    asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.usefixtures("quick")
def test_the_engine_stands_in_when_no_gateway_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll, "REJOIN_SECONDS", 0.0)
    monkeypatch.setattr(roll, "LATE_NS", 0)

    async def work() -> None:
        async with exchange(1) as (engine, _, (first,)):
            session = Heard(login(1))
            first.desk.attach(session)
            await enter(first.desk, session, 1)
            await first.die()
            await until(lambda: resting(engine, 1) == 0)
            await until(
                lambda: not [one for one in engine.register() if one.topic in presence.TOPICS]
            )

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_login_is_at_one_gateway() -> None:
    async def work() -> None:
        async with exchange() as (_, _, (first, second)):
            one, two = Heard(login(1, 3600)), Heard(login(1, 3600))
            first.desk.attach(one)
            await until(lambda: second.desk._attendance.presences.holder(1) is not None)
            with pytest.raises(AlreadyThere, match="at another gateway"):
                second.desk.attach(two)
            second.desk.attach(two, brief=True)  # a request over HTTP may go anywhere
            second.desk.detach(two)
            first.desk.detach(one)
            await until(lambda: second.desk._attendance.presences.holder(1) is None)
            second.desk.attach(two)  # within its grace
            await until(lambda: not first.desk._attendance.absences._left)
            await until(lambda: len(second.desk._attendance.presences.where(1)) == 1)

    asyncio.run(asyncio.wait_for(work(), 60))


def test_of_two_logins_at_the_same_time_the_one_that_the_log_has_first_stays() -> None:
    async def work() -> None:
        async with exchange() as (_, _, (first, second)):
            one, two = Heard(login(1)), Heard(login(1))
            first.desk.attach(one)
            second.desk.attach(two)
            await until(lambda: bool(one.dropped) != bool(two.dropped))
            desk, session = (first.desk, one) if one.dropped else (second.desk, two)
            assert "another gateway" in session.dropped
            desk.detach(session)
            await until(lambda: len(second.desk._attendance.presences.where(1)) == 1)
            assert not desk._attendance.absences._left  # the other one sees to it

    asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.usefixtures("quick")
def test_a_gateway_that_was_cut_off_keeps_its_sessions_that_did_not_go_elsewhere() -> None:
    async def work() -> None:
        async with exchange() as (_, _, (first, second)):
            stays, goes = Heard(login(1, 3600)), Heard(login(2, 3600))
            first.desk.attach(stays)
            first.desk.attach(goes)
            presences = second.desk._attendance.presences
            await until(lambda: presences.holder(1) == presences.holder(2) is not None)
            link = first.way.active
            assert link is not None
            link.end("cut")
            await until(lambda: presences.holder(2) is None)
            second.desk.attach(Heard(goes.login))
            await until(lambda: bool(goes.dropped))
            await until(lambda: presences.holder(1) == first.desk._attendance.gateway)
            assert not stays.dropped
            assert presences.holder(2) == second.desk._attendance.gateway

    asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.usefixtures("quick")
def test_two_gateways_that_cancel_do_it_once() -> None:
    async def work() -> None:
        async with exchange(3) as (engine, _, (first, second, third)):
            session = Heard(login(1))
            first.desk.attach(session)
            await enter(first.desk, session, 1)
            await until(lambda: third.desk.reports.last(1) == 1)
            cancels = [one.desk._attendance.absences._cancels(1) for one in (second, third)]
            await first.die()
            for one, commands in zip((second, third), cancels, strict=True):
                one.desk._forward(commands)
            await until(lambda: present(engine) == set())
            assert third.desk.reports.last(1) == 2 and resting(engine, 1) == 0

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_gateway_of_an_engine_before_that_does_not_come_back_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roll, "REJOIN_SECONDS", 0.0)
    monkeypatch.setattr(presence, "AWAY_NS", 0)

    async def work() -> None:
        engine = memory()
        engine.submit_batch(commands_of([gateway_entry(77, State.THERE, 5)]))
        engine.submit_batch(commands_of([session_entry(login(1), 77, State.THERE, 5)]))
        service = EngineService(engine, [], stands_in=False)
        desk, stop = Desk(Direct(engine), FixedUsers({})), asyncio.Event()
        await service.start()
        running = asyncio.ensure_future(desk.run([], stop))
        await until(lambda: Place(presence.TOPICS[0], 77) not in engine.register())
        assert present(engine) == set()
        stop.set()
        await running
        await service.close()
        (left,) = engine.register()
        assert left.key == Direct(engine).incarnation  # which has gone, and says so
        engine.close()

    asyncio.run(asyncio.wait_for(work(), 60))
