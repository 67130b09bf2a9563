"""Commands that are not about orders, in the reference machine: instruments, register, notices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from ...records.commands import INSTRUMENT, LIMITS, TEXT
from ...records.instruments import (
    INSTRUMENTS_MAX,
    ORDERS_MAX,
    TICK_EXPONENT_MAX,
    Directory,
    Instrument,
    read_instrument,
)
from ...records.limits import LIMITS_MAX, VALUES
from ...records.register import DATA_BYTES, ENTRIES_MAX, NOTICE_PARTS_MAX, Place, Register
from ...records.schema import (
    NOTICE_RECORD,
    ChangeKind,
    EventKind,
    Field,
    Kind,
    LimitFlag,
    Reason,
)
from .book import Book, Order
from .dedup import Window
from .limits import Limits
from .limits import Place as LimitPlace
from .refusals import require

_NOTICE = NOTICE_RECORD.packer()


class Aside(ABC):
    """What `Machine` does about instruments, the register and notices."""

    matching = True  # see `OrderBook`
    sequence: int
    instruments: Directory
    register: Mapping[Place, bytes]
    _books: list[Book]
    _window: Window
    _register: Register
    _limits: dict[LimitPlace, Limits]
    _last: list[int | None]  # price of the last trade of each instrument
    _changes: list[bytes]
    _time: int

    @abstractmethod
    def _say(
        self, kind: EventKind, instrument: int, order: Order | None = None, /, **more: int
    ) -> None: ...

    @abstractmethod
    def _change(
        self, kind: ChangeKind, instrument: int, order: Order | None = None, /, **more: int
    ) -> None: ...

    @abstractmethod
    def _kill(self, instrument: int, account: int, time: int) -> int:
        """Cancels all orders of an account in one book; returns how many."""

    # ------------------------------------------------------------------ instruments

    def _define(self, kind: int, record: np.void) -> None:
        row = np.frombuffer(record.tobytes(), INSTRUMENT)[0]
        number, adding = int(row["instrument"]), kind == Kind.ADD_INSTRUMENT
        known = adding or 1 <= number <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        symbol = bytes(row["symbol"])
        fine = bool(symbol) and all(0x21 <= byte <= 0x7E for byte in symbol)
        require(fine, Reason.BAD_SYMBOL, Field.SYMBOL)
        text = symbol.decode("ascii")
        if adding:
            require(text not in self.instruments, Reason.DUPLICATE_SYMBOL, Field.SYMBOL)
        else:
            require(text == self.instruments[number].symbol, Reason.BAD_SYMBOL, Field.SYMBOL)
        tick = row["tick_mantissa"] > 0 and -TICK_EXPONENT_MAX <= row["tick_exponent"] <= 0
        require(bool(tick), Reason.BAD_TICK, Field.TICK)
        require(bool(row["lot"] > 0), Reason.BAD_LOT, Field.LOT)
        require(bool(row["max_quantity"] >= row["lot"]), Reason.BAD_LIMIT, Field.MAX_QUANTITY)
        most = 1 <= int(row["max_orders"]) <= ORDERS_MAX
        require(most, Reason.BAD_LIMIT, Field.MAX_ORDERS)
        instrument = read_instrument(row)
        if adding:
            room = len(self._books) < INSTRUMENTS_MAX
            require(room, Reason.TOO_MANY_INSTRUMENTS, Field.INSTRUMENT)
            number = self._add(instrument)
        else:
            same = instrument.tick == self.instruments[number].tick
            empty = not self._books[number - 1].live
            require(same or empty, Reason.BOOK_NOT_EMPTY, Field.TICK)
            if not same:  # a price in other ticks
                self._last[number - 1] = None
            told = self._window.arrays
            self.instruments.replace(number, instrument, self.sequence, lambda: told()[1])
        said = {"price": instrument.tick_parts[0], "quantity": instrument.lot,
                "left": instrument.max_quantity}  # fmt: skip
        self._say(
            EventKind.INSTRUMENT_ADDED if adding else EventKind.INSTRUMENT_CHANGED, number, **said
        )
        self._change(ChangeKind.DEFINED, number, **said)

    def _add(self, instrument: Instrument) -> int:
        self._books.append(Book(self.matching))
        self._last.append(None)
        return self.instruments.add(instrument)

    # ------------------------------------------------------------------ register and notices

    def _enter(self, record: np.void) -> None:
        row = np.frombuffer(record.tobytes(), TEXT)[0]
        place = Place(int(row["topic"]), int(row["key"]), int(row["part"]))
        data = row["data"].tobytes()
        require(place.topic > 0, Reason.BAD_VALUE, Field.TOPIC)
        fits = data == bytes(DATA_BYTES) or place in self.register or (
            len(self.register) < ENTRIES_MAX)  # fmt: skip
        require(fits, Reason.TOO_MANY_ENTRIES, Field.KEY)
        self._register.put(place, data)
        self._say(
            EventKind.REGISTERED, 0, order_id=place.key, price=place.topic, quantity=place.part,
            left=len(self.register),
        )  # fmt: skip

    def _note(self, record: np.void) -> None:
        row = np.frombuffer(record.tobytes(), TEXT)[0]
        instrument, part, parts = int(row["instrument"]), int(row["part"]), int(row["parts"])
        data = row["data"].tobytes()
        known = instrument <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        require(1 <= parts <= NOTICE_PARTS_MAX, Reason.BAD_VALUE, Field.PARTS)
        require(part < parts, Reason.BAD_VALUE, Field.PART)
        text = data.rstrip(b"\0").decode(errors="replace")
        padded = text.encode().ljust(DATA_BYTES, b"\0")
        fine = text != "" and padded == data  # what is no UTF-8 is not the same again
        fine = fine and not any(one < " " or "\x7f" <= one <= "\x9f" for one in text)
        require(fine, Reason.BAD_VALUE, Field.DATA)
        key = int(row["key"])
        self._say(EventKind.NOTICED, instrument, order_id=key, quantity=part, left=parts)
        said = self.sequence, self._time, data, key % 2**32, instrument, ChangeKind.NOTICE
        self._changes.append(_NOTICE.pack(*said, part, parts))

    # ------------------------------------------------------------------ limits

    def _set_limits(self, record: np.void) -> None:
        row = np.frombuffer(record.tobytes(), LIMITS)[0]
        values = {name: int(row[name]) for name in LIMITS.names or ()}
        account, instrument, flags = values["account"], values["instrument"], values["flags"]
        known = instrument <= len(self._books)
        require(known, Reason.UNKNOWN_INSTRUMENT, Field.INSTRUMENT)
        require(account > 0, Reason.BAD_VALUE, Field.ACCOUNT)
        blocked = int(LimitFlag.BLOCKED)
        fine = flags in (0, blocked, blocked | LimitFlag.CANCEL)
        require(fine, Reason.BAD_FLAGS, Field.FLAGS)
        for name, value in values.items():
            unread = name.startswith("reserved")
            require(not unread or value == 0, Reason.UNSUPPORTED, Field.RESERVED)
        for name in VALUES:
            field = Field.WINDOW if name == "window_ns" else Field[name.upper()]
            require(values[name] >= 0, Reason.BAD_LIMIT, field)
        both = (values["max_messages"] > 0) == (values["window_ns"] > 0)
        require(both, Reason.BAD_LIMIT, Field.WINDOW)
        place, limits = (account, instrument), Limits.of(values)
        room = len(self._limits) < LIMITS_MAX or place in self._limits or not limits.is_set
        require(room, Reason.TOO_MANY_ENTRIES, Field.ACCOUNT)
        self._limits.pop(place, None)
        if limits.is_set:
            self._limits[place] = limits
        count = 0
        cancels = range(1, len(self._books) + 1) if flags & LimitFlag.CANCEL else ()
        for number in cancels:
            if instrument in (0, number):
                count += self._kill(number, account, int(row["time"]))
        said = {"account": account, "quantity": count, "left": flags}
        self._say(EventKind.LIMITS_SET, instrument, **said)
