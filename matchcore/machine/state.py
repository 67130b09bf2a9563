"""The whole state of a machine as plain arrays, its canonical bytes and their digest.

Both machines produce and take a `State`; snapshots store its bytes; the digest is the
SHA-256 of them.  The layout is in docs/commands-and-events.md.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidCommand, SnapshotDamaged
from ..records.arguments import UINT64_MAX, integer
from ..records.commands import INSTRUMENT, ORDER
from ..records.events import EVENT
from ..records.instruments import (
    INSTRUMENTS_MAX,
    Former,
    Instrument,
    needed,
    read_instrument,
    write_instrument,
)
from ..records.limits import ACCOUNT_LIMITS, LAST, check_last, check_limits
from ..records.markets import (
    MARKET_ORDER,
    MARKET_STATE,
    MARKET_TRADES,
    MARKET_VALUE,
    PROTECTION_STATE,
    check_markets,
    check_protections,
    check_trades,
    check_values,
)
from ..records.parameters import PRICE_MAX
from ..records.register import ENTRY, check_entries
from ..records.rules import checked_rules
from . import dedup as repeats

MAGIC, MAGIC_RULES = b"MCSTATE2", b"MCSTATE3"  # under version 1 of the rules; under a later one
_HEAD = struct.Struct("<8sQQQQQQ")
#: Behind the head, with MAGIC_RULES only: version, entries of the register, limits of accounts.
_RULES = struct.Struct("<QQQ")
#: Behind that, since version 3 of the rules: how many of each part of `Markets`.
_MARKETS = struct.Struct("<QQQQQ")


_MARKET_PARTS = (
    ("market_values", MARKET_VALUE), ("markets", MARKET_STATE), ("market_orders", MARKET_ORDER),
    ("protections", PROTECTION_STATE), ("market_trades", MARKET_TRADES),
)  # fmt: skip


def reserved(reserve: SupportsIndex) -> int:
    """The bytes that a machine is to take beforehand."""
    return integer(reserve, "reserve", 0, None)


@dataclass(slots=True)
class State:
    """The whole state of an exchange.

    - ``sequence``, ``next_order_id``, ``next_trade_id``: counters.
    - ``instruments``: by number; ``orders``: an `ORDER` array for each, in queue order.
    - ``answers``, ``answer_events``: remembered answers, oldest first, and their `EVENT`s.
    - ``former``: instruments with the earlier ticks of these events.
    - ``rules``: the version of the rules.
    - ``register``: the entries of the register, an `ENTRY` array by topic, key and part.
    - ``last``: the last trade of each instrument, a `LAST` array; empty under version 1.
    - ``limits``: of accounts, an `ACCOUNT_LIMITS` array by account and instrument.
    - ``market_values``: parameters that are not as at first, a `MARKET_VALUE` array by instrument,
      parameter and index; ``markets``: a `MARKET_STATE` for each instrument with a market;
      ``market_orders``: a `MARKET_ORDER` for each of their ``orders``, in the same order;
      ``protections``: groups and protections, by account and instrument; ``market_trades``: what
      closing averages have counted, a `MARKET_TRADES` array by instrument and time.  Empty before
      version 3.
    """

    sequence: int = 0
    next_order_id: int = 1
    next_trade_id: int = 1
    instruments: list[Instrument] = field(default_factory=list)
    orders: list[NDArray[np.void]] = field(default_factory=list)
    answers: NDArray[np.void] = field(default_factory=lambda: np.empty(0, repeats.ANSWER))
    answer_events: NDArray[np.void] = field(default_factory=lambda: np.empty(0, EVENT))
    former: list[Former] = field(default_factory=list)
    rules: int = 1
    register: NDArray[np.void] = field(default_factory=lambda: np.empty(0, ENTRY))
    last: NDArray[np.void] = field(default_factory=lambda: np.empty(0, LAST))
    limits: NDArray[np.void] = field(default_factory=lambda: np.empty(0, ACCOUNT_LIMITS))
    market_values: NDArray[np.void] = field(default_factory=lambda: np.empty(0, MARKET_VALUE))
    markets: NDArray[np.void] = field(default_factory=lambda: np.empty(0, MARKET_STATE))
    market_orders: NDArray[np.void] = field(default_factory=lambda: np.empty(0, MARKET_ORDER))
    protections: NDArray[np.void] = field(default_factory=lambda: np.empty(0, PROTECTION_STATE))
    market_trades: NDArray[np.void] = field(default_factory=lambda: np.empty(0, MARKET_TRADES))

    def to_bytes(self) -> bytes:
        """The canonical bytes, equal for equal states (docs/commands-and-events.md)."""
        return self._digested() + self._former()

    def _digested(self) -> bytes:
        """What the digest is of: all but the former instruments, which only say how remembered
        answers are shown.  So an old log has its old digest."""
        magic = MAGIC if self.rules == 1 else MAGIC_RULES
        head = _HEAD.pack(
            magic, self.sequence, self.next_order_id, self.next_trade_id, len(self.instruments),
            len(self.answers), len(self.answer_events),
        )  # fmt: skip
        if self.rules != 1:
            head += _RULES.pack(self.rules, len(self.register), len(self.limits))
        markets = self._market_parts()
        if self.rules > 2:
            head += _MARKETS.pack(*(len(part) for part in markets))
        counts = np.array([len(orders) for orders in self.orders], "<u8")
        books = [np.ascontiguousarray(orders, ORDER).tobytes() for orders in self.orders]
        parts = self.answers, self.answer_events, self.register, self.last, self.limits
        told = [part.tobytes() for part in (*parts, *markets)]
        return b"".join([head, self._table(), counts.tobytes(), *books, *told])

    def _market_parts(self) -> tuple[NDArray[np.void], ...]:
        return tuple(getattr(self, name) for name, _ in _MARKET_PARTS)

    def _table(self) -> bytes:
        """The instruments as records, by number."""
        return _records(self.instruments, range(1, len(self.instruments) + 1)).tobytes()

    def _former(self) -> bytes:
        """The former instruments as records, with the sequence of the change as their time."""
        table = _records([one.instrument for one in self.former], [n for _, n, _ in self.former])
        table["time"] = np.array([one.sequence for one in self.former], "u8").view("i8")
        return table.tobytes()

    def check(self) -> None:
        """`SnapshotDamaged` for counters, instruments or answers that no exchange can have.

        Machines call it before they use a state, and check the resting orders themselves.
        """
        for name, least in (("sequence", 0), ("next_order_id", 1), ("next_trade_id", 1)):
            if not least <= getattr(self, name) <= UINT64_MAX:
                raise SnapshotDamaged(f"{name} {getattr(self, name)}: {least} to {UINT64_MAX}")
        checked_rules(self.rules)
        self._check_rules()
        if len(self.instruments) > INSTRUMENTS_MAX or len(self.instruments) != len(self.orders):
            raise SnapshotDamaged(
                f"{len(self.instruments)} instruments with {len(self.orders)} books"
            )
        if len({instrument.symbol for instrument in self.instruments}) < len(self.instruments):
            raise SnapshotDamaged("the same symbol twice")
        markets = len(self.markets) > 0
        repeats.check(self.answers, self.answer_events, self.sequence, markets)
        self._check_former()

    def _check_rules(self) -> None:
        """What version 2 of the rules has, and version 1 has not."""
        if self.rules == 1 and len(self.register) + len(self.last) + len(self.limits):
            raise SnapshotDamaged("register or limits, which version 1 of the rules does not have")
        if self.rules > 1 and len(self.last) != len(self.instruments):
            raise SnapshotDamaged(f"{len(self.last)} last trades of {len(self.instruments)} books")
        check_entries(self.register)
        check_last(self.last)
        check_limits(self.limits, len(self.instruments))
        if self.rules < 3 and any(len(part) for part in self._market_parts()):
            raise SnapshotDamaged("markets, which this version of the rules does not have")
        check_values(self.market_values, len(self.instruments))
        check_protections(self.protections, len(self.instruments))
        check_markets(self.markets, self.market_values, len(self.instruments))
        check_trades(self.market_trades, self.markets, self.market_values)
        numbers = self.markets["instrument"].tolist()
        lasts = self.last["price"][self.markets["instrument"].astype(np.int64) - 1]
        if not ((lasts >= -PRICE_MAX) & (lasts <= PRICE_MAX)).all():
            raise SnapshotDamaged("a last trade of a market at a price that no market has")
        orders = [number for number in numbers for _ in range(len(self.orders[number - 1]))]
        if self.market_orders["instrument"].tolist() != orders:
            raise SnapshotDamaged("orders of markets that are not those of their books")

    def _check_former(self) -> None:
        after = 0
        for sequence, number, instrument in self.former:
            known = 1 <= number <= len(self.instruments)
            if not (known and instrument.symbol == self.instruments[number - 1].symbol):
                raise SnapshotDamaged(f"instrument {number} was never {instrument.symbol}")
            if not after < sequence <= self.sequence:
                raise SnapshotDamaged(f"a change of tick at {sequence}, behind one at {after}")
            after = sequence
        if needed(self.former, self.answer_events) != self.former:
            raise SnapshotDamaged("a former tick that no remembered answer is of")

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> State:
        """The state of ``data``; `SnapshotDamaged` unless `to_bytes` could have written it.

        `UnknownRules` for rules that this matchcore does not know.  The machine that uses the state
        checks the resting orders.
        """
        if len(data) < _HEAD.size:
            raise SnapshotDamaged(f"state of {len(data)} bytes: shorter than its head")
        magic, *counters, count, answers, told = _HEAD.unpack_from(data)
        if magic not in (MAGIC, MAGIC_RULES) or count > INSTRUMENTS_MAX:
            raise SnapshotDamaged("these bytes are not a matchcore state")
        at, rules, entries, limits, counted = _counts_of_rules(data, magic)
        if len(data) < at + count * (INSTRUMENT.itemsize + 8):
            raise SnapshotDamaged("state ends inside its instruments")
        table = np.frombuffer(data, INSTRUMENT, count, at)
        at += table.nbytes
        counts = np.frombuffer(data, "<u8", count, at).tolist()
        at += 8 * count
        tail = answers * repeats.ANSWER.itemsize + told * EVENT.itemsize
        last = count if rules > 1 else 0
        tail += entries * ENTRY.itemsize + last * LAST.itemsize + limits * ACCOUNT_LIMITS.itemsize
        tail += sum(n * one.itemsize for n, (_, one) in zip(counted, _MARKET_PARTS, strict=True))
        former, rest = divmod(
            len(data) - at - sum(counts) * ORDER.itemsize - tail, INSTRUMENT.itemsize
        )
        if former < 0 or rest:
            raise SnapshotDamaged("state does not hold the orders and answers that it counts")
        state = cls(counters[0], counters[1], counters[2], rules=rules)
        for row, orders in zip(table, counts, strict=True):
            state.instruments.append(_instrument(row))
            state.orders.append(np.frombuffer(data, ORDER, orders, at))
            at += orders * ORDER.itemsize
        state.answers = np.frombuffer(data, repeats.ANSWER, answers, at)
        at += state.answers.nbytes
        state.answer_events = np.frombuffer(data, EVENT, told, at)
        at += state.answer_events.nbytes
        state.register = np.frombuffer(data, ENTRY, entries, at)
        at += state.register.nbytes
        state.last = np.frombuffer(data, LAST, last, at)
        at += state.last.nbytes
        state.limits = np.frombuffer(data, ACCOUNT_LIMITS, limits, at)
        at += state.limits.nbytes
        for number, (name, dtype) in zip(counted, _MARKET_PARTS, strict=True):
            part = np.frombuffer(data, dtype, number, at)
            setattr(state, name, part)
            at += part.nbytes
        changed = np.frombuffer(data, INSTRUMENT, former, at)
        state.former = [
            Former(int(row["time"].view("u8")), int(row["instrument"]), _instrument(row))
            for row in changed
        ]
        # Counters, counts and orders are written as they were read; the instruments may not be.
        if state._table() != table.tobytes() or state._former() != changed.tobytes():
            raise SnapshotDamaged("instruments that are not in the form they are written in")
        state.check()
        return state

    def digest(self) -> str:
        """SHA-256 of the canonical bytes without ``former``, in hexadecimal."""
        return hashlib.sha256(self._digested()).hexdigest()


def _records(instruments: Sequence[Instrument], numbers: Sequence[int]) -> NDArray[np.void]:
    """As `INSTRUMENT` records without kind and time."""
    table = np.zeros(len(instruments), INSTRUMENT)
    for row, instrument in zip(table, instruments, strict=True):
        write_instrument(row, instrument)
    table["instrument"] = numbers
    return table


def _instrument(row: np.void) -> Instrument:
    try:
        return read_instrument(row)
    except InvalidCommand as error:
        raise SnapshotDamaged(f"instrument {row['instrument']}: {error}") from None


def _counts_of_rules(
    data: bytes | memoryview, magic: bytes
) -> tuple[int, int, int, int, list[int]]:
    """Behind the head: where it ends, version, entries, limits, and parts of markets."""
    at, rules, entries, limits = _HEAD.size, 1, 0, 0
    if magic == MAGIC_RULES:
        if len(data) < at + _RULES.size:
            raise SnapshotDamaged("state ends inside its head")
        rules, entries, limits = _RULES.unpack_from(data, at)
        at += _RULES.size
        if rules <= 1:
            raise SnapshotDamaged("version 1 of the rules, in the form of a later one")
        checked_rules(rules)
    counted = [0] * len(_MARKET_PARTS)
    if rules > 2:
        if len(data) < at + _MARKETS.size:
            raise SnapshotDamaged("state ends inside its head")
        counted = list(_MARKETS.unpack_from(data, at))
        at += _MARKETS.size
    return at, rules, entries, limits, counted
