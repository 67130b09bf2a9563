"""An exchange on several engines: commands find their shard, and instruments move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchcore import (
    AuctionRule,
    CageMode,
    Engine,
    Instrument,
    InvalidCommand,
    Market,
    MassCancel,
    MemoryLog,
    NewOrder,
    Phase,
    SetProtection,
    Side,
    TimeInForce,
    UnknownInstrument,
)
from matchcore.cli.app import app
from matchcore.errors import LogFailed, ShardError
from matchcore.records.operating import SetLimits
from matchcore.shards import Plan, Shard, Shards, move
from matchcore.shards.standing import State, book_digest, standing

ANA, TEF = Instrument("ANA", "0.05"), Instrument("TEF", "0.001")
PLAN = """
[shards.north]
number = 1
log = "north.d"
instruments = ["ANA"]

[shards.south]
number = 2
log = "south.d"
instruments = ["TEF"]
"""


def engine(*instruments: Instrument, machine: str = "cython") -> Engine:
    return Engine.memory(log=MemoryLog(), instruments=instruments, machine=machine)


def order(price: str, quantity: int, account: int = 7, **more: object) -> NewOrder:
    side = Side.BUY if quantity > 0 else Side.SELL
    return NewOrder("ANA", side, abs(quantity), price, account=account, **more)  # type: ignore[arg-type]  # by name


def written(place: Path, text: str = PLAN) -> Path:
    (place / "shards.toml").write_text(text)
    return place / "shards.toml"


def opened(place: Path) -> Shards:
    for name, one in (("north", ANA), ("south", TEF)):
        Engine.open(place / f"{name}.d", instruments=[one], policy="os").close()
    return Shards.open(written(place), policy="os")


# ---------------------------------------------------------------------- the plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no table"),
        ("[shards]", "0 shards"),
        ("[shards.North]\nnumber = 1", "lower-case"),
        ("[shards.a]\nnumber = -1\nlog = 'a'\ninstruments = []", "number -1"),
        ("[shards.a]\nnumber = true\nlog = 'a'\ninstruments = []", "number True"),
        ("[shards.a]\nnumber = 1\nlog = ''\ninstruments = []", "log ''"),
        ("[shards.a]\nnumber = 1\nlog = 'a'\ninstruments = 'ANA'", "list of symbols"),
        ("[shards.a]\nnumber = 1\nlog = 'a'\ninstrument = []", "'instrument'"),
        ("[shards.a]\nnumber = 1\nlog = 'a'\ninstruments = ['X', 'X']", "'X' is there twice"),
        (PLAN.replace("TEF", "ANA"), "the instrument 'ANA' is there twice"),
        (PLAN.replace("number = 2", "number = 1"), "the number 1 is there twice"),
        (PLAN.replace("south.d", "north.d"), "is there twice"),
        ("[engines.a]", "only tables [shards.NAME]"),
        ("[shards.a", "end of a table declaration"),
        ("[[shards]]\nnumber = 1", "has no table"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ShardError) as error:
        Plan.read(file)
    assert said in str(error.value) and str(file) in str(error.value)


def test_directories_are_relative_to_the_file_and_addresses_stay(tmp_path: Path) -> None:
    plan = Plan.read(written(tmp_path, PLAN.replace("south.d", "nats://a,b,c/south")))
    assert plan["north"].log == str(tmp_path / "north.d")
    assert plan["south"].log == "nats://a,b,c/south"
    with pytest.raises(ShardError, match="no shard 'east'"):
        plan["east"]


# ---------------------------------------------------------------------- commands find their shard


def test_each_command_goes_to_the_shard_of_its_instrument(tmp_path: Path) -> None:
    with opened(tmp_path) as shards:
        shards.submit(order("95.70", 10, client_order_id=1))
        future = shards.submit_async(
            NewOrder("TEF", Side.SELL, 5, "7.201", account=7, client_order_id=2)
        )
        assert future.result().status.name == "OPEN"
        assert shards.book("ANA").best_bid.quantity == 10
        assert shards.book("TEF").best_ask.quantity == 5
        assert [one.symbol for one in shards.open_orders(7)] == ["ANA", "TEF"]
        found = shards.order(7, 2)
        assert found is not None and found.symbol == "TEF"
        assert shards.order(7, 3) is None
        assert shards.digests() == {name: one.digest() for name, one in shards.engines.items()}
        with pytest.raises(UnknownInstrument, match="no shard has"):
            shards.submit(NewOrder("SAN", Side.BUY, 1, "1", account=7))
        with pytest.raises(ShardError, match="every shard"):
            shards.submit(MassCancel(None, 7))


def test_commands_for_all_are_one_on_each_shard(tmp_path: Path) -> None:
    with opened(tmp_path) as shards:
        shards.submit(order("95.70", 10))
        shards.submit(
            NewOrder("TEF", Side.SELL, 5, "7.201", account=7, time_in_force=TimeInForce.DAY)
        )
        ended = shards.end_day()
        assert ended.is_complete and list(ended.answers) == ["north", "south"]
        assert [len(one.events) for one in ended.answers.values()] == [1, 2]
        before = {name: one.sequence for name, one in shards.engines.items()}
        for _ in range(2):  # sent again it changes nothing
            gone = shards.mass_cancel(account=7, client_order_id=99)
            assert gone.is_complete
        assert {name: one.sequence - 2 for name, one in shards.engines.items()} == before
        assert not shards.open_orders(7)


def test_a_shard_that_fails_stops_no_other(tmp_path: Path) -> None:
    with opened(tmp_path) as shards:
        shards.submit(NewOrder("TEF", Side.SELL, 5, "7.201", account=7))
        shards.engines["north"].close()
        outcome = shards.mass_cancel(account=7)
        assert not outcome.is_complete
        assert set(outcome.failures) == {"north"} and set(outcome.answers) == {"south"}
        assert not shards.engines["south"].open_orders(7)


def test_an_instrument_elsewhere_than_the_plan_says_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    for plan, said in (
        (PLAN.replace('["TEF"]', "[]"), "TEF is on shard south, and the plan has it on no shard"),
        (PLAN.replace('["ANA"]', "[]").replace('["TEF"]', '["TEF", "ANA"]'), "ANA is on shard nor"),
    ):
        with pytest.raises(ShardError, match=said):
            Shards.open(written(tmp_path, plan), policy="os")
    with Shards.open(written(tmp_path), policy="os") as shards:  # and no engine stayed open
        assert shards.book("ANA").best_bid is None


# ---------------------------------------------------------------------- an instrument moves

orders_of_a_day = st.lists(
    st.tuples(
        st.integers(1900, 1930), st.integers(-40, 40).filter(bool), st.integers(1, 4),
        st.sampled_from([0, 11, 12, 13]),
    ),
    max_size=40,
)  # fmt: skip


@pytest.mark.parametrize("machine", ["cython", "reference"])
@settings(max_examples=40, deadline=None)
@given(day=orders_of_a_day, there_only=st.booleans())
def test_a_book_moves_there_and_back(
    machine: str, day: list[tuple[int, int, int, int]], there_only: bool
) -> None:
    source, target = engine(ANA, machine=machine), engine(TEF, machine=machine)
    for at, (ticks, quantity, account, session) in enumerate(day):
        price = f"{ticks * 5 // 100}.{ticks * 5 % 100:02}"
        name = at + 1 if there_only else 0
        source.submit(order(price, quantity, account, client_order_id=name, session=session))
    before = source.book("ANA").orders()
    sessions = {
        one.order_id: (one.session, one.client_order_id)
        for account in range(1, 5) for one in source.open_orders(account)
    }  # fmt: skip
    moved = move(source, target, "ANA", origin="a", to="b")
    assert moved.orders == len(before) and moved.moves == 1
    assert target.book("ANA").orders().tobytes() == before.tobytes()
    assert not len(source.book("ANA").orders())
    assert book_digest(target.instruments["ANA"], before).hex() == moved.digest
    for account in range(1, 5):
        for one in target.open_orders(account):
            assert (one.session, one.client_order_id) == sessions.pop(one.order_id)
    assert not sessions
    assert move(source, target, "ANA", origin="a", to="b") == moved  # done once
    if there_only:
        return
    back = move(target, source, "ANA", origin="b", to="a")
    assert source.book("ANA").orders().tobytes() == before.tobytes()
    assert (back.digest, back.moves) == (moved.digest, 2)
    assert standing(target, "ANA").state is State.LEFT


class Cut(Exception):
    pass


@contextmanager
def cut_off(patch: pytest.MonkeyPatch, at: int) -> Iterator[None]:
    """Every batch but the first ``at`` is `Cut`, as if the process had ended there."""
    calls, real = 0, Engine.submit_batch

    def cut(self: Engine, commands: NDArray[np.void]) -> NDArray[np.void]:
        nonlocal calls
        calls += 1
        if calls > at:
            raise Cut
        return real(self, commands)

    with patch.context() as here:
        here.setattr(Engine, "submit_batch", cut)
        yield


@pytest.mark.parametrize("at", range(6))
def test_a_move_that_is_cut_off_is_finished(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = engine(ANA), engine(TEF)
    monkeypatch.setattr("matchcore.shards.moving.ORDERS_STEP", 2)
    for price, quantity in (("95.00", 3), ("95.05", 4), ("96.00", -5)):
        source.submit(order(price, quantity))
    before = source.book("ANA").orders()
    with cut_off(monkeypatch, at):
        if at < 5:  # five batches make a move
            with pytest.raises(Cut):
                move(source, target, "ANA", origin="a", to="b")
            assert len(source.book("ANA").orders()) == 3  # it is still there
        else:
            move(source, target, "ANA", origin="a", to="b")
    moved = move(source, target, "ANA", origin="a", to="b")
    assert target.book("ANA").orders().tobytes() == before.tobytes() and moved.orders == 3
    assert not len(source.book("ANA").orders())


def test_orders_that_change_between_two_tries_are_the_ones_that_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = engine(ANA), engine(TEF)
    first = source.submit(order("95.00", 3))
    source.submit(order("95.05", 4))
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "limits", lambda *_: (_ for _ in ()).throw(Cut))
        with pytest.raises(Cut):
            move(source, target, "ANA", origin="a", to="b")
    assert len(target.book("ANA").orders()) == 2
    source.cancel("ANA", first.order_id)
    moved = move(source, target, "ANA", origin="a", to="b")
    assert moved.orders == 1 == len(target.book("ANA").orders())


def test_what_cannot_move_is_refused_and_stays() -> None:
    source, target = engine(ANA), engine(TEF)
    day = source.submit(order("95.00", 3, time_in_force=TimeInForce.DAY))
    with pytest.raises(ShardError, match="end its day first"):
        move(source, target, "ANA", origin="a", to="b")
    source.cancel("ANA", day.order_id)
    with pytest.raises(ShardError, match="not on the shard a"):
        move(source, target, "SAN", origin="a", to="b")
    source.submit(order("95.00", 3))
    target.submit(SetLimits(7, blocked=True))
    with pytest.raises(ShardError, match="order 2 would be refused by the shard b: ACCOUNT_BL"):
        move(source, target, "ANA", origin="a", to="b")
    assert len(source.book("ANA").orders()) == 1 and target.sequence == 2  # nothing was sent
    target.submit(SetLimits(7))
    assert move(source, target, "ANA", origin="a", to="b").orders == 1
    with pytest.raises(ShardError, match="not on the shard a: it left for b"):
        move(source, engine(TEF), "ANA", origin="a", to="c")
    with pytest.raises(ShardError, match="of its own"):
        move(target, engine(ANA), "ANA", origin="b", to="c")


def test_an_order_that_would_be_taken_for_a_repeat_does_not_move() -> None:
    source, target = engine(ANA), engine(TEF)
    source.submit(order("95.00", 3, client_order_id=5))
    move(source, target, "ANA", origin="a", to="b")
    with pytest.raises(ShardError, match="remembers client order id 5 of account 7"):
        move(target, source, "ANA", origin="b", to="a")
    assert target.book("ANA").best_bid.quantity == 3


def test_limits_of_the_instrument_go_along() -> None:
    source, target = engine(ANA), engine(TEF)
    source.submit(SetLimits(7, "ANA", max_quantity=100))
    source.submit(SetLimits(7, max_quantity=500))
    move(source, target, "ANA", origin="a", to="b")
    assert target.limits(7) == [SetLimits(7, "ANA", max_quantity=100)]


def test_after_a_move_the_plan_follows_and_the_file_must(tmp_path: Path) -> None:
    with opened(tmp_path) as shards:
        shards.submit(order("95.70", 10))
        shards.move("ANA", "south")
        assert shards.book("ANA").best_bid.quantity == 10
        assert shards.engine("ANA") is shards.engines["south"]
        with pytest.raises(ShardError, match="already"):
            shards.move("ANA", "south")
    with pytest.raises(ShardError, match="ANA left for south"):
        Shards.open(tmp_path / "shards.toml", policy="os")
    new = PLAN.replace('["ANA"]', "[]").replace('["TEF"]', '["TEF", "ANA"]')
    with Shards.open(written(tmp_path, new), policy="os") as shards:
        assert shards.book("ANA").best_bid.quantity == 10


# ---------------------------------------------------------------------- the command line


def test_the_command_line_shows_moves_and_ends_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path) as shards:
        shards.submit(order("95.70", 10, time_in_force=TimeInForce.DAY))
        shards.submit(order("95.70", 4))
        digests = shards.digests()
    plan = str(tmp_path / "shards.toml")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app(["shards", *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    code, shown, _ = run("show", plan, "--json")
    assert code == 0
    assert {one["shard"]: one["digest"] for one in json.loads(shown)["shards"]} == digests
    assert run("move", plan, "ANA", "south")[0] == 2  # its day has not ended
    assert json.loads(run("end-day", plan, "--json")[1]) == {
        "cancelled": {"north": 1, "south": 0}, "failed": {},
    }  # fmt: skip
    code, shown, _ = run("move", plan, "ANA", "south")
    assert code == 0 and '[shards.south]\n    instruments = ["TEF", "ANA"]' in shown
    assert run("move", plan, "ANA", "south")[0] == 0  # it is done, and says so again
    code, _, said = run("end-day", plan)
    assert code == 2 and "left for south" in said
    new = PLAN.replace('["ANA"]', "[]").replace('["TEF"]', '["TEF", "ANA"]')
    written(tmp_path, new)
    code, shown, _ = run("mass-cancel", plan, "--account", "7", "--json")
    assert json.loads(shown)["cancelled"] == {"north": 0, "south": 1}
    (tmp_path / "south.d").rename(tmp_path / "away.d")
    code, _, said = run("end-day", plan)
    assert code == 3 and "south.d" in said
    assert not (tmp_path / "south.d").exists()


def test_names_of_errors() -> None:
    """What a caller may catch."""
    assert issubclass(ShardError, Exception) and not issubclass(ShardError, InvalidCommand)
    assert not issubclass(LogFailed, ShardError)
    with pytest.raises(ShardError, match="engines are given for a"):
        Shards(Plan([Shard("b", 1, "b", ())]), {"a": engine()})


# ---------------------------------------------------------------------- a market moves


def with_market(machine: str = "cython") -> Engine:
    """A closed market with orders at prices that the limits of today would refuse."""
    found = engine(ANA, machine=machine)
    found.set_market("ANA", Market(previous_close="95.00", reference_price="95.00", cage_ticks=3))
    found.submit(SetProtection(9, "ANA", max_fills=3, window_ns=10**9))
    found.submit(order("80.00", 3, 7, client_order_id=1, session=4))
    found.submit(order("95.00", 4, 8, client_order_id=2, session=5, post_only=True))
    found.submit(order("99.05", -6, 9))
    found.submit(order("99.05", 2, 5))
    found.set_market(
        "ANA", limit_up=1, limit_down=1, cage=CageMode.REFUSE, tick_table=[(0, "0.50")],
        entry_phases={Phase.OPENING_CALL}, auction_rule=AuctionRule.SSE, group=6,
    )  # fmt: skip
    found.set_phase("ANA", Phase.CLOSED)
    found.end_day("ANA")
    return found


@pytest.mark.parametrize("machine", ["cython", "reference"])
def test_a_market_moves_there_and_back(machine: str) -> None:
    source, target = with_market(machine), engine(TEF, machine=machine)
    before, market, day = (
        source.book("ANA").orders(), source.market("ANA"), source.trading_day("ANA"),
    )  # fmt: skip
    moved = move(source, target, "ANA", origin="a", to="b")
    assert moved.orders == 3 and not len(source.book("ANA").orders())
    assert target.book("ANA").orders().tobytes() == before.tobytes()
    assert target.market("ANA") == market and target.trading_day("ANA") == day
    assert target.market("TEF") is None
    protections = target.state().protections
    assert protections[["account", "instrument", "max_fills"]].tolist() == [(9, 2, 3)]
    assert move(source, target, "ANA", origin="a", to="b") == moved  # done once
    target.mass_cancel("ANA", side=Side.BUY)  # whose client order ids are remembered there
    left = target.book("ANA").orders()
    move(target, source, "ANA", origin="b", to="a")
    assert source.book("ANA").orders().tobytes() == left.tobytes()
    assert source.market("ANA") == market and source.trading_day("ANA") == day


@pytest.mark.parametrize("at", range(4))
def test_a_move_of_a_market_that_is_cut_off_is_finished(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = with_market(), engine(TEF)
    before, market = source.book("ANA").orders(), source.market("ANA")
    with cut_off(monkeypatch, at), pytest.raises(Cut):
        move(source, target, "ANA", origin="a", to="b")
    assert move(source, target, "ANA", origin="a", to="b").orders == 3
    assert target.book("ANA").orders().tobytes() == before.tobytes()
    assert target.market("ANA") == market and target.phase("ANA") == Phase.CLOSED


def test_a_market_that_cannot_move_is_refused_and_stays() -> None:
    source, target = engine(ANA), engine(TEF)
    source.set_market("ANA", Market())
    with pytest.raises(ShardError, match="in the phase CONTINUOUS: close it, and end its day"):
        move(source, target, "ANA", origin="a", to="b")
    source.submit(order("95.00", 3))
    iceberg = source.submit(order("95.00", 9, display_quantity=2))
    source.set_phase("ANA", Phase.CLOSED)
    with pytest.raises(ShardError, match=rf"order {iceberg.order_id} is not a limit order that is"):
        move(source, target, "ANA", origin="a", to="b")
    assert target.sequence == 1 and len(source.book("ANA").orders()) == 2
