"""Phase, halt, reference and indicative price: no machine says them, every face has them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import feed_kit as kit
import numpy as np
import pytest
from feed_kit import ANA, market
from hypothesis import given
from hypothesis import strategies as st
from itch_kit import HOST, PASSWORD, USER, Started, blocks_of, logins
from numpy.typing import NDArray
from web_kit import Served, client, run

import matchcore as mc
from matchcore import ChangeKind, Phase
from matchcore.errors import FeedError
from matchcore.feeds import AsyncClient, Changes, Snapshot
from matchcore.feeds.itch import Encoder, Glimpse, ItchOutlet, SoupFeed
from matchcore.feeds.itch._frames import BLOCK
from matchcore.feeds.lines import LineOutlet, wire
from matchcore.feeds.lines.address import Address
from matchcore.feeds.notices import Notices
from matchcore.feeds.relay import Upstream
from matchcore.feeds.saving import from_bytes, to_bytes
from matchcore.feeds.serving import Feed, Outlet
from matchcore.feeds.states import Indicative, State, States, phase_name
from matchcore.feeds.statistics import Statistics
from matchcore.feeds.web import frames
from matchcore.feeds.web.server import WebOutlet
from matchcore.records.instruments import Directory

FOREIGN = mc.Instrument("LONGSYMBOL", "0.00001")  # ITCH says it in messages of our own
CALL = market(ChangeKind.PHASE, phase=Phase.OPENING_CALL)
HALT, GO_ON = (market(ChangeKind.HALT, halted=one) for one in (1, 0))
REFERENCE = market(ChangeKind.REFERENCE, price=1900)
AUCTION = market(ChangeKind.INDICATIVE, price=1911, quantity=70, imbalance=30, side=2,
                 phase=Phase.OPENING_CALL)  # fmt: skip
NO_PRICE = market(ChangeKind.INDICATIVE, phase=Phase.OPENING_CALL)
FOREIGN_PRICE = market(ChangeKind.INDICATIVE, 2, price=-5, quantity=1, phase=7)
ADDED = np.zeros(1, mc.CHANGE)
for _name, _value in (("kind", 1), ("instrument", 1), ("order_id", 5), ("side", 1), ("price", 1905),
                      ("quantity", 9), ("left", 9), ("level_quantity", 9), ("level_orders", 1),
                      ("sequence", 3)):  # fmt: skip
    ADDED[_name] = _value
OF_ANA = State(Phase.OPENING_CALL, True, 1900, Indicative(1911, 70, 30, 2, Phase.OPENING_CALL))
OF_FOREIGN = State(indicative=Indicative(-5, 1, 0, 0, 7))
SAID = {
    "phase": "opening_call",
    "halted": True,
    "reference": "95.00",
    "indicative": {"price": "95.55", "quantity": 70, "imbalance": 30, "side": "sell",
                   "phase": "opening_call"},
}  # fmt: skip
NOTHING_SAID = {"phase": None, "halted": False, "reference": None, "indicative": None}


def changed(*rows: NDArray[np.void]) -> NDArray[np.void]:
    return np.concatenate([row.view(mc.CHANGE) for row in rows])


def test_the_last_value_wins() -> None:
    states = States(changed(CALL, HALT, REFERENCE, AUCTION, FOREIGN_PRICE))
    assert (states[1], states[2], states[3]) == (OF_ANA, OF_FOREIGN, State())
    states.apply(changed(GO_ON, NO_PRICE, market(ChangeKind.PHASE, phase=Phase.CONTINUOUS)))
    assert states[1] == State(Phase.CONTINUOUS, False, 1900)
    defined = np.zeros(1, mc.CHANGE)
    defined["kind"], defined["instrument"] = ChangeKind.DEFINED, 1
    states.apply(defined)  # prices may be in other ticks behind it
    assert states[1] == State(Phase.CONTINUOUS) and states[2] == OF_FOREIGN
    assert [phase_name(one) for one in (Phase.AT_CLOSING_PRICE, 200)] == ["at_closing_price", "200"]


@st.composite
def said(draw: st.DrawFn) -> NDArray[np.void]:
    return market(
        draw(st.sampled_from([8, 9, 10, 11])), draw(st.integers(1, 2)),
        price=draw(st.integers(-3, 2**63 - 1)), quantity=draw(st.integers(0, 2**63 - 1)),
        imbalance=draw(st.integers(0, 9)), side=draw(st.integers(0, 2)),
        phase=draw(st.integers(0, 255)), halted=draw(st.integers(0, 1)),
    )  # fmt: skip


@given(st.lists(said(), max_size=12))
def test_states_come_back_and_any_part_of_them_first_makes_no_difference(rows: list[Any]) -> None:
    states, parts = States(changed(*rows) if rows else ADDED), States()
    for row in rows:
        parts.apply(row.view(mc.CHANGE))
    kept = states.rows()
    assert kept.tobytes() == parts.rows().tobytes() == States(kept).rows().tobytes()
    last = {(int(row["instrument"][0]), int(row["kind"][0])): row for row in rows}
    assert kept.tobytes() == b"".join(last[place].tobytes() for place in sorted(last))
    instruments = Directory([ANA, FOREIGN])
    statistics = Statistics(instruments)
    statistics.apply(kept)
    back, _ = from_bytes(to_bytes(statistics, Notices()), instruments)
    assert back.states.rows().tobytes() == kept.tobytes()


@given(st.lists(said(), min_size=1, max_size=12))
def test_they_are_itch_messages_and_back(rows: list[Any]) -> None:
    from matchcore.feeds.itch import Decoder

    given_rows = changed(*rows)
    blocks = Encoder(Directory([ANA, FOREIGN])).blocks(given_rows)
    back = Decoder(Directory([ANA, FOREIGN])).changes(blocks)
    mine, theirs = States(given_rows), States(back)
    assert [theirs[number] for number in (1, 2)] == [mine[number] for number in (1, 2)]


def block(row: NDArray[np.void]) -> bytes:
    return Encoder(Directory([ANA, FOREIGN])).blocks(row.view(mc.CHANGE))[2:]


def test_the_layout_of_their_messages() -> None:
    head = b"\0\1\0\0" + (10**18 % (86_400 * 10**9)).to_bytes(6, "big")
    assert block(HALT) == b"H" + head + b"ANA     H     "
    assert block(GO_ON) == b"H" + head + b"ANA     T     "
    price = (955_500).to_bytes(4, "big")
    noii = (70).to_bytes(8, "big") + (30).to_bytes(8, "big") + b"SANA     " + 3 * price + b"O "
    assert block(AUCTION) == b"I\0\1\0\2" + head[4:] + noii
    for phase, cross in ((Phase.CLOSING_CALL, b"C"), (Phase.VOLATILITY_CALL, b"H")):
        assert block(market(ChangeKind.INDICATIVE, phase=phase))[48:49] == cross
    own = block(FOREIGN_PRICE)
    assert len(own) == 43 and own[:3] == b"m\0\2" and own[15:19] == b"\x0b\7\0\0"
    assert block(REFERENCE)[:1] == block(CALL)[:1] == b"m"
    assert max(len(block(row)) for row in (HALT, AUCTION, CALL)) + 2 < BLOCK.itemsize
    with pytest.raises(FeedError, match="not known"):
        block(market(ChangeKind.HALT, 3))


def test_a_decoder_of_other_people_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITCH_NO_CPP", "1")  # its own parser, not that of itchcpp
    from itch.parser import MessageParser

    told = b"".join(blocks_of(block(row)) for row in (HALT, GO_ON, AUCTION))
    halt, go_on, auction = MessageParser().parse_stream(told)
    assert (halt.trading_state, go_on.trading_state, halt.stock) == (b"H", b"T", b"ANA     ")
    assert (auction.paired_shares, auction.imbalance_shares) == (70, 30)
    assert (auction.near_price, auction.imbalance_direction) == (955_500, b"S")


def test_a_status_that_does_not_fit_a_record_is_left_out() -> None:
    statistics = Statistics(Directory([ANA]))
    statistics.apply(changed(market(ChangeKind.REFERENCE, price=2**62)))
    statistics[1].factor = 4  # as behind a finer tick on the same day
    row = np.frombuffer(frames.status(statistics[1], statistics.states[1]), frames.STATUS)[0]
    assert (row["has"], row["reference"]) == (0, 0)


@pytest.mark.parametrize("kind", [wire.Type.ORDERS, wire.Type.MARKET])
def test_a_snapshot_with_other_rows_is_refused(kind: wire.Type) -> None:
    wrong = market(ChangeKind.NOTICE).tobytes()
    read = wire.orders_of if kind == wire.Type.ORDERS else wire.states_of
    with pytest.raises(FeedError, match="something else than"):
        read(wire.Frame(kind, 1, 1, 1, wrong))


class Faces:
    """A feed of changes that are made up, with a line, SoupBinTCP, GLIMPSE and a web face."""

    def __init__(self, place: Path) -> None:
        self.source = kit.Scripted(ANA, FOREIGN)
        self.web = WebOutlet(HOST, 0)
        self.line = LineOutlet(Address(HOST, 0))
        self.soup = SoupFeed(HOST, 0, logins(place))
        self.glimpse = Glimpse(HOST, 0, logins(place))
        self._started = Started()
        outlets: list[Outlet] = [self.web, self.line, self._started]
        outlets.insert(0, ItchOutlet(None, self.soup, self.glimpse))
        self.feed = Feed(self.source, outlets)
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Faces:
        self._running = asyncio.ensure_future(self.feed.run(self._stop))
        while not self._started.event.is_set():
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._running

    async def come_to(self, number: int) -> None:
        while self.feed.history.last < number:
            await asyncio.sleep(0.001)

    def client(self, **options: Any) -> AsyncClient:
        return AsyncClient(f"{HOST}:{self.line.port}", **options)

    def itch_client(self, **options: Any) -> AsyncClient:
        return AsyncClient(f"soup://{HOST}:{self.soup.address[1]}", login=(USER, PASSWORD),
                           glimpse=f"{HOST}:{self.glimpse.address[1]}", **options)  # fmt: skip


async def taken(client: AsyncClient, number: int) -> list[NDArray[np.void]]:
    """The rows up to a number."""
    found = []
    while client.number < number:
        item = await client.__anext__()
        assert isinstance(item, Changes)
        found.append(item.rows)
    return found


def test_every_face_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matchcore.feeds.itch.glimpse.SNAPSHOT_SECONDS", -1)

    async def test() -> None:
        async with AsyncExitStack() as stack:
            faces = await stack.enter_async_context(Faces(tmp_path))
            early = await stack.enter_async_context(faces.client())
            early_itch = await stack.enter_async_context(faces.itch_client())
            for one in (early, early_itch):
                assert isinstance(await one.__anext__(), Snapshot) and one.states[1] == State()
            last = faces.source.say(CALL, ADDED, HALT, REFERENCE, AUCTION, FOREIGN_PRICE)
            await faces.come_to(last)
            late = await stack.enter_async_context(faces.client())
            late_itch = await stack.enter_async_context(faces.itch_client())
            for one in (late, late_itch):
                snapshot = await one.__anext__()
                assert isinstance(snapshot, Snapshot) and snapshot.number == last
                assert len(snapshot.states) == 5 and len(one.books.orders(1)) == 1
            await taken(early, last)
            await taken(early_itch, last)
            relay = await Upstream.connected(f"{HOST}:{faces.line.port}")
            stack.push_async_callback(relay._merged.close)
            before = relay.before()
            assert before is not None and before[0].states[1] == OF_ANA
            for one in (early, early_itch, late, late_itch):
                assert (one.states[1], one.states[2]) == (OF_ANA, OF_FOREIGN)
            last = faces.source.say(GO_ON, market(ChangeKind.PHASE, phase=Phase.CONTINUOUS))
            for one in (early, early_itch, late, late_itch):
                await taken(one, last)
                assert one.states[1] == OF_ANA._replace(halted=False, phase=Phase.CONTINUOUS)

    run(test())


def test_the_status_channel_has_them_conflated(tmp_path: Path) -> None:
    async def test() -> None:
        async with Faces(tmp_path) as faces, client(Served(faces.feed, faces.web)) as known:
            await known.subscribe(["status"], ["ANA"])
            first = await known.until("snapshot")
            assert NOTHING_SAID.items() <= first.items()
            last = faces.source.say(GO_ON, CALL, HALT, NO_PRICE, REFERENCE, AUCTION, FOREIGN_PRICE)
            update = await known.until("update")  # what comes together is one message
            assert (update["number"], update["prev"]) == (last - 1, first["number"])
            assert SAID.items() <= update.items()
            answer = await Served(faces.feed, faces.web).get("/api/status/ANA")
            assert SAID.items() <= answer.said.items()
            await known.subscribe(["status"], ["LONGSYMBOL"])
            said = (await known.until("snapshot"))["indicative"]
            assert said == {"price": "-0.00005", "quantity": 1, "imbalance": 0, "side": None,
                            "phase": "closing_call"}  # fmt: skip
            await known.subscribe(["status"], ["ANA"], format="binary")
            await known.until("subscribed")
            row = np.frombuffer(await known.socket.recv(), frames.STATUS, offset=32)[0]
            assert (row["phase"], row["halted"], row["has"]) == (Phase.OPENING_CALL, 1, 3)
            assert (row["mantissa"], row["exponent"]) == ANA.tick_parts
            assert (row["reference"], row["indicative_price"]) == (1900, 1911)
            said = [row[name] for name in ("indicative_quantity", "imbalance", "imbalance_side",
                                           "indicative_phase")]  # fmt: skip
            assert said == [70, 30, 2, Phase.OPENING_CALL]

    run(test())
